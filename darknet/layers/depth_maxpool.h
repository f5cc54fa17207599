/* maxpool_depth=1: the largest of every out_channels-th channel of a pixel, instead of a window of pixels. */
#ifndef DARKNET_LAYERS_DEPTH_MAXPOOL_H
#define DARKNET_LAYERS_DEPTH_MAXPOOL_H

#include <stdint.h>

#include "layers/layer.h"

/* out[pixels][out_channels] from in[pixels][channels]; winner[pixels][out_channels]: their channels (NULL to
 * leave out). */
void depth_maxpool_forward(size_t pixels, size_t channels, size_t out_channels, const float *in, float *out,
                           uint32_t *winner, int threads);
/* in_delta is overwritten, or added to when accumulate. */
void depth_maxpool_backward(size_t pixels, size_t channels, size_t out_channels, const float *delta,
                            const uint32_t *winner, float *in_delta, bool accumulate, int threads);

#endif
