/* A tile of output pixels by one panel of channels, with AVX2. The byte product that AVX2 has saturates, so
 * bytes are widened: of each four, the even ones and the odd ones make two pairs of 16 bits. Included by
 * product.isa.c. */
#include "integer/requantise_avx2.h"

enum { TILE_ROWS = 4 };

static int tile_rows(int vectors, size_t left) {
    (void)vectors;
    return left >= TILE_ROWS ? TILE_ROWS : 1;
}

HD_INLINE __m256i signed_even(__m256i bytes) {
    return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
}
HD_INLINE __m256i signed_odd(__m256i bytes) {
    return _mm256_srai_epi16(bytes, 8);
}

/* M rows by 16 channels; words are those of the panel's `vector`-th sixteen. */
HD_INLINE void accumulate(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t,
                          const int M, int vector, __m256i sums[TILE_ROWS][2]) {
    const int32_t *bias = p->scaling.bias + panel->slot + (size_t)vector * HD_INTEGER_LANES;
    const int8_t *words = p->words + panel->words + (size_t)vector * 64;
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) {
        sums[m][0] = load_8(bias);
        sums[m][1] = load_8(bias + 8);
    }
    int positions = p->window.size * p->window.size;
    for (int position = 0; position < positions; position++) {
        const uint8_t *in[TILE_ROWS];
#pragma GCC unroll 4
        for (int m = 0; m < M; m++) in[m] = tile_input(p, panel, t, m, position);
        for (int k = 0; k < p->steps; k++, words += (size_t)panel->vectors * 64) {
            __m256i first = _mm256_load_si256((const __m256i *)(const void *)words);
            __m256i second = _mm256_load_si256((const __m256i *)(const void *)(words + 32));
            __m256i even[2] = {signed_even(first), signed_even(second)},
                    odd[2] = {signed_odd(first), signed_odd(second)};
#pragma GCC unroll 4
            for (int m = 0; m < M; m++) {
                int32_t bytes;
                memcpy(&bytes, in[m] + (size_t)k * 4, sizeof bytes);
                __m256i x = _mm256_set1_epi32(bytes);
                __m256i x_even = _mm256_and_si256(x, _mm256_set1_epi16(255)), x_odd = _mm256_srli_epi16(x, 8);
#pragma GCC unroll 2
                for (int v = 0; v < 2; v++)
                    sums[m][v] =
                        _mm256_add_epi32(sums[m][v], _mm256_add_epi32(_mm256_madd_epi16(x_even, even[v]),
                                                                      _mm256_madd_epi16(x_odd, odd[v])));
            }
        }
    }
}

HD_INLINE void store_accumulators(const hd_integer_panel *panel, const int M, int vector,
                                  __m256i sums[TILE_ROWS][2], size_t stride, int32_t *accumulators) {
    int left = panel->channels - vector * HD_INTEGER_LANES;
    for (int m = 0; m < M; m++) {
        int32_t whole[HD_INTEGER_LANES];
        _mm256_storeu_si256((__m256i *)(void *)whole, sums[m][0]);
        _mm256_storeu_si256((__m256i *)(void *)(whole + 8), sums[m][1]);
        memcpy(accumulators + (size_t)m * stride, whole, sizeof *whole * (size_t)(left < 16 ? left : 16));
    }
}

HD_INLINE void store_bytes(const hd_integer_product *p, const hd_integer_panel *panel, const int M,
                           int vector, __m256i sums[TILE_ROWS][2], uint8_t *output) {
    const hd_integer_scaling *s = &p->scaling;
    size_t slot = panel->slot + (size_t)vector * HD_INTEGER_LANES;
    scaling8 first = load_scaling8(s->multiplier + slot, s->shift_less_one + slot);
    scaling8 second = load_scaling8(s->multiplier + slot + 8, s->shift_less_one + slot + 8);
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) {
        __m256i mixed = _mm256_packs_epi32(requantised(sums[m][0], &first), requantised(sums[m][1], &second));
        store_sixteen(_mm256_permute4x64_epi64(mixed, 0xD8), s, panel->channels - vector * HD_INTEGER_LANES,
                      output + (size_t)m * (size_t)p->window.out_channels);
    }
}

HD_INLINE void tile_of(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t, const int M,
                       uint8_t *output, int32_t *accumulators) {
    size_t stride = (size_t)p->window.out_channels;
    for (int vector = 0; vector < panel->vectors; vector++) {
        size_t at = t->first_row * stride + (size_t)(panel->output_channel + vector * HD_INTEGER_LANES);
        __m256i sums[TILE_ROWS][2];
        accumulate(p, panel, t, M, vector, sums);
        if (accumulators)
            store_accumulators(panel, M, vector, sums, stride, accumulators + at);
        else
            store_bytes(p, panel, M, vector, sums, output + at);
    }
}

static void multiply_tile(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t,
                          uint8_t *output, int32_t *accumulators) {
    if (t->rows == TILE_ROWS)
        tile_of(p, panel, t, TILE_ROWS, output, accumulators);
    else
        tile_of(p, panel, t, 1, output, accumulators);
}
