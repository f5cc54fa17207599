/* Tiles and their products in registers, see tile.h. The product keeps TILE_ROWS x (up to 3 vectors) of sums
 * in registers over the whole depth; the outer product the same over pixels. */
#include "kernels/tile_parts.h"

#define BLOCK_VECTORS (TILE_CHANNELS / VECTOR_LANES)

extern const tile_kernels ISA_NAME(tile_kernels);

/* ---- filling ---- */

ALWAYS_INLINE void fill_mapped(activation_kind kind, size_t pixels, size_t channels, const channel_map *map,
                               const float *in, float *tile, size_t plane) {
    for (size_t p = 0; p < pixels; p++, in += channels, tile += TILE_CHANNELS)
        for (size_t c = 0; c < channels; c += VECTOR_LANES) {
            vec z = vec_load_some(in + c, channels - c) * vec_load(map->scale + c) + vec_load(map->shift + c);
            vec_store(tile + c / TILE_CHANNELS * plane + c % TILE_CHANNELS, activation_vec(kind, z));
        }
}

static void tile_map(size_t pixels, size_t channels, const channel_map *map, const float *in, float *tile,
                     size_t plane) {
    WITH_KIND(map->activation, fill_mapped, pixels, channels, map, in, tile, plane);
}

ALWAYS_INLINE void fill_gradient(activation_kind kind, size_t pixels, size_t channels, const lazy_gradient *g,
                                 float *tile, size_t plane) {
    const float *delta = g->delta, *data = g->data;
    for (size_t p = 0; p < pixels; p++, delta += channels, tile += TILE_CHANNELS) {
        for (size_t c = 0; c < channels; c += VECTOR_LANES) {
            vec d = vec_load_some(delta + c, channels - c);
            if (data) {
                vec x = vec_load_some(data + c, channels - c);
                d = activation_pass_back(kind, d,
                                         x * vec_load(g->map.scale + c) + vec_load(g->map.shift + c));
                if (g->a) d = vec_load(g->a + c) * d + (vec_load(g->b + c) * x + vec_load(g->c + c));
            }
            vec_store(tile + c / TILE_CHANNELS * plane + c % TILE_CHANNELS, d);
        }
        if (data) data += channels;
    }
}

static void tile_gradient(size_t pixels, size_t channels, const lazy_gradient *g, float *tile, size_t plane) {
    WITH_KIND(g->map.activation, fill_gradient, pixels, channels, g, tile, plane);
}

/* ---- weights ---- */

static size_t weights_floats(size_t depth, size_t columns) {
    return column_vectors(columns) * VECTOR_LANES * depth;
}

static void pack_panel(const tile_weights *w, size_t index, const float *source, const size_t *k_at,
                       size_t column_step, void *packed) {
    panel p = panel_at(w->columns, index);
    float *to = (float *)packed + p.first * VECTOR_LANES * w->depth;
    size_t width = panel_width(&p), first = p.first * VECTOR_LANES;
    size_t real = w->columns - first < width ? w->columns - first : width;
    for (size_t k = 0; k < w->depth; k++, to += width) {
        const float *from = source + k_at[k] + first * column_step;
        for (size_t n = 0; n < real; n++) to[n] = from[n * column_step];
        for (size_t n = real; n < width; n++) to[n] = 0;
    }
}

/* ---- rows times weights ---- */

/* One step of depth: sum[r][v] += a_r[k] * b[v] */
#define DEPTH_STEP(k)                                                                                        \
    do {                                                                                                     \
        vec b[3];                                                                                            \
        half_vec b_last = {0};                                                                               \
        _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) b[v] =                                    \
            vec_load(weights + v * VECTOR_LANES);                                                            \
        if (narrow) b_last = half_vec_load(weights + whole * VECTOR_LANES);                                  \
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {                                     \
            vec a = vec_set(at[r][k]);                                                                       \
            _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) sum[r][v] += a * b[v];                \
            if (narrow) last[r] += half_vec_of(a) * b_last;                                                  \
        }                                                                                                    \
        weights += width_of_step;                                                                            \
    } while (0)

ALWAYS_INLINE void multiply_rows(size_t vectors, bool narrow, const tile_product *p, const float *const *row,
                                 const float *weights, vec sum[TILE_ROWS][3]) {
    const size_t whole = vectors - narrow,
                 width_of_step = whole * VECTOR_LANES + (narrow ? VECTOR_LANES / 2 : 0);
    half_vec last[TILE_ROWS];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {
        _Pragma("GCC unroll 3") for (size_t v = 0; v < whole; v++) sum[r][v] = (vec){0};
        last[r] = (half_vec){0};
    }
    for (size_t i = 0; i < p->blocks; i++) {
        const float *at[TILE_ROWS];
        size_t k = 0, width = p->widths[i];
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) at[r] = row[r] + p->offsets[i];
        for (; k + 4 <= width; k += 4) {
            DEPTH_STEP(k);
            DEPTH_STEP(k + 1);
            DEPTH_STEP(k + 2);
            DEPTH_STEP(k + 3);
        }
        for (; k < width; k++) DEPTH_STEP(k);
    }
    if (narrow)
        _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) sum[r][whole] =
            half_vec_widen(last[r]);
}

/* Up to TILE_ROWS rows times one panel. */
ALWAYS_INLINE void product_block(size_t vectors, bool narrow, const tile_product *p, size_t first,
                                 size_t rows, size_t column, bool fresh) {
    vec sum[TILE_ROWS][3];
    const float *row[TILE_ROWS];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) row[r] =
        (const float *)p->tile + p->row_in[first + (r < rows ? r : 0)];
    multiply_rows(vectors, narrow, p, row, (const float *)p->weights.packed + column * p->weights.depth, sum);
    finish_block(vectors, p, first, rows, column, fresh, sum);
}

static void narrow_block(size_t vectors, const tile_product *p, size_t first, size_t rows, size_t column,
                         bool fresh) {
    if (vectors == 3)
        product_block(3, true, p, first, rows, column, fresh);
    else if (vectors == 2)
        product_block(2, true, p, first, rows, column, fresh);
    else
        product_block(1, true, p, first, rows, column, fresh);
}

static void product(const tile_product *p, size_t first, size_t rows, size_t first_panel, size_t panels,
                    bool fresh) {
    for (size_t done = 0; done < rows; done += TILE_ROWS) {
        size_t now = rows - done < TILE_ROWS ? rows - done : TILE_ROWS;
        ask_ahead(&p->ahead, first + done, now);
        for (size_t i = first_panel; i < first_panel + panels; i++) {
            panel n = panel_at(p->weights.columns, i);
            size_t column = n.first * VECTOR_LANES;
            bool starts = fresh && done == 0;
            if (VECTOR_LANES == 16 && n.narrow)
                narrow_block(n.vectors, p, first + done, now, column, starts);
            else if (n.vectors == 3)
                product_block(3, false, p, first + done, now, column, starts);
            else if (n.vectors == 2)
                product_block(2, false, p, first + done, now, column, starts);
            else
                product_block(1, false, p, first + done, now, column, starts);
        }
    }
    if (p->stream) vec_stream_end();
}

/* ---- sums of outer products ---- */

/* TILE_ROWS rows by `blocks` entries */
ALWAYS_INLINE void outer_block(size_t blocks, const tile_outer *o, size_t row, size_t entry) {
    enum { MOST = VECTOR_LANES == 16 ? 3 : BLOCK_VECTORS };
    const size_t vectors = blocks * BLOCK_VECTORS;
    vec sum[TILE_ROWS][MOST];
    const float *rows = (const float *)o->rows + row / TILE_CHANNELS * o->rows_plane + row % TILE_CHANNELS;
    const float *columns[MOST];
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++)
        _Pragma("GCC unroll 4") for (size_t v = 0; v < vectors; v++) sum[r][v] = (vec){0};
    _Pragma("GCC unroll 3") for (size_t i = 0; i < blocks; i++) columns[i] =
        (const float *)o->columns + o->column_offsets[entry + i];
    for (size_t run = 0; run < o->runs; run++) {
        const float *a = rows + run * o->rows_run, *b[MOST];
        _Pragma("GCC unroll 3") for (size_t i = 0; i < blocks; i++) b[i] = columns[i] + run * o->columns_run;
        for (size_t p = 0; p < o->run_length; p++) {
            vec x[MOST];
            _Pragma("GCC unroll 4") for (size_t v = 0; v < vectors; v++) x[v] =
                vec_keep(vec_load(b[v / BLOCK_VECTORS] + v % BLOCK_VECTORS * VECTOR_LANES));
            _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) {
                vec y = vec_set(a[r]);
                _Pragma("GCC unroll 4") for (size_t v = 0; v < vectors; v++) sum[r][v] += y * x[v];
            }
            a += o->rows_step;
            _Pragma("GCC unroll 3") for (size_t i = 0; i < blocks; i++) b[i] += o->columns_step;
        }
    }
    _Pragma("GCC unroll 8") for (size_t r = 0; r < TILE_ROWS; r++) if (row + r < o->row_count) {
        float *to = o->result + (row + r) * o->result_row;
        _Pragma("GCC unroll 4") for (size_t v = 0; v < vectors; v++) {
            float *at = to + o->result_offsets[entry + v / BLOCK_VECTORS] + v % BLOCK_VECTORS * VECTOR_LANES;
            vec_store(at, o->add ? vec_load(at) + sum[r][v] : sum[r][v]);
        }
    }
}

static void outer(const tile_outer *o) {
#if VECTOR_LANES == 16
    const size_t most = 3;
#else
    const size_t most = 1;
#endif
    for (size_t entry = 0; entry < o->entries;) {
        size_t left = o->entries - entry, blocks = left == 4 && most == 3 ? 2 : left < most ? left : most;
        for (size_t row = 0; row < o->row_count; row += TILE_ROWS) {
#if VECTOR_LANES == 16
            if (blocks == 3)
                outer_block(3, o, row, entry);
            else if (blocks == 2)
                outer_block(2, o, row, entry);
            else
#endif
                outer_block(1, o, row, entry);
        }
        entry += blocks;
    }
}

const tile_kernels ISA_NAME(tile_kernels) = {.map = tile_map,
                                             .gradient = tile_gradient,
                                             .weights_floats = weights_floats,
                                             .panels = panel_count,
                                             .pack = pack_panel,
                                             .product = product,
                                             .outer = outer};
