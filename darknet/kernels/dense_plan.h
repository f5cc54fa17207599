/* How a dense convolution is cut: bands of output rows, the tiles they need, the lists of offsets that turn
 * kernel positions into runs of 16 channels. All of it depends on the shape alone. */
#ifndef DARKNET_KERNELS_DENSE_PLAN_H
#define DARKNET_KERNELS_DENSE_PLAN_H

#include "kernels/convolution.h"
#include "kernels/tile.h"

/* A tile of `height` x `width` pixels; its first pixel is (first_y, first_x) of the tensor, relative to the
 * band. */
typedef struct tile_geometry {
    ptrdiff_t first_y, first_x;
    size_t height, width, blocks, plane; /* plane: floats from block to block */
} tile_geometry;

/* Sets the extent; blocks of a pixel do not share cache sets. */
void tile_geometry_set(tile_geometry *g, size_t height, size_t width, size_t blocks);

typedef struct dense_plan {
    convolution_shape s; /* a plain 1x1 convolution becomes one tall image */
    size_t area, in_blocks, out_blocks;
    size_t band_rows, bands_per_image, bands; /* in output rows */
    tile_geometry in, out;                    /* out's halo serves the input gradient */
    size_t most_in_rows;                      /* input rows of the largest band */
    size_t items;                             /* runs of bands that share a record of moments */
    size_t parts;                             /* runs of bands that share a weight gradient */
} dense_plan;

/* Output rows [first, last) of an image and the input rows [in_first, in_last) whose gradient the band owns.
 */
typedef struct dense_band {
    size_t image, first, last, in_first, in_last;
} dense_band;

/* How large a band may be: bytes of its tiles (without halo), pixels. */
typedef struct band_budget {
    size_t tile_bytes, least_pixels, most_pixels;
} band_budget;

dense_plan dense_plan_of(const convolution_shape *s, const band_budget *budget, bool backward);
/* For sizes of memory: as large as the plan of this batch or of any smaller one. */
dense_plan dense_plan_largest(const convolution_shape *s, const band_budget *budget, bool backward);
dense_band dense_band_at(const dense_plan *p, size_t index);

/* How far kernel position k moves an output index that reaches input indices of residue r (mod stride):
 * (r + padding - k * dilation) / stride; false when it does not reach them. */
bool dense_reach(const convolution_shape *s, size_t residue, size_t k, size_t stride, ptrdiff_t *offset);

static inline size_t tile_floats(const tile_geometry *g) {
    return g->blocks * g->plane;
}

/* Lists for the forward product: rows are output pixels of a band, runs are (kernel y, kernel x, block). */
typedef struct dense_lists {
    size_t blocks, depth, rows;
    size_t *offsets, *widths; /* [blocks] */
    size_t *weight_at; /* [depth]: where a depth step's weights stand in Darknet's array, for column 0 */
    size_t *row_in, *row_out; /* [rows] */
} dense_lists;

size_t dense_lists_floats(size_t blocks, size_t depth, size_t rows);
size_t dense_forward_list_floats(const dense_plan *p);
void dense_forward_lists(const dense_plan *p, dense_lists *l, float **workspace);
/* A plain 1x1 convolution can also read the tensor itself in place of a tile: lists for that. */
bool dense_is_plain(const convolution_shape *s);
void dense_direct_lists(const dense_plan *p, dense_lists *l, float **workspace);

/* Lists for the input gradient of the input pixels with y % stride_y = residue_y, x % stride_x = residue_x:
 * rows are these pixels of a band, runs are (kernel positions that reach them, block). */
size_t dense_backward_list_floats(const dense_plan *p);
void dense_backward_lists(const dense_plan *p, size_t residue_y, size_t residue_x, dense_lists *l,
                          float **workspace);
/* How many of the list's rows a band has. */
size_t dense_backward_rows(const dense_plan *p, const dense_band *b, size_t residue_y, size_t residue_x);

#endif
