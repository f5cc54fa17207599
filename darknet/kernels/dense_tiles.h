/* What the passes of a dense convolution share: their budget, the filling of tiles, products on them. */
#ifndef DARKNET_KERNELS_DENSE_TILES_H
#define DARKNET_KERNELS_DENSE_TILES_H

#include "kernels/dense_plan.h"

#define DENSE_MOST_CLASSES 16 /* strides up to 4 x 4; larger ones take the general form */

/* Tiles share the second-level cache with the weights; fewer pixels would leave the weights' loads unpaid. */
static const band_budget dense_budget = {.tile_bytes = 49152, .least_pixels = 32, .most_pixels = 256};

/* The kernels that pack and multiply over so many channels; tiles are filled by tile_kernels_at(level). */
const tile_kernels *dense_products(const convolution_shape *s, size_t depth_channels, isa_level level);

/* What shrink makes of a tile, in floats. */
static inline size_t shrunk_floats(const tile_geometry *g) {
    return floats_padded(tile_floats(g) / 2);
}

/* What pair makes of one: from block to block, and in all. */
static inline size_t pair_plane(const tile_geometry *g) {
    return floats_padded(g->plane / 2 + TILE_CHANNELS);
}
static inline size_t paired_floats(const tile_geometry *g) {
    return g->blocks * pair_plane(g);
}

/* What a tile is filled with: a mapped tensor or a gradient. */
typedef struct tile_source {
    const tile_kernels *kernels;
    const tile_geometry *geometry;
    size_t height, width, channels; /* of the tensor */
    const lazy_tensor *tensor;      /* or NULL */
    const lazy_gradient *gradient;
} tile_source;

/* Fills the tile whose row 0 is row first_y of an image, `rows` of them; zeros outside of the image. */
void fill_tile(const tile_source *f, size_t image, ptrdiff_t first_y, size_t rows, float *tile);

/* Rows times panels: small weights whole for every few rows, large ones a panel at a time. */
void run_product(const tile_kernels *k, const tile_product *p, size_t rows, size_t first_panel, size_t panels,
                 bool fresh);

size_t dense_backward_bytes(const convolution_shape *s, int threads);
void dense_backward(const backward_call *call);

#endif
