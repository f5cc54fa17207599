/* The forms of a convolution, behind convolution_forward and convolution_backward. Each form has the same
 * three functions; convolution.c chooses. */
#ifndef DARKNET_KERNELS_CONVOLUTION_H
#define DARKNET_KERNELS_CONVOLUTION_H

#include "core/isa.h"
#include "core/memory.h"
#include "kernels/kernels.h"
#include "kernels/rows.h"

/* The arguments of one call. */
typedef struct forward_call {
    const convolution_shape *shape;
    const lazy_tensor *in;
    const float *weights;
    const void *packed; /* made by the form's pack, or NULL */
    float *out;
    const channel_map *store;
    const channel_moments *moments;
    void *workspace;
    int threads;
    isa_level level;
} forward_call;

typedef struct backward_call {
    const convolution_shape *shape;
    const lazy_tensor *in;
    const lazy_gradient *dy;
    const float *weights;
    float *in_delta;
    bool accumulate;
    float *weight_delta;
    const gradient_sums *sums;
    void *workspace;
    int threads;
    isa_level level;
} backward_call;

typedef struct convolution_form {
    bool (*fits)(const convolution_shape *s);
    size_t (*forward_bytes)(const convolution_shape *s, int threads);
    size_t (*backward_bytes)(const convolution_shape *s, int threads);
    size_t (*packed_bytes)(const convolution_shape *s, isa_level level);
    void (*pack)(const convolution_shape *s, const float *weights, void *packed, isa_level level);
    void (*forward)(const forward_call *call);
    void (*backward)(const backward_call *call);
} convolution_form;

extern const convolution_form convolution_reference; /* naive, when the environment asks for it */
extern const convolution_form convolution_general;   /* any shape: columns and matrix products */
extern const convolution_form convolution_winograd;  /* 3x3, one group, whole blocks of channels */
extern const convolution_form convolution_dense;     /* one group, on tiles */
extern const convolution_form convolution_depthwise; /* one input and one output channel a group */

/* The form that takes this shape. */
const convolution_form *convolution_form_of(const convolution_shape *s);

static inline size_t input_pixels(const convolution_shape *s) {
    return s->in_height * s->in_width;
}
static inline size_t output_pixels(const convolution_shape *s) {
    return s->out_height * s->out_width;
}
static inline size_t weight_count(const convolution_shape *s) {
    return s->out_channels * (s->in_channels / s->groups) * s->size * s->size;
}

static inline size_t size_ceil_divide(size_t a, size_t b) {
    return (a + b - 1) / b;
}
static inline size_t size_smaller(size_t a, size_t b) {
    return a < b ? a : b;
}
static inline size_t size_larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Whether the sums that the layer before wants can be gathered from the registers that hold its gradient:
 * activations whose slope costs no more than a comparison. */
static inline bool sums_fit_product(const backward_call *call) {
    activation_kind kind = call->in->map.activation;
    return call->sums && (kind == ACTIVATION_LINEAR || kind == ACTIVATION_RELU || kind == ACTIVATION_RELU6);
}

/* Cuts workspace into 64-byte aligned arrays. */
static inline size_t floats_padded(size_t count) {
    return size_round_up(count, 16);
}
static inline float *take_floats(float **workspace, size_t count) {
    float *taken = *workspace;
    *workspace += floats_padded(count);
    return taken;
}

/* dy shifted by `offset` values. */
static inline lazy_gradient gradient_at(const lazy_gradient *g, size_t offset) {
    lazy_gradient part = *g;
    part.delta += offset;
    if (part.data) part.data += offset;
    return part;
}

/* Whether an array [pixels][channels] is worth writing around the caches (it would not stay in them) and can
 * be (every row begins on a cache line). */
static inline bool stream_fits(const float *array, size_t pixels, size_t channels) {
    const size_t least_bytes = (size_t)4 << 20;
    return channels % 16 == 0 && (uintptr_t)array % 64 == 0 &&
           pixels * channels * sizeof(float) >= least_bytes;
}

/* Maps and gradients with every channel array there (1 for a missing scale or a, 0 for the others), padded to
 * whole blocks of 16 channels, in workspace. */
static inline size_t padded_map_floats(size_t channels) {
    return 2 * floats_padded(channels);
}
static inline size_t padded_gradient_floats(size_t channels) {
    return 5 * floats_padded(channels);
}
const float *pad_channels(const float *source, float fallback, size_t channels, float **workspace);
channel_map pad_map(const channel_map *m, size_t channels, float **workspace);
lazy_gradient pad_gradient(const lazy_gradient *g, size_t channels, float **workspace);

/* Turns sums around a pivot, [items][5][stride]: pivot, sum, square, mean, m2, into the moments of all items.
 */
void moments_of_items(size_t items, const size_t *rows, size_t channels, size_t stride, float *records,
                      const channel_moments *out);

/* sum_dz and sum_dz_x from parts, [parts][2][stride], added in double precision. */
void sums_of_parts(size_t parts, size_t channels, size_t stride, const float *records,
                   const gradient_sums *out);

/* total[i] += sum over parts, in their order; parts are `stride` floats apart. */
void sum_parts(size_t parts, size_t stride, size_t count, const float *part, float *total, int threads);

#endif
