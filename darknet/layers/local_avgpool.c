/* [local_avgpool]: the mean of each window's cells that lie inside the image. */
#include <stdlib.h>
#include <string.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct local_avgpool {
    int size, stride_x, stride_y, padding; /* the first window starts at -floor(padding / 2) */
} local_avgpool;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    local_avgpool *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    int stride = section_int(s, "stride", 1, 1, 1024, d);
    state->stride_x = section_int(s, "stride_x", stride, 1, 1024, d);
    state->stride_y = section_int(s, "stride_y", stride, 1, 1024, d);
    state->size = section_int(s, "size", stride, 1, 1024, d);
    state->padding = section_int(s, "padding", state->size - 1, 0, 1024, d);
    int room_y = l->in.height + state->padding - state->size,
        room_x = l->in.width + state->padding - state->size;
    l->out = (tensor_shape){1, 1, l->in.channels};
    if (room_y < 0 || room_x < 0)
        layer_window_error(l, s, state->size, state->padding, d);
    else
        l->out = (tensor_shape){room_y / state->stride_y + 1, room_x / state->stride_x + 1, l->in.channels};
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
}

/* The cells inside the image of window i along one side. */
typedef struct span {
    int first, last;
} span;

static span span_of(int i, int stride, int size, int padding, int length) {
    int start = i * stride - padding / 2, end = start + size;
    return (span){start < 0 ? 0 : start, end > length ? length : end};
}

/* Walks output row y: out = the means of in, or with spread in += out's values shared out. */
static void walk_row(const layer *l, int y, float *in, float *out, bool spread) {
    const local_avgpool *state = l->state;
    size_t channels = (size_t)l->in.channels, width = (size_t)l->in.width;
    span rows = span_of(y, state->stride_y, state->size, state->padding, l->in.height);
    for (int x = 0; x < l->out.width; x++) {
        span columns = span_of(x, state->stride_x, state->size, state->padding, l->in.width);
        float *cell = out + (size_t)x * channels,
              cells = (float)(rows.last - rows.first) * (float)(columns.last - columns.first);
        bool empty = rows.last <= rows.first || columns.last <= columns.first;
        if (!spread) memset(cell, 0, channels * sizeof(float));
        for (int i = rows.first; i < rows.last; i++)
            for (int j = columns.first; j < columns.last; j++) {
                float *pixel = in + ((size_t)i * width + (size_t)j) * channels;
                for (size_t c = 0; c < channels; c++) {
                    if (spread)
                        pixel[c] += cell[c] / cells;
                    else
                        cell[c] += pixel[c];
                }
            }
        for (size_t c = 0; c < channels && !spread && !empty; c++) cell[c] /= cells;
    }
}

static void forward(layer *l, const pass *p) {
    float *out = layer_buffer(l, 0), *in = (float *)(uintptr_t)layer_input(l, p, 0).data;
    size_t rows = (size_t)l->out.height, row_floats = (size_t)l->out.width * (size_t)l->out.channels;
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t task = 0; task < p->batch * rows; task++)
        walk_row(l, (int)(task % rows), in + task / rows * tensor_size(l->in), out + task * row_floats,
                 false);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    float *in_delta = layer_input_delta(l, 0);
    size_t row_floats = (size_t)l->out.width * (size_t)l->out.channels;
    if (!in_delta) return;
    if (!layer_adds_delta(l, 0)) memset(in_delta, 0, p->batch * tensor_size(l->in) * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++)
        for (int y = 0; y < l->out.height; y++)
            walk_row(l, y, in_delta + n * tensor_size(l->in),
                     l->delta + (n * (size_t)l->out.height + (size_t)y) * row_floats, true);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const local_avgpool *state = l->state;
    info->size = state->size;
    info->stride = state->stride_x;
    info->padding = state->padding;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_local_avgpool = {.name = "local_avgpool",
                                        .parse = parse,
                                        .plan = plan,
                                        .forward = forward,
                                        .backward = backward,
                                        .describe = describe,
                                        .destroy = destroy};
