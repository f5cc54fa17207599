/* [convolutional]: convolution with any groups, then batch normalisation or a bias, then an activation
 * (affine.h), then what some cfgs ask for: normalize_channels (channel_norm.h), antialiasing (blur.h); binary
 * and xnor (binary.h) stand before it. */
#include <math.h>
#include <stdlib.h>

#include "core/random.h"
#include "layers/affine.h"
#include "layers/binary.h"
#include "layers/blur.h"
#include "layers/channel_norm.h"
#include "layers/types.h"

typedef struct convolutional {
    affine affine;
    channel_norm norm;
    blur blur;
    binary binary;
    lazy_tensor blurred_from; /* of this pass */
    bool flipped;             /* files hold the matrix of weights transposed */
} convolutional;

/* The output of the convolution itself: without a blur, of the layer. */
static tensor_shape convolved(const convolutional *state) {
    const convolution_shape *s = &state->affine.shape;
    return (tensor_shape){(int)s->out_height, (int)s->out_width, (int)s->out_channels};
}

static void set_out_shape(const layer *l, const cfg_section *s, convolution_shape *c, diagnostics *d) {
    int padding = (int)c->padding, reach = (int)(c->dilation * (c->size - 1)) + 1;
    int room_y = l->in.height + 2 * padding - reach, room_x = l->in.width + 2 * padding - reach;
    c->out_height = room_y < 0 ? 1 : (size_t)room_y / c->stride_y + 1;
    c->out_width = room_x < 0 ? 1 : (size_t)room_x / c->stride_x + 1;
    if (room_y < 0 || room_x < 0) layer_window_error(l, s, reach, padding, d);
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
        layer_shape_error(l, s, "groups", d,
                          "%d does not divide both the %d input channels and the %d filters", groups,
                          l->in.channels, filters);
        groups = 1;
    }
    /* as in Darknet, padding counts steps of the dilation */
    dilation = size == 1 ? 1 : dilation;
    *c = (convolution_shape){.batch = 1,
                             .in_height = (size_t)l->in.height,
                             .in_width = (size_t)l->in.width,
                             .in_channels = (size_t)l->in.channels,
                             .out_channels = (size_t)filters,
                             .size = (size_t)size,
                             .stride_y = (size_t)stride_y,
                             .stride_x = (size_t)stride_x,
                             .padding = (size_t)(padding * dilation),
                             .dilation = (size_t)dilation,
                             .groups = (size_t)groups};
}

/* Shapes without a blur and with one: the convolution then has stride 1. */
static void set_shapes(layer *l, convolutional *state, const cfg_section *s, diagnostics *d) {
    convolution_shape *c = &state->affine.shape;
    int kind = blur_parse(s, d), stride_y = (int)c->stride_y, stride_x = (int)c->stride_x;
    if (kind) c->stride_y = c->stride_x = 1;
    set_out_shape(l, s, c, d);
    l->out = kind ? blur_set_up(&state->blur, kind, convolved(state), stride_y, stride_x, l, s, d)
                  : convolved(state);
}

static void add_parameters(layer *l, const convolutional *state) {
    const convolution_shape *c = &state->affine.shape;
    layer_add_parameter(l, "biases", c->out_channels, true, false);
    channel_tail_add_parameters(&state->affine.tail, l);
    parameter *weights = layer_add_parameter(l, "weights", affine_weight_count(&state->affine), true, true);
    weights->flipped_rows = state->flipped ? c->in_channels / c->groups * c->size * c->size : 0;
}

static bool same_parameters(const convolutional *a, const convolutional *b) {
    return a->affine.shape.out_channels == b->affine.shape.out_channels &&
           a->affine.shape.size == b->affine.shape.size &&
           a->affine.shape.in_channels / a->affine.shape.groups ==
               b->affine.shape.in_channels / b->affine.shape.groups &&
           a->affine.tail.normalize == b->affine.tail.normalize;
}

/* share_index: the parameters of an earlier layer (relative when negative). */
static void share_parameters(layer *l, const convolutional *state, const cfg_section *s,
                             layer_context *context) {
    int reference = section_int(s, "share_index", 0, -100000, 100000, context->diagnostics);
    int index = reference < 0 ? l->index + reference : reference;
    layer *owner = index >= 0 && index < l->index ? &l->net->layers[index] : NULL;
    if (owner && owner->type == &layer_convolutional && !owner->shared &&
        same_parameters(owner->state, state))
        l->shared = owner;
    else
        diagnostics_error(
            context->diagnostics,
            LAYER_AT
            "share_index: %d names layer %d, which is no earlier convolution with parameters of its own "
            "and the same filters, size, input channels and batch_normalize",
            section_path(s), section_key_line(s, "share_index"), reference, index);
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    convolutional *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    read_shape(l, s, &state->affine.shape, d);
    set_shapes(l, state, s, d);
    state->norm.used = channel_norm_wanted(s);
    state->affine.staged = state->norm.used || state->blur.used;
    l->modifies_delta = state->norm.used;
    affine_parse(&state->affine, l, s, context);
    state->flipped = section_flag(s, "flipped", false, d);
    const convolution_shape *c = &state->affine.shape;
    binary_parse(&state->binary, c->out_channels, c->in_channels / c->groups * c->size * c->size, s, d);
    if (section_has(s, "share_index")) share_parameters(l, state, s, context);
    if (!l->shared) add_parameters(l, state);
}

static void initialize(layer *l, uint64_t seed) {
    const convolutional *state = l->state;
    if (l->shared) return;
    const convolution_shape *s = &state->affine.shape;
    random_state r = random_seeded(seed, (uint64_t)l->index);
    float deviation = sqrtf(2.0f / (float)(s->size * s->size * (s->in_channels / s->groups)));
    float *weights = layer_values(l, "weights");
    for (size_t i = 0; i < affine_weight_count(&state->affine); i++)
        weights[i] = deviation * random_normal(&r);
    channel_tail_initialize(&state->affine.tail, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    convolutional *state = l->state;
    affine_plan(&state->affine, l, batch, training, threads);
    channel_norm_plan(&state->norm, l, convolved(state), batch, training);
    blur_plan(&state->blur, l, batch, training, threads);
    binary_plan(&state->binary, l, batch, training);
}

static const float *weights_for_pass(layer *l) {
    convolutional *state = l->state;
    return binary_weights(&state->binary, l, layer_weights_for_pass(l));
}

static size_t pack(layer *l, void *packed) {
    convolutional *state = l->state;
    return affine_pack(&state->affine, packed ? weights_for_pass(l) : NULL, packed);
}

static void forward(layer *l, const pass *p) {
    convolutional *state = l->state;
    lazy_tensor in = binary_input(&state->binary, l, layer_input(l, p, 0), p);
    affine_forward(&state->affine, l, &in, state->affine.packed ? NULL : weights_for_pass(l), p);
    if (state->norm.used) {
        lazy_tensor sums = l->output;
        channel_norm_forward(&state->norm, l, &sums, convolved(state), p);
    }
    if (state->blur.used) {
        state->blurred_from = l->output;
        blur_forward(&state->blur, l, &state->blurred_from, p);
    }
}

static void backward(layer *l, const pass *p) {
    convolutional *state = l->state;
    float *delta = l->delta, *in_delta = layer_input_delta(l, 0);
    lazy_tensor in = binary_signs(&state->binary, l, layer_input(l, p, 0));
    bool adds = layer_adds_delta(l, 0);
    if (state->blur.used) delta = blur_backward(&state->blur, l, &state->blurred_from, p);
    if (state->norm.used) channel_norm_backward(&state->norm, l, delta, convolved(state), p);
    if (!state->binary.input_used || !in_delta) {
        const gradient_sums *sums = in_delta ? layer_input_sums(l, 0) : NULL;
        affine_backward(&state->affine, l, &in, delta, in_delta, adds, sums, p);
        return;
    }
    affine_backward(&state->affine, l, &in, delta, layer_buffer(l, state->binary.delta), false, NULL, p);
    binary_backward(&state->binary, l, in_delta, adds, p);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const convolutional *state = l->state;
    affine_describe(&state->affine, info);
    if (state->blur.used) info->stride = (int)state->blur.shape.stride_x;
    if (state->norm.used) {
        info->activation = CHANNEL_NORM_NAME;
        info->activation_function = NULL;
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_convolutional = {.name = "convolutional",
                                        .reads_lazy = true,
                                        .takes_numload = true,
                                        .parse = parse,
                                        .initialize = initialize,
                                        .plan = plan,
                                        .forward = forward,
                                        .pack = pack,
                                        .backward = backward,
                                        .describe = describe,
                                        .destroy = destroy};
