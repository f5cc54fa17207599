/* [l2norm]: each pixel's channels divided by their Euclidean length (a pixel of zeros stays so). */
#include <math.h>
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct l2norm {
    int output, lengths; /* buffers; lengths [pixels] */
} l2norm;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    (void)s;
    (void)context;
    l->state = calloc(1, sizeof(l2norm));
    l->out = l->in;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    l2norm *state = l->state;
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    state->output = layer_request(l, batch * tensor_size(l->out) * sizeof(float), life);
    state->lengths = layer_request(l, batch * tensor_pixels(l->out) * sizeof(float), life);
}

static double dot(const float *a, const float *b, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void forward(layer *l, const pass *p) {
    const l2norm *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *out = layer_buffer(l, state->output), *lengths = layer_buffer(l, state->lengths);
    size_t channels = (size_t)l->in.channels;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_pixels(l->in); i++) {
        const float *x = in + i * channels;
        lengths[i] = (float)sqrt(dot(x, x, channels));
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = lengths[i] > 0.0f ? x[c] / lengths[i] : 0.0f;
    }
    l->output = (lazy_tensor){.data = out};
}

/* dx = (dy - y (y . dy)) / length */
static void backward(layer *l, const pass *p) {
    const l2norm *state = l->state;
    float *in_delta = layer_input_delta(l, 0);
    const float *out = layer_buffer(l, state->output), *lengths = layer_buffer(l, state->lengths);
    size_t channels = (size_t)l->in.channels;
    bool adds = layer_adds_delta(l, 0);
    if (!in_delta) return;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_pixels(l->in); i++) {
        const float *y = out + i * channels, *dy = l->delta + i * channels;
        float along = (float)dot(y, dy, channels), *dx = in_delta + i * channels;
        for (size_t c = 0; c < channels; c++) {
            float gradient = lengths[i] > 0.0f ? (dy[c] - y[c] * along) / lengths[i] : 0.0f;
            dx[c] = (adds ? dx[c] : 0.0f) + gradient;
        }
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_l2norm = {.name = "l2norm",
                                 .parse = parse,
                                 .plan = plan,
                                 .forward = forward,
                                 .backward = backward,
                                 .destroy = destroy};
