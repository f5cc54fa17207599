/* Flips of one tile: its first step, element by element against what the registers held; operand registers in
 * the other steps, whose words are shared by rows and columns; and what is left in the registers. Products
 * and sums of the other steps are the kernels' (trace_kernel.isa.c). */
#include <string.h>

#include "energy/trace_internal.h"

/* ---- the first step ---- */
static void count_operands(tracer *t, uint8_t left, uint8_t top, size_t at) {
    hd_trace_counts *n = &t->counts;
    uint8_t old_left = t->state.left[at], old_top = t->state.top[at];
    unsigned w = t->by_weight ? top : left, w0 = t->by_weight ? old_top : old_left;
    unsigned x = t->by_weight ? left : top, x0 = t->by_weight ? old_left : old_top;
    n->weight += trace_ones(w ^ w0);
    n->sign += (w ^ w0) & t->weight.sign ? 1 : 0;
    n->activation += trace_ones(x ^ x0);
    n->activation_sign += t->layer->activation_signed && (x ^ x0) & t->activation.sign;
    w &= t->weight.magnitude;
    w0 &= t->weight.magnitude;
    t->histograms[0][trace_ones(w & w0) * trace_ones(x ^ x0) + trace_ones(w & ~w0) * trace_ones(x) +
                     trace_ones(w0 & ~w) * trace_ones(x0)]++;
    t->state.left[at] = left;
    t->state.top[at] = top;
}

/* The adder of an element shows base and product: counts what that flips. */
static uint32_t settle(tracer *t, size_t at, uint32_t base, uint32_t product) {
    hd_trace_counts *n = &t->counts;
    uint32_t sum = (base + product) & t->mask, carry = (base ^ product ^ sum) & t->mask;
    n->product += trace_ones((product ^ t->state.product[at]) & 0xffff);
    n->psum_in += trace_ones(base ^ t->state.base[at]);
    n->psum_out += trace_ones(sum ^ t->state.sum[at]);
    n->carry += trace_ones(carry ^ t->state.carry[at]);
    t->state.product[at] = product;
    t->state.base[at] = base;
    t->state.sum[at] = sum;
    t->state.carry[at] = carry;
    return sum;
}

static void run_first_step(tracer *t, const trace_tile *tile) {
    size_t rows = t->local ? tile->rows : t->rows;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < tile->columns; c++) {
            size_t at = r * t->stride + c, top = r * tile->top_row + c, left = r * tile->steps;
            uint32_t base = t->local || r == 0 ? 0 : t->state.psum[at - t->stride];
            count_operands(t, t->left[left], t->top[top], at);
            uint32_t sum = settle(t, at, base, (uint32_t)(t->left_values[left] * t->top_values[top]));
            t->counts.psum += trace_ones(sum ^ t->state.psum[at]);
            t->state.psum[at] = sum;
        }
}

/* ---- operand registers in the other steps ---- */
typedef struct row_flips {
    uint64_t all, sign;
    uint64_t by_ones[HD_MAXIMUM_BITS + 1]; /* steps by the flips among the bits that the multiplier sees */
} row_flips;

static row_flips count_row(const tracer *t, const trace_tile *tile, size_t row) {
    const trace_words *words = t->by_weight ? &t->activation : &t->weight;
    const uint8_t *left = t->left + row * tile->steps;
    row_flips n = {0};
    for (size_t i = 1; i < tile->steps; i++) {
        unsigned flipped = left[i] ^ left[i - 1];
        n.all += trace_ones(flipped);
        n.sign += flipped & words->sign ? 1 : 0;
        n.by_ones[trace_ones(flipped & words->magnitude)]++;
    }
    return n;
}

static void count_rows(tracer *t, const trace_tile *tile) {
    hd_trace_counts *n = &t->counts;
    const trace_words *held = t->by_weight ? &t->weight : &t->activation;
    for (size_t r = 0; r < tile->rows; r++) {
        row_flips row = count_row(t, tile, r);
        if (t->by_weight) {
            n->activation += row.all * tile->columns;
            n->activation_sign += t->layer->activation_signed ? row.sign * tile->columns : 0;
        } else {
            n->weight += row.all * tile->columns;
            n->sign += row.sign * tile->columns;
        }
        if (t->local) continue; /* partial products: the kernel's */
        uint64_t columns_by_ones[HD_MAXIMUM_BITS + 1] = {0};
        for (size_t c = 0; c < tile->columns; c++)
            columns_by_ones[trace_ones(t->top[r * t->stride + c] & held->magnitude)]++;
        for (size_t a = 1; a <= HD_MAXIMUM_BITS; a++)
            for (size_t b = 1; b <= HD_MAXIMUM_BITS; b++)
                t->histograms[0][a * b] += row.by_ones[a] * columns_by_ones[b];
    }
}

static void count_streaming_top(tracer *t, const trace_tile *tile) {
    uint64_t flips = 0, signs = 0, rows = tile->top_row ? 1 : tile->rows;
    for (size_t r = 0; r < (tile->top_row ? tile->rows : 1); r++)
        for (size_t step = 1; step < tile->steps; step++) {
            const uint8_t *now = t->top + r * tile->top_row + step * tile->top_step;
            for (size_t c = 0; c < tile->columns; c++) {
                unsigned flipped = now[c] ^ (now - tile->top_step)[c];
                flips += trace_ones(flipped);
                signs += flipped & t->activation.sign ? 1 : 0;
            }
        }
    t->counts.activation += flips * rows;
    t->counts.activation_sign += t->layer->activation_signed ? signs * rows : 0;
}

/* ---- products and sums in the other steps ---- */
static void add_kernel_flips(tracer *t, const trace_tile *tile, size_t columns, const trace_flips *flips) {
    hd_trace_counts *n = &t->counts;
    uint64_t unused_rows = t->rows - tile->rows;
    for (size_t c = 0; c < columns; c++) {
        n->product += flips->product[c];
        n->carry += flips->carry[c];
        n->psum += flips->sum[c];
        n->psum_out += flips->sum[c];
        if (t->local) {
            n->psum_in += flips->base[c];
            continue;
        }
        /* Sums pass the rows not in use, and every row but the first has the one above as its base. */
        uint64_t passed = unused_rows * flips->last_sum[c];
        n->psum += passed;
        n->psum_out += passed;
        n->psum_in += flips->sum[c] - flips->last_sum[c] + passed;
    }
}

static void copy_columns(uint32_t *to, size_t to_stride, const uint32_t *from, size_t from_stride,
                         size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * to_stride, from + r * from_stride, columns * sizeof *to);
}

/* A block whose other columns must keep what they hold runs on a copy. */
static void run_block(tracer *t, const trace_tile *tile, size_t first) {
    size_t left = tile->columns - first, columns = left < TRACE_BLOCK ? left : TRACE_BLOCK;
    bool copies = columns < TRACE_BLOCK && tile->columns < t->cols;
    trace_flips flips = {0};
    uint32_t *signals[] = {t->state.product, t->state.base, t->state.sum, t->state.carry};
    trace_block k = {.rows = tile->rows,
                     .steps = tile->steps,
                     .columns = columns,
                     .mask = t->mask,
                     .left = t->left_values,
                     .top = t->top_values + first,
                     .top_row = tile->top_row,
                     .top_step = tile->top_step,
                     .left_ones = t->left_ones,
                     .top_ones = t->local ? t->top_ones + first : NULL,
                     .histograms = t->histograms,
                     .state_row = copies ? TRACE_BLOCK : t->stride};
    uint32_t **slots[] = {&k.product, &k.base, &k.sum, &k.carry};
    for (size_t i = 0; i < 4; i++) {
        *slots[i] = copies ? t->spare + i * t->rows * TRACE_BLOCK : signals[i] + first;
        if (copies) copy_columns(*slots[i], TRACE_BLOCK, signals[i] + first, t->stride, tile->rows, columns);
    }
    (t->local ? t->kernels.local : t->kernels.flowing)(&k, &flips);
    for (size_t i = 0; copies && i < 4; i++)
        copy_columns(signals[i] + first, t->stride, *slots[i], TRACE_BLOCK, tile->rows, columns);
    add_kernel_flips(t, tile, columns, &flips);
}

/* ---- the state after the tile ---- */
static void leave_operands(tracer *t, const trace_tile *tile) {
    size_t last = tile->steps - 1;
    for (size_t r = 0; r < (t->local ? tile->rows : t->rows); r++) {
        memset(t->state.left + r * t->stride, t->left[r * tile->steps + last], tile->columns);
        if (t->local)
            memcpy(t->state.top + r * t->stride, t->top + r * tile->top_row + last * tile->top_step,
                   tile->columns);
    }
}

static void leave_flowing_sums(tracer *t, const trace_tile *tile) {
    for (size_t r = 0; r < t->rows; r++) {
        uint32_t *sum = t->state.sum + r * t->stride;
        if (r >= tile->rows) memcpy(sum, sum - t->stride, tile->columns * sizeof *sum);
        memcpy(t->state.psum + r * t->stride, sum, tile->columns * sizeof *sum);
        if (r > 0) memcpy(t->state.base + r * t->stride, sum - t->stride, tile->columns * sizeof *sum);
    }
}

/* A local sum's adder shows it plus the product once more in the first cycle without a step, unless the next
 * tile's first step follows at once. */
static void leave_local_sums(tracer *t, const trace_tile *tile) {
    for (size_t r = 0; r < tile->rows; r++)
        for (size_t c = 0; c < tile->columns; c++) {
            size_t at = r * t->stride + c;
            t->state.psum[at] = t->state.sum[at];
            bool goes_on = !tile->holds_on && r < tile->next_rows && c < tile->next_columns;
            if (!goes_on) (void)settle(t, at, t->state.psum[at], t->state.product[at]);
        }
}

void trace_tile_run(tracer *t, const trace_tile *tile) {
    size_t rows_enabled = t->local ? tile->rows : t->rows;
    size_t length = tile->steps > t->rows ? tile->steps : t->rows;
    t->counts.tiles++;
    t->counts.cycles += length;
    t->counts.macs += (uint64_t)tile->steps * tile->rows * tile->columns;
    t->counts.enabled_pe_cycles += (uint64_t)tile->steps * rows_enabled * tile->columns;
    run_first_step(t, tile);
    if (tile->steps > 1) {
        count_rows(t, tile);
        if (t->local) count_streaming_top(t, tile);
        for (size_t first = 0; first < tile->columns; first += TRACE_BLOCK) run_block(t, tile, first);
        leave_operands(t, tile);
    }
    if (t->local)
        leave_local_sums(t, tile);
    else
        leave_flowing_sums(t, tile);
}
