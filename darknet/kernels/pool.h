/* Pooling of one image, one thread: one table a level of instruction set (pool.isa.c). */
#ifndef DARKNET_KERNELS_POOL_H
#define DARKNET_KERNELS_POOL_H

#include "core/isa.h"
#include "kernels/kernels.h"

typedef struct pool_kernels {
    void (*max_image)(const pool_shape *s, const channel_map *map, const float *in, float *out,
                      uint32_t *index);
    void (*average_image)(size_t pixels, size_t channels, const channel_map *map, const float *in,
                          float *out);
} pool_kernels;

const pool_kernels *pool_kernels_at(isa_level level);

#endif
