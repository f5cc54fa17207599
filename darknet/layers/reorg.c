/* [reorg]: the values in another order and shape. Darknet's order is a permutation of the planes' values that
 * is not the plain space-to-depth (that is [reorg3d]): the input's values are read as though it had a stride
 * times larger image and stride^2 times fewer channels. flatten: channels-last order; extra: values of 0
 * behind the input's. */
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct reorg {
    int stride;
    bool plain, reverse, flatten;
    int extra;
    uint32_t *source;   /* [out] channels-last: the place in the input; in the arena */
    int output, places; /* buffers */
} reorg;

static bool has_stride(const reorg *state) {
    return !state->flatten && !state->extra;
}

static void set_shape(layer *l, const reorg *state) {
    int stride = state->stride, area = stride * stride;
    if (state->extra)
        l->out = (tensor_shape){1, 1, layer_length((int64_t)tensor_size(l->in) + state->extra)};
    else if (state->flatten)
        l->out = l->in;
    else if (state->reverse)
        l->out = (tensor_shape){layer_length((int64_t)l->in.height * stride),
                                layer_length((int64_t)l->in.width * stride), l->in.channels / area};
    else
        l->out = (tensor_shape){l->in.height / stride, l->in.width / stride,
                                layer_length((int64_t)l->in.channels * area)};
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    reorg *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    state->plain = strcmp(section_name(s), "reorg3d") == 0;
    state->stride = section_int(s, "stride", 1, 1, 1024, d);
    state->reverse = section_flag(s, "reverse", false, d);
    state->flatten = section_flag(s, "flatten", false, d);
    state->extra = section_int(s, "extra", 0, 0, 1 << 20, d);
    int stride = state->stride, area = stride * stride;
    bool channels_fit = l->in.channels % area == 0,
         image_fits = l->in.height % stride == 0 && l->in.width % stride == 0;
    bool wants_channels = state->reverse || !state->plain, wants_image = !state->reverse;
    if (has_stride(state) && ((wants_channels && !channels_fit) || (wants_image && !image_fits))) {
        layer_shape_error(l, s, "stride", d, "the input is %dx%dx%d; %s%s%s", l->in.width, l->in.height,
                          l->in.channels,
                          wants_image ? "width and height must be multiples of the stride" : "",
                          wants_image && wants_channels ? " and " : "",
                          wants_channels ? "channels a multiple of its square" : "");
        state->stride = 1;
    }
    set_shape(l, state);
}

/* Where value i of an output (or, for Darknet's order reversed, the like) comes from, both in planes' order.
 */
static size_t stretched(tensor_shape in, int stride, size_t i) {
    size_t s = (size_t)stride, width = (size_t)in.width, height = (size_t)in.height,
           few = (size_t)in.channels / (s * s);
    size_t x = i % width, y = i / width % height, c = i / (width * height), offset = c / few;
    return x * s + offset % s + width * s * (y * s + offset / s + height * s * (c % few));
}

/* The place in a channels-last tensor of place i of its planes. */
static size_t from_planes(tensor_shape t, size_t i) {
    size_t pixels = tensor_pixels(t);
    return i % pixels * (size_t)t.channels + i / pixels;
}

/* (output place, input place) in planes' order for the i-th pair. */
static void pair_of(const layer *l, size_t i, size_t *to, size_t *from) {
    const reorg *state = l->state;
    size_t pixels = tensor_pixels(l->in), channels = (size_t)l->in.channels;
    *to = *from = i;
    if (state->extra) return;
    if (state->flatten) {
        size_t last = i % pixels * channels + i / pixels; /* channels-last place of i */
        if (state->reverse)
            *from = last;
        else
            *to = last;
    } else if (state->reverse) {
        *to = stretched(l->in, state->stride, i);
    } else {
        *from = stretched(state->plain ? l->out : l->in, state->stride, i);
    }
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    reorg *state = l->state;
    state->output = layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
    state->places = layer_request(l, tensor_size(l->in) * 2 * sizeof(uint32_t), BUFFER_PERMANENT);
    state->source = NULL;
}

/* Pairs of places, channels-last, made at the first pass. */
static const uint32_t *places_of(const layer *l) {
    reorg *state = l->state;
    if (state->source) return state->source;
    state->source = layer_buffer(l, state->places);
    for (size_t i = 0; i < tensor_size(l->in); i++) {
        size_t to, from;
        pair_of(l, i, &to, &from);
        state->source[2 * i] = (uint32_t)(state->extra ? to : from_planes(l->out, to));
        state->source[2 * i + 1] = (uint32_t)from_planes(l->in, from);
    }
    return state->source;
}

static void forward(layer *l, const pass *p) {
    const reorg *state = l->state;
    const uint32_t *places = places_of(l);
    const float *in = layer_input(l, p, 0).data;
    float *out = layer_buffer(l, state->output);
    size_t inputs = tensor_size(l->in), outputs = tensor_size(l->out);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++) {
        if (state->extra) memset(out + n * outputs, 0, outputs * sizeof(float));
        for (size_t i = 0; i < inputs; i++)
            out[n * outputs + places[2 * i]] = in[n * inputs + places[2 * i + 1]];
    }
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    const uint32_t *places = places_of(l);
    float *in_delta = layer_input_delta(l, 0);
    bool adds = layer_adds_delta(l, 0);
    size_t inputs = tensor_size(l->in), outputs = tensor_size(l->out);
    if (!in_delta) return;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++)
        for (size_t i = 0; i < inputs; i++) {
            float *target = in_delta + n * inputs + places[2 * i + 1];
            *target = (adds ? *target : 0.0f) + l->delta[n * outputs + places[2 * i]];
        }
}

static void describe(const layer *l, darknet_layer_info *info) {
    const reorg *state = l->state;
    info->stride = state->stride;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_reorg = {.name = "reorg",
                                .parse = parse,
                                .plan = plan,
                                .forward = forward,
                                .backward = backward,
                                .describe = describe,
                                .destroy = destroy};
