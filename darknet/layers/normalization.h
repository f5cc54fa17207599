/* The affine tail of a convolution or connected layer: batch normalisation or a bias, then an activation, as
 * a pending map on the raw sums (kernels.h) and as coefficients of the lazy gradient. Shared by
 * convolutional, connected and batchnorm layers. */
#ifndef DARKNET_LAYERS_NORMALIZATION_H
#define DARKNET_LAYERS_NORMALIZATION_H

#include "layers/layer.h"
#include "network/network.h"

typedef struct channel_tail {
    size_t channels;
    bool normalize;
    batch_norm_form form;
    activation_kind activation;
    int arrays; /* buffer behind those below, [channels] each */
    float *scale, *shift, *mean, *m2, *deviation, *a, *b, *c, *sum_dz, *sum_dz_x;
} channel_tail;

void channel_tail_set_up(channel_tail *t, size_t channels, bool normalize, batch_norm_form form,
                         activation_kind activation);
/* With normalize: scales and the running statistics, in the weight file's order. */
void channel_tail_add_parameters(const channel_tail *t, layer *l);
/* Scales 1, statistics fresh. */
void channel_tail_initialize(const channel_tail *t, layer *l);
void channel_tail_plan(channel_tail *t, layer *l);

/* Fills what a tail says of its layer: activation, batch_normalize, epsilons. */
void channel_tail_describe(const channel_tail *t, darknet_layer_info *info);

/* The constants of y = scales * (x - mean) / (sqrt(variance + inside) + outside) + biases. */
void batch_norm_epsilons(batch_norm_form form, float *inside, float *outside);

/* The map from the rolling statistics (or the bias alone). */
channel_map channel_tail_inference_map(channel_tail *t, const layer *l);
/* Where a training pass leaves the batch's moments. */
channel_moments channel_tail_moments(channel_tail *t, const layer *l);
/* The map from those moments (without normalize: the bias); moves the rolling statistics. */
channel_map channel_tail_training_map(channel_tail *t, layer *l, size_t pixels);
/* Either of them, as the pass wants it, for raw sums [pixels][channels]; takes their moments. */
channel_map channel_tail_map(channel_tail *t, layer *l, const pass *p, size_t pixels, const float *raw);
/* Where the reader of the layer's output may leave the sums that channel_tail_backward begins with. */
gradient_sums channel_tail_sums(channel_tail *t, const layer *l);
/* After the forward pass of training: sums over g, gradients of scales and biases added, and the coefficients
 * by which g then gives the gradient of the raw sums. */
void channel_tail_backward(channel_tail *t, const layer *l, size_t pixels, lazy_gradient *g, void *workspace,
                           int threads);

#endif
