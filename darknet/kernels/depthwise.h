/* Depthwise convolution of a band of rows, one thread, a vector of channels at a time: the band's input (and,
 * backward, the gradient of its output) is mapped into a small padded tile in the first-level cache,
 * tile[pixel][lanes], and read from there by all kernel positions. One table a level of instruction set
 * (depthwise.isa.c, depthwise_backward.isa.c). */
#ifndef DARKNET_KERNELS_DEPTHWISE_H
#define DARKNET_KERNELS_DEPTHWISE_H

#include "kernels/dense_plan.h"

/* The largest kernel, size * size, whose weights the stack takes. */
#define DEPTHWISE_MOST_POSITIONS 256

/* Channel arrays here are padded to whole blocks of TILE_CHANNELS; weights are [size * size][padded
 * channels]. */
typedef struct depthwise_forward_job {
    const dense_plan *plan;
    size_t channels;
    size_t first_channel, last_channel; /* those of this job; from a multiple of TILE_CHANNELS on */
    dense_band band;
    lazy_tensor in;
    const float *weights;
    float *out;
    const channel_map *store; /* or NULL */
    tile_moments moments;     /* pivot NULL: none */
    bool fresh;               /* the first band that these moments see */
    bool stream;              /* write around the caches; see stream_fits */
    float *tile;
} depthwise_forward_job;

/* The input pixels of one residue of y and x modulo the strides, and the kernel positions that reach them. */
typedef struct depthwise_class {
    size_t y, x;
    size_t positions;
    size_t *position; /* [positions] */
    size_t *offset;   /* [positions]: pixels in the tile of dy, for the band's first such input pixel */
} depthwise_class;

typedef struct depthwise_backward_job {
    const dense_plan *plan;
    size_t channels;
    dense_band band;
    lazy_tensor in;
    lazy_gradient dy;
    const float *weights;
    const depthwise_class *classes;
    size_t class_count;
    float *in_delta; /* or NULL */
    bool accumulate, stream;
    float *weight_part; /* or NULL */
    bool add;           /* to weight_part, and to the sums */
    const float *center;
    float *sum_dz, *sum_dz_x; /* of in_delta, or NULL */
    float *in_tile, *out_tile;
} depthwise_backward_job;

typedef struct depthwise_kernels {
    void (*forward)(const depthwise_forward_job *job);
    void (*backward)(const depthwise_backward_job *job);
} depthwise_kernels;

const depthwise_kernels *depthwise_kernels_at(isa_level level);

#endif
