/* The trace level: all tiles of a layer in the order of hdloss/rtl/README.md, registers starting at zero.
 * Everything is in the local time of that page, so no skew is simulated. */
#include <stdlib.h>
#include <string.h>

#include "energy/trace_internal.h"
#include "words/isa.h"

int hd_accumulator_bits(hd_dataflow dataflow) {
    return dataflow == HD_OUTPUT_STATIONARY ? 32 : 24;
}

/* ---- what is accepted ---- */
/* Output length along an axis, 0 when the kernel does not fit. */
static size_t output_length(const hd_trace_layer *l, size_t length) {
    size_t reach, padded;
    if (__builtin_mul_overflow(l->plan->shape.size - 1, l->dilation, &reach) ||
        __builtin_mul_overflow(l->padding, (size_t)2, &padded) ||
        __builtin_add_overflow(padded, length, &padded))
        return 0;
    return padded > reach ? (padded - reach - 1) / l->stride + 1 : 0;
}

static bool check_words(const hd_trace_layer *l, hd_error *error) {
    int limit = hd_largest_word(l->plan->accelerator.weight_bits);
    for (size_t i = 0; i < l->plan->weights; i++)
        if (l->words[i] < -limit || l->words[i] > limit)
            return hd_fail(error, "the word %d is outside the %d bits of the layer: words lie in -%d to %d",
                           l->words[i], l->plan->accelerator.weight_bits, limit, limit);
    return true;
}

static bool check(const hd_trace_layer *l, hd_error *error) {
    const hd_plan *plan = l->plan;
    size_t values;
    if (plan->accelerator.encoding != HD_ENCODING_NONE)
        return hd_fail(error, "the trace level knows no %s: the array of hdloss/rtl has no decoder",
                       hd_encoding_name(plan->accelerator.encoding));
    if (l->accumulator_bits && (l->accumulator_bits < 17 || l->accumulator_bits > 32))
        return hd_fail(error, "accumulators of %d bits: 17 to 32 are possible", l->accumulator_bits);
    if (!l->height || !l->width || !l->stride || !l->dilation)
        return hd_fail(error, "height, width, stride and dilation must be at least 1");
    size_t height = output_length(l, l->height), width = output_length(l, l->width), pixels;
    if (__builtin_mul_overflow(height, width, &pixels) || pixels != plan->shape.output_pixels)
        return hd_fail(error, "an input of %zux%zu gives %zux%zu output pixels, the plan has %zu", l->height,
                       l->width, height, width, plan->shape.output_pixels);
    if (__builtin_mul_overflow(l->height, l->width, &values) ||
        __builtin_mul_overflow(values, plan->shape.channels, &values) || values > INT32_MAX)
        return hd_fail(error, "an input of %zux%zux%zu is too large to trace", l->height, l->width,
                       plan->shape.channels);
    size_t steps = plan->dataflow == HD_WEIGHT_STATIONARY ? pixels : plan->tile_steps;
    if (steps > TRACE_MOST_STEPS) return hd_fail(error, "a tile of %zu steps is too long to trace", steps);
    return check_words(l, error);
}

/* ---- one layer ---- */
static trace_kernels best_kernels(void) {
    switch (hd_isa_best()) {
#if defined(__x86_64__)
    case HD_ISA_AVX512:
        return (trace_kernels){hd_trace_flowing_avx512, hd_trace_local_avx512};
    case HD_ISA_AVX2:
        return (trace_kernels){hd_trace_flowing_avx2, hd_trace_local_avx2};
#endif
    default:
        return (trace_kernels){hd_trace_flowing_portable, hd_trace_local_portable};
    }
}

static bool prepare(tracer *t, const hd_trace_layer *l, hd_error *error) {
    const hd_plan *plan = l->plan;
    int bits = l->accumulator_bits ? l->accumulator_bits : hd_accumulator_bits(plan->dataflow);
    *t = (tracer){.layer = l,
                  .plan = plan,
                  .local = plan->dataflow == HD_OUTPUT_STATIONARY,
                  .by_weight = plan->dataflow == HD_WEIGHT_STATIONARY,
                  .rows = (size_t)plan->accelerator.rows,
                  .cols = (size_t)plan->accelerator.cols,
                  .out_width = output_length(l, l->width),
                  .pixels = plan->shape.output_pixels,
                  .positions = plan->shape.size * plan->shape.size,
                  .mask = UINT32_MAX >> (32 - bits),
                  .kernels = best_kernels()};
    t->stride = (t->cols + TRACE_BLOCK - 1) / TRACE_BLOCK * TRACE_BLOCK;
    size_t elements = t->rows * t->stride;
    uint32_t **signals[] = {&t->state.product, &t->state.base, &t->state.sum, &t->state.psum,
                            &t->state.carry};
    bool good = (t->state.left = calloc(elements, 1)) && (t->state.top = calloc(elements, 1)) &&
                (t->spare = calloc(4 * t->rows * TRACE_BLOCK, sizeof *t->spare));
    for (size_t i = 0; good && i < 5; i++)
        good = (*signals[i] = calloc(elements, sizeof **signals[i])) != NULL;
    if (!good) return hd_fail(error, "no memory for the trace of a %zux%zu array", t->rows, t->cols);
    return trace_operands_prepare(t, error);
}

static void discard(tracer *t) {
    trace_operands_free(t);
    free(t->state.left);
    free(t->state.top);
    free(t->state.product);
    free(t->state.base);
    free(t->state.sum);
    free(t->state.psum);
    free(t->state.carry);
    free(t->spare);
}

static void finish(tracer *t) {
    hd_trace_counts *n = &t->counts;
    n->cycles += t->rows + t->cols;
    n->array_pe_cycles = n->cycles * t->rows * t->cols;
    for (size_t flips = 1; flips < TRACE_HISTOGRAM; flips++) {
        for (size_t i = 0; i < TRACE_HISTOGRAMS; i++)
            n->partial_product_histogram[flips] += t->histograms[i][flips];
        n->partial_products += flips * n->partial_product_histogram[flips];
    }
}

static bool trace_layer(const hd_trace_layer *l, hd_trace_counts *counts, hd_error *error) {
    if (!check(l, error)) return false;
    tracer *t = malloc(sizeof *t);
    if (!t) return hd_fail(error, "no memory for a trace");
    bool good = prepare(t, l, error);
    trace_tile tile;
    for (size_t block = 0; good && block < t->plan->repeats; block++)
        for (size_t i = 0; i < t->plan->tiles; i++) {
            trace_operands_fill(t, block, i, &tile);
            trace_tile_run(t, &tile);
        }
    if (good) finish(t);
    if (good) *counts = t->counts;
    discard(t);
    free(t);
    return good;
}

bool hd_trace_layers(const hd_trace_layer *layers, size_t count, int threads, hd_trace_counts *counts,
                     hd_error *error) {
    bool good = true;
    memset(counts, 0, count * sizeof *counts);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (size_t i = 0; i < count; i++) {
        hd_error own = {""};
        if (trace_layer(&layers[i], &counts[i], &own)) continue;
#pragma omp critical(hd_trace_error)
        {
            if (good && error) *error = own;
            good = false;
        }
    }
    return good;
}

void hd_trace_counts_add(hd_trace_counts *total, const hd_trace_counts *layer) {
    uint64_t *to = (uint64_t *)total;
    const uint64_t *from = (const uint64_t *)layer;
    _Static_assert(sizeof *total % sizeof *to == 0, "counts are 64-bit integers only");
    for (size_t i = 0; i < sizeof *total / sizeof *to; i++) to[i] += from[i];
}

/* ---- accumulators ---- */
/* Bits of a two's complement number from -low to high. */
static int bits_for(uint64_t low, uint64_t high) {
    int bits = 1;
    while (bits < 64 && (low > UINT64_C(1) << (bits - 1) || high >= UINT64_C(1) << (bits - 1))) bits++;
    return bits;
}

static void add_word(int word, uint64_t *low, uint64_t *high) {
    *low += word < 0 ? (uint64_t)-word : 0;
    *high += word > 0 ? (uint64_t)word : 0;
}

int hd_accumulator_bits_needed(const hd_plan *plan, const int8_t *words, bool activation_signed) {
    int bits = plan->accelerator.activation_bits, most = 1;
    uint64_t largest = activation_signed ? (UINT64_C(1) << (bits - 1)) - 1 : (UINT64_C(1) << bits) - 1;
    bool local = plan->dataflow == HD_OUTPUT_STATIONARY;
    for (size_t i = 0; i < plan->tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        /* Sums stay: one for each lane, over the steps. Sums flow: one for each step (or column), over the
         * rows. */
        size_t sums = local ? tile.rows : tile.steps * tile.columns, terms = local ? tile.steps : tile.rows;
        for (size_t s = 0; s < sums; s++) {
            uint64_t low = 0, high = 0;
            for (size_t k = 0; k < terms; k++) {
                size_t step = local ? k : s / tile.columns,
                       lane = local ? s : k * tile.columns + s % tile.columns;
                add_word(words[hd_plan_weight(plan, &tile, step, lane)], &low, &high);
            }
            if (activation_signed) low = high = low + high;
            int needed = bits_for(low * largest, high * largest);
            most = needed > most ? needed : most;
        }
    }
    return most;
}
