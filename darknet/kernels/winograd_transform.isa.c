/* Winograd's transforms of tiles and of weights, see winograd.h and winograd_layout.h. */
#include "kernels/winograd_layout.h"

/* ---- transforms of tiles ---- */

/* Row n of B^T times (a, b, c, d). */
ALWAYS_INLINE vec input_row(size_t n, vec a, vec b, vec c, vec d) {
    switch (n) {
    case 0:
        return a - c;
    case 1:
        return b + c;
    case 2:
        return c - b;
    default:
        return b - d;
    }
}

/* Row n of A times (a, b); the last one with its sign turned, which add_filters knows. */
ALWAYS_INLINE vec output_row(size_t n, vec a, vec b) {
    switch (n) {
    case 0:
        return a;
    case 1:
        return a + b;
    case 2:
        return a - b;
    default:
        return b;
    }
}

/* One column of positions of a patch that stands in registers. */
ALWAYS_INLINE void store_input_column(size_t column, vec d[4][4], float *to) {
    vec e[4];
    UNROLL for (size_t r = 0; r < 4; r++) e[r] = input_row(column, d[r][0], d[r][1], d[r][2], d[r][3]);
    UNROLL for (size_t i = 0; i < 4; i++)
        vec_store(to + i * GROUP * TILE_CHANNELS, input_row(i, e[0], e[1], e[2], e[3]));
}

ALWAYS_INLINE void load_patch(const float *at, size_t row, vec d[4][4]) {
    UNROLL for (size_t i = 0; i < 16; i++) d[i / 4][i % 4] =
        vec_load(at + i / 4 * row + i % 4 * TILE_CHANNELS);
}

/* Where a tile's patch begins, in a block of channels. */
ALWAYS_INLINE const float *patch_at(const winograd_source *s, size_t tile, size_t block) {
    return s->filled + s->places[tile].image * s->image + s->places[tile].patch + block * s->plane;
}

void ISA_NAME(winograd_input)(const winograd_source *s, float *to) {
    for (size_t n = 0; n < groups_of(s->tiles) * GROUP; n++)
        for (size_t c = 0; c < s->blocks * TILE_CHANNELS; c += VECTOR_LANES) {
            size_t block = c / TILE_CHANNELS, lane = c % TILE_CHANNELS;
            float *cell = to + (n / GROUP * 4 * s->blocks + block) * CELL + n % GROUP * TILE_CHANNELS + lane;
            vec d[4][4] = {{{0}}};
            if (n < s->tiles) load_patch(patch_at(s, n, block) + lane, s->row, d);
            UNROLL for (size_t j = 0; j < 4; j++) store_input_column(j, d, cell + j * s->blocks * CELL);
        }
}

ALWAYS_INLINE void input_column_of(size_t column, const winograd_source *s, float *to) {
    for (size_t n = 0; n < groups_of(s->tiles) * GROUP; n++)
        for (size_t c = 0; c < s->blocks * TILE_CHANNELS; c += VECTOR_LANES) {
            size_t block = c / TILE_CHANNELS, lane = c % TILE_CHANNELS;
            vec d[4][4] = {{{0}}};
            if (n < s->tiles) load_patch(patch_at(s, n, block) + lane, s->row, d);
            store_input_column(
                column, d, to + (n / GROUP * s->blocks + block) * CELL + n % GROUP * TILE_CHANNELS + lane);
        }
}

ALWAYS_INLINE void output_column_of(size_t column, const winograd_source *s, float *to) {
    for (size_t n = 0; n < groups_of(s->tiles) * GROUP; n++)
        for (size_t c = 0; c < s->blocks * TILE_CHANNELS; c += VECTOR_LANES) {
            size_t block = c / TILE_CHANNELS, lane = c % TILE_CHANNELS;
            float *cell = to + (n / GROUP * s->blocks + block) * CELL + n % GROUP * TILE_CHANNELS + lane;
            vec e[2] = {{0}};
            if (n < s->tiles) { /* the outputs are the patch's middle */
                const float *at = patch_at(s, n, block) + lane + TILE_CHANNELS;
                UNROLL for (size_t r = 0; r < 2; r++) e[r] = output_row(
                    column, vec_load(at + (r + 1) * s->row), vec_load(at + (r + 1) * s->row + TILE_CHANNELS));
            }
            UNROLL for (size_t i = 0; i < 4; i++)
                vec_store(cell + i * GROUP * TILE_CHANNELS, output_row(i, e[0], e[1]));
        }
}

#define WITH_COLUMN(column, body, ...)                                                                       \
    do {                                                                                                     \
        switch (column) {                                                                                    \
        case 0:                                                                                              \
            body(0, __VA_ARGS__);                                                                            \
            break;                                                                                           \
        case 1:                                                                                              \
            body(1, __VA_ARGS__);                                                                            \
            break;                                                                                           \
        case 2:                                                                                              \
            body(2, __VA_ARGS__);                                                                            \
            break;                                                                                           \
        default:                                                                                             \
            body(3, __VA_ARGS__);                                                                            \
            break;                                                                                           \
        }                                                                                                    \
    } while (0)

void ISA_NAME(winograd_input_column)(const winograd_source *s, size_t column, float *to) {
    WITH_COLUMN(column, input_column_of, s, to);
}

void ISA_NAME(winograd_output_column)(const winograd_source *s, size_t column, float *to) {
    WITH_COLUMN(column, output_column_of, s, to);
}

/* ---- transforms of weights ---- */

/* G times (a, b, c) */
ALWAYS_INLINE void kernel_rows(vec a, vec b, vec c, vec to[4]) {
    vec half = 0.5f * (a + c);
    to[0] = a;
    to[1] = half + 0.5f * b;
    to[2] = half - 0.5f * b;
    to[3] = c;
}

void ISA_NAME(winograd_pack)(const winograd_weights *w, size_t vector, const float *source, float *packed) {
    float *to = packed + vector * VECTOR_LANES * WINOGRAD_POSITIONS * w->depth;
    for (size_t k = 0; k < w->depth; k++) {
        const float *from = source + k * w->depth_step + vector * VECTOR_LANES * w->column_step;
        vec g[9], rows[3][4], u[4];
        for (size_t q = 0; q < 9; q++)
            for (size_t n = 0; n < VECTOR_LANES; n++)
                g[q][n] = from[n * w->column_step + (w->turned ? 8 - q : q)];
        for (size_t y = 0; y < 3; y++) kernel_rows(g[3 * y], g[3 * y + 1], g[3 * y + 2], rows[y]);
        for (size_t j = 0; j < 4; j++) {
            kernel_rows(rows[0][j], rows[1][j], rows[2][j], u);
            for (size_t i = 0; i < 4; i++) vec_store(to + ((j * w->depth + k) * 4 + i) * VECTOR_LANES, u[i]);
        }
    }
}

/* G^T times (a, b, c, -d), see output_row. */
ALWAYS_INLINE void gradient_rows(vec a, vec b, vec c, vec d, vec to[3]) {
    vec half = 0.5f * (b + c);
    to[0] = a + half;
    to[1] = 0.5f * (b - c);
    to[2] = half - d;
}

void ISA_NAME(winograd_add_filters)(size_t in_channels, size_t out_channels, size_t channel,
                                    const float *sums, float *weight_delta) {
    for (size_t f = 0; f < out_channels; f += VECTOR_LANES) {
        vec columns[4][3], s[4], g[3];
        for (size_t j = 0; j < 4; j++) {
            for (size_t i = 0; i < 4; i++)
                s[i] = vec_load(sums + ((j * 4 + i) * in_channels + channel) * out_channels + f);
            gradient_rows(s[0], s[1], s[2], s[3], columns[j]);
        }
        for (size_t y = 0; y < 3; y++) {
            gradient_rows(columns[0][y], columns[1][y], columns[2][y], columns[3][y], g);
            for (size_t n = 0; n < VECTOR_LANES; n++)
                for (size_t x = 0; x < 3; x++)
                    weight_delta[((f + n) * in_channels + channel) * 9 + y * 3 + x] += g[x][n];
        }
    }
}
