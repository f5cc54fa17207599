/* [convolutional]: convolution with any groups, then batch normalisation or a bias, then an activation
 * (affine.h). */
#include <math.h>
#include <stdlib.h>

#include "core/random.h"
#include "layers/affine.h"
#include "layers/types.h"

static int out_length(int in, int size, int stride, int padding, int dilation) {
    return (in + 2 * padding - (dilation * (size - 1) + 1)) / stride + 1;
}

/* The out shape; an impossible one is a diagnostic and 1x1. */
static tensor_shape out_shape(const layer *l, const cfg_section *s, const convolution_shape *c,
                              diagnostics *d) {
    int size = (int)c->size, padding = (int)c->padding, dilation = (int)c->dilation;
    int reach = dilation * (size - 1) + 1, channels = (int)c->out_channels;
    if (reach <= l->in.height + 2 * padding && reach <= l->in.width + 2 * padding)
        return (tensor_shape){out_length(l->in.height, size, (int)c->stride_y, padding, dilation),
                              out_length(l->in.width, size, (int)c->stride_x, padding, dilation), channels};
    diagnostics_error(d, LAYER_AT "size: a %dx%d kernel does not fit the %dx%d input with padding %d",
                      section_path(s), section_key_line(s, "size"), reach, reach, l->in.width, l->in.height,
                      padding);
    return (tensor_shape){1, 1, channels};
}

static void read_shape(layer *l, const cfg_section *s, convolution_shape *c, diagnostics *d) {
    int filters = section_int(s, "filters", 1, 1, 1 << 20, d);
    int size = section_int(s, "size", 1, 1, 1024, d);
    int stride = section_int(s, "stride", 1, 1, 1024, d);
    int stride_x = section_int(s, "stride_x", stride, 1, 1024, d);
    int stride_y = section_int(s, "stride_y", stride, 1, 1024, d);
    int dilation = section_int(s, "dilation", 1, 1, 256, d);
    int padding = section_int(s, "padding", 0, 0, 1024, d);
    int groups = section_int(s, "groups", 1, 1, 1 << 20, d);
    if (section_flag(s, "pad", false, d)) padding = size / 2;
    if (l->in.channels % groups != 0 || filters % groups != 0) {
        diagnostics_error(d,
                          LAYER_AT "groups: %d does not divide both the %d input channels and the %d filters",
                          section_path(s), section_key_line(s, "groups"), groups, l->in.channels, filters);
        groups = 1;
    }
    *c = (convolution_shape){.batch = 1,
                             .in_height = (size_t)l->in.height,
                             .in_width = (size_t)l->in.width,
                             .in_channels = (size_t)l->in.channels,
                             .out_channels = (size_t)filters,
                             .size = (size_t)size,
                             .stride_y = (size_t)stride_y,
                             .stride_x = (size_t)stride_x,
                             .padding = (size_t)padding,
                             .dilation = size == 1 ? 1 : (size_t)dilation,
                             .groups = (size_t)groups};
    l->out = out_shape(l, s, c, d);
    c->out_height = (size_t)l->out.height;
    c->out_width = (size_t)l->out.width;
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    affine *a = l->state = calloc(1, sizeof *a);
    if (!a) return;
    read_shape(l, s, &a->shape, context->diagnostics);
    affine_parse(a, l, s, context);
    layer_add_parameter(l, "biases", a->shape.out_channels, true, false);
    affine_add_norm_parameters(a, l);
    layer_add_parameter(l, "weights", affine_weight_count(a), true, true);
}

static void initialize(layer *l, uint64_t seed) {
    affine *a = l->state;
    const convolution_shape *s = &a->shape;
    random_state r = random_seeded(seed, (uint64_t)l->index);
    float deviation = sqrtf(2.0f / (float)(s->size * s->size * (s->in_channels / s->groups)));
    float *weights = layer_values(l, "weights");
    for (size_t i = 0; i < affine_weight_count(a); i++) weights[i] = deviation * random_normal(&r);
    affine_initialize(a, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    affine_plan(l->state, l, batch, training, threads);
}

static void forward(layer *l, const pass *p) {
    lazy_tensor in = layer_input(l, p, 0);
    affine_forward(l->state, l, &in, p);
}

static void backward(layer *l, const pass *p) {
    lazy_tensor in = layer_input(l, p, 0);
    affine_backward(l->state, l, &in, layer_input_delta(l, 0), layer_adds_delta(l, 0), p);
}

static void describe(const layer *l, darknet_layer_info *info) {
    affine_describe(l->state, info);
}

static void destroy(layer *l) {
    affine *a = l->state;
    if (a) channel_tail_destroy(&a->tail);
    free(a);
}

const layer_type layer_convolutional = {.name = "convolutional",
                                        .reads_lazy = true,
                                        .parse = parse,
                                        .initialize = initialize,
                                        .plan = plan,
                                        .forward = forward,
                                        .backward = backward,
                                        .describe = describe,
                                        .destroy = destroy};
