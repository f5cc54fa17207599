/* [softmax]: probabilities; with a truth, the cross entropy summed over the batch. Darknet's rule: delta =
 * truth - prediction, whatever the temperature. */
#include <math.h>
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct softmax {
    int groups;
    float temperature;
    bool spatial, noloss;
} softmax;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    softmax *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    state->groups = section_int(s, "groups", 1, 1, 1 << 20, d);
    state->temperature = (float)section_number(s, "temperature", 1.0, 1e-6, 1e6, d);
    state->spatial = section_flag(s, "spatial", false, d);
    state->noloss = section_flag(s, "noloss", false, d);
    l->is_loss = !state->noloss;
    if (section_has(s, "tree"))
        diagnostics_error(d, LAYER_AT "tree: hierarchical softmax is not supported", section_path(s),
                          section_key_line(s, "tree"));
    if (tensor_size(l->in) % (size_t)state->groups != 0) {
        diagnostics_error(d, LAYER_AT "groups: %d does not divide the %zu inputs", section_path(s),
                          section_key_line(s, "groups"), state->groups, tensor_size(l->in));
        state->groups = 1;
    }
}

/* Groups are of the values in C,H,W order: for an image of several pixels that is not the order of the
 * memory. */
static bool groups_planes(const layer *l) {
    const softmax *state = l->state;
    return state->groups > 1 && !state->spatial && tensor_pixels(l->out) > 1;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
    if (groups_planes(l)) layer_want_workspace(l, batch * tensor_size(l->out) * sizeof(float));
}

static double cross_entropy(const float *predicted, const float *truth, size_t count) {
    double loss = 0.0;
    for (size_t i = 0; i < count; i++)
        if (truth[i] != 0.0f)
            loss -= (double)truth[i] * log(predicted[i] < 1e-30f ? 1e-30 : (double)predicted[i]);
    return loss;
}

static void forward(layer *l, const pass *p) {
    const softmax *state = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    float *out = layer_buffer(l, 0);
    size_t outputs = tensor_size(l->out);
    lazy_tensor_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &in, out, p->threads);
    size_t columns = state->spatial ? (size_t)l->in.channels : outputs / (size_t)state->groups;
    size_t pixels = tensor_pixels(l->out), channels = (size_t)l->out.channels;
    float *values = groups_planes(l) ? p->workspace : out;
    if (values != out) nhwc_to_nchw(p->batch, channels, pixels, out, values, p->threads);
    softmax_rows(p->batch * outputs / columns, columns, values, state->temperature, values, p->threads);
    if (values != out) nchw_to_nhwc(p->batch, channels, pixels, values, out, p->threads);
    l->output = (lazy_tensor){.data = out};
    if (p->truth && !state->noloss && p->loss) *p->loss += cross_entropy(out, p->truth, p->batch * outputs);
}

static void backward(layer *l, const pass *p) {
    const softmax *state = l->state;
    float *target = layer_input_delta(l, 0);
    if (!target) return;
    bool adds = layer_adds_delta(l, 0);
    const float *out = layer_buffer(l, 0);
    size_t count = p->batch * tensor_size(l->out);
    bool learns = p->truth && !state->noloss;
    for (size_t i = 0; i < count; i++) {
        float delta = (l->delta ? l->delta[i] : 0.0f) + (learns ? p->truth[i] - out[i] : 0.0f);
        target[i] = (adds ? target[i] : 0.0f) + delta;
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_softmax = {.name = "softmax",
                                  .reads_lazy = true,
                                  .parse = parse,
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .destroy = destroy};
