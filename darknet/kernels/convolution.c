/* Convolutions: the choice of form, and what the forms share. */
#include "kernels/convolution.h"

const convolution_form *convolution_form_of(const convolution_shape *s) {
    static const convolution_form *const forms[] = {&convolution_depthwise, &convolution_dense};
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
    convolution_form_of(s)->forward(
        &(forward_call){s, in, weights, out, store, moments, workspace, threads, isa_best()});
}

void convolution_backward(const convolution_shape *s, const lazy_tensor *in, const lazy_gradient *dy,
                          const float *weights, float *in_delta, bool accumulate, float *weight_delta,
                          void *workspace, int threads) {
    convolution_form_of(s)->backward(&(backward_call){s, in, dy, weights, in_delta, accumulate, weight_delta,
                                                      workspace, threads, isa_best()});
}

void sum_parts(size_t parts, size_t stride, size_t count, const float *part, float *total, int threads) {
    const size_t block = 4096;
    const row_kernels *k = row_kernels_at(isa_best());
    size_t blocks = (count + block - 1) / block;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * block, length = count - first < block ? count - first : block;
        for (size_t i = 0; i < parts; i++)
            k->scale_add(length, 1, part + i * stride + first, total + first, true);
    }
}
