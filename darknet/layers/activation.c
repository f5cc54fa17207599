/* [activation]: a function of each value, as a layer of its own. */
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct activation {
    activation_kind kind;
    int input, activated; /* buffers; activated is -1 where every reader takes the map */
} activation;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    activation *a = l->state = calloc(1, sizeof *a);
    if (!a) return;
    a->kind = layer_parse_activation(s, "activation", "linear", context->diagnostics);
    l->out = l->in;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    activation *a = l->state;
    size_t bytes = batch * tensor_size(l->out) * sizeof(float);
    a->input = layer_request(l, bytes, training ? BUFFER_TRAINING : BUFFER_FORWARD);
    a->activated = training && !l->lazy_output ? layer_request(l, bytes, BUFFER_TRAINING) : -1;
}

static void forward(layer *l, const pass *p) {
    activation *a = l->state;
    size_t pixels = p->batch * tensor_pixels(l->in), channels = (size_t)l->in.channels;
    lazy_tensor in = layer_input(l, p, 0);
    float *z = layer_buffer(l, a->input);
    lazy_tensor_store(pixels, channels, &in, z, p->threads);
    if (p->observe) p->observe(p->observe_user, l, true, z, pixels * channels);
    l->output = (lazy_tensor){.data = z, .map = {.activation = a->kind}};
    if (p->training && l->lazy_output) return;
    float *stored = a->activated >= 0 ? layer_buffer(l, a->activated) : z;
    activation_forward_array(a->kind, z, stored, pixels * channels, p->threads);
    l->output = (lazy_tensor){.data = stored};
}

static void backward(layer *l, const pass *p) {
    activation *a = l->state;
    float *in_delta = layer_input_delta(l, 0);
    if (!in_delta) return;
    lazy_gradient g = {.delta = l->delta, .data = layer_buffer(l, a->input), .map = {.activation = a->kind}};
    lazy_gradient_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &g, in_delta,
                        layer_adds_delta(l, 0), p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const activation *a = l->state;
    info->activation = activation_name(a->kind);
    info->activation_function = layer_activation_function(a->kind);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_activation = {.name = "activation",
                                     .reads_lazy = true,
                                     .parse = parse,
                                     .plan = plan,
                                     .forward = forward,
                                     .backward = backward,
                                     .describe = describe,
                                     .destroy = destroy};
