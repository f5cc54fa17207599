/* activation=normalize_channels: y[c] = relu(x[c]) / (1e-4 + the sum of relu(x) over the pixel's channels).
 * No function of one value, so a step of its own behind the layer's raw values. */
#ifndef DARKNET_LAYERS_CHANNEL_NORM_H
#define DARKNET_LAYERS_CHANNEL_NORM_H

#include "layers/layer.h"

#define CHANNEL_NORM_NAME "normalize_channels"

typedef struct channel_norm {
    bool used;
    int output, sums; /* buffers: [pixels][channels], [pixels] */
} channel_norm;

/* Whether the section asks for it (then its activation counts as linear). */
bool channel_norm_wanted(const cfg_section *s);
/* shape: of the values it works on. */
void channel_norm_plan(channel_norm *n, layer *l, tensor_shape shape, size_t batch, bool training);
/* Sets l->output. */
void channel_norm_forward(const channel_norm *n, layer *l, const lazy_tensor *in, tensor_shape shape,
                          const pass *p);
/* delta of the outputs becomes that of the inputs. */
void channel_norm_backward(const channel_norm *n, const layer *l, float *delta, tensor_shape shape,
                           const pass *p);

#endif
