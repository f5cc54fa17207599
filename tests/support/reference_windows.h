/* Which values of the reference network's layers belong together. See reference_network.h. */
#ifndef TESTS_REFERENCE_WINDOWS_H
#define TESTS_REFERENCE_WINDOWS_H

#include "reference_internal.h"

/* Windows of size x size cells over an image of height x width; each filter sees `channels` of them,
 * `filters` filters the same ones. */
typedef struct reference_windows {
    int channels, filters, size, stride_y, stride_x, offset, dilation, height, width;
} reference_windows;

reference_windows reference_windows_of(const reference_layer *l);
/* Where cell i of the window at (y, x) lies; false outside of the image. */
bool reference_window_cell(const reference_windows *w, int y, int x, int i, int *row, int *column);

/* Weight i of the blur of that kind (antialiasing=): 3x3 or 2x2. */
double reference_blur(int kind, int i);

/* A value of a layer and one of its input, as places over the whole batch (of a [reorg]: of one image). */
typedef struct reference_pair {
    size_t own, from;
    int channel;
} reference_pair;

/* What a [shortcut] adds of a layer: the first channels; every n-th pixel of the one that is n times as wide.
 */
typedef struct reference_overlap {
    const reference_layer *own, *from;
    int batch, channels, height, width, own_step, from_step;
} reference_overlap;

reference_overlap reference_overlap_of(const reference_layer *l, const reference_layer *from);
size_t reference_overlap_count(const reference_overlap *o);
reference_pair reference_overlap_pair(const reference_overlap *o, size_t i);
/* The factor of input k (of a channel of it) in a [shortcut] with weights. */
double reference_factor(const reference_layer *l, int k, int channel);

reference_pair reference_reorg_pair(const reference_layer *l, int i);

/* The base of the power in [normalization], of channel c and pixel i. */
double reference_response_sum(const reference_layer *l, int image, int c, int i);

/* A convolution's input values: with xnor their signs. */
const double *reference_sources(reference_layer *l);

#endif
