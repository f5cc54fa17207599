/* Naive counterparts of the kernels, in double precision and without threads, workspace or layout tricks:
 * what the tests compare with. Arguments as in kernels.h. */
#ifndef DARKNET_KERNELS_REFERENCE_H
#define DARKNET_KERNELS_REFERENCE_H

#include "kernels/kernels.h"

void reference_convolution_forward(const convolution_shape *s, const lazy_tensor *in, const float *weights,
                                   float *out, const channel_map *store, const channel_moments *moments);
void reference_convolution_backward(const convolution_shape *s, const lazy_tensor *in,
                                    const lazy_gradient *dy, const float *weights, float *in_delta,
                                    bool accumulate, float *weight_delta);
void reference_channel_moments(size_t pixels, size_t channels, const float *x,
                               const channel_moments *moments);
void reference_lazy_gradient_reduce(size_t pixels, size_t channels, const lazy_gradient *g,
                                    const float *center, float *sum_dz, float *sum_dz_x);
void reference_lazy_tensor_store(size_t pixels, size_t channels, const lazy_tensor *in, float *out);
void reference_lazy_gradient_store(size_t pixels, size_t channels, const lazy_gradient *g, float *out,
                                   bool accumulate);
void reference_lazy_tensor_add(size_t pixels, size_t channels, float alpha, const lazy_tensor *a, float beta,
                               const lazy_tensor *b, float *out);
void reference_maxpool_forward(const pool_shape *s, const lazy_tensor *in, float *out, uint32_t *index);
void reference_average_pool_forward(size_t batch, size_t pixels, size_t channels, const lazy_tensor *in,
                                    float *out);
void reference_softmax_rows(size_t rows, size_t columns, const float *in, float temperature, float *out);
void reference_matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                               size_t ldc);

#endif
