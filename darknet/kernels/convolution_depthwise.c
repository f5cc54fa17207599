/* Depthwise convolutions: images (or, backward, parts of the batch) dealt out to threads, each mapped once
 * into a padded image. */
#include "kernels/convolution.h"
#include "kernels/depthwise.h"

#include <omp.h>
#include <string.h>

#define MOST_PARTS 16

extern const depthwise_kernels depthwise_kernels_portable;
#if defined(__x86_64__)
extern const depthwise_kernels depthwise_kernels_avx2, depthwise_kernels_avx512;
#endif

const depthwise_kernels *depthwise_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &depthwise_kernels_avx512;
    if (level == ISA_AVX2) return &depthwise_kernels_avx2;
#endif
    (void)level;
    return &depthwise_kernels_portable;
}

static bool fits(const convolution_shape *s) {
    return s->groups == s->in_channels && s->groups == s->out_channels;
}

static size_t padded_width(const convolution_shape *s) {
    return s->in_width + 2 * s->padding;
}
static size_t padded_image(const convolution_shape *s) {
    return floats_padded((s->in_height + 2 * s->padding) * padded_width(s) * s->in_channels);
}
static size_t parts_of(const convolution_shape *s) {
    return s->batch < MOST_PARTS ? s->batch : MOST_PARTS;
}

static size_t forward_bytes(const convolution_shape *s, int threads) {
    return (floats_padded(weight_count(s)) + s->batch * 2 * floats_padded(s->out_channels) +
            floats_padded(2 * s->batch) + (size_t)threads * padded_image(s)) *
           sizeof(float);
}

static size_t backward_bytes(const convolution_shape *s, int threads) {
    size_t dy = floats_padded(output_pixels(s) * s->out_channels);
    return ((1 + parts_of(s)) * floats_padded(weight_count(s)) +
            (size_t)threads * (2 * padded_image(s) + dy)) *
           sizeof(float);
}

/* [channels][area] to [area][channels] */
static void pack_weights(const convolution_shape *s, const float *weights, float *packed) {
    size_t area = s->size * s->size;
    for (size_t c = 0; c < s->in_channels; c++)
        for (size_t k = 0; k < area; k++) packed[k * s->in_channels + c] = weights[c * area + k];
}

static float *interior_row(const convolution_shape *s, float *image, size_t y) {
    return image + ((y + s->padding) * padded_width(s) + s->padding) * s->in_channels;
}

static void map_image(const convolution_shape *s, const row_kernels *rows, const channel_map *map,
                      const float *in, float *image) {
    memset(image, 0, padded_image(s) * sizeof(float));
    for (size_t y = 0; y < s->in_height; y++)
        rows->map(s->in_width, s->in_channels, map, in + y * s->in_width * s->in_channels,
                  interior_row(s, image, y));
}

static void forward(const forward_call *call) {
    const convolution_shape *s = call->shape;
    const row_kernels *rows = row_kernels_at(call->level);
    const depthwise_kernels *k = depthwise_kernels_at(call->level);
    float *workspace = call->workspace;
    size_t stride = floats_padded(s->out_channels), image_out = output_pixels(s) * s->out_channels;
    float *packed = take_floats(&workspace, weight_count(s));
    float *means = take_floats(&workspace, s->batch * stride),
          *m2s = take_floats(&workspace, s->batch * stride);
    size_t *rows_of = (size_t *)(void *)take_floats(&workspace, 2 * s->batch);
    pack_weights(s, call->weights, packed);
#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (size_t i = 0; i < s->batch; i++) {
        float *image = workspace + (size_t)omp_get_thread_num() * padded_image(s),
              *out = call->out + i * image_out;
        map_image(s, rows, &call->in->map, call->in->data + i * input_pixels(s) * s->in_channels, image);
        k->forward(s, image, packed, out);
        if (call->store) rows->map(output_pixels(s), s->out_channels, call->store, out, out);
        if (call->moments)
            rows->moments(output_pixels(s), s->out_channels, out, means + i * stride, m2s + i * stride);
    }
    if (!call->moments) return;
    for (size_t i = 0; i < s->batch; i++) rows_of[i] = output_pixels(s);
    moments_join(s->batch, rows_of, s->out_channels, stride, means, m2s, call->moments);
}

static void backward_image(const backward_call *call, size_t i, const float *packed, float *mine,
                           float *weight_part) {
    const convolution_shape *s = call->shape;
    const row_kernels *rows = row_kernels_at(call->level);
    size_t in_row = s->in_width * s->in_channels;
    float *image = take_floats(&mine, padded_image(s)), *image_delta = take_floats(&mine, padded_image(s));
    lazy_gradient dy = gradient_at(call->dy, i * output_pixels(s) * s->out_channels);
    rows->gradient(output_pixels(s), s->out_channels, &dy, mine, false);
    if (weight_part)
        map_image(s, rows, &call->in->map, call->in->data + i * input_pixels(s) * s->in_channels, image);
    if (call->in_delta) memset(image_delta, 0, padded_image(s) * sizeof(float));
    depthwise_kernels_at(call->level)
        ->backward(s, image, packed, mine, call->in_delta ? image_delta : NULL, weight_part);
    if (call->in_delta)
        for (size_t y = 0; y < s->in_height; y++)
            rows->scale_add(in_row, 1, interior_row(s, image_delta, y),
                            call->in_delta + (i * s->in_height + y) * in_row, call->accumulate);
}

static void backward(const backward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    size_t parts = parts_of(s), count = weight_count(s), stride = floats_padded(count),
           area = s->size * s->size;
    size_t private_floats = 2 * padded_image(s) + floats_padded(output_pixels(s) * s->out_channels);
    float *packed = take_floats(&workspace, count), *part = take_floats(&workspace, parts * stride);
    pack_weights(s, call->weights, packed);
#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (size_t i = 0; i < parts; i++) {
        float *mine = workspace + (size_t)omp_get_thread_num() * private_floats;
        float *weight_part = call->weight_delta ? part + i * stride : NULL;
        if (weight_part) memset(weight_part, 0, stride * sizeof(float));
        for (size_t image = s->batch * i / parts; image < s->batch * (i + 1) / parts; image++)
            backward_image(call, image, packed, mine, weight_part);
    }
    if (!call->weight_delta) return;
    memset(packed, 0, stride * sizeof(float));
    sum_parts(parts, stride, count, part, packed, call->threads);
    for (size_t c = 0; c < s->in_channels; c++)
        for (size_t k = 0; k < area; k++) call->weight_delta[c * area + k] += packed[k * s->in_channels + c];
}

const convolution_form convolution_depthwise = {fits, forward_bytes, backward_bytes, forward, backward};
