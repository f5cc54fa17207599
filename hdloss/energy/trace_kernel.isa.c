/* XOR and popcount over rows of columns: products, sums and carries of every step of a tile but the first.
 * Columns are the vectors' lanes; a row's word is the same for all of them. Operand registers are counted
 * elsewhere: their words are shared by a row or a column. */
#include <string.h>

#include "energy/trace_kernel.h"
#include "words/isa.h"

#if defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t unaligned_lanes __attribute__((vector_size(4 * LANES), aligned(4)));

static inline lanes load(const void *from) {
    return *(const unaligned_lanes *)from;
}
static inline void store(uint32_t *to, lanes x) {
    *(unaligned_lanes *)to = x;
}

static inline lanes ones(lanes x) {
#if defined(__AVX512VPOPCNTDQ__)
    return (lanes)_mm512_popcnt_epi32((__m512i)x);
#else
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    x += x >> 8;
    return (x + (x >> 16)) & 63u;
#endif
}

/* What one column's adder and product registers hold, and the flips seen so far. */
typedef struct signals {
    lanes product, base, sum, carry;
} signals;

typedef struct counters {
    lanes product, base, sum, carry, last;
} counters;

static void flush(counters *n, trace_flips *flips, size_t first) {
    for (size_t i = 0; i < LANES; i++) {
        flips->product[first + i] += n->product[i];
        flips->base[first + i] += n->base[i];
        flips->sum[first + i] += n->sum[i];
        flips->carry[first + i] += n->carry[i];
        flips->last_sum[first + i] += n->last[i];
    }
    memset(n, 0, sizeof *n);
}

enum {
    CHUNK = 128,                         /* steps whose sums go from row to row in the first-level cache */
    MOST_BEFORE_FLUSH = TRACE_MOST_STEPS /* twice as many changes of 32 bits fit 32-bit counters */
};

static inline signals load_signals(const trace_block *k, size_t at) {
    signals s = {.product = load(k->product + at), .sum = load(k->sum + at), .carry = load(k->carry + at)};
    return s;
}

static inline void store_signals(const trace_block *k, size_t at, const signals *s) {
    store(k->product + at, s->product);
    store(k->sum + at, s->sum);
    store(k->carry + at, s->carry);
}

/* A row's steps: each adds its product to the sum from above and hands it to the row below. */
static inline void flow_row(const int32_t *left, lanes x, size_t steps, lanes mask, lanes *above, signals *s,
                            counters *n) {
    for (size_t t = 0; t < steps; t++) {
        lanes product = (uint32_t)left[t] * x, base = above[t], sum = (base + product) & mask;
        lanes carry = (base ^ product ^ sum) & mask;
        n->product += ones((product ^ s->product) & 0xffffu);
        n->sum += ones(sum ^ s->sum);
        n->carry += ones(carry ^ s->carry);
        above[t] = sum;
        s->product = product;
        s->sum = sum;
        s->carry = carry;
    }
}

static void flow(const trace_block *k, size_t first, trace_flips *flips) {
    lanes above[CHUNK], mask = (lanes){0} + k->mask;
    counters n = {0};
    size_t changes = 0;
    for (size_t t = 1; t < k->steps; t += CHUNK) {
        size_t steps = k->steps - t < CHUNK ? k->steps - t : CHUNK;
        memset(above, 0, steps * sizeof *above);
        for (size_t r = 0; r < k->rows; r++) {
            size_t at = r * k->state_row + first;
            signals s = load_signals(k, at);
            lanes before = n.sum;
            flow_row(k->left + r * k->steps + t, load(k->top + r * k->top_row + first), steps, mask, above,
                     &s, &n);
            if (r + 1 == k->rows) n.last += n.sum - before;
            store_signals(k, at, &s);
        }
        changes += k->rows * steps;
        if (changes < MOST_BEFORE_FLUSH && t + CHUNK < k->steps) continue;
        flush(&n, flips, first);
        changes = 0;
    }
}

void HD_ISA_NAME(hd_trace_flowing)(const trace_block *k, trace_flips *flips) {
    for (size_t first = 0; first < k->columns; first += LANES) flow(k, first, flips);
}

/* Flips among the partial products of one step, one count a column, into the histograms. */
static inline void count_partial_products(const trace_block *k, lanes top, uint32_t left, size_t columns) {
#if defined(__AVX512VPOPCNTDQ__)
    uint8_t counts[LANES];
    __m512i products =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), (__m512i)top, _mm512_set1_epi32((int)left));
    _mm_storeu_si128((__m128i *)(void *)counts, _mm512_cvtepi32_epi8(products));
#else
    uint32_t counts[LANES];
    lanes products =
        (top & 255u) * (left & 255u) + (top >> 8 & 255u) * (left >> 8 & 255u) + (top >> 16) * (left >> 16);
    memcpy(counts, &products, sizeof counts);
#endif
    for (size_t c = 0; c < columns; c++) k->histograms[c % TRACE_HISTOGRAMS][counts[c]]++;
}

static inline void stay_row(const trace_block *k, size_t r, size_t first, lanes mask, signals *s,
                            counters *n) {
    size_t columns = k->columns - first < LANES ? k->columns - first : LANES;
    const int32_t *top = k->top + r * k->top_row + first;
    const uint32_t *top_ones = k->top_ones + r * k->top_row + first;
    for (size_t t = 1; t < k->steps; t++) {
        lanes product = (uint32_t)k->left[r * k->steps + t] * load(top + t * k->top_step);
        lanes base = s->sum, sum = (base + product) & mask, carry = (base ^ product ^ sum) & mask;
        n->product += ones((product ^ s->product) & 0xffffu);
        n->base += ones(base ^ s->base);
        n->sum += ones(sum ^ s->sum);
        n->carry += ones(carry ^ s->carry);
        count_partial_products(k, load(top_ones + t * k->top_step), k->left_ones[r * k->steps + t], columns);
        *s = (signals){product, base, sum, carry};
    }
}

static void stay(const trace_block *k, size_t first, trace_flips *flips) {
    lanes mask = (lanes){0} + k->mask;
    counters n = {0};
    size_t changes = 0;
    for (size_t r = 0; r < k->rows; r++) {
        size_t at = r * k->state_row + first;
        signals s = load_signals(k, at);
        s.base = load(k->base + at);
        stay_row(k, r, first, mask, &s, &n);
        store_signals(k, at, &s);
        store(k->base + at, s.base);
        changes += k->steps;
        if (changes < MOST_BEFORE_FLUSH && r + 1 < k->rows) continue;
        flush(&n, flips, first);
        changes = 0;
    }
}

void HD_ISA_NAME(hd_trace_local)(const trace_block *k, trace_flips *flips) {
    for (size_t first = 0; first < k->columns; first += LANES) stay(k, first, flips);
}
