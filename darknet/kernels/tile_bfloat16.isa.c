/* The products on tiles with operands rounded to bfloat16 (8 bits of fraction) and sums in float32: one
 * AVX512-BF16 instruction adds two products a lane, in which subnormal operands count as zero. Depth goes in
 * pairs of channels, outer products in pairs of pixels. */
#include "kernels/tile_parts.h"

#if defined(ISA_avx512)

#define BFLOAT16 __attribute__((target("avx512bf16")))
#define INLINE_BFLOAT16 ALWAYS_INLINE BFLOAT16

extern const tile_kernels tile_kernels_bfloat16;

/* ---- operands ---- */

BFLOAT16 static void shrink(const float *tile, size_t count, void *out) {
    uint16_t *to = out;
    for (size_t i = 0; i < count; i += 16) {
        __m256bh narrow = _mm512_cvtneps_pbh((__m512)vec_load(tile + i));
        memcpy(to + i, &narrow, sizeof narrow);
    }
}

/* Lanes 0 .. 15 of two registers of 16 values, in turns. */
INLINE_BFLOAT16 __m512i in_turns(__m512bh both) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)both);
}

BFLOAT16 static void pair(const float *tile, size_t plane, size_t blocks, size_t pixels, uint32_t *out,
                          size_t out_plane) {
    for (size_t b = 0; b < blocks; b++) {
        const float *from = tile + b * plane;
        uint32_t *to = out + b * out_plane;
        for (size_t p = 0; p < pixels; p += 2, from += 2 * TILE_CHANNELS, to += TILE_CHANNELS) {
            __m512 second = p + 1 < pixels ? (__m512)vec_load(from + TILE_CHANNELS) : _mm512_setzero_ps();
            _mm512_storeu_si512(to, in_turns(_mm512_cvtne2ps_pbh(second, (__m512)vec_load(from))));
        }
    }
}

static size_t weights_floats(size_t depth, size_t columns) {
    return column_vectors(columns) * VECTOR_LANES * ((depth + 1) / 2);
}

/* Rows k and k + 1 of a panel in turns. */
BFLOAT16 static void pack_panel(const tile_weights *w, size_t index, const float *source, const size_t *k_at,
                                size_t column_step, void *packed) {
    panel p = panel_at(w->columns, index);
    uint32_t *to = (uint32_t *)packed + p.first * VECTOR_LANES * (w->depth / 2);
    size_t width = panel_width(&p), first = p.first * VECTOR_LANES;
    size_t real = w->columns - first < width ? w->columns - first : width;
    for (size_t k = 0; k < w->depth; k += 2, to += width)
        for (size_t n = 0; n < width; n += VECTOR_LANES) {
            vec low = {0}, high = {0};
            for (size_t i = 0; i < VECTOR_LANES && n + i < real; i++) {
                low[i] = source[k_at[k] + (first + n + i) * column_step];
                high[i] = source[k_at[k + 1] + (first + n + i) * column_step];
            }
            __m512i pairs = in_turns(_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
            memcpy(to + n, &pairs, (width - n < VECTOR_LANES ? width - n : VECTOR_LANES) * sizeof *to);
        }
}

/* ---- rows times weights ---- */

INLINE_BFLOAT16 void multiply_rows(size_t vectors, bool narrow, const tile_product *p,
                                   const uint16_t *const *row, const uint32_t *weights,
                                   vec sum[TILE_ROWS][3]) {
    const size_t whole = vectors - narrow, width_of_step = whole * 16 + (narrow ? 8 : 0);
    __m256 last[TILE_ROWS];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {
        _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) sum[r][v] = (vec){0};
        last[r] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < p->blocks; i++) {
        const uint16_t *at[TILE_ROWS];
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) at[r] = row[r] + p->offsets[i];
        for (size_t k = 0; k < p->widths[i]; k += 2) {
            __m512bh b[3];
            __m256bh b_last = {0};
            _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) b[v] =
                (__m512bh)_mm512_loadu_si512(weights + v * 16);
            if (narrow) b_last = (__m256bh)_mm256_loadu_si256((const void *)(weights + whole * 16));
            _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {
                int two;
                memcpy(&two, at[r] + k, sizeof two);
                __m512i a = _mm512_set1_epi32(two);
                _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) sum[r][v] =
                    (vec)_mm512_dpbf16_ps((__m512)sum[r][v], (__m512bh)a, b[v]);
                if (narrow) last[r] = _mm256_dpbf16_ps(last[r], (__m256bh)_mm512_castsi512_si256(a), b_last);
            }
            weights += width_of_step;
        }
    }
    if (narrow)
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) sum[r][whole] =
            half_vec_widen((half_vec)last[r]);
}

INLINE_BFLOAT16 void product_block(size_t vectors, bool narrow, const tile_product *p, size_t first,
                                   size_t rows, size_t column, bool fresh) {
    vec sum[TILE_ROWS][3];
    const uint16_t *row[TILE_ROWS];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) row[r] =
        (const uint16_t *)p->tile + p->row_in[first + (r < rows ? r : 0)];
    multiply_rows(vectors, narrow, p, row,
                  (const uint32_t *)p->weights.packed + column * (p->weights.depth / 2), sum);
    finish_block(vectors, p, first, rows, column, fresh, sum);
}

BFLOAT16 static void product(const tile_product *p, size_t first, size_t rows, size_t first_panel,
                             size_t panels, bool fresh) {
    for (size_t done = 0; done < rows; done += TILE_ROWS) {
        size_t now = rows - done < TILE_ROWS ? rows - done : TILE_ROWS;
        ask_ahead(&p->ahead, first + done, now);
        for (size_t i = first_panel; i < first_panel + panels; i++) {
            panel n = panel_at(p->weights.columns, i);
            size_t column = n.first * VECTOR_LANES, row = first + done;
            bool starts = fresh && done == 0;
            if (n.vectors == 3 && n.narrow) product_block(3, true, p, row, now, column, starts);
            if (n.vectors == 3 && !n.narrow) product_block(3, false, p, row, now, column, starts);
            if (n.vectors == 2 && n.narrow) product_block(2, true, p, row, now, column, starts);
            if (n.vectors == 2 && !n.narrow) product_block(2, false, p, row, now, column, starts);
            if (n.vectors == 1 && n.narrow) product_block(1, true, p, row, now, column, starts);
            if (n.vectors == 1 && !n.narrow) product_block(1, false, p, row, now, column, starts);
        }
    }
    if (p->stream) vec_stream_end();
}

/* ---- sums of outer products ---- */

INLINE_BFLOAT16 void outer_block(size_t blocks, const tile_outer *o, size_t row, size_t entry) {
    vec sum[TILE_ROWS][3];
    const uint32_t *a = (const uint32_t *)o->rows + row / TILE_CHANNELS * o->rows_plane + row % TILE_CHANNELS,
                   *b[3];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++)
        _Pragma("GCC unroll 3") for (size_t v = 0; v < blocks; v++) sum[r][v] = (vec){0};
    _Pragma("GCC unroll 3") for (size_t v = 0; v < blocks; v++) b[v] =
        (const uint32_t *)o->columns + o->column_offsets[entry + v];
    for (size_t p = 0; p < o->run_length; p++) {
        __m512bh x[3];
        _Pragma("GCC unroll 3") for (size_t v = 0; v < blocks; v++) x[v] =
            (__m512bh)_mm512_loadu_si512(b[v] + p * TILE_CHANNELS);
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {
            __m512bh y = (__m512bh)_mm512_set1_epi32((int)a[p * TILE_CHANNELS + r]);
            _Pragma("GCC unroll 3") for (size_t v = 0; v < blocks; v++) sum[r][v] =
                (vec)_mm512_dpbf16_ps((__m512)sum[r][v], y, x[v]);
        }
    }
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (row + r < o->row_count)
        _Pragma("GCC unroll 3") for (size_t v = 0; v < blocks; v++) {
        float *at = o->result + (row + r) * o->result_row + o->result_offsets[entry + v];
        vec_store(at, o->add ? vec_load(at) + sum[r][v] : sum[r][v]);
    }
}

BFLOAT16 static void outer_pairs(const tile_outer *o) {
    for (size_t entry = 0; entry < o->entries;) {
        size_t left = o->entries - entry, blocks = left == 4 ? 2 : left < 3 ? left : 3;
        for (size_t row = 0; row < o->row_count; row += TILE_ROWS) {
            if (blocks == 3) outer_block(3, o, row, entry);
            if (blocks == 2) outer_block(2, o, row, entry);
            if (blocks == 1) outer_block(1, o, row, entry);
        }
        entry += blocks;
    }
}

const tile_kernels tile_kernels_bfloat16 = {.weights_floats = weights_floats,
                                            .panels = panel_count,
                                            .pack = pack_panel,
                                            .product = product,
                                            .shrink = shrink,
                                            .pair = pair,
                                            .outer_pairs = outer_pairs};

#endif
