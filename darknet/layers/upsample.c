/* [upsample]: every pixel repeated stride x stride times and multiplied by scale; a negative stride sums
 * blocks of pixels instead. */
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct upsample {
    int stride;
    bool reverse;
    float scale;
} upsample;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    upsample *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    int stride = section_int(s, "stride", 2, -1024, 1024, d), channels = l->in.channels;
    state->scale = (float)section_number(s, "scale", 1.0, -1e6, 1e6, d);
    state->reverse = stride < 0;
    state->stride = stride < 0 ? -stride : stride;
    l->out = l->in;
    if (stride == 0) {
        diagnostics_error(d, LAYER_AT "stride: 0 is no factor; at least 1 is wanted", section_path(s),
                          section_key_line(s, "stride"));
        state->stride = 1;
    } else if (!state->reverse) {
        l->out = (tensor_shape){layer_length((int64_t)l->in.height * stride),
                                layer_length((int64_t)l->in.width * stride), channels};
    } else if (l->in.height % state->stride || l->in.width % state->stride) {
        layer_shape_error(l, s, "stride", d, "%d does not divide the %dx%d input", state->stride, l->in.width,
                          l->in.height);
    } else {
        l->out = (tensor_shape){l->in.height / state->stride, l->in.width / state->stride, channels};
    }
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
}

/* Row y of the small image repeated into its rows of the large one: large (+)= scale * small. */
static void spread_row(const upsample *state, tensor_shape small, size_t y, const float *from, float *to,
                       bool adds) {
    size_t stride = (size_t)state->stride, channels = (size_t)small.channels, width = (size_t)small.width;
    for (size_t row = y * stride; row < (y + 1) * stride; row++)
        for (size_t column = 0; column < width * stride; column++) {
            const float *pixel = from + (y * width + column / stride) * channels;
            float *target = to + (row * width * stride + column) * channels;
            for (size_t c = 0; c < channels; c++)
                target[c] = (adds ? target[c] : 0.0f) + state->scale * pixel[c];
        }
}

/* The reverse: small (+)= scale * the sum of each block of large. */
static void sum_row(const upsample *state, tensor_shape small, size_t y, const float *from, float *to,
                    bool adds) {
    size_t stride = (size_t)state->stride, channels = (size_t)small.channels, width = (size_t)small.width;
    if (!adds) memset(to + y * width * channels, 0, width * channels * sizeof(float));
    for (size_t row = y * stride; row < (y + 1) * stride; row++)
        for (size_t column = 0; column < width * stride; column++) {
            const float *pixel = from + (row * width * stride + column) * channels;
            float *target = to + (y * width + column / stride) * channels;
            for (size_t c = 0; c < channels; c++) target[c] += state->scale * pixel[c];
        }
}

/* from and to are a small and a large tensor, or the other way round. */
static void resize(const layer *l, const pass *p, bool enlarge, const float *from, float *to, bool adds) {
    const upsample *state = l->state;
    tensor_shape small = state->reverse ? l->out : l->in, large = state->reverse ? l->in : l->out;
    size_t rows = (size_t)small.height;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t task = 0; task < p->batch * rows; task++) {
        size_t n = task / rows, y = task % rows;
        if (enlarge)
            spread_row(state, small, y, from + n * tensor_size(small), to + n * tensor_size(large), adds);
        else
            sum_row(state, small, y, from + n * tensor_size(large), to + n * tensor_size(small), adds);
    }
}

static void forward(layer *l, const pass *p) {
    const upsample *state = l->state;
    float *out = layer_buffer(l, 0);
    resize(l, p, !state->reverse, layer_input(l, p, 0).data, out, false);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    const upsample *state = l->state;
    float *in_delta = layer_input_delta(l, 0);
    if (in_delta) resize(l, p, state->reverse, l->delta, in_delta, layer_adds_delta(l, 0));
}

static void describe(const layer *l, darknet_layer_info *info) {
    const upsample *state = l->state;
    info->stride = state->stride;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_upsample = {.name = "upsample",
                                   .parse = parse,
                                   .plan = plan,
                                   .forward = forward,
                                   .backward = backward,
                                   .describe = describe,
                                   .destroy = destroy};
