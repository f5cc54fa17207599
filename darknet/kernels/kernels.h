/* Kernels: stateless numeric code on raw pointers. No layers, no files, no global state.
 *
 * Memory layout: activations are channels-last, [batch][height][width][channels] float32 (a "pixel" is one
 * (batch, y, x) position: a row of `channels` floats). Weights keep Darknet's layout
 * [filters][channels / groups][size][size] and are packed inside the kernels.
 *
 * Lazy tensors: batch normalisation and activations are never passes of their own. A convolution leaves its
 * raw sums; whoever reads them applies y = activation(scale[c] * x + shift[c]) on the way in. The backward
 * pass mirrors it with lazy_gradient.
 *
 * Results never depend on the number of threads: work is cut into chunks whose borders depend on the shape
 * alone, and partial sums are added in the order of the chunks.
 *
 * Every fast kernel has a naive counterpart, reference_*, in reference.h; tests compare the two.
 * Workspace: functions that need scratch memory take a pointer to at least *_workspace_bytes() bytes, 64-byte
 * aligned. */
#ifndef DARKNET_KERNELS_KERNELS_H
#define DARKNET_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum activation_kind {
    ACTIVATION_LINEAR,
    ACTIVATION_RELU,
    ACTIVATION_RELU6,
    ACTIVATION_LEAKY,
    ACTIVATION_LOGISTIC,
    ACTIVATION_TANH,
    ACTIVATION_SWISH,
    ACTIVATION_MISH,
    ACTIVATION_ELU,
    ACTIVATION_SELU,
    ACTIVATION_RELIE,
    ACTIVATION_RAMP,
    ACTIVATION_PLSE,
    ACTIVATION_STAIR,
    ACTIVATION_HARDTAN,
    ACTIVATION_LHTAN,
    ACTIVATION_LOGGY,
    ACTIVATION_HARD_MISH,
    ACTIVATION_GELU,
    ACTIVATION_COUNT
} activation_kind;

/* cfg name <-> kind; activation_from_name returns ACTIVATION_COUNT for an unknown name. */
const char *activation_name(activation_kind kind);
activation_kind activation_from_name(const char *name);

/* One value; the derivative is taken at z, the input of the activation. Scalar references for everything
 * below. */
float activation_value(activation_kind kind, float z);
float activation_derivative(activation_kind kind, float z);

/* out[i] = activation(z[i]) (in place allowed); gradient: delta[i] *= activation'(z[i]). */
void activation_forward_array(activation_kind kind, const float *z, float *out, size_t count, int threads);
void activation_backward_array(activation_kind kind, const float *z, float *delta, size_t count, int threads);

/* The map y = activation(scale[c] * x + shift[c]). scale NULL means 1, shift NULL means 0. */
typedef struct channel_map {
    const float *scale; /* [channels] or NULL */
    const float *shift; /* [channels] or NULL */
    activation_kind activation;
} channel_map;

/* A tensor seen through a map that the reader applies. */
typedef struct lazy_tensor {
    const float *data; /* [pixels][channels] */
    channel_map map;
} lazy_tensor;

/* The gradient of a convolution's raw sums x, from the gradient `delta` of y = activation(scale * x + shift):
 *   dz = delta * activation'(scale[c] * x + shift[c])        (dz = delta when the activation is linear)
 *   dx = a[c] * dz + b[c] * x + c[c]                         (dx = dz when a is NULL)
 * The a, b, c form carries the whole backward pass of a batch normalisation. */
typedef struct lazy_gradient {
    const float *delta; /* [pixels][channels] */
    const float *data;  /* x, [pixels][channels]; may be NULL when the activation is linear and a is NULL */
    channel_map map;
    const float *a, *b, *c; /* [channels] each, or all NULL */
} lazy_gradient;

/* Per-channel moments of a tensor, gathered while it is written: mean[c] and m2[c] = sum over pixels of (x -
 * mean)^2. Combined over chunks in double precision, in a fixed order. */
typedef struct channel_moments {
    float *mean; /* [channels] */
    float *m2;   /* [channels] */
} channel_moments;

/* ---- convolution (any groups; 1x1, depthwise and general forms are chosen inside) ---- */
typedef struct convolution_shape {
    size_t batch;
    size_t in_height, in_width, in_channels;
    size_t out_height, out_width, out_channels;
    size_t size; /* the kernel is size x size */
    size_t stride_y, stride_x;
    size_t padding; /* zero pixels (of the mapped input) around the image */
    size_t dilation;
    size_t groups;
    bool bfloat16; /* operands of products may be rounded to bfloat16: see bfloat16_is_there */
} convolution_shape;

/* Whether this machine multiplies bfloat16 (AVX512-BF16). Then convolutions of one group, but those in
 * Winograd's form, whose shape allows it round the mapped input, the weights and the gradient of the raw sums
 * to bfloat16 where they are multiplied, and add in float32: products whose depth in channels is even, and
 * the weight gradient of 1x1 convolutions of stride 1. */
bool bfloat16_is_there(void);

size_t convolution_forward_workspace_bytes(const convolution_shape *s, int threads);
size_t convolution_backward_workspace_bytes(const convolution_shape *s, int threads);

/* out[pixels][out_channels] = in (mapped, zero padded) * weights, then `store` applied when it is not NULL.
 * moments, when not NULL, receives the moments of the raw sums over all batch * out_height * out_width pixels
 * (store must then be NULL). */
void convolution_forward(const convolution_shape *s, const lazy_tensor *in, const float *weights, float *out,
                         const channel_map *store, const channel_moments *moments, void *workspace,
                         int threads);

/* Weights in the form that a convolution reads, made once for many passes with the same weights. The form is
 * that of the machine's best instruction set. packed: convolution_packed_bytes(), 64-byte aligned. */
size_t convolution_packed_bytes(const convolution_shape *s);
void convolution_pack(const convolution_shape *s, const float *weights, void *packed);

/* convolution_forward with packed weights; the batch may differ from that of packing. Same workspace. */
void convolution_forward_packed(const convolution_shape *s, const lazy_tensor *in, const void *packed,
                                float *out, const channel_map *store, void *workspace, int threads);

/* Given the gradient of the raw sums: in_delta (gradient of the *mapped* input, [in pixels][in_channels];
 * NULL to leave it out) is overwritten, or added to when `accumulate`; weight_delta, in Darknet's layout, is
 * added to (NULL to leave it out). in_delta must not overlap dy's arrays. */
void convolution_backward(const convolution_shape *s, const lazy_tensor *in, const lazy_gradient *dy,
                          const float *weights, float *in_delta, bool accumulate, float *weight_delta,
                          void *workspace, int threads);

/* The sums that lazy_gradient_reduce would make of the tensor that a convolution reads, seen as the lazy
 * gradient {in_delta, in->data, in->map}: gathered while in_delta is written, which saves a pass over both.
 * in_delta must be final with this call. */
typedef struct gradient_sums {
    const float *center;      /* [in_channels]; NULL: zeros */
    float *sum_dz, *sum_dz_x; /* [in_channels], overwritten */
} gradient_sums;

/* convolution_backward that also makes these sums; sums NULL, or in_delta NULL, leaves them out. Same
 * workspace. */
void convolution_backward_sums(const convolution_shape *s, const lazy_tensor *in, const lazy_gradient *dy,
                               const float *weights, float *in_delta, bool accumulate, float *weight_delta,
                               const gradient_sums *sums, void *workspace, int threads);

/* ---- per-channel passes over [pixels][channels] ---- */
size_t channel_reduce_workspace_bytes(size_t pixels, size_t channels);

/* Moments of a tensor as it stands. */
void channel_moments_compute(size_t pixels, size_t channels, const float *x, const channel_moments *moments,
                             void *workspace, int threads);

/* sum_dz[c] = sum of dz; sum_dz_x[c] = sum of dz * (x - center[c]) (NULL to leave it out). g->a, b, c are
 * ignored. */
void lazy_gradient_reduce(size_t pixels, size_t channels, const lazy_gradient *g, const float *center,
                          float *sum_dz, float *sum_dz_x, void *workspace, int threads);

/* out = the mapped tensor (in place allowed). */
void lazy_tensor_store(size_t pixels, size_t channels, const lazy_tensor *in, float *out, int threads);

/* out = dx of g (or += when accumulate). out may be g->delta. */
void lazy_gradient_store(size_t pixels, size_t channels, const lazy_gradient *g, float *out, bool accumulate,
                         int threads);

/* out = alpha * (mapped a) + beta * (mapped b). */
void lazy_tensor_add(size_t pixels, size_t channels, float alpha, const lazy_tensor *a, float beta,
                     const lazy_tensor *b, float *out, int threads);

/* y = (accumulate ? y : 0) + alpha * x */
void array_scale_add(size_t count, float alpha, const float *x, float *y, bool accumulate, int threads);

/* ---- pooling ---- */
typedef struct pool_shape {
    size_t batch, in_height, in_width, channels, out_height, out_width;
    size_t size, stride;
    size_t padding; /* Darknet's: the first window starts at -floor(padding / 2) */
} pool_shape;

/* Cells outside count as -FLT_MAX. index[out] = y * in_width + x of the winner (first on ties), UINT32_MAX
 * where every cell is outside; NULL to leave out. */
void maxpool_forward(const pool_shape *s, const lazy_tensor *in, float *out, uint32_t *index, int threads);
/* in_delta is overwritten, or added to when accumulate. */
void maxpool_backward(const pool_shape *s, const float *delta, const uint32_t *index, float *in_delta,
                      bool accumulate, int threads);

/* Global average: out[batch][channels]. */
void average_pool_forward(size_t batch, size_t pixels, size_t channels, const lazy_tensor *in, float *out,
                          int threads);
void average_pool_backward(size_t batch, size_t pixels, size_t channels, const float *delta, float *in_delta,
                           bool accumulate, int threads);

/* ---- layout at the boundary ---- */
void nchw_to_nhwc(size_t batch, size_t channels, size_t pixels, const float *in, float *out, int threads);
void nhwc_to_nchw(size_t batch, size_t channels, size_t pixels, const float *in, float *out, int threads);

/* ---- softmax over rows: out[r] = softmax(in[r] / temperature); stable. In place allowed. ---- */
void softmax_rows(size_t rows, size_t columns, const float *in, float temperature, float *out, int threads);

/* ---- C = alpha * op(A) * op(B) + beta * C, row-major; whole product on one thread unless threads > 1.
 * OpenBLAS. ---- */
void matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                     const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc,
                     int threads);

#endif
