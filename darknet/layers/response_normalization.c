/* [normalization]: local response normalisation over channels: y[c] = x[c] * (kappa + alpha * sum of
 * x[i]^2)^-beta, i from c - (size - 1) / 2 to c + size / 2 (Krizhevsky, Sutskever, Hinton, 2012).
 * Darknet's running sum never takes in channel size / 2 and yet lets it go later, so that all its sums lack
 * that channel's square; and its gradient leaves out what goes through the sums. Both are kept, for equal
 * numbers, unless bn=exact asks for the definition and its derivative. */
#include <math.h>
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct response {
    int size;
    float alpha, beta, kappa;
    bool exact;
    int output, norms; /* buffers */
} response;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    response *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    state->exact = context->batch_norm_form == BATCH_NORM_EXACT;
    state->size = section_int(s, "size", 5, 1, 1 << 20, d);
    state->alpha = (float)section_number(s, "alpha", .0001, 0.0, 1e6, d);
    state->beta = (float)section_number(s, "beta", .75, -100.0, 100.0, d);
    state->kappa = (float)section_number(s, "kappa", 1.0, 1e-6, 1e6, d);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    response *state = l->state;
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    state->output = layer_request(l, batch * tensor_size(l->out) * sizeof(float), life);
    state->norms = layer_request(l, batch * tensor_size(l->out) * sizeof(float), life);
}

/* sum[c] = the sum of x[i] * y[i] over the channels from c - before to c + after. */
static void windowed_sums(int channels, int before, int after, const float *x, const float *y, float *sum) {
    double running = 0.0;
    for (int c = -after; c < channels; c++) {
        int enters = c + after, leaves = c - before - 1;
        if (enters < channels) running += (double)x[enters] * (double)y[enters];
        if (leaves >= 0) running -= (double)x[leaves] * (double)y[leaves];
        if (c >= 0) sum[c] = (float)running;
    }
}

static void forward(layer *l, const pass *p) {
    const response *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *out = layer_buffer(l, state->output), *norms = layer_buffer(l, state->norms);
    int channels = l->in.channels;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_pixels(l->in); i++) {
        const float *x = in + i * (size_t)channels;
        float *norm = norms + i * (size_t)channels, *y = out + i * (size_t)channels;
        windowed_sums(channels, (state->size - 1) / 2, state->size / 2, x, x, norm);
        float lost = state->exact || state->size / 2 >= channels ? 0.0f : x[state->size / 2];
        for (int c = 0; c < channels; c++) {
            norm[c] = state->kappa + state->alpha * (norm[c] - lost * lost);
            y[c] = x[c] * powf(norm[c], -state->beta);
        }
    }
    l->output = (lazy_tensor){.data = out};
}

/* One pixel: dx[i] = dy[i] norm[i]^-beta - 2 alpha beta x[i] * (the sum of dy[c] y[c] / norm[c] over the
 * windows that hold i). The norms become y / norm; sums is scratch. */
static void backward_pixel(const response *state, int channels, const float *x, const float *delta,
                           float *norm, float *sums, float *target, bool adds) {
    for (int c = 0; c < channels; c++) {
        float power = powf(norm[c], -state->beta);
        target[c] = (adds ? target[c] : 0.0f) + delta[c] * power;
        norm[c] = x[c] * power / norm[c];
    }
    if (!state->exact) return;
    windowed_sums(channels, state->size / 2, (state->size - 1) / 2, delta, norm, sums);
    for (int c = 0; c < channels; c++) target[c] -= 2.0f * state->alpha * state->beta * x[c] * sums[c];
}

static void backward(layer *l, const pass *p) {
    const response *state = l->state;
    float *in_delta = layer_input_delta(l, 0), *norms = layer_buffer(l, state->norms);
    float *sums = layer_buffer(l, state->output); /* its readers are done with it */
    const float *in = layer_input(l, p, 0).data;
    bool adds = layer_adds_delta(l, 0);
    size_t channels = (size_t)l->in.channels;
    if (!in_delta) return;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_pixels(l->in); i++)
        backward_pixel(state, l->in.channels, in + i * channels, l->delta + i * channels,
                       norms + i * channels, sums + i * channels, in_delta + i * channels, adds);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const response *state = l->state;
    info->size = state->size;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_response_normalization = {.name = "normalization",
                                                 .parse = parse,
                                                 .plan = plan,
                                                 .forward = forward,
                                                 .backward = backward,
                                                 .describe = describe,
                                                 .destroy = destroy};
