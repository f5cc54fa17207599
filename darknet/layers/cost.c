/* [cost]: a loss against the truth; the output is the input itself. delta is the negative half gradient that
 * Darknet uses: truth - prediction for sse, its clamped forms for smooth and L1. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef float (*cost_function)(float difference, float *delta); /* returns the loss of one value */

typedef struct cost {
    float scale;
    bool masked;
    cost_function function;
} cost;

static const float MASKED_TRUTH = -1234.0f; /* Darknet's mark for "no opinion" */

static float squared(float difference, float *delta) {
    *delta = difference;
    return difference * difference;
}

static float smooth(float difference, float *delta) {
    if (fabsf(difference) < 1.0f) return squared(difference, delta);
    *delta = difference > 0.0f ? 1.0f : -1.0f;
    return 2.0f * fabsf(difference) - 1.0f;
}

static float absolute(float difference, float *delta) {
    *delta = difference > 0.0f ? 1.0f : -1.0f;
    return fabsf(difference);
}

static const struct {
    const char *name;
    cost_function function;
    bool masked;
} types[] = {
    {"sse", squared, false}, {"masked", squared, true}, {"smooth", smooth, false}, {"L1", absolute, false}};

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    cost *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    l->is_loss = true;
    state->scale = (float)section_number(s, "scale", 1.0, 0.0, 1e6, d);
    const char *name = section_string(s, "type", "sse");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) {
            state->function = types[i].function;
            state->masked = types[i].masked;
        }
    if (!state->function) {
        diagnostics_error(d, LAYER_AT "type: \"%s\" is not one of sse, masked, smooth, L1", section_path(s),
                          section_key_line(s, "type"), name);
        state->function = squared;
    }
}

static bool passes_through(const layer *l, bool training) {
    (void)l;
    (void)training;
    return true;
}

static void forward(layer *l, const pass *p) {
    const cost *state = l->state;
    l->output = layer_input(l, p, 0);
    if (!p->truth || !p->loss) return;
    size_t count = p->batch * tensor_size(l->out);
    double loss = 0.0;
    for (size_t i = 0; i < count; i++) {
        float delta;
        if (state->masked && p->truth[i] == MASKED_TRUTH) continue;
        loss += (double)state->function(p->truth[i] - l->output.data[i], &delta);
    }
    *p->loss += loss;
}

static void backward(layer *l, const pass *p) {
    const cost *state = l->state;
    float *target = layer_input_delta(l, 0);
    if (!target || !p->truth) return;
    bool adds = layer_adds_delta(l, 0);
    size_t count = p->batch * tensor_size(l->out);
    for (size_t i = 0; i < count; i++) {
        float delta = 0.0f;
        if (!(state->masked && p->truth[i] == MASKED_TRUTH))
            (void)state->function(p->truth[i] - l->output.data[i], &delta);
        target[i] = (adds ? target[i] : 0.0f) + state->scale * delta + (l->delta ? l->delta[i] : 0.0f);
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_cost = {.name = "cost",
                               .reads_lazy = false,
                               .passes_through = passes_through,
                               .parse = parse,
                               .forward = forward,
                               .backward = backward,
                               .destroy = destroy};
