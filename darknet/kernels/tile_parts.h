/* What the products on tiles share, whatever their operands' width: panels of columns, and what happens to
 * the sums while they are in registers. For *.isa.c files, once each. */
#ifndef DARKNET_KERNELS_TILE_PARTS_H
#define DARKNET_KERNELS_TILE_PARTS_H

#include "kernels/activation_vector.h"
#include "kernels/tile.h"

#if VECTOR_LANES == 16
#define TILE_ROWS 8
#else
#define TILE_ROWS 4
#endif

/* ---- panels of columns ---- */
static inline size_t column_vectors(size_t columns) {
    return (columns + VECTOR_LANES - 1) / VECTOR_LANES;
}

/* Panels of three vectors; the last one, or the last two, of two where that evens things out. */
static inline size_t panel_count(size_t columns) {
    return (column_vectors(columns) + 2) / 3;
}

typedef struct panel {
    size_t first, vectors; /* in vectors */
    bool narrow;           /* the last vector is a half one */
} panel;

/* Where the last vector of columns is at most half full, half a vector does: with 16 lanes that is a type of
 * its own, which costs half the time. */
static inline bool ends_narrow(size_t columns) {
    return VECTOR_LANES == 16 && columns % 16 > 0 && columns % 16 <= 8;
}

static inline size_t panel_width(const panel *p) {
    return p->vectors * VECTOR_LANES - (p->narrow ? VECTOR_LANES / 2 : 0);
}

static inline panel panel_at(size_t columns, size_t i) {
    size_t vectors = column_vectors(columns), panels = panel_count(columns);
    size_t narrow = panels * 3 - vectors; /* how many panels miss one vector: 0, 1 or 2 */
    bool ends = i + 1 == panels && ends_narrow(columns);
    if (panels == 1) return (panel){0, vectors, ends};
    size_t wide = panels - narrow;
    return i < wide ? (panel){3 * i, 3, ends} : (panel){3 * wide + 2 * (i - wide), 2, ends};
}

/* ---- the sums of up to TILE_ROWS rows and one panel ---- */
ALWAYS_INLINE void add_moments(size_t vectors, const tile_moments *m, size_t column, size_t rows, bool fresh,
                               vec sum[TILE_ROWS][3]) {
    _Pragma("GCC unroll 3") for (size_t v = 0; v < vectors; v++) {
        size_t c = column + v * VECTOR_LANES;
        vec total = {0}, square = {0}, pivot;
        if (fresh) {
            pivot = (vec){0};
            _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (r < rows) pivot += sum[r][v];
            pivot /= (float)rows;
            vec_store(m->pivot + c, pivot);
        } else {
            pivot = vec_load(m->pivot + c);
            total = vec_load(m->sum + c);
            square = vec_load(m->square + c);
        }
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (r < rows) {
            vec d = sum[r][v] - pivot;
            total += d;
            square += d * d;
        }
        vec_store(m->sum + c, total);
        vec_store(m->square + c, square);
    }
}

ALWAYS_INLINE void add_sums(size_t vectors, const tile_product *p, size_t first, size_t rows, size_t column,
                            vec sum[TILE_ROWS][3]) {
    const tile_sums *s = &p->sums;
    const bool relu6 = s->map.activation == ACTIVATION_RELU6, relu = s->map.activation == ACTIVATION_RELU;
    _Pragma("GCC unroll 3") for (size_t v = 0; v < vectors; v++) {
        size_t c = column + v * VECTOR_LANES, left = p->weights.columns - c;
        vec dz = vec_load(s->dz + c), dz_x = vec_load(s->dz_x + c);
        vec scale = vec_load(s->map.scale + c), shift = vec_load(s->map.shift + c),
            center = vec_load(s->center + c);
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (r < rows) {
            vec x = vec_load_some(s->data + p->row_out[first + r] + c, left), z = x * scale + shift;
            vec d = sum[r][v];
            if (relu6) d = activation_pass_back(ACTIVATION_RELU6, d, z);
            if (relu) d = activation_pass_back(ACTIVATION_RELU, d, z);
            dz += d;
            dz_x += d * (x - center);
        }
        vec_store(s->dz + c, dz);
        vec_store(s->dz_x + c, dz_x);
    }
}

/* Maps a stored block in place: for activations that are not worth their code in every product. */
static inline void map_block(const tile_product *p, size_t first, size_t rows, size_t column, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        float *out = p->out + p->row_out[first + r] + column;
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            vec z = vec_load_some(out + c, width - c) * vec_load(p->map.scale + column + c) +
                    vec_load(p->map.shift + column + c);
            vec_store_some(out + c, activation_vec(p->map.activation, z), width - c);
        }
    }
}

ALWAYS_INLINE void clamp_sums(size_t vectors, const channel_map *map, size_t column, vec sum[TILE_ROWS][3]) {
    vec low = clamp_low(map->activation), high = clamp_high(map->activation);
    _Pragma("GCC unroll 3") for (size_t v = 0; v < vectors; v++) {
        vec scale = vec_load(map->scale + column + v * VECTOR_LANES);
        vec shift = vec_load(map->shift + column + v * VECTOR_LANES);
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) sum[r][v] =
            vec_clamp(sum[r][v] * scale + shift, low, high);
    }
}

ALWAYS_INLINE void add_to_block(size_t vectors, const tile_product *p, size_t first, size_t rows,
                                size_t column, vec sum[TILE_ROWS][3]) {
    size_t left = p->weights.columns - column;
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (r < rows) {
        const float *out = p->out + p->row_out[first + r] + column;
        _Pragma("GCC unroll 3") for (size_t v = 0; v < vectors; v++) sum[r][v] +=
            vec_load_some(out + v * VECTOR_LANES, left - v * VECTOR_LANES);
    }
}

/* Everything that happens to the sums, and where they go. */
ALWAYS_INLINE void finish_block(size_t vectors, const tile_product *p, size_t first, size_t rows,
                                size_t column, bool fresh, vec sum[TILE_ROWS][3]) {
    if (p->moments.pivot) add_moments(vectors, &p->moments, column, rows, fresh, sum);
    size_t left = p->weights.columns - column;
    if (p->finish == TILE_MAP && is_clamp(p->map.activation)) clamp_sums(vectors, &p->map, column, sum);
    if (p->finish == TILE_ACCUMULATE) add_to_block(vectors, p, first, rows, column, sum);
    if (p->sums.data) add_sums(vectors, p, first, rows, column, sum);
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (r < rows) {
        float *out = p->out + p->row_out[first + r] + column;
        _Pragma("GCC unroll 3") for (size_t v = 0; v < vectors; v++) {
            size_t c = v * VECTOR_LANES;
            if (p->stream)
                vec_stream(out + c, sum[r][v]);
            else
                vec_store_some(out + c, sum[r][v], left - c);
        }
    }
    size_t width = left < vectors * VECTOR_LANES ? left : vectors * VECTOR_LANES;
    if (p->finish == TILE_MAP && !is_clamp(p->map.activation)) map_block(p, first, rows, column, width);
}

static inline void ask_ahead(const tile_ahead *a, size_t first, size_t rows) {
    const size_t line_floats = 16;
    for (size_t i = 0; i < a->count; i++) {
        const float *at = a->at[i] + first * a->row_floats[i];
        for (size_t k = 0; k < rows * a->row_floats[i]; k += line_floats) prefetch(at + k);
    }
}

#endif
