/* Tiles: the working form of dense convolutions. A tile holds some pixels of a tensor in blocks of 16
 * channels, tile[block][pixel][16], in cache; maps and gradients are applied once, on the way in. Two
 * products run on tiles: rows of pixels times a packed weight matrix (forward, input gradient), and the sum
 * over pixels of outer products (weight gradient). A kernel position is an offset of pixels in the tile, so k
 * x k convolutions are the same products over more blocks, and no columns are ever written out. One thread;
 * one table a level of instruction set (tile.isa.c). */
#ifndef DARKNET_KERNELS_TILE_H
#define DARKNET_KERNELS_TILE_H

#include "core/isa.h"
#include "kernels/kernels.h"

#define TILE_CHANNELS 16

/* Columns of the weight matrix, in panels: panel i holds panel_vectors(i) vectors of columns, all depth rows.
 */
typedef struct tile_weights {
    size_t depth, columns;
    const void *packed; /* weights_floats() */
} tile_weights;

/* What happens to the sums of a product. */
typedef enum tile_finish {
    TILE_STORE,      /* out = sum */
    TILE_ACCUMULATE, /* out += sum */
    TILE_MAP         /* out = activation(scale * sum + shift) */
} tile_finish;

/* Sums around a pivot, over everything a chunk of work sees: [columns, padded to whole blocks] each. */
typedef struct tile_moments {
    float *pivot, *sum, *square;
} tile_moments;

/* Sums over what a product leaves in out, seen as the delta of a lazy gradient; see gradient_sums. Added to.
 */
typedef struct tile_sums {
    const float *data; /* x: rows as in out */
    channel_map map;   /* an activation that is a clamp; arrays padded to whole blocks, as center is */
    const float *center;
    float *dz, *dz_x; /* [columns, padded to whole blocks] */
} tile_sums;

/* Tensors that the thread reads next, asked for into cache while a product runs: a product leaves memory
 * idle, and filling the next tile would wait for it. */
#define TILE_MOST_AHEAD 3
typedef struct tile_ahead {
    size_t count;
    const float *at[TILE_MOST_AHEAD];
    size_t row_floats[TILE_MOST_AHEAD]; /* of them, for each row of the product */
} tile_ahead;

typedef struct tile_product {
    const void *tile;      /* of values, or of what shrink made of them */
    const size_t *row_in;  /* [rows]: where each row's pixel stands in the tile, in values */
    size_t blocks;         /* the sum runs over `blocks` runs of at most 16 channels: */
    const size_t *offsets; /* [blocks]: where they stand relative to the pixel */
    const size_t *widths;  /* [blocks]: how many channels */
    tile_weights weights;  /* depth = sum of widths */
    float *out;
    const size_t *row_out; /* [rows]: where each row goes in out, in floats */
    tile_finish finish;
    bool stream;          /* write around the caches (not TILE_ACCUMULATE); see stream_fits */
    channel_map map;      /* TILE_MAP: its arrays are there, and padded to whole blocks */
    tile_moments moments; /* pivot NULL: none */
    tile_sums sums;       /* data NULL: none */
    tile_ahead ahead;
} tile_product;

/* Sum over pixels of dy (x) x, for `entries` blocks of 16 input channels and all output channels. Pixels come
 * in `runs` of `run_length` neighbours. */
typedef struct tile_outer {
    const void *rows;             /* the tile whose channels become rows of the result */
    size_t rows_plane, row_count; /* values from block to block; channels */
    size_t rows_step, rows_run;   /* values from pixel to pixel, from run to run */
    const void *columns;          /* the tile whose channels become columns */
    size_t columns_step, columns_run;
    size_t entries;
    const size_t *column_offsets; /* [entries]: where a block's first pixel stands in `columns` */
    const size_t *result_offsets; /* [entries]: where it goes in a row of the result */
    size_t runs, run_length;
    float *result; /* row i at result + i * result_row */
    size_t result_row;
    bool add; /* to what stands in result */
} tile_outer;

typedef struct tile_kernels {
    /* Pixels [0, pixels) of a mapped tensor into a tile. The map's arrays are there, and padded to whole
     * blocks. */
    void (*map)(size_t pixels, size_t channels, const channel_map *map, const float *in, float *tile,
                size_t plane);
    void (*gradient)(size_t pixels, size_t channels, const lazy_gradient *g, float *tile, size_t plane);
    size_t (*weights_floats)(size_t depth, size_t columns);
    size_t (*panels)(size_t columns);
    /* Packs one panel of w into its place in packed: element (k, n) of the weight matrix is
     * source[k_at[k] + n * column_step]. */
    void (*pack)(const tile_weights *w, size_t panel, const float *source, const size_t *k_at,
                 size_t column_step, void *packed);
    /* Rows [first, first + rows) times panels [first_panel, first_panel + panels). `fresh`: these are the
     * first rows that the moments see. */
    void (*product)(const tile_product *p, size_t first, size_t rows, size_t first_panel, size_t panels,
                    bool fresh);
    void (*outer)(const tile_outer *o);

    /* Kernels on bfloat16 alone: their product reads what `shrink` makes of a tile of `count` values (a
     * multiple of 16), and their outer product of one run of steps 16 what `pair` makes of two tiles. */
    void (*shrink)(const float *tile, size_t count, void *out);
    /* Pixels in pairs: out[block][(pixels + 1) / 2][16] of two bfloat16, the even pixel's in the low half. */
    void (*pair)(const float *tile, size_t plane, size_t blocks, size_t pixels, uint32_t *out,
                 size_t out_plane);
    void (*outer_pairs)(const tile_outer *o); /* planes, offsets and run_length in pairs */
} tile_kernels;

const tile_kernels *tile_kernels_at(isa_level level);
/* For products whose depth is even, on machines that have AVX512-BF16; else NULL. It fills no tiles. */
const tile_kernels *tile_kernels_with_bfloat16(void);

#endif
