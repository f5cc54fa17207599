/* Any convolution: the mapped image, its columns a block of output pixels at a time, OpenBLAS products. One
 * image (or one part of the batch, backward) a thread. */
#include "kernels/convolution.h"

#include <omp.h>
#include <string.h>

#define BLOCK_PIXELS 256
#define MOST_PARTS 8

typedef struct buffers {
    float *image, *columns, *dy, *column_delta;
} buffers;

static size_t column_length(const convolution_shape *s) {
    return s->in_channels / s->groups * s->size * s->size;
}
static size_t block_pixels(const convolution_shape *s) {
    return output_pixels(s) < BLOCK_PIXELS ? output_pixels(s) : BLOCK_PIXELS;
}
static size_t parts_of(const convolution_shape *s) {
    return s->batch < MOST_PARTS ? s->batch : MOST_PARTS;
}

static buffers take_buffers(const convolution_shape *s, float **workspace, bool backward) {
    buffers b = {0};
    b.image = take_floats(workspace, input_pixels(s) * s->in_channels);
    b.columns = take_floats(workspace, block_pixels(s) * column_length(s));
    if (!backward) return b;
    b.dy = take_floats(workspace, block_pixels(s) * s->out_channels);
    b.column_delta = take_floats(workspace, block_pixels(s) * column_length(s));
    return b;
}

static size_t buffer_floats(const convolution_shape *s, bool backward) {
    size_t columns = floats_padded(block_pixels(s) * column_length(s));
    size_t forward_floats = floats_padded(input_pixels(s) * s->in_channels) + columns;
    return backward ? forward_floats + floats_padded(block_pixels(s) * s->out_channels) + columns
                    : forward_floats;
}

static bool general_fits(const convolution_shape *s) {
    (void)s;
    return true;
}

static size_t forward_bytes(const convolution_shape *s, int threads) {
    return ((size_t)threads * buffer_floats(s, false) + s->batch * 2 * floats_padded(s->out_channels) +
            floats_padded(2 * s->batch)) *
           sizeof(float);
}

static size_t backward_bytes(const convolution_shape *s, int threads) {
    size_t floats = (size_t)threads * buffer_floats(s, true) + parts_of(s) * floats_padded(weight_count(s));
    size_t reduce_bytes = channel_reduce_workspace_bytes(s->batch * input_pixels(s), s->in_channels);
    return floats * sizeof(float) > reduce_bytes ? floats * sizeof(float) : reduce_bytes;
}

/* The input cell under output pixel `o` and kernel position (ky, kx), or false outside of the image. */
static bool cell_of(const convolution_shape *s, size_t o, size_t ky, size_t kx, size_t *cell) {
    size_t y = o / s->out_width * s->stride_y + ky * s->dilation,
           x = o % s->out_width * s->stride_x + kx * s->dilation;
    if (y < s->padding || x < s->padding || y - s->padding >= s->in_height || x - s->padding >= s->in_width)
        return false;
    *cell = (y - s->padding) * s->in_width + x - s->padding;
    return true;
}

/* columns[pixel][channel][ky][kx] of one group */
static void gather_columns(const convolution_shape *s, const float *image, size_t first, size_t pixels,
                           float *columns) {
    size_t channels = s->in_channels / s->groups, area = s->size * s->size, cell;
    for (size_t p = 0; p < pixels; p++, columns += channels * area)
        for (size_t k = 0; k < area; k++) {
            bool inside = cell_of(s, first + p, k / s->size, k % s->size, &cell);
            for (size_t c = 0; c < channels; c++)
                columns[c * area + k] = inside ? image[cell * s->in_channels + c] : 0;
        }
}

static void scatter_columns(const convolution_shape *s, const float *columns, size_t first, size_t pixels,
                            float *image) {
    size_t channels = s->in_channels / s->groups, area = s->size * s->size, cell;
    for (size_t p = 0; p < pixels; p++, columns += channels * area)
        for (size_t k = 0; k < area; k++)
            if (cell_of(s, first + p, k / s->size, k % s->size, &cell))
                for (size_t c = 0; c < channels; c++)
                    image[cell * s->in_channels + c] += columns[c * area + k];
}

static void forward_image(const forward_call *call, const buffers *b, const float *in, float *out) {
    const convolution_shape *s = call->shape;
    const row_kernels *rows = row_kernels_at(call->level);
    size_t filters = s->out_channels / s->groups, length = column_length(s);
    const float *weights = call->packed ? call->packed : call->weights;
    rows->map(input_pixels(s), s->in_channels, &call->in->map, in, b->image);
    for (size_t first = 0; first < output_pixels(s); first += BLOCK_PIXELS) {
        size_t pixels = output_pixels(s) - first < BLOCK_PIXELS ? output_pixels(s) - first : BLOCK_PIXELS;
        for (size_t g = 0; g < s->groups; g++) {
            gather_columns(s, b->image + g * (s->in_channels / s->groups), first, pixels, b->columns);
            matrix_multiply(false, true, pixels, filters, length, 1, b->columns, length,
                            weights + g * filters * length, length, 0,
                            out + first * s->out_channels + g * filters, s->out_channels, 1);
        }
    }
    if (call->store) rows->map(output_pixels(s), s->out_channels, call->store, out, out);
}

static void forward(const forward_call *call) {
    const convolution_shape *s = call->shape;
    const row_kernels *rows = row_kernels_at(call->level);
    float *workspace = call->workspace;
    size_t stride = floats_padded(s->out_channels), out_image = output_pixels(s) * s->out_channels;
    float *means = take_floats(&workspace, s->batch * stride),
          *m2s = take_floats(&workspace, s->batch * stride);
    size_t *rows_of = (size_t *)(void *)take_floats(&workspace, 2 * s->batch);
    size_t private_floats = buffer_floats(s, false);
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t i = 0; i < s->batch; i++) {
        float *mine = workspace + (size_t)omp_get_thread_num() * private_floats,
              *out = call->out + i * out_image;
        buffers b = take_buffers(s, &mine, false);
        forward_image(call, &b, call->in->data + i * input_pixels(s) * s->in_channels, out);
        if (call->moments)
            rows->moments(output_pixels(s), s->out_channels, out, means + i * stride, m2s + i * stride);
    }
    if (!call->moments) return;
    for (size_t i = 0; i < s->batch; i++) rows_of[i] = output_pixels(s);
    moments_join(s->batch, rows_of, s->out_channels, stride, means, m2s, call->moments);
}

static void backward_image(const backward_call *call, const buffers *b, size_t image, float *weight_part) {
    const convolution_shape *s = call->shape;
    const row_kernels *rows = row_kernels_at(call->level);
    size_t filters = s->out_channels / s->groups, length = column_length(s),
           channels = s->in_channels / s->groups;
    size_t in_image = input_pixels(s) * s->in_channels;
    float *in_delta = call->in_delta ? call->in_delta + image * in_image : NULL;
    if (weight_part)
        rows->map(input_pixels(s), s->in_channels, &call->in->map, call->in->data + image * in_image,
                  b->image);
    if (in_delta && !call->accumulate) memset(in_delta, 0, in_image * sizeof(float));
    for (size_t first = 0; first < output_pixels(s); first += BLOCK_PIXELS) {
        size_t pixels = output_pixels(s) - first < BLOCK_PIXELS ? output_pixels(s) - first : BLOCK_PIXELS;
        lazy_gradient dy = gradient_at(call->dy, (image * output_pixels(s) + first) * s->out_channels);
        rows->gradient(pixels, s->out_channels, &dy, b->dy, false);
        for (size_t g = 0; g < s->groups; g++) {
            const float *dy_group = b->dy + g * filters;
            if (weight_part) {
                gather_columns(s, b->image + g * channels, first, pixels, b->columns);
                matrix_multiply(true, false, filters, length, pixels, 1, dy_group, s->out_channels,
                                b->columns, length, 1, weight_part + g * filters * length, length, 1);
            }
            if (in_delta) {
                matrix_multiply(false, false, pixels, length, filters, 1, dy_group, s->out_channels,
                                call->weights + g * filters * length, length, 0, b->column_delta, length, 1);
                scatter_columns(s, b->column_delta, first, pixels, in_delta + g * channels);
            }
        }
    }
}

static void backward(const backward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    size_t parts = parts_of(s), stride = floats_padded(weight_count(s)),
           private_floats = buffer_floats(s, true);
    float *part = take_floats(&workspace, parts * stride);
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t i = 0; i < parts; i++) {
        float *mine = workspace + (size_t)omp_get_thread_num() * private_floats;
        float *weight_part = call->weight_delta ? part + i * stride : NULL;
        buffers b = take_buffers(s, &mine, true);
        if (weight_part) memset(weight_part, 0, stride * sizeof(float));
        for (size_t image = s->batch * i / parts; image < s->batch * (i + 1) / parts; image++)
            backward_image(call, &b, image, weight_part);
    }
    if (call->weight_delta)
        sum_parts(parts, stride, weight_count(s), part, call->weight_delta, call->threads);
    if (!call->sums) return;
    const lazy_gradient reader = {.delta = call->in_delta, .data = call->in->data, .map = call->in->map};
    lazy_gradient_reduce(s->batch * input_pixels(s), s->in_channels, &reader, call->sums->center,
                         call->sums->sum_dz, call->sums->sum_dz_x, call->workspace, call->threads);
}

static size_t packed_bytes(const convolution_shape *s, isa_level level) {
    (void)level;
    return weight_count(s) * sizeof(float);
}

static void pack(const convolution_shape *s, const float *weights, void *packed, isa_level level) {
    memcpy(packed, weights, packed_bytes(s, level));
}

const convolution_form convolution_general = {.fits = general_fits,
                                              .forward_bytes = forward_bytes,
                                              .backward_bytes = backward_bytes,
                                              .packed_bytes = packed_bytes,
                                              .pack = pack,
                                              .forward = forward,
                                              .backward = backward};
