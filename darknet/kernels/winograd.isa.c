/* The products of Winograd's filtering and what becomes of their sums, see winograd.h and winograd_layout.h.
 */
#include "kernels/activation_vector.h"
#include "kernels/winograd_layout.h"

#if VECTOR_LANES == 16
#define OUTER_ROWS 16
#define OUTER_VECTORS 1
#else
#define OUTER_ROWS 4
#define OUTER_VECTORS 2
#endif
#define OUTPUTS (4 * GROUP)

extern const winograd_kernels ISA_NAME(winograd_kernels);

static size_t column_floats(size_t tiles, size_t channels) {
    return groups_of(tiles) * CELL * (channels / TILE_CHANNELS);
}

static size_t input_floats(size_t tiles, size_t channels) {
    return 4 * column_floats(tiles, channels);
}

static size_t partial_floats(size_t tiles) {
    return groups_of(tiles) * OUTPUTS * VECTOR_LANES;
}

/* ---- outputs ---- */

/* Where a group's outputs, [row][column][tile], go in out, and which of them there are. */
typedef struct outputs {
    size_t at[OUTPUTS];
    bool there[OUTPUTS];
    size_t count;
} outputs;

static bool is_whole(const winograd_product *p, size_t group) {
    return (group + 1) * GROUP <= p->tiles && p->width % 2 == 0 && p->height % 2 == 0;
}

ALWAYS_INLINE void place_outputs(bool whole, const winograd_product *p, size_t group, size_t column,
                                 outputs *o) {
    o->count = 0;
    UNROLL for (size_t n = 0; n < OUTPUTS; n++) {
        size_t tile = group * GROUP + n % GROUP, row = n / GROUP / 2, pixel = n / GROUP % 2;
        bool there = true;
        if (!whole) {
            there = tile < p->tiles;
            const winograd_place *place = p->places + (there ? tile : 0);
            there = there && place->y + row < p->height && place->x + pixel < p->width;
            o->there[n] = there;
        }
        o->count += there;
        o->at[n] = there ? (p->places[tile].pixel + row * p->width + pixel) * p->columns + column : column;
    }
}

#define EACH_OUTPUT UNROLL for (size_t n = 0; n < OUTPUTS; n++) if (whole || o->there[n])

ALWAYS_INLINE void add_moments(bool whole, const tile_moments *m, const outputs *o, size_t column, bool fresh,
                               const vec y[OUTPUTS]) {
    vec total = {0}, square = {0}, pivot = {0};
    if (fresh) {
        EACH_OUTPUT pivot += y[n];
        pivot /= (float)o->count;
        vec_store(m->pivot + column, pivot);
    } else {
        pivot = vec_load(m->pivot + column);
        total = vec_load(m->sum + column);
        square = vec_load(m->square + column);
    }
    EACH_OUTPUT {
        vec d = y[n] - pivot;
        total += d;
        square += d * d;
    }
    vec_store(m->sum + column, total);
    vec_store(m->square + column, square);
}

ALWAYS_INLINE void add_sums(bool whole, activation_kind kind, const tile_sums *s, const outputs *o,
                            size_t column, const vec y[OUTPUTS]) {
    vec dz = vec_load(s->dz + column), dz_x = vec_load(s->dz_x + column);
    vec scale = vec_load(s->map.scale + column), shift = vec_load(s->map.shift + column),
        center = vec_load(s->center + column);
    EACH_OUTPUT {
        vec x = vec_load(s->data + o->at[n]), d = activation_pass_back(kind, y[n], x * scale + shift);
        dz += d;
        dz_x += d * (x - center);
    }
    vec_store(s->dz + column, dz);
    vec_store(s->dz_x + column, dz_x);
}

ALWAYS_INLINE void clamp_outputs(const channel_map *map, size_t column, vec y[OUTPUTS]) {
    vec low = clamp_low(map->activation), high = clamp_high(map->activation);
    vec scale = vec_load(map->scale + column), shift = vec_load(map->shift + column);
    UNROLL for (size_t n = 0; n < OUTPUTS; n++) y[n] = vec_clamp(y[n] * scale + shift, low, high);
}

/* Maps stored outputs in place: for activations that are not worth their code in registers. */
static void map_outputs(const winograd_product *p, const outputs *o, bool whole, size_t column) {
    vec scale = vec_load(p->map.scale + column), shift = vec_load(p->map.shift + column);
    for (size_t n = 0; n < OUTPUTS; n++) {
        if (!whole && !o->there[n]) continue;
        float *at = p->out + o->at[n];
        vec_store(at, activation_vec(p->map.activation, vec_load(at) * scale + shift));
    }
}

/* As finish says, with a group's outputs in one vector of channels. */
ALWAYS_INLINE void finish_outputs(bool whole, const winograd_product *p, size_t group, size_t column,
                                  vec y[OUTPUTS]) {
    outputs places, *o = &places;
    place_outputs(whole, p, group, column, o);
    if (p->moments.pivot) add_moments(whole, &p->moments, o, column, p->fresh && group == 0, y);
    if (p->finish == TILE_MAP && is_clamp(p->map.activation)) clamp_outputs(&p->map, column, y);
    if (p->finish == TILE_ACCUMULATE) EACH_OUTPUT y[n] += vec_load(p->out + o->at[n]);
    if (p->sums.data) {
        if (p->sums.map.activation == ACTIVATION_RELU)
            add_sums(whole, ACTIVATION_RELU, &p->sums, o, column, y);
        else if (p->sums.map.activation == ACTIVATION_RELU6)
            add_sums(whole, ACTIVATION_RELU6, &p->sums, o, column, y);
        else
            add_sums(whole, ACTIVATION_LINEAR, &p->sums, o, column, y);
    }
    EACH_OUTPUT {
        if (p->stream)
            vec_stream(p->out + o->at[n], y[n]);
        else
            vec_store(p->out + o->at[n], y[n]);
    }
    if (p->finish == TILE_MAP && !is_clamp(p->map.activation)) map_outputs(p, o, whole, column);
}

/* ---- products ---- */

/* sum[i * GROUP + t] = row i of positions of tile t, times the weights. */
ALWAYS_INLINE void multiply(const float *from, const float *weights, size_t blocks, vec sum[OUTPUTS]) {
    UNROLL for (size_t n = 0; n < OUTPUTS; n++) sum[n] = (vec){0};
    for (size_t b = 0; b < blocks; b++, from += CELL)
        for (size_t k = 0; k < TILE_CHANNELS; k += 2) {
            UNROLL for (size_t step = 0; step < 2; step++) {
                UNROLL for (size_t i = 0; i < 4; i++) {
                    vec w = vec_keep(vec_load(weights + i * VECTOR_LANES));
                    UNROLL for (size_t t = 0; t < GROUP; t++) sum[i * GROUP + t] +=
                        vec_set(from[(i * GROUP + t) * TILE_CHANNELS + k + step]) * w;
                }
                weights += 4 * VECTOR_LANES;
            }
        }
}

/* A^T from the left: y's two rows. */
ALWAYS_INLINE void sum_rows(const vec sum[OUTPUTS], vec y[2 * GROUP]) {
    UNROLL for (size_t t = 0; t < GROUP; t++) {
        vec a = sum[GROUP + t], b = sum[2 * GROUP + t];
        y[t] = sum[t] + (a + b);
        y[GROUP + t] = (a - b) - sum[3 * GROUP + t];
    }
}

/* A from the right: adds one column of positions to the outputs, [row][column][tile][lanes] in partial. */
ALWAYS_INLINE void product_column(size_t j, const winograd_product *p, const float *weights, size_t group,
                                  size_t column) {
    float *partial = p->partial + group * OUTPUTS * VECTOR_LANES;
    vec sum[OUTPUTS], y[2 * GROUP], all[OUTPUTS];
    multiply(p->from + (group * 4 + j) * p->in_blocks * CELL, weights, p->in_blocks, sum);
    sum_rows(sum, y);
    UNROLL for (size_t n = 0; n < OUTPUTS; n++) {
        float *at = partial + n * VECTOR_LANES;
        vec now = y[n / (2 * GROUP) * GROUP + n % GROUP];
        bool left = n / GROUP % 2 == 0;
        if (j == 0 && left) vec_store(at, now);
        if (j == 1) vec_store(at, left ? vec_load(at) + now : now);
        if (j == 2) vec_store(at, left ? vec_load(at) + now : vec_load(at) - now);
        if (j == 3) all[n] = left ? vec_load(at) : vec_load(at) - now;
    }
    if (j < 3) return;
    if (is_whole(p, group))
        finish_outputs(true, p, group, column, all);
    else
        finish_outputs(false, p, group, column, all);
}

/* A few pixels at a time: so many at once would hold up the product's own loads. */
ALWAYS_INLINE void ask_ahead(const tile_ahead *a, size_t first) {
    const size_t line_floats = 16;
    for (size_t i = 0; i < a->count; i++) {
        const float *at = a->at[i] + first * a->row_floats[i];
        for (size_t k = 0; k < GROUP * a->row_floats[i]; k += line_floats) prefetch(at + k);
    }
}

ALWAYS_INLINE void product_groups(size_t j, const winograd_product *p, size_t vector) {
    size_t depth = p->in_blocks * TILE_CHANNELS;
    const float *weights = p->weights + (vector * WINOGRAD_POSITIONS * depth + j * 4 * depth) * VECTOR_LANES;
    for (size_t g = 0; g < groups_of(p->tiles); g++) {
        if (vector == p->first) ask_ahead(&p->ahead, (4 * g + j) * GROUP);
        product_column(j, p, weights, g, vector * VECTOR_LANES);
    }
}

static void product(const winograd_product *p) {
    for (size_t v = p->first; v < p->first + p->vectors; v++) {
        product_groups(0, p, v);
        product_groups(1, p, v);
        product_groups(2, p, v);
        product_groups(3, p, v);
    }
    if (p->stream) vec_stream_end();
}

/* ---- sums of outer products ---- */

/* OUTER_ROWS input channels by OUTER_VECTORS vectors of output channels of row i of the positions. */
ALWAYS_INLINE void outer_block(const winograd_outer *o, size_t i, size_t row, size_t column) {
    size_t out_channels = o->out_blocks * TILE_CHANNELS;
    const float *in = o->in + row / TILE_CHANNELS * CELL + i * GROUP * TILE_CHANNELS + row % TILE_CHANNELS;
    const float *out =
        o->out + column / TILE_CHANNELS * CELL + i * GROUP * TILE_CHANNELS + column % TILE_CHANNELS;
    float *to = o->result + (i * o->in_blocks * TILE_CHANNELS + row) * out_channels + column;
    vec sum[OUTER_ROWS][OUTER_VECTORS];
    UNROLL for (size_t r = 0; r < OUTER_ROWS; r++) UNROLL for (size_t v = 0; v < OUTER_VECTORS; v++)
        sum[r][v] = o->add ? vec_load(to + r * out_channels + v * VECTOR_LANES) : (vec){0};
    for (size_t g = 0; g < groups_of(o->tiles); g++) {
        UNROLL for (size_t t = 0; t < GROUP; t++) {
            vec y[OUTER_VECTORS];
            UNROLL for (size_t v = 0; v < OUTER_VECTORS; v++) y[v] =
                vec_keep(vec_load(out + t * TILE_CHANNELS + v * VECTOR_LANES));
            UNROLL for (size_t r = 0; r < OUTER_ROWS; r++) {
                vec x = vec_set(in[t * TILE_CHANNELS + r]);
                UNROLL for (size_t v = 0; v < OUTER_VECTORS; v++) sum[r][v] += x * y[v];
            }
        }
        in += o->in_blocks * CELL;
        out += o->out_blocks * CELL;
    }
    UNROLL for (size_t r = 0; r < OUTER_ROWS; r++) UNROLL for (size_t v = 0; v < OUTER_VECTORS; v++)
        vec_store(to + r * out_channels + v * VECTOR_LANES, sum[r][v]);
}

static void outer(const winograd_outer *o) {
    for (size_t i = 0; i < 4; i++)
        for (size_t row = 0; row < o->in_blocks * TILE_CHANNELS; row += OUTER_ROWS)
            for (size_t c = 0; c < o->out_blocks * TILE_CHANNELS; c += OUTER_VECTORS * VECTOR_LANES)
                outer_block(o, i, row, c);
}

const winograd_kernels ISA_NAME(winograd_kernels) = {.lanes = VECTOR_LANES,
                                                     .input_floats = input_floats,
                                                     .column_floats = column_floats,
                                                     .partial_floats = partial_floats,
                                                     .input = ISA_NAME(winograd_input),
                                                     .input_column = ISA_NAME(winograd_input_column),
                                                     .output_column = ISA_NAME(winograd_output_column),
                                                     .pack = ISA_NAME(winograd_pack),
                                                     .product = product,
                                                     .outer = outer,
                                                     .add_filters = ISA_NAME(winograd_add_filters)};
