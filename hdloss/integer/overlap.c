/* Shortcuts of tensors of different shapes, as Darknet adds them: on the first channels that both have, and
 * on every (ratio)-th pixel of the larger one. Elsewhere the second input counts as zero. */
#include <string.h>

#include "integer/internal.h"

static bool whole_multiple(int large_height, int large_width, int small_height, int small_width) {
    return large_height % small_height == 0 && large_width % small_width == 0 &&
           large_height / small_height == large_width / small_width;
}

bool hd_integer_overlap_exists(int height, int width, int other_height, int other_width) {
    return height > 0 && width > 0 && other_height > 0 && other_width > 0 &&
           (whole_multiple(height, width, other_height, other_width) ||
            whole_multiple(other_height, other_width, height, width));
}

void hd_integer_spread_overlap(const hd_integer_tensor *out, const hd_integer_tensor *in,
                               const uint8_t *input, size_t images, uint8_t *output) {
    size_t in_step = in->width >= out->width ? (size_t)(in->width / out->width) : 1;
    size_t out_step = in->width >= out->width ? 1 : (size_t)(out->width / in->width);
    size_t height = (size_t)(in->height < out->height ? in->height : out->height);
    size_t width = (size_t)(in->width < out->width ? in->width : out->width);
    size_t channels = (size_t)(in->channels < out->channels ? in->channels : out->channels);
    size_t in_image = (size_t)in->height * (size_t)in->width * (size_t)in->channels;
    size_t out_image = (size_t)out->height * (size_t)out->width * (size_t)out->channels;
    memset(output, hd_zero_byte(in), images * out_image);
    for (size_t n = 0; n < images; n++)
        for (size_t y = 0; y < height; y++)
            for (size_t x = 0; x < width; x++)
                memcpy(output + n * out_image +
                           (y * out_step * (size_t)out->width + x * out_step) * (size_t)out->channels,
                       input + n * in_image +
                           (y * in_step * (size_t)in->width + x * in_step) * (size_t)in->channels,
                       channels);
}
