/* [local]: like a convolution, with filters of its own at every position: weights
 * [positions][filters][channels][size][size], biases [filters][positions]. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "layers/activated.h"
#include "layers/types.h"

typedef struct local {
    activated end;
    int size, stride, padding;
    size_t window;        /* channels * size * size */
    const float *weights; /* of this pass */
} local;

enum { CHUNK = 8 }; /* positions a task */

static void read_shape(layer *l, local *state, const cfg_section *s, diagnostics *d) {
    int filters = section_int(s, "filters", 1, 1, 1 << 20, d);
    state->size = section_int(s, "size", 1, 1, 1024, d);
    state->stride = section_int(s, "stride", 1, 1, 1024, d);
    state->padding = section_flag(s, "pad", false, d) ? state->size / 2 : 0;
    int room_y = l->in.height + 2 * state->padding - state->size,
        room_x = l->in.width + 2 * state->padding - state->size;
    state->window = (size_t)l->in.channels * (size_t)state->size * (size_t)state->size;
    l->out = (tensor_shape){1, 1, filters};
    if (room_y < 0 || room_x < 0)
        layer_window_error(l, s, state->size, state->padding, d);
    else
        l->out = (tensor_shape){room_y / state->stride + 1, room_x / state->stride + 1, filters};
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    local *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    read_shape(l, state, s, context->diagnostics);
    activated_parse(&state->end, l, s, "logistic", context->diagnostics);
    layer_add_parameter(l, "biases", tensor_size(l->out), true, false);
    parameter *weights =
        layer_add_parameter(l, "weights", layer_product(tensor_size(l->out), state->window), true, true);
    l->macs = weights->count;
}

static void initialize(layer *l, uint64_t seed) {
    const local *state = l->state;
    random_state r = random_seeded(seed, (uint64_t)l->index);
    float range = sqrtf(2.0f / (float)state->window), *weights = layer_values(l, "weights");
    for (size_t i = 0; i < tensor_size(l->out) * state->window; i++)
        weights[i] = range * random_uniform(&r, -1.0f, 1.0f);
}

static size_t chunk_count(const layer *l) {
    return (tensor_pixels(l->out) + CHUNK - 1) / CHUNK;
}

/* Scratch of one task: the windows of all images at one position, [batch][window], their gradients the same,
 * and [batch][filters] sums. */
static size_t scratch_floats(const layer *l, size_t batch) {
    const local *state = l->state;
    return size_round_up(batch * (2 * state->window + (size_t)l->out.channels),
                         MEMORY_ALIGNMENT / sizeof(float));
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    local *state = l->state;
    activated_plan(&state->end, l, batch, training);
    layer_want_workspace(l, layer_product(chunk_count(l) * sizeof(float), scratch_floats(l, batch)));
}

/* The window of one image under position (y, x), as [channels][size][size]; with add, its values are added to
 * the image. */
static void move_window(const layer *l, const float *image, float *sum, int y, int x, float *window) {
    const local *state = l->state;
    int size = state->size, top = y * state->stride - state->padding,
        left = x * state->stride - state->padding;
    size_t channels = (size_t)l->in.channels, cells = (size_t)size * (size_t)size;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int row = top + i, column = left + j;
            bool inside = row >= 0 && row < l->in.height && column >= 0 && column < l->in.width;
            size_t pixel = inside ? (size_t)row * (size_t)l->in.width + (size_t)column : 0;
            float *cell = window + (size_t)i * (size_t)size + (size_t)j;
            if (sum && !inside) continue;
            for (size_t c = 0; c < channels; c++) {
                if (sum)
                    sum[pixel * channels + c] += cell[c * cells];
                else
                    cell[c * cells] = inside ? image[pixel * channels + c] : 0.0f;
            }
        }
}

static void forward_position(layer *l, const pass *p, const float *in, const float *weights, size_t position,
                             float *scratch) {
    const local *state = l->state;
    size_t filters = (size_t)l->out.channels, inputs = tensor_size(l->in), pixels = tensor_pixels(l->out);
    int y = (int)position / l->out.width, x = (int)position % l->out.width;
    float *windows = scratch, *sums = scratch + p->batch * state->window,
          *raw = activated_raw(&state->end, l);
    const float *biases = layer_values(l, "biases");
    for (size_t n = 0; n < p->batch; n++)
        move_window(l, in + n * inputs, NULL, y, x, windows + n * state->window);
    matrix_multiply(false, true, p->batch, filters, state->window, 1.0f, windows, state->window,
                    weights + position * filters * state->window, state->window, 0.0f, sums, filters, 1);
    for (size_t n = 0; n < p->batch; n++)
        for (size_t k = 0; k < filters; k++)
            raw[(n * pixels + position) * filters + k] =
                sums[n * filters + k] + biases[k * pixels + position];
}

static void forward(layer *l, const pass *p) {
    local *state = l->state;
    const float *in = layer_input(l, p, 0).data, *weights = state->weights = layer_weights_for_pass(l);
    size_t pixels = tensor_pixels(l->out);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t chunk = 0; chunk < chunk_count(l); chunk++)
        for (size_t i = chunk * CHUNK; i < pixels && i < (chunk + 1) * CHUNK; i++)
            forward_position(l, p, in, weights, i,
                             (float *)p->workspace + chunk * scratch_floats(l, p->batch));
    activated_forward(&state->end, l, p);
}

/* Gradients of one position's weights and biases. */
static void gradient_position(layer *l, const pass *p, const float *in, size_t position, float *scratch) {
    const local *state = l->state;
    size_t filters = (size_t)l->out.channels, inputs = tensor_size(l->in), pixels = tensor_pixels(l->out);
    int y = (int)position / l->out.width, x = (int)position % l->out.width;
    float *biases = layer_gradient(l, "biases"), *weights = layer_gradient(l, "weights");
    const float *delta = l->delta + position * filters;
    for (size_t n = 0; n < p->batch; n++)
        move_window(l, in + n * inputs, NULL, y, x, scratch + n * state->window);
    for (size_t n = 0; n < p->batch; n++)
        for (size_t k = 0; k < filters; k++) biases[k * pixels + position] += delta[n * pixels * filters + k];
    matrix_multiply(true, false, filters, state->window, p->batch, 1.0f, delta, pixels * filters, scratch,
                    state->window, 1.0f, weights + position * filters * state->window, state->window, 1);
}

/* The gradient of one image's input: positions overlap, so an image is one task. */
static void backward_image(const layer *l, const float *weights, const float *delta, float *in_delta,
                           float *window) {
    const local *state = l->state;
    size_t filters = (size_t)l->out.channels;
    for (size_t i = 0; i < tensor_pixels(l->out); i++) {
        matrix_multiply(false, false, 1, state->window, filters, 1.0f, delta + i * filters, filters,
                        weights + i * filters * state->window, state->window, 0.0f, window, state->window, 1);
        move_window(l, NULL, in_delta, (int)i / l->out.width, (int)i % l->out.width, window);
    }
}

static void backward(layer *l, const pass *p) {
    const local *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *in_delta = layer_input_delta(l, 0), *scratch = p->workspace;
    size_t inputs = tensor_size(l->in), outputs = tensor_size(l->out), pixels = tensor_pixels(l->out);
    activated_backward(&state->end, l, p);
    if (l->trains) {
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
        for (size_t chunk = 0; chunk < chunk_count(l); chunk++)
            for (size_t i = chunk * CHUNK; i < pixels && i < (chunk + 1) * CHUNK; i++)
                gradient_position(l, p, in, i, scratch + chunk * scratch_floats(l, p->batch));
    }
    if (!in_delta) return;
    if (!layer_adds_delta(l, 0)) memset(in_delta, 0, p->batch * inputs * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++)
        backward_image(l, state->weights, l->delta + n * outputs, in_delta + n * inputs,
                       scratch + n * state->window);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const local *state = l->state;
    activated_describe(&state->end, info);
    info->size = state->size;
    info->stride = state->stride;
    info->padding = state->padding;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_local = {.name = "local",
                                .parse = parse,
                                .initialize = initialize,
                                .plan = plan,
                                .forward = forward,
                                .backward = backward,
                                .describe = describe,
                                .destroy = destroy};
