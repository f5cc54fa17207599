/* Convolutions: the choice of form, and what the forms share. */
#include "kernels/convolution.h"

const convolution_form *convolution_form_of(const convolution_shape *s) {
    static const convolution_form *const forms[] = {&convolution_reference, &convolution_depthwise,
                                                    &convolution_winograd, &convolution_dense};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (forms[i]->fits(s)) return forms[i];
    return &convolution_general;
}

size_t convolution_forward_workspace_bytes(const convolution_shape *s, int threads) {
    return convolution_form_of(s)->forward_bytes(s, threads);
}

size_t convolution_backward_workspace_bytes(const convolution_shape *s, int threads) {
    return convolution_form_of(s)->backward_bytes(s, threads);
}

void convolution_forward(const convolution_shape *s, const lazy_tensor *in, const float *weights, float *out,
                         const channel_map *store, const channel_moments *moments, void *workspace,
                         int threads) {
    convolution_form_of(s)->forward(&(forward_call){.shape = s,
                                                    .in = in,
                                                    .weights = weights,
                                                    .out = out,
                                                    .store = store,
                                                    .moments = moments,
                                                    .workspace = workspace,
                                                    .threads = threads,
                                                    .level = isa_best()});
}

size_t convolution_packed_bytes(const convolution_shape *s) {
    return convolution_form_of(s)->packed_bytes(s, isa_best());
}

void convolution_pack(const convolution_shape *s, const float *weights, void *packed) {
    convolution_form_of(s)->pack(s, weights, packed, isa_best());
}

void convolution_forward_packed(const convolution_shape *s, const lazy_tensor *in, const void *packed,
                                float *out, const channel_map *store, void *workspace, int threads) {
    convolution_form_of(s)->forward(&(forward_call){.shape = s,
                                                    .in = in,
                                                    .packed = packed,
                                                    .out = out,
                                                    .store = store,
                                                    .workspace = workspace,
                                                    .threads = threads,
                                                    .level = isa_best()});
}

void convolution_backward_sums(const convolution_shape *s, const lazy_tensor *in, const lazy_gradient *dy,
                               const float *weights, float *in_delta, bool accumulate, float *weight_delta,
                               const gradient_sums *sums, void *workspace, int threads) {
    convolution_form_of(s)->backward(&(backward_call){s, in, dy, weights, in_delta, accumulate, weight_delta,
                                                      in_delta ? sums : NULL, workspace, threads,
                                                      isa_best()});
}

void convolution_backward(const convolution_shape *s, const lazy_tensor *in, const lazy_gradient *dy,
                          const float *weights, float *in_delta, bool accumulate, float *weight_delta,
                          void *workspace, int threads) {
    convolution_backward_sums(s, in, dy, weights, in_delta, accumulate, weight_delta, NULL, workspace,
                              threads);
}

/* ---- shared by the forms ---- */

const float *pad_channels(const float *source, float fallback, size_t channels, float **workspace) {
    float *to = take_floats(workspace, channels);
    for (size_t i = 0; i < floats_padded(channels); i++)
        to[i] = source && i < channels ? source[i] : fallback;
    return to;
}

channel_map pad_map(const channel_map *m, size_t channels, float **workspace) {
    return (channel_map){.scale = pad_channels(m->scale, 1, channels, workspace),
                         .shift = pad_channels(m->shift, 0, channels, workspace),
                         .activation = m->activation};
}

lazy_gradient pad_gradient(const lazy_gradient *g, size_t channels, float **workspace) {
    lazy_gradient padded = *g;
    padded.map = pad_map(&g->map, channels, workspace);
    if (!g->a) return padded;
    padded.a = pad_channels(g->a, 1, channels, workspace);
    padded.b = pad_channels(g->b, 0, channels, workspace);
    padded.c = pad_channels(g->c, 0, channels, workspace);
    return padded;
}

void moments_of_items(size_t items, const size_t *rows, size_t channels, size_t stride, float *records,
                      const channel_moments *out) {
    for (size_t i = 0; i < items; i++) {
        const float *pivot = records + i * 5 * stride, *sum = pivot + stride, *square = sum + stride;
        float *mean = records + (i * 5 + 3) * stride, *m2 = mean + stride, n = (float)rows[i];
        for (size_t c = 0; c < channels; c++) {
            float spread = square[c] - sum[c] * (sum[c] / n);
            mean[c] = pivot[c] + sum[c] / n;
            m2[c] = spread < 0 ? 0 : spread;
        }
    }
    moments_join(items, rows, channels, 5 * stride, records + 3 * stride, records + 4 * stride, out);
}

void sums_of_parts(size_t parts, size_t channels, size_t stride, const float *records,
                   const gradient_sums *out) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, sum_x = 0;
        for (size_t i = 0; i < parts; i++) {
            sum += (double)records[2 * i * stride + c];
            sum_x += (double)records[(2 * i + 1) * stride + c];
        }
        out->sum_dz[c] = (float)sum;
        out->sum_dz_x[c] = (float)sum_x;
    }
}

void sum_parts(size_t parts, size_t stride, size_t count, const float *part, float *total, int threads) {
    const size_t block = 4096;
    const row_kernels *k = row_kernels_at(isa_best());
    size_t blocks = (count + block - 1) / block;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * block, length = count - first < block ? count - first : block;
        for (size_t i = 0; i < parts; i++)
            k->scale_add(length, 1, part + i * stride + first, total + first, true);
    }
}
