/* What Winograd's transforms (winograd_transform.isa.c) and products (winograd.isa.c) share. Transformed
 * tiles stand in groups, so that all that one step of a product reads has constant offsets: [group][column of
 * positions][block][row of positions][tile of the group][16 channels]; one column of positions alone has
 * [group][block][row of positions][tile of the group][16 channels]. Transformed weights: [vector of
 * columns][column of positions][depth][row of positions][lanes]. */
#ifndef DARKNET_KERNELS_WINOGRAD_LAYOUT_H
#define DARKNET_KERNELS_WINOGRAD_LAYOUT_H

#include "kernels/vector.h"
#include "kernels/winograd.h"

#if VECTOR_LANES == 16
#define GROUP 4 /* tiles; 4 * GROUP sums stay in registers */
#else
#define GROUP 2
#endif
#define CELL (4 * GROUP * TILE_CHANNELS) /* floats of a group, column and block */

#define UNROLL _Pragma("GCC unroll 16")

static inline size_t groups_of(size_t tiles) {
    return (tiles + GROUP - 1) / GROUP;
}

/* The transforms of winograd_kernels. */
void ISA_NAME(winograd_input)(const winograd_source *s, float *to);
void ISA_NAME(winograd_input_column)(const winograd_source *s, size_t column, float *to);
void ISA_NAME(winograd_output_column)(const winograd_source *s, size_t column, float *to);
void ISA_NAME(winograd_pack)(const winograd_weights *w, size_t vector, const float *source, float *packed);
void ISA_NAME(winograd_add_filters)(size_t in_channels, size_t out_channels, size_t channel,
                                    const float *sums, float *weight_delta);

#endif
