/* Cutting of dense convolutions, see dense_plan.h. */
#include "kernels/dense_plan.h"

#define MOST_PARTS 16
#define MOST_ITEMS 128
#define LEAST_ITEM_PIXELS 64 /* fewer make the joining of moments dear */

/* Floats from block to block: never a multiple of the caches' period, so that blocks of a pixel do not share
 * sets. */
static size_t plane_floats(size_t pixels) {
    return (pixels % 8 ? pixels : pixels + 1) * TILE_CHANNELS;
}

void tile_geometry_set(tile_geometry *g, size_t height, size_t width, size_t blocks) {
    g->height = height;
    g->width = width;
    g->blocks = blocks;
    g->plane = plane_floats(height * width);
}

bool dense_is_plain(const convolution_shape *s) {
    return s->size == 1 && s->stride_y == 1 && s->stride_x == 1 && s->padding == 0;
}

/* Rows that the budget allows. */
static size_t most_band_rows(const dense_plan *p, const band_budget *budget, bool backward) {
    const convolution_shape *s = &p->s;
    size_t blocks = p->in_blocks * s->stride_y * s->stride_x + (backward ? p->out_blocks : 0);
    size_t pixels = budget->tile_bytes / (TILE_CHANNELS * sizeof(float)) / blocks;
    pixels = size_larger(budget->least_pixels, size_smaller(budget->most_pixels, pixels));
    return size_smaller(size_larger(1, pixels / s->out_width), s->out_height);
}

bool dense_reach(const convolution_shape *s, size_t residue, size_t k, size_t stride, ptrdiff_t *offset) {
    ptrdiff_t at = (ptrdiff_t)(residue + s->padding) - (ptrdiff_t)(k * s->dilation);
    if (at % (ptrdiff_t)stride) return false;
    *offset = at / (ptrdiff_t)stride;
    return true;
}

/* First and last output index that the gradient of `count` indices (after division by the stride) and the
 * output itself, [0, outputs), need. */
static void out_range(const convolution_shape *s, size_t stride, size_t count, size_t outputs,
                      ptrdiff_t *first, ptrdiff_t *last) {
    ptrdiff_t offset;
    *first = 0;
    *last = (ptrdiff_t)outputs - 1;
    for (size_t r = 0; r < stride; r++)
        for (size_t k = 0; k < s->size; k++)
            if (dense_reach(s, r, k, stride, &offset)) {
                if (offset < *first) *first = offset;
                if ((ptrdiff_t)count - 1 + offset > *last) *last = (ptrdiff_t)count - 1 + offset;
            }
}

static dense_plan plan_of(const convolution_shape *shape, const band_budget *budget, bool backward,
                          bool even) {
    dense_plan p = {.s = *shape, .area = shape->size * shape->size};
    convolution_shape *s = &p.s;
    if (dense_is_plain(s)) {
        s->in_height *= s->batch;
        s->out_height *= s->batch;
        s->batch = 1;
    }
    p.in_blocks = size_ceil_divide(s->in_channels, TILE_CHANNELS);
    p.out_blocks = size_ceil_divide(s->out_channels, TILE_CHANNELS);
    p.band_rows = most_band_rows(&p, budget, backward);
    p.bands_per_image = size_ceil_divide(s->out_height, p.band_rows);
    if (even) p.band_rows = size_ceil_divide(s->out_height, p.bands_per_image);
    p.bands = s->batch * p.bands_per_image;
    p.parts = size_smaller(p.bands, MOST_PARTS);
    p.items = size_smaller(size_smaller(p.bands, MOST_ITEMS),
                           size_larger(1, s->batch * s->out_height * s->out_width / LEAST_ITEM_PIXELS));

    size_t kernel_reach = (s->size - 1) * s->dilation + 1;
    tile_geometry_set(&p.in, (p.band_rows - 1) * s->stride_y + kernel_reach, s->in_width + 2 * s->padding,
                      p.in_blocks);
    p.in.first_y = p.in.first_x = -(ptrdiff_t)s->padding;

    size_t owned = p.band_rows * s->stride_y, before = (p.bands_per_image - 1) * owned;
    p.most_in_rows =
        size_larger(size_smaller(owned, s->in_height), s->in_height > before ? s->in_height - before : 0);
    ptrdiff_t last_y, last_x;
    out_range(s, s->stride_y, size_ceil_divide(p.most_in_rows, s->stride_y), p.band_rows, &p.out.first_y,
              &last_y);
    out_range(s, s->stride_x, size_ceil_divide(s->in_width, s->stride_x), s->out_width, &p.out.first_x,
              &last_x);
    tile_geometry_set(&p.out, (size_t)(last_y - p.out.first_y + 1), (size_t)(last_x - p.out.first_x + 1),
                      p.out_blocks);
    return p;
}

dense_plan dense_plan_of(const convolution_shape *shape, const band_budget *budget, bool backward) {
    return plan_of(shape, budget, backward, true);
}

dense_plan dense_plan_largest(const convolution_shape *shape, const band_budget *budget, bool backward) {
    return plan_of(shape, budget, backward, false);
}

dense_band dense_band_at(const dense_plan *p, size_t index) {
    size_t i = index % p->bands_per_image, first = i * p->band_rows;
    bool last = i + 1 == p->bands_per_image;
    dense_band b = {.image = index / p->bands_per_image,
                    .first = first,
                    .last = size_smaller(first + p->band_rows, p->s.out_height),
                    .in_first = size_smaller(first * p->s.stride_y, p->s.in_height)};
    b.in_last = last ? p->s.in_height : size_smaller(b.last * p->s.stride_y, p->s.in_height);
    return b;
}

/* ---- lists ---- */

static size_t size_floats(size_t count) {
    return floats_padded(count * (sizeof(size_t) / sizeof(float)));
}

static size_t *take_sizes(float **workspace, size_t count) {
    return (size_t *)(void *)take_floats(workspace, size_floats(count));
}

size_t dense_lists_floats(size_t blocks, size_t depth, size_t rows) {
    return 2 * size_floats(blocks) + size_floats(depth) + 2 * size_floats(rows);
}

static void take_lists(dense_lists *l, size_t blocks, size_t depth, size_t rows, float **workspace) {
    *l = (dense_lists){.offsets = take_sizes(workspace, blocks),
                       .widths = take_sizes(workspace, blocks),
                       .weight_at = take_sizes(workspace, depth),
                       .row_in = take_sizes(workspace, rows),
                       .row_out = take_sizes(workspace, rows)};
}

/* All blocks of one kernel position: `offset` in the tile, `weight` where its first channel's weights stand.
 */
static void add_position(dense_lists *l, const tile_geometry *g, size_t channels, size_t offset,
                         size_t weight, size_t weight_step) {
    for (size_t block = 0; block < g->blocks; block++) {
        size_t first = block * TILE_CHANNELS, width = size_smaller(channels - first, TILE_CHANNELS);
        l->offsets[l->blocks] = block * g->plane + offset;
        l->widths[l->blocks++] = width;
        for (size_t c = first; c < first + width; c++) l->weight_at[l->depth++] = weight + c * weight_step;
    }
}

size_t dense_forward_list_floats(const dense_plan *p) {
    return dense_lists_floats(p->area * p->in_blocks, p->area * p->s.in_channels,
                              p->band_rows * p->s.out_width);
}

void dense_forward_lists(const dense_plan *p, dense_lists *l, float **workspace) {
    const convolution_shape *s = &p->s;
    take_lists(l, p->area * p->in_blocks, p->area * s->in_channels, p->band_rows * s->out_width, workspace);
    for (size_t k = 0; k < p->area; k++) {
        size_t pixel = (k / s->size * p->in.width + k % s->size) * s->dilation;
        add_position(l, &p->in, s->in_channels, pixel * TILE_CHANNELS, k, p->area);
    }
    for (size_t y = 0; y < p->band_rows; y++)
        for (size_t x = 0; x < s->out_width; x++) {
            l->row_in[l->rows] = (y * s->stride_y * p->in.width + x * s->stride_x) * TILE_CHANNELS;
            l->row_out[l->rows] = l->rows * s->out_channels;
            l->rows++;
        }
}

void dense_direct_lists(const dense_plan *p, dense_lists *l, float **workspace) {
    const convolution_shape *s = &p->s;
    take_lists(l, 1, s->in_channels, p->band_rows * s->out_width, workspace);
    l->blocks = 1;
    l->offsets[0] = 0;
    l->widths[0] = s->in_channels;
    for (; l->depth < s->in_channels; l->depth++) l->weight_at[l->depth] = l->depth;
    for (; l->rows < p->band_rows * s->out_width; l->rows++) {
        l->row_in[l->rows] = l->rows * s->in_channels;
        l->row_out[l->rows] = l->rows * s->out_channels;
    }
}

static size_t residue_count(size_t length, size_t residue, size_t stride) {
    return length > residue ? size_ceil_divide(length - residue, stride) : 0;
}

size_t dense_backward_list_floats(const dense_plan *p) {
    const convolution_shape *s = &p->s;
    size_t rows = size_ceil_divide(p->most_in_rows, s->stride_y) * size_ceil_divide(s->in_width, s->stride_x);
    return dense_lists_floats(p->area * p->out_blocks, p->area * s->out_channels, rows);
}

size_t dense_backward_rows(const dense_plan *p, const dense_band *b, size_t residue_y, size_t residue_x) {
    return residue_count(b->in_last - b->in_first, residue_y, p->s.stride_y) *
           residue_count(p->s.in_width, residue_x, p->s.stride_x);
}

void dense_backward_lists(const dense_plan *p, size_t residue_y, size_t residue_x, dense_lists *l,
                          float **workspace) {
    const convolution_shape *s = &p->s;
    size_t rows = residue_count(p->most_in_rows, residue_y, s->stride_y);
    size_t columns = residue_count(s->in_width, residue_x, s->stride_x);
    ptrdiff_t y, x;
    take_lists(l, p->area * p->out_blocks, p->area * s->out_channels,
               size_ceil_divide(p->most_in_rows, s->stride_y) * size_ceil_divide(s->in_width, s->stride_x),
               workspace);
    for (size_t k = 0; k < p->area; k++) {
        if (!dense_reach(s, residue_y, k / s->size, s->stride_y, &y) ||
            !dense_reach(s, residue_x, k % s->size, s->stride_x, &x))
            continue;
        size_t pixel = (size_t)(y - p->out.first_y) * p->out.width + (size_t)(x - p->out.first_x);
        add_position(l, &p->out, s->out_channels, pixel * TILE_CHANNELS, k, s->in_channels * p->area);
    }
    for (size_t j = 0; j < rows; j++)
        for (size_t i = 0; i < columns; i++) {
            size_t in_y = residue_y + j * s->stride_y, in_x = residue_x + i * s->stride_x;
            l->row_in[l->rows] = (j * p->out.width + i) * TILE_CHANNELS;
            l->row_out[l->rows] = (in_y * s->in_width + in_x) * s->in_channels;
            l->rows++;
        }
}
