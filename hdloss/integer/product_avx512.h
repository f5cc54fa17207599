/* A tile of output pixels by one panel of channels, with vpdpbusd. Included by product.isa.c. */
#include "integer/requantise_avx512.h"

/* Rows of the next tile: as many accumulators as fit the registers, then what is left in powers of two. */
static int tile_rows(int vectors, size_t left) {
    size_t most = vectors == 4 ? 6 : 8;
    if (left >= most) return (int)most;
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

HD_INLINE __m512i four_inputs(const uint8_t *in) {
    int32_t bytes;
    memcpy(&bytes, in, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

HD_INLINE void accumulate(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t,
                          const int M, const int V, __m512i sums[8][4]) {
    const int8_t *words = p->words + panel->words;
    const int32_t *bias = p->scaling.bias + panel->slot;
#pragma GCC unroll 4
    for (int v = 0; v < V; v++)
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) sums[m][v] = _mm512_load_si512(bias + v * HD_INTEGER_LANES);
    int positions = p->window.size * p->window.size;
    for (int position = 0; position < positions; position++) {
        const uint8_t *in[8];
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) in[m] = tile_input(p, panel, t, m, position);
        for (int k = 0; k < p->steps; k++, words += (size_t)V * 64) {
            __m512i w[4];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) w[v] = _mm512_load_si512(words + v * 64);
#pragma GCC unroll 8
            for (int m = 0; m < M; m++) {
                __m512i x = four_inputs(in[m] + (size_t)k * 4);
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) sums[m][v] = add_products(sums[m][v], x, w[v]);
            }
        }
    }
}

HD_INLINE void store_bytes(const hd_integer_product *p, const hd_integer_panel *panel, const int M,
                           const int V, __m512i sums[8][4], const bool is_signed, uint8_t *output) {
    const hd_integer_scaling *s = &p->scaling;
    byte_range range = load_range(s->zero, s->low, s->high);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
        size_t slot = panel->slot + (size_t)v * HD_INTEGER_LANES;
        scaling16 scaling = load_scaling16(s->multiplier + slot, s->shift_less_one + slot);
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) sums[m][v] = prepared(sums[m][v], &scaling, is_signed);
    }
    __mmask64 mask = first_bytes(panel->channels);
    __m512i none = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) {
        __m512i bytes = pack_bytes(sums[m][0], V > 1 ? sums[m][V > 1 ? 1 : 0] : none,
                                   V > 2 ? sums[m][V > 2 ? 2 : 0] : none,
                                   V > 3 ? sums[m][V > 3 ? 3 : 0] : none, &range, is_signed);
        _mm512_mask_storeu_epi8(output + (size_t)m * (size_t)p->window.out_channels, mask,
                                in_vector_order(bytes));
    }
}

HD_INLINE void store_accumulators(const hd_integer_product *p, const hd_integer_panel *panel, const int M,
                                  const int V, __m512i sums[8][4], int32_t *accumulators) {
#pragma GCC unroll 8
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            int left = panel->channels - v * HD_INTEGER_LANES;
            __mmask16 mask = (__mmask16)first_bytes(left > 0 ? left : 0);
            _mm512_mask_storeu_epi32(accumulators + (size_t)m * (size_t)p->window.out_channels +
                                         v * HD_INTEGER_LANES,
                                     mask, sums[m][v]);
        }
}

HD_INLINE void tile_of(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t, const int M,
                       const int V, uint8_t *output, int32_t *accumulators) {
    __m512i sums[8][4];
    size_t at = t->first_row * (size_t)p->window.out_channels + (size_t)panel->output_channel;
    accumulate(p, panel, t, M, V, sums);
    if (accumulators)
        store_accumulators(p, panel, M, V, sums, accumulators + at);
    else if (p->scaling.zero)
        store_bytes(p, panel, M, V, sums, true, output + at);
    else
        store_bytes(p, panel, M, V, sums, false, output + at);
}

#define TILES_OF(vectors, most)                                                                              \
    static void tiles_of_##vectors(const hd_integer_product *p, const hd_integer_panel *panel,               \
                                   const tile *t, uint8_t *output, int32_t *accumulators) {                  \
        switch (t->rows) {                                                                                   \
        case most:                                                                                           \
            tile_of(p, panel, t, most, vectors, output, accumulators);                                       \
            return;                                                                                          \
        case 4:                                                                                              \
            tile_of(p, panel, t, 4, vectors, output, accumulators);                                          \
            return;                                                                                          \
        case 2:                                                                                              \
            tile_of(p, panel, t, 2, vectors, output, accumulators);                                          \
            return;                                                                                          \
        default:                                                                                             \
            tile_of(p, panel, t, 1, vectors, output, accumulators);                                          \
        }                                                                                                    \
    }
TILES_OF(1, 8)
TILES_OF(2, 8)
TILES_OF(3, 8)
TILES_OF(4, 6)

static void multiply_tile(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t,
                          uint8_t *output, int32_t *accumulators) {
    static void (*const tiles[])(const hd_integer_product *, const hd_integer_panel *, const tile *,
                                 uint8_t *, int32_t *) = {tiles_of_1, tiles_of_2, tiles_of_3, tiles_of_4};
    tiles[panel->vectors - 1](p, panel, t, output, accumulators);
}
