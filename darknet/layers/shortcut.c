/* [shortcut]: activation(alpha * input + beta * the sum of the `from` layers). Where shapes differ the sum is
 * over their overlap: the first channels, and every (width ratio)-th pixel of the larger one; the rest of the
 * input stays as it is. */
#include <stdlib.h>
#include <string.h>

#include "layers/activated.h"
#include "layers/shortcut_weights.h"
#include "layers/types.h"

typedef struct shortcut {
    float alpha, beta;
    activated end;
    shortcut_weights weights;
} shortcut;

static bool same_shape(tensor_shape a, tensor_shape b) {
    return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

static bool all_same(const layer *l) {
    for (int k = 1; k < l->input_count; k++)
        if (!same_shape(l->in, layer_input_shape(l, k))) return false;
    return true;
}

/* Darknet's rule: the whole parts of the ratios must agree; where they are not whole themselves the overlap
 * is the top left. */
static void check_shapes(const layer *l, const cfg_section *s, diagnostics *d) {
    for (int k = 1; k < l->input_count; k++) {
        tensor_shape a = l->in, b = layer_input_shape(l, k);
        int line = section_key_line(s, "from");
        bool agree = b.height / a.height == b.width / a.width && a.height / b.height == a.width / b.width;
        bool whole = b.height >= a.height ? b.height % a.height == 0 && b.width % a.width == 0
                                          : a.height % b.height == 0 && a.width % b.width == 0;
        if (!agree)
            diagnostics_error(
                d,
                LAYER_AT
                "from: layer %d gives %dx%dx%d, which is no whole multiple of the %dx%dx%d of layer %d",
                section_path(s), line, l->inputs[k], b.width, b.height, b.channels, a.width, a.height,
                a.channels, l->inputs[0]);
        else if (!whole)
            diagnostics_warning(d,
                                LAYER_AT "from: layer %d gives %dx%d, no whole multiple of the %dx%d of "
                                         "layer %d: the sum covers a corner of it",
                                section_path(s), line, l->inputs[k], b.width, b.height, a.width, a.height,
                                l->inputs[0]);
    }
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    shortcut *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    state->alpha = (float)section_number(s, "alpha", 1.0, -1e6, 1e6, d);
    state->beta = (float)section_number(s, "beta", 1.0, -1e6, 1e6, d);
    activated_parse(&state->end, l, s, "linear", d);
    if (layer_set_from(l, s, context)) check_shapes(l, s, d);
    shortcut_weights_parse(&state->weights, l, s, d);
    if (state->weights.used && (state->alpha != 1.0f || state->beta != 1.0f))
        diagnostics_error(d, LAYER_AT "alpha, beta: with weights_type the weights are the factors",
                          section_path(s), section_line(s));
}

static void initialize(layer *l, uint64_t seed) {
    (void)seed;
    const shortcut *state = l->state;
    shortcut_weights_initialize(&state->weights, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    shortcut *state = l->state;
    activated_plan(&state->end, l, batch, training);
    shortcut_weights_plan(&state->weights, l, batch);
    if (!all_same(l))
        for (int k = 1; k < l->input_count; k++)
            layer_want_workspace(l, batch * tensor_size(layer_input_shape(l, k)) * sizeof(float));
}

/* How the overlap of an output and a `from` tensor is walked. */
typedef struct overlap {
    size_t height, width, channels; /* of the overlap */
    size_t out_step, from_step;     /* pixels between its rows and columns in each */
} overlap;

static overlap overlap_of(tensor_shape out, tensor_shape from) {
    overlap o = {.out_step = 1, .from_step = 1};
    if (from.width >= out.width)
        o.from_step = (size_t)(from.width / out.width);
    else
        o.out_step = (size_t)(out.width / from.width);
    o.height = (size_t)(from.height < out.height ? from.height : out.height);
    o.width = (size_t)(from.width < out.width ? from.width : out.width);
    o.channels = (size_t)(from.channels < out.channels ? from.channels : out.channels);
    return o;
}

/* a = alpha * a + beta * b on the overlap, for one image; a has shape sa and pixel step ta, b likewise. */
static void add_overlap(const overlap *o, float alpha, float *a, tensor_shape sa, size_t ta, float beta,
                        const float *b, tensor_shape sb, size_t tb) {
    for (size_t y = 0; y < o->height; y++)
        for (size_t x = 0; x < o->width; x++) {
            float *pa = a + (y * ta * (size_t)sa.width + x * ta) * (size_t)sa.channels;
            const float *pb = b + (y * tb * (size_t)sb.width + x * tb) * (size_t)sb.channels;
            for (size_t c = 0; c < o->channels; c++) pa[c] = alpha * pa[c] + beta * pb[c];
        }
}

static void add_from(const layer *l, const pass *p, int k, float *sum) {
    const shortcut *state = l->state;
    tensor_shape shape = layer_input_shape(l, k);
    lazy_tensor from = layer_input(l, p, k);
    overlap o = overlap_of(l->out, shape);
    float alpha = k == 1 ? state->alpha : 1.0f;
    lazy_tensor_store(p->batch * tensor_pixels(shape), (size_t)shape.channels, &from, p->workspace,
                      p->threads);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++)
        add_overlap(&o, alpha, sum + n * tensor_size(l->out), l->out, o.out_step, state->beta,
                    (const float *)p->workspace + n * tensor_size(shape), shape, o.from_step);
}

static void forward(layer *l, const pass *p) {
    shortcut *state = l->state;
    float *sum = activated_raw(&state->end, l);
    size_t pixels = p->batch * tensor_pixels(l->out), channels = (size_t)l->out.channels;
    lazy_tensor in = layer_input(l, p, 0);
    if (state->weights.used) {
        shortcut_weights_forward(&state->weights, l, sum, p);
    } else if (all_same(l)) {
        for (int k = 1; k < l->input_count; k++) {
            lazy_tensor from = layer_input(l, p, k), so_far = {.data = sum};
            lazy_tensor_add(pixels, channels, k == 1 ? state->alpha : 1.0f, k == 1 ? &in : &so_far,
                            state->beta, &from, sum, p->threads);
        }
    } else {
        lazy_tensor_store(pixels, channels, &in, sum, p->threads);
        for (int k = 1; k < l->input_count; k++) add_from(l, p, k, sum);
    }
    activated_forward(&state->end, l, p);
}

static bool shares_delta(const layer *l) {
    const shortcut *state = l->state;
    return state->end.kind == ACTIVATION_LINEAR && state->alpha == 1.0f && state->beta == 1.0f &&
           !state->weights.used && all_same(l);
}

/* Adds (or writes) the delta of input k; where it is not on the overlap, input 0 gets the delta itself, a
 * `from` nothing. */
static void push_delta(const layer *l, const pass *p, int k, float *target, bool adds) {
    const shortcut *state = l->state;
    tensor_shape shape = layer_input_shape(l, k);
    float factor = k == 0 ? state->alpha : state->beta;
    size_t count = p->batch * tensor_size(shape);
    if (same_shape(shape, l->out) && (k > 0 || all_same(l))) {
        array_scale_add(count, factor, l->delta, target, adds, p->threads);
        return;
    }
    if (k == 0) {
        array_scale_add(count, 1.0f, l->delta, target, adds, p->threads);
        if (state->alpha == 1.0f) return;
    } else if (!adds) {
        memset(target, 0, count * sizeof(float));
    }
    tensor_shape other = k == 0 ? layer_input_shape(l, 1) : shape;
    overlap o = overlap_of(l->out, other);
    size_t step = k == 0 ? o.out_step : o.from_step;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++)
        add_overlap(&o, 1.0f, target + n * tensor_size(shape), shape, step,
                    k == 0 ? state->alpha - 1.0f : state->beta, l->delta + n * tensor_size(l->out), l->out,
                    o.out_step);
}

static void backward(layer *l, const pass *p) {
    shortcut *state = l->state;
    activated_backward(&state->end, l, p);
    if (state->weights.used) {
        shortcut_weights_backward(&state->weights, l, p);
        return;
    }
    for (int k = 0; k < l->input_count; k++) {
        float *target = layer_input_delta(l, k);
        if (target) push_delta(l, p, k, target, layer_adds_delta(l, k));
    }
}

static void describe(const layer *l, darknet_layer_info *info) {
    const shortcut *state = l->state;
    info->alpha = state->alpha;
    info->beta = state->beta;
    activated_describe(&state->end, info);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_shortcut = {.name = "shortcut",
                                   .reads_lazy = true,
                                   .parse = parse,
                                   .initialize = initialize,
                                   .plan = plan,
                                   .forward = forward,
                                   .backward = backward,
                                   .describe = describe,
                                   .shares_delta = shares_delta,
                                   .destroy = destroy};
