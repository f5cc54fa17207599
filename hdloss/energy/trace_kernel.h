/* Inner loops of the trace level, inside libhdloss: one tile's steps after its first, on a block of columns.
 */
#ifndef HDLOSS_ENERGY_TRACE_KERNEL_H
#define HDLOSS_ENERGY_TRACE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum {
    TRACE_BLOCK = 16,          /* columns side by side */
    TRACE_HISTOGRAMS = 4,      /* interleaved, so that equal counts in a row do not wait for each other */
    TRACE_HISTOGRAM = 65,      /* partial-product flips: 0 .. 64 */
    TRACE_MOST_STEPS = 1 << 25 /* of a tile: flips of a signal in them fit 32 bits */
};

typedef struct trace_block {
    size_t rows, steps;  /* rows in use */
    size_t columns;      /* in use, <= TRACE_BLOCK: only they enter the histogram; all are computed */
    uint32_t mask;       /* of the accumulator's width */
    const int32_t *left; /* [rows][steps]: values of the rows' words */
    /* Flowing sums: held values, row r's at top + r * top_row. Local sums: streaming, step t of row r at top
     * + r * top_row + t * top_step. */
    const int32_t *top;
    size_t top_row, top_step;
    /* Signals after the present step, row r's at r * state_row: read and written. base: local sums only. */
    uint32_t *product, *base, *sum, *carry;
    size_t state_row;
    /* Local sums only. Ones of the activation and weight that decide partial-product flips, packed in bytes:
     * left [rows][steps] has w & w', w & ~w', ~w & w'; top, laid out as above, x ^ x', x, x'. Their scalar
     * product is the number of flips. */
    const uint32_t *left_ones, *top_ones;
    uint64_t (*histograms)[TRACE_HISTOGRAM]; /* [TRACE_HISTOGRAMS]: added to */
} trace_block;

/* Flips of each column; added to. */
typedef struct trace_flips {
    uint64_t product[TRACE_BLOCK], base[TRACE_BLOCK], sum[TRACE_BLOCK], carry[TRACE_BLOCK];
    uint64_t last_sum[TRACE_BLOCK]; /* flowing sums: of `sum` those of the last row in use */
} trace_flips;

typedef void trace_kernel(const trace_block *block, trace_flips *flips);
trace_kernel hd_trace_flowing_portable, hd_trace_flowing_avx2, hd_trace_flowing_avx512;
trace_kernel hd_trace_local_portable, hd_trace_local_avx2, hd_trace_local_avx512;

typedef struct trace_kernels {
    trace_kernel *flowing, *local;
} trace_kernels;

#endif
