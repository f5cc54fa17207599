/* [deconvolutional]: a transposed convolution, then batch normalisation or a bias, then an activation.
 * Weights are [input channels][filters][size][size], the order in which Darknet's product reads them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "layers/layer.h"
#include "layers/normalization.h"
#include "layers/types.h"

typedef struct deconvolutional {
    channel_tail tail;
    channel_map map;
    int size, stride, padding;
    size_t window;             /* filters * size * size: the values that one input pixel spreads */
    int raw, stored, gradient; /* buffers; stored is -1 where every reader takes the map */
    const float *weights;      /* of this pass */
} deconvolutional;

static void read_shape(layer *l, deconvolutional *state, const cfg_section *s, diagnostics *d) {
    int filters = section_int(s, "filters", 1, 1, 1 << 20, d);
    state->size = section_int(s, "size", 1, 1, 1024, d);
    state->stride = section_int(s, "stride", 1, 1, 1024, d);
    state->padding = section_int(s, "padding", 0, 0, 1024, d);
    if (section_flag(s, "pad", false, d)) state->padding = state->size / 2;
    state->window = (size_t)filters * (size_t)state->size * (size_t)state->size;
    int64_t height = (int64_t)(l->in.height - 1) * state->stride + state->size - 2 * state->padding;
    int64_t width = (int64_t)(l->in.width - 1) * state->stride + state->size - 2 * state->padding;
    if (height < 1 || width < 1 || height > LAYER_MOST_LENGTH || width > LAYER_MOST_LENGTH) {
        layer_shape_error(l, s, "size", d, "the output would be %lldx%lld; 1 to %d are possible",
                          (long long)width, (long long)height, LAYER_MOST_LENGTH);
        height = width = 1;
    }
    l->out = (tensor_shape){(int)height, (int)width, filters};
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    deconvolutional *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    read_shape(l, state, s, d);
    size_t filters = (size_t)l->out.channels;
    bool normalize = section_flag(s, "batch_normalize", false, d);
    channel_tail_set_up(&state->tail, filters, normalize, context->batch_norm_form,
                        layer_parse_activation(s, "activation", "logistic", d));
    layer_add_parameter(l, "biases", filters, true, false);
    channel_tail_add_parameters(&state->tail, l);
    parameter *weights =
        layer_add_parameter(l, "weights", layer_product((size_t)l->in.channels, state->window), true, true);
    l->macs = layer_product(weights->count, tensor_pixels(l->in));
}

static void initialize(layer *l, uint64_t seed) {
    const deconvolutional *state = l->state;
    random_state r = random_seeded(seed, (uint64_t)l->index);
    float *weights = layer_values(l, "weights");
    for (size_t i = 0; i < (size_t)l->in.channels * state->window; i++) weights[i] = .02f * random_normal(&r);
    channel_tail_initialize(&state->tail, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    deconvolutional *state = l->state;
    size_t bytes = batch * tensor_size(l->out) * sizeof(float);
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    state->raw = layer_request(l, bytes, life);
    state->stored = training && !l->lazy_output ? layer_request(l, bytes, life) : -1;
    state->gradient = training ? layer_request(l, bytes, life) : -1;
    channel_tail_plan(&state->tail, l);
    layer_want_workspace(l, layer_product(tensor_pixels(l->in) * sizeof(float), state->window));
    layer_want_workspace(
        l, channel_reduce_workspace_bytes(batch * tensor_pixels(l->out), (size_t)l->out.channels));
}

/* Walks the pairs (output cell, spread value) of output row y: the row is the sum of its values, or with
 * gather the values take copies of the cell. */
static void walk_row(const layer *l, int y, float *row, float *spread, bool gather) {
    const deconvolutional *state = l->state;
    size_t filters = (size_t)l->out.channels, cells = (size_t)state->size * (size_t)state->size;
    for (int i = 0; i < state->size; i++) {
        int top = y + state->padding - i;
        if (top < 0 || top % state->stride || top / state->stride >= l->in.height) continue;
        for (int x = 0; x < l->in.width; x++)
            for (int j = 0; j < state->size; j++) {
                int column = x * state->stride - state->padding + j;
                if (column < 0 || column >= l->out.width) continue;
                size_t pixel = (size_t)(top / state->stride) * (size_t)l->in.width + (size_t)x;
                float *value = spread + pixel * state->window + (size_t)i * (size_t)state->size + (size_t)j;
                float *cell = row + (size_t)column * filters;
                for (size_t k = 0; k < filters; k++) {
                    if (gather)
                        value[k * cells] = cell[k];
                    else
                        cell[k] += value[k * cells];
                }
            }
    }
}

static void forward_image(const layer *l, const pass *p, const float *in, float *out) {
    const deconvolutional *state = l->state;
    size_t channels = (size_t)l->in.channels, row = (size_t)l->out.width * (size_t)l->out.channels;
    float *spread = p->workspace;
    matrix_multiply(false, false, tensor_pixels(l->in), state->window, channels, 1.0f, in, channels,
                    state->weights, state->window, 0.0f, spread, state->window, p->threads);
    memset(out, 0, tensor_size(l->out) * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (int y = 0; y < l->out.height; y++) walk_row(l, y, out + (size_t)y * row, spread, false);
}

static void forward(layer *l, const pass *p) {
    deconvolutional *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *raw = layer_buffer(l, state->raw);
    size_t pixels = p->batch * tensor_pixels(l->out), channels = (size_t)l->out.channels;
    state->weights = layer_weights_for_pass(l);
    for (size_t n = 0; n < p->batch; n++)
        forward_image(l, p, in + n * tensor_size(l->in), raw + n * tensor_size(l->out));
    state->map = channel_tail_map(&state->tail, l, p, pixels, raw);
    l->output = (lazy_tensor){.data = raw, .map = state->map};
    if (p->training && l->lazy_output) return;
    float *stored = state->stored >= 0 ? layer_buffer(l, state->stored) : raw;
    lazy_tensor_store(pixels, channels, &l->output, stored, p->threads);
    l->output = (lazy_tensor){.data = stored};
}

static void backward_image(const layer *l, const pass *p, const float *in, float *gradient, float *in_delta,
                           bool adds) {
    const deconvolutional *state = l->state;
    size_t pixels = tensor_pixels(l->in), channels = (size_t)l->in.channels,
           row = (size_t)l->out.width * (size_t)l->out.channels;
    float *spread = p->workspace, *weights = layer_gradient(l, "weights");
    memset(spread, 0, pixels * state->window * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (int y = 0; y < l->out.height; y++) walk_row(l, y, gradient + (size_t)y * row, spread, true);
    if (weights)
        matrix_multiply(true, false, channels, state->window, pixels, 1.0f, in, channels, spread,
                        state->window, 1.0f, weights, state->window, p->threads);
    if (in_delta)
        matrix_multiply(false, true, pixels, channels, state->window, 1.0f, spread, state->window,
                        state->weights, state->window, adds ? 1.0f : 0.0f, in_delta, channels, p->threads);
}

static void backward(layer *l, const pass *p) {
    deconvolutional *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *in_delta = layer_input_delta(l, 0), *gradient = layer_buffer(l, state->gradient);
    bool adds = layer_adds_delta(l, 0);
    size_t pixels = p->batch * tensor_pixels(l->out), inputs = tensor_size(l->in);
    lazy_gradient g = {.delta = l->delta, .data = layer_buffer(l, state->raw), .map = state->map};
    channel_tail_backward(&state->tail, l, pixels, &g, p->workspace, p->threads);
    lazy_gradient_store(pixels, (size_t)l->out.channels, &g, gradient, false, p->threads);
    for (size_t n = 0; n < p->batch; n++)
        backward_image(l, p, in + n * inputs, gradient + n * tensor_size(l->out),
                       in_delta ? in_delta + n * inputs : NULL, adds);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const deconvolutional *state = l->state;
    channel_tail_describe(&state->tail, info);
    info->size = state->size;
    info->stride = state->stride;
    info->padding = state->padding;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_deconvolutional = {.name = "deconvolutional",
                                          .parse = parse,
                                          .initialize = initialize,
                                          .plan = plan,
                                          .forward = forward,
                                          .backward = backward,
                                          .describe = describe,
                                          .destroy = destroy};
