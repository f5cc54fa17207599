/* Tiles of a dense convolution, see dense_tiles.h. */
#include "kernels/dense_tiles.h"

#include <string.h>

#define WEIGHTS_NEAR_BYTES 32768 /* weights up to this size are walked whole for every few rows */

extern const tile_kernels tile_kernels_portable;
#if defined(__x86_64__)
extern const tile_kernels tile_kernels_avx2, tile_kernels_avx512;
#endif

const tile_kernels *tile_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &tile_kernels_avx512;
    if (level == ISA_AVX2) return &tile_kernels_avx2;
#endif
    (void)level;
    return &tile_kernels_portable;
}

const tile_kernels *tile_kernels_with_bfloat16(void) {
#if defined(__x86_64__)
    extern const tile_kernels tile_kernels_bfloat16;
    if (isa_best() == ISA_AVX512 && __builtin_cpu_supports("avx512bf16")) return &tile_kernels_bfloat16;
#endif
    return NULL;
}

bool bfloat16_is_there(void) {
    return tile_kernels_with_bfloat16() != NULL;
}

const tile_kernels *dense_products(const convolution_shape *s, size_t depth_channels, isa_level level) {
    bool narrow = s->bfloat16 && level == ISA_AVX512 && depth_channels % 2 == 0;
    const tile_kernels *k = narrow ? tile_kernels_with_bfloat16() : NULL;
    return k ? k : tile_kernels_at(level);
}

static void fill_pixels(const tile_source *f, size_t pixel, size_t pixels, float *to) {
    size_t offset = pixel * f->channels, plane = f->geometry->plane;
    if (f->tensor) {
        f->kernels->map(pixels, f->channels, &f->tensor->map, f->tensor->data + offset, to, plane);
    } else {
        lazy_gradient part = gradient_at(f->gradient, offset);
        f->kernels->gradient(pixels, f->channels, &part, to, plane);
    }
}

static void zero_pixels(const tile_geometry *g, float *to, size_t pixels) {
    if (pixels)
        for (size_t b = 0; b < g->blocks; b++)
            memset(to + b * g->plane, 0, pixels * TILE_CHANNELS * sizeof(float));
}

void fill_tile(const tile_source *f, size_t image, ptrdiff_t first_y, size_t rows, float *tile) {
    const tile_geometry *g = f->geometry;
    size_t left = (size_t)-g->first_x, right = g->width - left > f->width ? g->width - left - f->width : 0;
    size_t width = g->width - left - right; /* a tile may be narrower than the tensor */
    if (left == 0 && right == 0 && width == f->width && first_y >= 0 && (size_t)first_y + rows <= f->height) {
        fill_pixels(f, (image * f->height + (size_t)first_y) * width, rows * width, tile);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        float *to = tile + r * g->width * TILE_CHANNELS;
        ptrdiff_t y = first_y + (ptrdiff_t)r;
        if (y < 0 || (size_t)y >= f->height) {
            zero_pixels(g, to, g->width);
            continue;
        }
        zero_pixels(g, to, left);
        fill_pixels(f, (image * f->height + (size_t)y) * f->width, width, to + left * TILE_CHANNELS);
        zero_pixels(g, to + (left + width) * TILE_CHANNELS, right);
    }
}

void run_product(const tile_kernels *k, const tile_product *p, size_t rows, size_t first_panel, size_t panels,
                 bool fresh) {
    if (p->weights.depth * p->weights.columns * sizeof(float) <= WEIGHTS_NEAR_BYTES) {
        k->product(p, 0, rows, first_panel, panels, fresh);
        return;
    }
    tile_product later = *p;
    later.ahead.count = 0;
    for (size_t i = first_panel; i < first_panel + panels; i++)
        k->product(i == first_panel ? p : &later, 0, rows, i, 1, fresh);
}
