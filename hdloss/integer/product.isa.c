/* Convolutions and connected layers as products of unsigned bytes and signed words. Output pixels are taken
 * in tiles of a few rows, output channels in panels; a tile reads its input pixels where they lie, padding
 * from a row of zeros (the indirect convolution of Dukhan, arXiv 1907.02129), and is requantised before it
 * leaves the registers. */
#include <string.h>

#include "integer/kernels.h"
#include "integer/level.h"
#include "integer/scale_to_byte.h"

enum { MOST_TILE_ROWS = 8 };

/* A few successive output pixels, counted over all images. */
typedef struct tile {
    size_t first_row;
    int rows;
    const uint8_t *image[MOST_TILE_ROWS];          /* direct: the row's input pixel itself */
    int top[MOST_TILE_ROWS], left[MOST_TILE_ROWS]; /* of the row's window */
} tile;

/* The input channels that a row of the tile reads at a kernel position. */
static inline const uint8_t *tile_input(const hd_integer_product *p, const hd_integer_panel *panel,
                                        const tile *t, int row, int position) {
    if (p->direct) return t->image[row] + panel->input_channel;
    const hd_integer_window *w = &p->window;
    int y = t->top[row] + position / w->size * w->dilation,
        x = t->left[row] + position % w->size * w->dilation;
    if ((unsigned)y >= (unsigned)w->in_height || (unsigned)x >= (unsigned)w->in_width) return p->padding;
    size_t pixel = (size_t)y * (size_t)w->in_width + (size_t)x;
    return t->image[row] + pixel * (size_t)w->in_channels + panel->input_channel;
}

static void place_tile(const hd_integer_product *p, const uint8_t *input, size_t first_row, int rows,
                       tile *t) {
    const hd_integer_window *w = &p->window;
    size_t out_pixels = (size_t)w->out_height * (size_t)w->out_width;
    size_t image_bytes = (size_t)w->in_height * (size_t)w->in_width * (size_t)w->in_channels;
    t->first_row = first_row;
    t->rows = rows;
    for (int row = 0; row < rows; row++) {
        size_t at = first_row + (size_t)row;
        if (p->direct) {
            t->image[row] = input + at * (size_t)w->in_channels;
            continue;
        }
        size_t image = at / out_pixels, pixel = at % out_pixels;
        t->image[row] = input + image * image_bytes;
        t->top[row] = (int)(pixel / (size_t)w->out_width) * w->stride + w->start;
        t->left[row] = (int)(pixel % (size_t)w->out_width) * w->stride + w->start;
    }
}

#if defined(ISA_avx512)
#include "integer/product_avx512.h"
#elif defined(ISA_avx2)
#include "integer/product_avx2.h"
#else
#include "integer/product_portable.h"
#endif

void HD_ISA_NAME(hd_integer_product)(const hd_integer_product *p, const uint8_t *input, size_t images,
                                     uint8_t *output, int32_t *accumulators) {
    size_t rows = images * (size_t)p->window.out_height * (size_t)p->window.out_width;
    for (size_t i = 0; i < p->panel_count; i++) {
        const hd_integer_panel *panel = &p->panels[i];
        for (size_t row = 0; row < rows;) {
            tile t;
            place_tile(p, input, row, tile_rows(panel->vectors, rows - row), &t);
            multiply_tile(p, panel, &t, output, accumulators);
            row += (size_t)t.rows;
        }
    }
}
