/* [scale_channels]: activation(factor * from), the squeeze-excite product (Hu, Shen, Sun, 2018): the input
 * has one factor for each channel of `from`, or with scale_wh one for each pixel. */
#include <stdlib.h>
#include <string.h>

#include "layers/activated.h"
#include "layers/types.h"

typedef struct scale_channels {
    activated end;
    bool by_pixel;
} scale_channels;

static void check_shapes(const layer *l, const cfg_section *s, diagnostics *d) {
    const scale_channels *state = l->state;
    tensor_shape a = l->in, b = layer_input_shape(l, 1);
    bool fits = state->by_pixel ? a.height == b.height && a.width == b.width && a.channels == 1
                                : a.height == 1 && a.width == 1 && a.channels == b.channels;
    if (!fits)
        diagnostics_error(
            d,
            LAYER_AT "from: layer %d gives %dx%dx%d, which wants %dx%dx%d factors; layer %d gives %dx%dx%d",
            section_path(s), section_key_line(s, "from"), l->inputs[1], b.width, b.height, b.channels,
            state->by_pixel ? b.width : 1, state->by_pixel ? b.height : 1, state->by_pixel ? 1 : b.channels,
            l->inputs[0], a.width, a.height, a.channels);
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    scale_channels *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    state->by_pixel = section_flag(s, "scale_wh", false, d);
    activated_parse(&state->end, l, s, "linear", d);
    if (!layer_set_from(l, s, context)) return;
    check_shapes(l, s, d);
    l->out = layer_input_shape(l, 1);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    scale_channels *state = l->state;
    activated_plan(&state->end, l, batch, training);
}

static void forward(layer *l, const pass *p) {
    const scale_channels *state = l->state;
    size_t pixels = tensor_pixels(l->out), channels = (size_t)l->out.channels;
    const float *factors = layer_input(l, p, 0).data, *from = layer_input(l, p, 1).data;
    float *out = activated_raw(&state->end, l);
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * pixels; i++) {
        const float *x = from + i * channels;
        float *y = out + i * channels;
        if (state->by_pixel)
            for (size_t c = 0; c < channels; c++) y[c] = factors[i] * x[c];
        else
            for (size_t c = 0; c < channels; c++) y[c] = factors[i / pixels * channels + c] * x[c];
    }
    activated_forward(&state->end, l, p);
}

/* The gradient of one image's factors. */
static void factor_gradient(const layer *l, const float *from, const float *delta, float *target, bool adds) {
    const scale_channels *state = l->state;
    size_t channels = (size_t)l->out.channels, step = state->by_pixel ? 1 : 0;
    if (!adds) memset(target, 0, tensor_size(l->in) * sizeof(float));
    for (size_t i = 0; i < tensor_pixels(l->out); i++)
        for (size_t c = 0; c < channels; c++)
            target[step ? i : c] += delta[i * channels + c] * from[i * channels + c];
}

static void from_gradient(const layer *l, const float *factors, const float *delta, float *target,
                          bool adds) {
    const scale_channels *state = l->state;
    size_t channels = (size_t)l->out.channels;
    for (size_t i = 0; i < tensor_pixels(l->out); i++)
        for (size_t c = 0; c < channels; c++) {
            float *t = &target[i * channels + c];
            *t = (adds ? *t : 0.0f) + factors[state->by_pixel ? i : c] * delta[i * channels + c];
        }
}

static void backward(layer *l, const pass *p) {
    const scale_channels *state = l->state;
    const float *factors = layer_input(l, p, 0).data, *from = layer_input(l, p, 1).data;
    float *factor_delta = layer_input_delta(l, 0), *from_delta = layer_input_delta(l, 1);
    bool factor_adds = layer_adds_delta(l, 0), from_adds = layer_adds_delta(l, 1);
    size_t inputs = tensor_size(l->in), outputs = tensor_size(l->out);
    activated_backward(&state->end, l, p);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++) {
        const float *delta = l->delta + n * outputs;
        if (factor_delta)
            factor_gradient(l, from + n * outputs, delta, factor_delta + n * inputs, factor_adds);
        if (from_delta) from_gradient(l, factors + n * inputs, delta, from_delta + n * outputs, from_adds);
    }
}

static void describe(const layer *l, darknet_layer_info *info) {
    const scale_channels *state = l->state;
    activated_describe(&state->end, info);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_scale_channels = {.name = "scale_channels",
                                         .parse = parse,
                                         .plan = plan,
                                         .forward = forward,
                                         .backward = backward,
                                         .describe = describe,
                                         .destroy = destroy};
