/* [softmax]: probabilities; with a truth, the cross entropy summed over the batch. Darknet's rule: delta =
 * truth - prediction, whatever the temperature. tree: a file of classes (config/class_tree.h), each group of
 * which is a softmax of its own; groups that the truth says nothing about do not count. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/class_tree.h"
#include "layers/layer.h"
#include "layers/types.h"
#include "network/network.h"

typedef struct softmax {
    int groups;
    float temperature;
    bool spatial, noloss;
    const class_tree *tree; /* the network's; NULL: none */
    int output, truth;      /* buffers; truth [batch][outputs], as the loss takes it */
} softmax;

static const float UNKNOWN_TRUTH = -1234.0f;

static void read_tree(layer *l, const cfg_section *s, diagnostics *d) {
    softmax *state = l->state;
    error e = {0};
    const char *name = section_string(s, "tree", "");
    char beside[1024];
    const char *slash = strrchr(section_path(s), '/');
    if (l->net->classes) {
        diagnostics_error(d, LAYER_AT "tree: another [softmax] has a tree already", section_path(s),
                          section_key_line(s, "tree"));
        return;
    }
    l->net->classes = class_tree_read(name, &e);
    if (!l->net->classes && slash && name[0] != '/') {
        error second = {0};
        (void)snprintf(beside, sizeof beside, "%.*s/%s", (int)(slash - section_path(s)), section_path(s),
                       name);
        l->net->classes = class_tree_read(beside, &second);
    }
    state->tree = l->net->classes;
    if (!state->tree)
        diagnostics_error(d, LAYER_AT "tree: %s", section_path(s), section_key_line(s, "tree"), e.message);
    else if (state->tree->count != tensor_size(l->in) || tensor_pixels(l->in) != 1)
        diagnostics_error(d, LAYER_AT "tree: %s has %zu classes; layer %d gives %dx%dx%d", section_path(s),
                          section_key_line(s, "tree"), name, state->tree->count, l->inputs[0], l->in.width,
                          l->in.height, l->in.channels);
}

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
    if (*section_string(s, "tree", "")) read_tree(l, s, d);
    if (tensor_size(l->in) % (size_t)state->groups != 0) {
        layer_shape_error(l, s, "groups", d, "%d does not divide the %zu inputs", state->groups,
                          tensor_size(l->in));
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
    softmax *state = l->state;
    size_t bytes = batch * tensor_size(l->out) * sizeof(float);
    state->output = layer_request(l, bytes, training ? BUFFER_TRAINING : BUFFER_FORWARD);
    if (training) state->truth = layer_request(l, bytes, BUFFER_TRAINING);
    if (groups_planes(l)) layer_want_workspace(l, bytes);
}

static void normalize_tree(const softmax *state, size_t batch, float *values) {
    for (size_t n = 0; n < batch; n++)
        for (size_t g = 0; g < state->tree->groups; values += state->tree->group_sizes[g++])
            softmax_rows(1, state->tree->group_sizes[g], values, state->temperature, values, 1);
}

/* In place. */
static void normalize(const layer *l, const pass *p, float *out) {
    const softmax *state = l->state;
    size_t outputs = tensor_size(l->out), pixels = tensor_pixels(l->out), channels = (size_t)l->out.channels;
    size_t columns = state->spatial ? channels : outputs / (size_t)state->groups;
    float *values = groups_planes(l) ? p->workspace : out;
    if (state->tree) {
        normalize_tree(state, p->batch, out);
        return;
    }
    if (values != out) nhwc_to_nchw(p->batch, channels, pixels, out, values, p->threads);
    softmax_rows(p->batch * outputs / columns, columns, values, state->temperature, values, p->threads);
    if (values != out) nchw_to_nhwc(p->batch, channels, pixels, values, out, p->threads);
}

static void take_truth(const layer *l, const pass *p, float *truth) {
    const softmax *state = l->state;
    size_t outputs = tensor_size(l->out);
    for (size_t n = 0; n < p->batch; n++) {
        float *row = truth + n * outputs;
        for (size_t i = 0; i < outputs; i++) row[i] = layer_truth(l, p, n * outputs + i);
        if (!state->tree) continue;
        memcpy(row, p->truth + n * outputs, outputs * sizeof *row);
        class_tree_fill_truth(state->tree, UNKNOWN_TRUTH, row);
    }
}

static double cross_entropy(const float *predicted, const float *truth, size_t count) {
    double loss = 0.0;
    for (size_t i = 0; i < count; i++)
        if (truth[i] > 0.0f)
            loss -= (double)truth[i] * log(predicted[i] < 1e-30f ? 1e-30 : (double)predicted[i]);
    return loss;
}

static bool has_loss(const layer *l, const pass *p) {
    const softmax *state = l->state;
    return p->training && p->truth && !state->noloss;
}

static void forward(layer *l, const pass *p) {
    const softmax *state = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    float *out = layer_buffer(l, state->output);
    lazy_tensor_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &in, out, p->threads);
    normalize(l, p, out);
    l->output = (lazy_tensor){.data = out};
    if (!has_loss(l, p)) return;
    float *truth = layer_buffer(l, state->truth);
    take_truth(l, p, truth);
    if (p->loss) *p->loss += cross_entropy(out, truth, p->batch * tensor_size(l->out));
}

static void backward(layer *l, const pass *p) {
    const softmax *state = l->state;
    float *target = layer_input_delta(l, 0);
    if (!target) return;
    bool adds = layer_adds_delta(l, 0), learns = has_loss(l, p);
    const float *out = layer_buffer(l, state->output), *truth = layer_buffer(l, state->truth);
    for (size_t i = 0; i < p->batch * tensor_size(l->out); i++) {
        float delta = (l->delta ? l->delta[i] : 0.0f);
        if (learns && truth[i] != UNKNOWN_TRUTH) delta += truth[i] - out[i];
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
