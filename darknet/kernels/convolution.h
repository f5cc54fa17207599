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
    void *workspace;
    int threads;
    isa_level level;
} backward_call;

typedef struct convolution_form {
    bool (*fits)(const convolution_shape *s);
    size_t (*forward_bytes)(const convolution_shape *s, int threads);
    size_t (*backward_bytes)(const convolution_shape *s, int threads);
    void (*forward)(const forward_call *call);
    void (*backward)(const backward_call *call);
} convolution_form;

extern const convolution_form convolution_general;   /* any shape: columns and matrix products */
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

/* total[i] += sum over parts, in their order; parts are `stride` floats apart. */
void sum_parts(size_t parts, size_t stride, size_t count, const float *part, float *total, int threads);

#endif
