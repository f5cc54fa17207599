/* Convolution with its affine tail: see affine.h. */
#include "layers/affine.h"

#include "layers/channel_norm.h"

static size_t out_pixels(const affine *a) {
    return a->shape.batch * a->shape.out_height * a->shape.out_width;
}

void affine_parse(affine *a, layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    bool normalize = section_flag(s, "batch_normalize", false, d);
    a->shape.bfloat16 = context->bfloat16;
    bool linear = a->staged && channel_norm_wanted(s);
    activation_kind activation =
        linear ? ACTIVATION_LINEAR : layer_parse_activation(s, "activation", "logistic", d);
    channel_tail_set_up(&a->tail, a->shape.out_channels, normalize, context->batch_norm_form, activation);
    l->macs = layer_product(affine_weight_count(a), a->shape.out_height * a->shape.out_width);
}

void affine_plan(affine *a, layer *l, size_t batch, bool training, int threads) {
    a->shape.batch = batch;
    size_t bytes = out_pixels(a) * a->shape.out_channels * sizeof(float);
    bool maps = a->tail.normalize || a->tail.activation != ACTIVATION_LINEAR;
    a->raw = layer_request(l, bytes, training ? BUFFER_TRAINING : BUFFER_FORWARD);
    a->activated =
        training && maps && !l->lazy_output && !a->staged ? layer_request(l, bytes, BUFFER_TRAINING) : -1;
    channel_tail_plan(&a->tail, l);
    layer_want_workspace(l, convolution_forward_workspace_bytes(&a->shape, threads));
    if (!training) return;
    layer_want_workspace(l, convolution_backward_workspace_bytes(&a->shape, threads));
    layer_want_workspace(l, channel_reduce_workspace_bytes(out_pixels(a), a->shape.out_channels));
}

size_t affine_pack(affine *a, const float *weights, void *packed) {
    if (packed) convolution_pack(&a->shape, weights, packed);
    a->packed = packed;
    return convolution_packed_bytes(&a->shape);
}

/* Straight to the activated output; an observer also sees it before the activation. */
static void infer(affine *a, layer *l, const lazy_tensor *in, float *raw, const pass *p) {
    channel_map map = a->map;
    if (p->observe) map.activation = ACTIVATION_LINEAR;
    if (a->packed)
        convolution_forward_packed(&a->shape, in, a->packed, raw, &map, p->workspace, p->threads);
    else
        convolution_forward(&a->shape, in, a->weights_now, raw, &map, NULL, p->workspace, p->threads);
    l->output = (lazy_tensor){.data = raw};
    if (!p->observe) return;
    size_t count = out_pixels(a) * a->shape.out_channels;
    p->observe(p->observe_user, l, true, raw, count);
    activation_forward_array(a->map.activation, raw, raw, count, p->threads);
}

void affine_forward(affine *a, layer *l, const lazy_tensor *in, const float *weights, const pass *p) {
    float *raw = layer_buffer(l, a->raw);
    a->shape.batch = p->batch;
    a->weights_now = weights;
    if (!p->training && !(p->batch_statistics && a->tail.normalize)) {
        a->map = channel_tail_inference_map(&a->tail, l);
        infer(a, l, in, raw, p);
        return;
    }
    channel_moments moments = channel_tail_moments(&a->tail, l);
    convolution_forward(&a->shape, in, a->weights_now, raw, NULL, a->tail.normalize ? &moments : NULL,
                        p->workspace, p->threads);
    a->map = channel_tail_training_map(&a->tail, l, out_pixels(a));
    l->output = (lazy_tensor){.data = raw, .map = a->map};
    l->sums_made = false;
    l->sums = (gradient_sums){NULL, NULL, NULL};
    if (p->training && l->lazy_output && !a->staged) l->sums = channel_tail_sums(&a->tail, l);
    if (l->lazy_output || a->staged) return;
    float *stored = a->activated >= 0 ? layer_buffer(l, a->activated) : raw;
    lazy_tensor_store(out_pixels(a), a->shape.out_channels, &l->output, stored, p->threads);
    l->output = (lazy_tensor){.data = stored};
}

void affine_backward(affine *a, layer *l, const lazy_tensor *in, const float *delta, float *in_delta,
                     bool adds, const gradient_sums *sums, const pass *p) {
    lazy_gradient g = {.delta = delta, .data = layer_buffer(l, a->raw), .map = a->map};
    channel_tail_backward(&a->tail, l, out_pixels(a), &g, p->workspace, p->threads);
    convolution_backward_sums(&a->shape, in, &g, a->weights_now, in_delta, adds, layer_gradient(l, "weights"),
                              sums, p->workspace, p->threads);
}

void affine_describe(const affine *a, darknet_layer_info *info) {
    channel_tail_describe(&a->tail, info);
    info->size = (int)a->shape.size;
    info->stride = (int)a->shape.stride_x;
    info->padding = (int)a->shape.padding;
    info->dilation = (int)a->shape.dilation;
    info->groups = (int)a->shape.groups;
}
