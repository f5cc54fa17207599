/* Naive kernels: each formula of kernels.h as it stands there, in double precision. See reference.h. */
#include "kernels/reference.h"

#include "core/memory.h"

#include <float.h>
#include <math.h>

static double mapped(const channel_map *map, size_t c, float x) {
    double z =
        (map->scale ? (double)map->scale[c] : 1) * (double)x + (map->shift ? (double)map->shift[c] : 0);
    return map->activation == ACTIVATION_LINEAR ? z : (double)activation_value(map->activation, (float)z);
}

static double gradient_dz(const lazy_gradient *g, size_t channels, size_t i) {
    size_t c = i % channels;
    if (g->map.activation == ACTIVATION_LINEAR) return (double)g->delta[i];
    channel_map affine = {g->map.scale, g->map.shift, ACTIVATION_LINEAR};
    return (double)g->delta[i] *
           (double)activation_derivative(g->map.activation, (float)mapped(&affine, c, g->data[i]));
}

static double gradient_dx(const lazy_gradient *g, size_t channels, size_t i) {
    size_t c = i % channels;
    double dz = gradient_dz(g, channels, i);
    return g->a ? (double)g->a[c] * dz + (double)g->b[c] * (double)g->data[i] + (double)g->c[c] : dz;
}

/* Index of the input value under output pixel (y, x), kernel position (ky, kx); false in the padding. */
static bool input_index(const convolution_shape *s, size_t image, size_t y, size_t x, size_t ky, size_t kx,
                        size_t c, size_t *index) {
    size_t row = y * s->stride_y + ky * s->dilation, column = x * s->stride_x + kx * s->dilation;
    if (row < s->padding || column < s->padding) return false;
    row -= s->padding;
    column -= s->padding;
    if (row >= s->in_height || column >= s->in_width) return false;
    *index = ((image * s->in_height + row) * s->in_width + column) * s->in_channels + c;
    return true;
}

/* The mapped input, all of it; NULL when out of memory. */
static double *mapped_input(const convolution_shape *s, const lazy_tensor *in) {
    size_t values = s->batch * s->in_height * s->in_width * s->in_channels;
    double *x = memory_allocate(values, sizeof(double));
    for (size_t i = 0; x && i < values; i++) x[i] = mapped(&in->map, i % s->in_channels, in->data[i]);
    return x;
}

static double convolution_sum(const convolution_shape *s, const double *in, const float *weights,
                              size_t image, size_t y, size_t x, size_t f) {
    size_t channels = s->in_channels / s->groups, group = f / (s->out_channels / s->groups), index;
    double sum = 0;
    for (size_t c = 0; c < channels; c++)
        for (size_t ky = 0; ky < s->size; ky++)
            for (size_t kx = 0; kx < s->size; kx++)
                if (input_index(s, image, y, x, ky, kx, group * channels + c, &index))
                    sum += in[index] * (double)weights[((f * channels + c) * s->size + ky) * s->size + kx];
    return sum;
}

void reference_convolution_forward(const convolution_shape *s, const lazy_tensor *in, const float *weights,
                                   float *out, const channel_map *store, const channel_moments *moments) {
    size_t pixels = s->batch * s->out_height * s->out_width;
    double *input = mapped_input(s, in);
    for (size_t p = 0; input && p < pixels; p++)
        for (size_t f = 0; f < s->out_channels; f++) {
            size_t x = p % s->out_width, y = p / s->out_width % s->out_height;
            float sum = (float)convolution_sum(s, input, weights, p / s->out_width / s->out_height, y, x, f);
            out[p * s->out_channels + f] = store ? (float)mapped(store, f, sum) : sum;
        }
    memory_free(input);
    if (moments) reference_channel_moments(pixels, s->out_channels, out, moments);
}

/* Adds what one output value sends back to the weights and to the input. */
static void send_back(const convolution_shape *s, const double *in, double d, const float *weights, size_t p,
                      size_t f, double *in_delta, double *weight_delta) {
    size_t channels = s->in_channels / s->groups, group = f / (s->out_channels / s->groups), index;
    size_t x = p % s->out_width, y = p / s->out_width % s->out_height,
           image = p / s->out_width / s->out_height;
    for (size_t c = 0; c < channels; c++)
        for (size_t ky = 0; ky < s->size; ky++)
            for (size_t kx = 0; kx < s->size; kx++) {
                size_t w = ((f * channels + c) * s->size + ky) * s->size + kx;
                if (!input_index(s, image, y, x, ky, kx, group * channels + c, &index)) continue;
                in_delta[index] += d * (double)weights[w];
                weight_delta[w] += d * in[index];
            }
}

void reference_convolution_backward(const convolution_shape *s, const lazy_tensor *in,
                                    const lazy_gradient *dy, const float *weights, float *in_delta,
                                    bool accumulate, float *weight_delta) {
    size_t outputs = s->batch * s->out_height * s->out_width * s->out_channels;
    size_t values = s->batch * s->in_height * s->in_width * s->in_channels;
    size_t weight_values = s->out_channels * (s->in_channels / s->groups) * s->size * s->size;
    double *in_sum = memory_allocate_zeroed(values, sizeof(double)), *input = mapped_input(s, in);
    double *weight_sum = memory_allocate_zeroed(weight_values, sizeof(double));
    if (in_sum && weight_sum && input) {
        for (size_t o = 0; o < outputs; o++)
            send_back(s, input, gradient_dx(dy, s->out_channels, o), weights, o / s->out_channels,
                      o % s->out_channels, in_sum, weight_sum);
        for (size_t i = 0; in_delta && i < values; i++)
            in_delta[i] = (float)(in_sum[i] + (accumulate ? (double)in_delta[i] : 0));
        for (size_t i = 0; weight_delta && i < weight_values; i++)
            weight_delta[i] = (float)((double)weight_delta[i] + weight_sum[i]);
    }
    memory_free(in_sum);
    memory_free(weight_sum);
    memory_free(input);
}

void reference_channel_moments(size_t pixels, size_t channels, const float *x,
                               const channel_moments *moments) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, square = 0;
        for (size_t p = 0; p < pixels; p++) sum += (double)x[p * channels + c];
        for (size_t p = 0; p < pixels; p++) {
            double d = (double)x[p * channels + c] - sum / (double)pixels;
            square += d * d;
        }
        moments->mean[c] = (float)(sum / (double)pixels);
        moments->m2[c] = (float)square;
    }
}

void reference_lazy_gradient_reduce(size_t pixels, size_t channels, const lazy_gradient *g,
                                    const float *center, float *sum_dz, float *sum_dz_x) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, sum_x = 0;
        for (size_t p = 0; p < pixels; p++) {
            double dz = gradient_dz(g, channels, p * channels + c);
            sum += dz;
            if (sum_dz_x)
                sum_x += dz * ((double)g->data[p * channels + c] - (center ? (double)center[c] : 0));
        }
        sum_dz[c] = (float)sum;
        if (sum_dz_x) sum_dz_x[c] = (float)sum_x;
    }
}

void reference_lazy_tensor_store(size_t pixels, size_t channels, const lazy_tensor *in, float *out) {
    for (size_t i = 0; i < pixels * channels; i++)
        out[i] = (float)mapped(&in->map, i % channels, in->data[i]);
}

void reference_lazy_gradient_store(size_t pixels, size_t channels, const lazy_gradient *g, float *out,
                                   bool accumulate) {
    for (size_t i = 0; i < pixels * channels; i++)
        out[i] = (float)(gradient_dx(g, channels, i) + (accumulate ? (double)out[i] : 0));
}

void reference_lazy_tensor_add(size_t pixels, size_t channels, float alpha, const lazy_tensor *a, float beta,
                               const lazy_tensor *b, float *out) {
    for (size_t i = 0; i < pixels * channels; i++)
        out[i] = (float)((double)alpha * mapped(&a->map, i % channels, a->data[i]) +
                         (double)beta * mapped(&b->map, i % channels, b->data[i]));
}

void reference_maxpool_forward(const pool_shape *s, const lazy_tensor *in, float *out, uint32_t *index) {
    size_t cells = s->batch * s->out_height * s->out_width, before = s->padding / 2;
    for (size_t o = 0; o < cells * s->channels; o++) {
        size_t c = o % s->channels, x = o / s->channels % s->out_width,
               y = o / s->channels / s->out_width % s->out_height;
        size_t image = o / s->channels / s->out_width / s->out_height;
        out[o] = -FLT_MAX;
        index[o] = UINT32_MAX;
        for (size_t row = y * s->stride; row < y * s->stride + s->size; row++)
            for (size_t column = x * s->stride; column < x * s->stride + s->size; column++) {
                if (row < before || column < before || row - before >= s->in_height ||
                    column - before >= s->in_width)
                    continue;
                size_t cell = (row - before) * s->in_width + column - before;
                float v = (float)mapped(
                    &in->map, c, in->data[(image * s->in_height * s->in_width + cell) * s->channels + c]);
                if (v > out[o] || isnan(v)) {
                    out[o] = v;
                    index[o] = (uint32_t)cell;
                }
            }
    }
}

void reference_average_pool_forward(size_t batch, size_t pixels, size_t channels, const lazy_tensor *in,
                                    float *out) {
    for (size_t i = 0; i < batch; i++)
        for (size_t c = 0; c < channels; c++) {
            double sum = 0;
            for (size_t p = 0; p < pixels; p++)
                sum += mapped(&in->map, c, in->data[(i * pixels + p) * channels + c]);
            out[i * channels + c] = (float)(sum / (double)pixels);
        }
}

void reference_softmax_rows(size_t rows, size_t columns, const float *in, float temperature, float *out) {
    for (size_t r = 0; r < rows; r++) {
        const float *row = in + r * columns;
        double largest = -INFINITY, sum = 0;
        for (size_t i = 0; i < columns; i++) largest = fmax(largest, (double)row[i]);
        for (size_t i = 0; i < columns; i++) sum += exp(((double)row[i] - largest) / (double)temperature);
        for (size_t i = 0; i < columns; i++)
            out[r * columns + i] = (float)(exp(((double)row[i] - largest) / (double)temperature) / sum);
    }
}

void reference_matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                               size_t ldc) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (double)a[transpose_a ? l * lda + i : i * lda + l] *
                       (double)b[transpose_b ? j * ldb + l : l * ldb + j];
            c[i * ldc + j] =
                (float)((double)alpha * sum + (beta == 0 ? 0 : (double)beta * (double)c[i * ldc + j]));
        }
}
