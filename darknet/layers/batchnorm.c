/* [batchnorm]: batch normalisation as a layer of its own. Keeps the mapped input; its output is that tensor
 * with a pending map. */
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/normalization.h"
#include "layers/types.h"

typedef struct batchnorm {
    channel_tail tail;
    int input, normalized; /* buffers; normalized is -1 where every reader takes the map */
    channel_map map;
} batchnorm;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    (void)s;
    batchnorm *b = l->state = calloc(1, sizeof *b);
    if (!b) return;
    size_t channels = (size_t)l->in.channels;
    l->out = l->in;
    channel_tail_set_up(&b->tail, channels, true, context->batch_norm_form, ACTIVATION_LINEAR);
    parameter *biases = layer_add_parameter(l, "biases", channels, true, false);
    biases->not_in_file = context->batch_norm_form != BATCH_NORM_ALEXEY;
    channel_tail_add_parameters(&b->tail, l);
}

static void initialize(layer *l, uint64_t seed) {
    (void)seed;
    const batchnorm *b = l->state;
    channel_tail_initialize(&b->tail, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    batchnorm *b = l->state;
    size_t bytes = batch * tensor_size(l->out) * sizeof(float);
    b->input = layer_request(l, bytes, training ? BUFFER_TRAINING : BUFFER_FORWARD);
    b->normalized = training && !l->lazy_output ? layer_request(l, bytes, BUFFER_TRAINING) : -1;
    channel_tail_plan(&b->tail, l);
    layer_want_workspace(
        l, channel_reduce_workspace_bytes(batch * tensor_pixels(l->in), (size_t)l->in.channels));
}

static void forward(layer *l, const pass *p) {
    batchnorm *b = l->state;
    size_t pixels = p->batch * tensor_pixels(l->in), channels = (size_t)l->in.channels;
    lazy_tensor in = layer_input(l, p, 0);
    float *x = layer_buffer(l, b->input);
    lazy_tensor_store(pixels, channels, &in, x, p->threads);
    b->map = channel_tail_map(&b->tail, l, p, pixels, x);
    l->output = (lazy_tensor){.data = x, .map = b->map};
    if (p->training && l->lazy_output) return;
    float *stored = b->normalized >= 0 ? layer_buffer(l, b->normalized) : x;
    lazy_tensor_store(pixels, channels, &l->output, stored, p->threads);
    l->output = (lazy_tensor){.data = stored};
}

static void backward(layer *l, const pass *p) {
    batchnorm *b = l->state;
    size_t pixels = p->batch * tensor_pixels(l->in), channels = (size_t)l->in.channels;
    lazy_gradient g = {.delta = l->delta, .data = layer_buffer(l, b->input), .map = b->map};
    channel_tail_backward(&b->tail, l, pixels, &g, p->workspace, p->threads);
    float *in_delta = layer_input_delta(l, 0);
    if (in_delta) lazy_gradient_store(pixels, channels, &g, in_delta, layer_adds_delta(l, 0), p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const batchnorm *b = l->state;
    channel_tail_describe(&b->tail, info);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_batchnorm = {.name = "batchnorm",
                                    .reads_lazy = true,
                                    .takes_numload = true,
                                    .parse = parse,
                                    .initialize = initialize,
                                    .plan = plan,
                                    .forward = forward,
                                    .backward = backward,
                                    .describe = describe,
                                    .destroy = destroy};
