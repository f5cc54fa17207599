/* What the files of the trace level share, inside libhdloss. */
#ifndef HDLOSS_ENERGY_TRACE_INTERNAL_H
#define HDLOSS_ENERGY_TRACE_INTERNAL_H

#include "energy/trace_kernel.h"
#include "trace.h"

/* Bits of one operand's words: how they stand in a register, and what they mean. */
typedef struct trace_words {
    uint8_t bits, sign,
        magnitude; /* masks: all bits, the sign's, those that the multiplier's and gates see */
    int16_t values[256];
} trace_words;

/* Every element's registers and settled signals, row r's at r * stride. */
typedef struct trace_state {
    uint8_t *left, *top; /* operand registers */
    uint32_t *product, *base, *sum, *psum, *carry;
} trace_state;

/* A tile of one pixel block, ready to run. Element (r, c) takes left[r][t] and, held, top[r][c] or,
 * streaming, top at r * top_row + t * top_step + c. */
typedef struct trace_tile {
    size_t steps, rows, columns; /* in use */
    bool holds_on; /* local sums: no step follows the last at once, so the sum shows at its own adder */
    size_t next_rows, next_columns; /* in use by the next tile; 0 after the last */
    size_t top_row, top_step;
} trace_tile;

typedef struct tracer {
    const hd_trace_layer *layer;
    const hd_plan *plan;
    bool local;                /* sums stay: output stationary */
    bool by_weight;            /* the held operand is the weight */
    size_t rows, cols, stride; /* stride: cols in whole blocks */
    size_t out_width, pixels, positions;
    uint32_t mask;
    trace_words weight, activation;
    trace_kernels kernels;

    uint8_t *patterns;  /* [weights] */
    int32_t *offsets;   /* [positions][pixels]: where a pixel's channels begin in the image; -1: padding */
    uint8_t *dense;     /* a tile's weights */
    uint8_t *last_word; /* [rows]: the word that a row offered last */
    trace_state state;
    uint8_t *left, *top; /* the present tile's patterns */
    int32_t *left_values, *top_values;
    uint32_t *left_ones, *top_ones; /* local sums only */
    uint32_t *spare;                /* [4][rows][TRACE_BLOCK]: signals of a block that is not full */
    uint64_t histograms[TRACE_HISTOGRAMS][TRACE_HISTOGRAM];
    hd_trace_counts counts;
} tracer;

/* trace_operands.c: everything about words and where they come from. */
bool trace_operands_prepare(tracer *t, hd_error *error); /* tables and the tile's arrays */
void trace_operands_free(tracer *t);
/* Words of tile `index` of a pixel block into left and top. */
void trace_operands_fill(tracer *t, size_t block, size_t index, trace_tile *tile);

/* trace_tile.c: counts of one filled tile, and the state after it. */
void trace_tile_run(tracer *t, const trace_tile *tile);

static inline unsigned trace_ones(unsigned x) {
    return (unsigned)__builtin_popcount(x);
}

#endif
