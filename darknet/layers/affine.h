/* What convolutional and connected layers have in common: a convolution (connected: 1x1 over one pixel) that
 * leaves its raw sums, and the affine tail behind it. */
#ifndef DARKNET_LAYERS_AFFINE_H
#define DARKNET_LAYERS_AFFINE_H

#include "layers/layer.h"
#include "layers/normalization.h"

typedef struct affine {
    convolution_shape shape; /* its batch is set by each pass */
    channel_tail tail;
    int raw, activated; /* buffers: the raw sums; the mapped output where a reader takes no map, else -1 */
    channel_map map;    /* of this forward pass */
    const float *weights_now; /* of this forward pass; NULL with packed ones */
    const void *packed;       /* the weights as the kernels read them, see layer_type.pack; or NULL */
    bool staged;              /* the layer itself reads the mapped sums, with their pending map */
} affine;

static inline size_t affine_weight_count(const affine *a) {
    size_t filter = layer_product(a->shape.in_channels / a->shape.groups, a->shape.size * a->shape.size);
    return layer_product(a->shape.out_channels, filter);
}

/* Reads batch_normalize and activation (normalize_channels counts as linear here), counts macs. a->shape must
 * be set. */
void affine_parse(affine *a, layer *l, const cfg_section *s, layer_context *context);
void affine_plan(affine *a, layer *l, size_t batch, bool training, int threads);
/* See layer_type.pack. */
size_t affine_pack(affine *a, const float *weights, void *packed);
/* Sets l->output. weights are not looked at while there are packed ones. */
void affine_forward(affine *a, layer *l, const lazy_tensor *in, const float *weights, const pass *p);
/* delta: the gradient of what affine_forward left in l->output. sums: of layer_input_sums where `in` is that
 * input itself and in_delta its delta, else NULL. */
void affine_backward(affine *a, layer *l, const lazy_tensor *in, const float *delta, float *in_delta,
                     bool adds, const gradient_sums *sums, const pass *p);
void affine_describe(const affine *a, darknet_layer_info *info);

#endif
