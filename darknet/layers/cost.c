/* [cost]: a loss against the truth; the output is the input itself. delta is the negative half gradient that
 * Darknet uses: truth - prediction for sse, its clamped forms for smooth and L1, the truth's sign for wgan.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef float (*cost_function)(float truth, float predicted, float *delta); /* the loss of one value */

typedef struct cost {
    float scale;
    bool masked, segments; /* values without truth do not count; those with truth 0 count noobj times */
    float noobj;
    float ratio;  /* > 0: only this share of the deltas, the largest, is used */
    float thresh; /* > 0: only deltas of at least thresh / inputs are used */
    cost_function function;
    int deltas; /* buffer [batch][inputs], twice: the second is sorted */
} cost;

static const float MASKED_TRUTH = -1234.0f; /* Darknet's mark for "no opinion" */

static float squared(float truth, float predicted, float *delta) {
    *delta = truth - predicted;
    return *delta * *delta;
}

static float absolute(float truth, float predicted, float *delta) {
    *delta = truth > predicted ? 1.0f : -1.0f;
    return fabsf(truth - predicted);
}

static float smooth(float truth, float predicted, float *delta) {
    if (fabsf(truth - predicted) < 1.0f) return squared(truth, predicted, delta);
    return 2.0f * absolute(truth, predicted, delta) - 1.0f;
}

/* A critic's score: real images (truth above 0) are to score high, others low (Arjovsky and others, 2017). */
static float critic(float truth, float predicted, float *delta) {
    *delta = truth > 0.0f ? 1.0f : -1.0f;
    return truth != 0.0f ? -predicted : predicted;
}

static const struct {
    const char *name;
    cost_function function;
    bool masked, segments;
} types[] = {{"sse", squared, false, false},   {"masked", squared, true, false},
             {"smooth", smooth, false, false}, {"L1", absolute, false, false},
             {"seg", squared, false, true},    {"wgan", critic, false, false}};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static void read_type(cost *state, const cfg_section *s, diagnostics *d) {
    const char *name = section_string(s, "type", "sse"), *names[TYPE_COUNT];
    state->function = squared;
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        names[i] = types[i].name;
        if (strcmp(types[i].name, name) != 0) continue;
        state->function = types[i].function;
        state->masked = types[i].masked;
        state->segments = types[i].segments;
        return;
    }
    const char *closest = closest_name(name, names, TYPE_COUNT);
    diagnostics_error(d, LAYER_AT "type: \"%s\" is not one of sse, masked, smooth, L1, seg, wgan%s%s%s",
                      section_path(s), section_key_line(s, "type"), name, closest ? "; did you mean \"" : "",
                      closest ? closest : "", closest ? "\"?" : "");
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    cost *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    l->is_loss = true;
    state->scale = (float)section_number(s, "scale", 1.0, 0.0, 1e6, d);
    state->ratio = (float)section_number(s, "ratio", 0.0, 0.0, 1.0, d);
    state->noobj = (float)section_number(s, "noobj", 1.0, 0.0, 1e6, d);
    state->thresh = (float)section_number(s, "thresh", 0.0, 0.0, 1e6, d);
    read_type(state, s, d);
}

static bool passes_through(const layer *l, bool training) {
    (void)l;
    (void)training;
    return true;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    cost *state = l->state;
    if (training)
        state->deltas = layer_request(l, 2 * batch * tensor_size(l->out) * sizeof(float), BUFFER_TRAINING);
}

static float loss_of(const layer *l, const pass *p, size_t i, float *delta) {
    const cost *state = l->state;
    *delta = 0.0f;
    if (state->masked && p->truth[i] == MASKED_TRUTH) return 0.0f;
    float loss = state->function(layer_truth(l, p, i), l->output.data[i], delta);
    if (!state->segments || p->truth[i] != 0.0f) return loss;
    *delta *= state->noobj;
    return loss * state->noobj;
}

static void forward(layer *l, const pass *p) {
    const cost *state = l->state;
    l->output = layer_input(l, p, 0);
    if (!p->truth) return;
    float *deltas = p->training ? layer_buffer(l, state->deltas) : NULL;
    double loss = 0.0;
    for (size_t i = 0; i < p->batch * tensor_size(l->out); i++) {
        float delta;
        loss += (double)loss_of(l, p, i, &delta);
        if (deltas) deltas[i] = delta;
    }
    if (p->loss) *p->loss += loss;
}

static int descending(const void *a, const void *b) {
    float x = fabsf(*(const float *)a), y = fabsf(*(const float *)b);
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Deltas smaller than the limits become 0. */
static void suppress_small(const cost *state, float *deltas, size_t count, size_t inputs) {
    float limit = state->thresh / (float)inputs;
    if (state->ratio > 0.0f) {
        float *sorted = deltas + count;
        size_t kept = (size_t)(state->ratio * (float)count);
        memcpy(sorted, deltas, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, descending);
        limit = fmaxf(limit, kept ? fabsf(sorted[(kept < count ? kept : count) - 1]) : INFINITY);
    }
    for (size_t i = 0; i < count; i++)
        if (fabsf(deltas[i]) < limit) deltas[i] = 0.0f;
}

static void backward(layer *l, const pass *p) {
    const cost *state = l->state;
    float *target = layer_input_delta(l, 0), *deltas = layer_buffer(l, state->deltas);
    if (!target || !p->truth) return;
    bool adds = layer_adds_delta(l, 0);
    size_t count = p->batch * tensor_size(l->out);
    suppress_small(state, deltas, count, tensor_size(l->out));
    for (size_t i = 0; i < count; i++)
        target[i] = (adds ? target[i] : 0.0f) + state->scale * deltas[i] + (l->delta ? l->delta[i] : 0.0f);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_cost = {.name = "cost",
                               .reads_lazy = false,
                               .passes_through = passes_through,
                               .parse = parse,
                               .plan = plan,
                               .forward = forward,
                               .backward = backward,
                               .destroy = destroy};
