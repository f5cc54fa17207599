/* [route]: concatenates the channels of layers (groups=, group_id=: one slice of each). */
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct route {
    int groups, group;
} route;

static int slice_channels(const layer *l, int k) {
    const route *state = l->state;
    return layer_input_shape(l, k).channels / state->groups;
}

static void join_shapes(layer *l, const cfg_section *s, diagnostics *d) {
    const route *state = l->state;
    int64_t channels = 0;
    l->out = layer_input_shape(l, 0);
    for (int k = 0; k < l->input_count; k++) {
        tensor_shape shape = layer_input_shape(l, k);
        if (shape.height != l->out.height || shape.width != l->out.width)
            diagnostics_error(
                d, LAYER_AT "layers: layer %d gives %dx%d, layer %d %dx%d: only equal sizes can be joined",
                section_path(s), section_key_line(s, "layers"), l->inputs[0], l->out.width, l->out.height,
                l->inputs[k], shape.width, shape.height);
        if (shape.channels % state->groups != 0)
            diagnostics_error(d, LAYER_AT "groups: %d does not divide the %d channels of layer %d",
                              section_path(s), section_key_line(s, "groups"), state->groups, shape.channels,
                              l->inputs[k]);
        channels += slice_channels(l, k);
    }
    l->out.channels = layer_length(channels);
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    route *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = l->in;
    state->groups = section_int(s, "groups", 1, 1, 1 << 16, d);
    state->group = section_int(s, "group_id", 0, 0, state->groups - 1, d);
    int *layers = NULL;
    size_t count = section_int_list(s, "layers", &layers, d);
    if (!count)
        diagnostics_error(d, LAYER_AT "layers: is missing: it names the layers to join", section_path(s),
                          section_line(s));
    else if (layer_set_inputs(l, layers, count, "layers", context))
        join_shapes(l, s, d);
    free(layers);
    if (l->out.channels < 1) l->out.channels = 1;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
    for (int k = 0; k < l->input_count; k++)
        layer_want_workspace(l, batch * tensor_size(layer_input_shape(l, k)) * sizeof(float));
}

/* to[p][0..channels) = (adds ? to : 0) + from[p][0..channels) for every pixel. */
static void copy_slice(size_t pixels, size_t channels, const float *from, size_t from_stride, float *to,
                       size_t to_stride, bool adds, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t p = 0; p < pixels; p++) {
        const float *source = from + p * from_stride;
        float *target = to + p * to_stride;
        if (!adds)
            memcpy(target, source, channels * sizeof(float));
        else
            for (size_t c = 0; c < channels; c++) target[c] += source[c];
    }
}

static void forward(layer *l, const pass *p) {
    const route *state = l->state;
    float *out = layer_buffer(l, 0);
    size_t pixels = p->batch * tensor_pixels(l->out), place = 0;
    for (int k = 0; k < l->input_count; k++) {
        lazy_tensor in = layer_input(l, p, k);
        size_t whole = (size_t)layer_input_shape(l, k).channels, part = (size_t)slice_channels(l, k);
        lazy_tensor_store(pixels, whole, &in, p->workspace, p->threads);
        copy_slice(pixels, part, (const float *)p->workspace + part * (size_t)state->group, whole,
                   out + place, (size_t)l->out.channels, false, p->threads);
        place += part;
    }
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    const route *state = l->state;
    size_t pixels = p->batch * tensor_pixels(l->out), place = 0;
    for (int k = 0; k < l->input_count; k++) {
        size_t whole = (size_t)layer_input_shape(l, k).channels, part = (size_t)slice_channels(l, k);
        float *target = layer_input_delta(l, k);
        bool adds = layer_adds_delta(l, k);
        if (target && !adds && state->groups > 1) memset(target, 0, pixels * whole * sizeof(float));
        if (target)
            copy_slice(pixels, part, l->delta + place, (size_t)l->out.channels,
                       target + part * (size_t)state->group, whole, adds, p->threads);
        place += part;
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_route = {.name = "route",
                                .reads_lazy = true,
                                .parse = parse,
                                .plan = plan,
                                .forward = forward,
                                .backward = backward,
                                .destroy = destroy};
