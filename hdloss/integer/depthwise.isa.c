/* Depthwise convolutions: one input channel a group, all channels of a pixel side by side. */
#include <string.h>

#include "integer/kernels.h"
#include "integer/level.h"
#include "integer/scale_to_byte.h"

/* The input pixel that an output pixel reads at a kernel position, or the row of zeros. */
static inline const uint8_t *input_pixel(const hd_integer_depthwise *d, const uint8_t *image, int y, int x) {
    const hd_integer_window *w = &d->window;
    if ((unsigned)y >= (unsigned)w->in_height || (unsigned)x >= (unsigned)w->in_width) return d->padding;
    return image + ((size_t)y * (size_t)w->in_width + (size_t)x) * (size_t)w->in_channels;
}

#if defined(ISA_avx512)
#include "integer/depthwise_avx512.h"
#elif defined(ISA_avx2)
#include "integer/depthwise_avx2.h"
#else
#include "integer/depthwise_portable.h"
#endif
