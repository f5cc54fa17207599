/* [sam]: activation(input * from), value by value: the spatial attention product (Woo and others, 2018). */
#include <stdlib.h>

#include "layers/activated.h"
#include "layers/types.h"

typedef struct sam {
    activated end;
} sam;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    sam *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    activated_parse(&state->end, l, s, "linear", context->diagnostics);
    if (!layer_set_from(l, s, context)) return;
    tensor_shape a = l->in, b = layer_input_shape(l, 1);
    if (a.height != b.height || a.width != b.width || a.channels != b.channels)
        diagnostics_error(context->diagnostics,
                          LAYER_AT "from: layer %d gives %dx%dx%d, layer %d %dx%dx%d: both must be the same",
                          section_path(s), section_key_line(s, "from"), l->inputs[1], b.width, b.height,
                          b.channels, l->inputs[0], a.width, a.height, a.channels);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    sam *state = l->state;
    activated_plan(&state->end, l, batch, training);
}

static void forward(layer *l, const pass *p) {
    const sam *state = l->state;
    const float *a = layer_input(l, p, 0).data, *b = layer_input(l, p, 1).data;
    float *out = activated_raw(&state->end, l);
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_size(l->out); i++) out[i] = a[i] * b[i];
    activated_forward(&state->end, l, p);
}

static void backward(layer *l, const pass *p) {
    const sam *state = l->state;
    size_t count = p->batch * tensor_size(l->out);
    activated_backward(&state->end, l, p);
    for (int k = 0; k < 2; k++) {
        float *target = layer_input_delta(l, k);
        const float *other = layer_input(l, p, 1 - k).data;
        bool adds = layer_adds_delta(l, k);
        if (!target) continue;
#pragma omp parallel for num_threads(p->threads) schedule(static)
        for (size_t i = 0; i < count; i++) target[i] = (adds ? target[i] : 0.0f) + l->delta[i] * other[i];
    }
}

static void describe(const layer *l, darknet_layer_info *info) {
    const sam *state = l->state;
    activated_describe(&state->end, info);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_sam = {.name = "sam",
                              .parse = parse,
                              .plan = plan,
                              .forward = forward,
                              .backward = backward,
                              .describe = describe,
                              .destroy = destroy};
