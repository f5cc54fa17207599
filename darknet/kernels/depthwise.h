/* Depthwise convolution of one image, one thread: one table a level of instruction set (depthwise.isa.c). */
#ifndef DARKNET_KERNELS_DEPTHWISE_H
#define DARKNET_KERNELS_DEPTHWISE_H

#include "core/isa.h"
#include "kernels/kernels.h"

typedef struct depthwise_kernels {
    /* image: [in_height + 2 padding][in_width + 2 padding][channels], mapped and zero padded; weights: [size
     * * size][channels] */
    void (*forward)(const convolution_shape *s, const float *image, const float *weights, float *out);
    /* The same layouts; dy [out pixels][channels]. image_delta and weight_delta are added to, either may be
     * NULL. */
    void (*backward)(const convolution_shape *s, const float *image, const float *weights, const float *dy,
                     float *image_delta, float *weight_delta);
} depthwise_kernels;

const depthwise_kernels *depthwise_kernels_at(isa_level level);

#endif
