/* Bands of tiles, see winograd_tiles.h. */
#include "kernels/winograd_tiles.h"

extern const winograd_kernels winograd_kernels_portable;
#if defined(__x86_64__)
extern const winograd_kernels winograd_kernels_avx2, winograd_kernels_avx512;
#endif

const winograd_kernels *winograd_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &winograd_kernels_avx512;
    if (level == ISA_AVX2) return &winograd_kernels_avx2;
#endif
    (void)level;
    return &winograd_kernels_portable;
}

void winograd_fill(const winograd_band *b, const tile_source *source, float *filled) {
    for (size_t i = 0; i < b->images; i++)
        fill_tile(source, b->image + i, 2 * (ptrdiff_t)b->first - 1, 2 * (b->last - b->first) + 2,
                  filled + i * tile_floats(source->geometry));
}

winograd_source winograd_tiles(const tile_geometry *g, const float *filled, const winograd_place *places,
                               size_t first, size_t tiles) {
    return (winograd_source){.filled = filled,
                             .image = tile_floats(g),
                             .row = g->width * TILE_CHANNELS,
                             .plane = g->plane,
                             .blocks = g->blocks,
                             .places = places + first,
                             .tiles = tiles};
}

size_t winograd_near_floats(const winograd_kernels *k, size_t in_channels) {
    return floats_padded(k->input_floats(WINOGRAD_NEAR_TILES, in_channels)) +
           floats_padded(k->partial_floats(WINOGRAD_NEAR_TILES));
}

void winograd_multiply(const winograd_multiplication *m, const winograd_band *b) {
    float *near = m->near;
    winograd_product p = m->product;
    float *transformed = take_floats(
        &near, m->kernels->input_floats(WINOGRAD_NEAR_TILES, m->geometry->blocks * TILE_CHANNELS));
    p.from = transformed;
    p.partial = near;
    p.in_blocks = m->geometry->blocks;
    p.width = m->plan->s.out_width;
    p.height = m->plan->s.out_height - 2 * b->first;
    for (size_t first = 0; first < b->tiles; first += WINOGRAD_NEAR_TILES) {
        winograd_source s = winograd_tiles(m->geometry, m->filled, m->places, first,
                                           size_smaller(WINOGRAD_NEAR_TILES, b->tiles - first));
        m->kernels->input(&s, transformed);
        p.places = s.places;
        p.tiles = s.tiles;
        m->kernels->product(&p);
        p.fresh = false;
        for (size_t i = 0; i < p.ahead.count; i++) p.ahead.at[i] += 4 * s.tiles * p.ahead.row_floats[i];
    }
}
