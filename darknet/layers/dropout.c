/* [dropout]: in training, zeroes each value with a probability and scales the others by 1 / (1 - p); in
 * inference the input itself. The mask is a function of (seed, layer, image seen, position), so that it is
 * never stored. */
#include <stdlib.h>

#include "core/random.h"
#include "layers/layer.h"
#include "layers/types.h"

typedef struct dropout {
    float probability;
} dropout;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    dropout *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    state->probability = (float)section_number(s, "probability", .5, 0.0, .999999, context->diagnostics);
    l->out = l->in;
}

static bool passes_through(const layer *l, bool training) {
    (void)l;
    return !training;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    if (training) layer_request(l, batch * tensor_size(l->out) * sizeof(float), BUFFER_TRAINING);
}

/* values[i] = (accumulate ? values[i] : 0) + mask * in[i] */
static void apply_mask(const layer *l, const pass *p, const float *in, float *out, bool accumulate) {
    const dropout *state = l->state;
    size_t outputs = tensor_size(l->out);
    float scale = 1.0f / (1.0f - state->probability);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++) {
        random_state r =
            random_seeded(random_hash(p->seed, (uint64_t)l->index, 0x64726f70), p->first_image + n);
        for (size_t i = n * outputs; i < (n + 1) * outputs; i++) {
            float mask = random_to_unit(random_next(&r)) < state->probability ? 0.0f : scale;
            out[i] = (accumulate ? out[i] : 0.0f) + mask * in[i];
        }
    }
}

static void forward(layer *l, const pass *p) {
    lazy_tensor in = layer_input(l, p, 0);
    l->output = in;
    if (!p->training) return;
    float *out = layer_buffer(l, 0);
    lazy_tensor_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &in, out, p->threads);
    apply_mask(l, p, out, out, false);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    float *in_delta = layer_input_delta(l, 0);
    if (in_delta) apply_mask(l, p, l->delta, in_delta, layer_adds_delta(l, 0));
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_dropout = {.name = "dropout",
                                  .reads_lazy = true,
                                  .passes_through = passes_through,
                                  .parse = parse,
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .destroy = destroy};
