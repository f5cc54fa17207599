/* Winograd's minimal filtering F(2x2, 3x3) (Lavin, Gray: Fast Algorithms for Convolutional Neural Networks,
 * CVPR 2016): 2x2 outputs d (*) g of a 3x3 kernel g from a 4x4 patch d of the input with 16 products instead
 * of 36,
 *     y = A^T [ (G g G^T) . (B^T d B) ] A,
 * where B^T has rows (1 0 -1 0) (0 1 1 0) (0 -1 1 0) (0 1 0 -1), G (1 0 0) (.5 .5 .5) (.5 -.5 .5) (0 0 1),
 * A^T (1 1 1 0) (0 1 -1 -1). Summed over channels, each of the 16 positions is a matrix product
 * [tiles][in] x [in][out]. The gradient of the input is the same with the kernel turned round, that of the
 * weights G^T [ sum over tiles of (A dy A^T) . (B^T d B) ] G. Channels come in blocks of 16, whole ones only.
 * One thread; one table a level of instruction set (winograd.isa.c). */
#ifndef DARKNET_KERNELS_WINOGRAD_H
#define DARKNET_KERNELS_WINOGRAD_H

#include "kernels/tile.h"

/* A tile of 2x2 outputs of a band. */
typedef struct winograd_place {
    size_t image; /* of the band */
    size_t patch; /* where its patch begins in that image's filled part, in floats */
    size_t pixel; /* its first output pixel, from the band's first */
    size_t y, x;  /* that pixel's place in its image, from the band's first row */
} winograd_place;

/* Patches to transform. */
typedef struct winograd_source {
    const float *filled; /* the band, each image's part filled as in tile.h, with one pixel around it */
    size_t image;        /* floats from image to image */
    size_t row;          /* floats from a row of pixels to the next */
    size_t plane;        /* floats from block to block */
    size_t blocks;
    const winograd_place *places;
    size_t tiles;
} winograd_source;

/* Transformed tiles times the transformed weights, and what becomes of the outputs. */
typedef struct winograd_product {
    const winograd_place *places;
    size_t tiles;
    size_t in_blocks;  /* of input channels */
    const float *from; /* made by input */
    const float *weights;
    size_t columns;        /* output channels */
    size_t first, vectors; /* the vectors of output channels to make */
    float *partial;        /* workspace: partial_floats(tiles) */
    float *out;            /* of the band's first pixel */
    size_t width, height;  /* pixels of an output row; rows from the band's first to its image's end */
    tile_finish finish;    /* and the others: as in a tile_product */
    bool stream, fresh;
    channel_map map;
    tile_moments moments;
    tile_sums sums;
    tile_ahead ahead; /* row_floats: for each pixel */
} winograd_product;

/* Sums over tiles of the products of one column of positions. */
typedef struct winograd_outer {
    const float *in, *out; /* made by input_column and output_column */
    size_t tiles, in_blocks, out_blocks;
    float *result; /* [4 positions][in][out] */
    bool add;      /* to what stands there */
} winograd_outer;

/* Element (k, n) of the matrix of kernels: source[k * depth_step + n * column_step], nine values. */
typedef struct winograd_weights {
    size_t depth, columns, depth_step, column_step;
    bool turned; /* by half a turn, for the gradient of the input */
} winograd_weights;

typedef struct winograd_kernels {
    size_t lanes; /* output channels of a vector */
    /* Floats of `tiles` transformed tiles of `channels` channels, and of one column of their positions. */
    size_t (*input_floats)(size_t tiles, size_t channels);
    size_t (*column_floats)(size_t tiles, size_t channels);
    size_t (*partial_floats)(size_t tiles);
    void (*input)(const winograd_source *s, float *to);
    /* One column of positions of B^T d B, and of A dy A^T. */
    void (*input_column)(const winograd_source *s, size_t column, float *to);
    void (*output_column)(const winograd_source *s, size_t column, float *to);
    /* G g G^T for one vector of columns; packed: WINOGRAD_POSITIONS * depth * columns. */
    void (*pack)(const winograd_weights *w, size_t vector, const float *source, float *packed);
    void (*product)(const winograd_product *p);
    void (*outer)(const winograd_outer *o);
    /* Adds G^T s G to the weights' gradient, for one input channel and all filters. sums: [16][in][out]. */
    void (*add_filters)(size_t in_channels, size_t out_channels, size_t channel, const float *sums,
                        float *weight_delta);
} winograd_kernels;

#define WINOGRAD_POSITIONS 16

const winograd_kernels *winograd_kernels_at(isa_level level);

#endif
