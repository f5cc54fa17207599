/* The surrogates `expected` (exact expected Hamming distance under independent Gaussian noise) and `linear`
 * (|u - v|, scaled so that uniformly random words count bits / 2) on rows of a tile. */
#include "loss/row_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "words/isa.h"

enum { ROWS_IN_FLOAT = 8 }; /* rows that are summed in float before they go to the double sums */

row_loss row_loss_make(hd_surrogate surrogate, int bits, const hd_expected_bits *table) {
    row_loss loss = {.surrogate = surrogate, .table = table, .bits = bits};
    double levels = 2.0 * hd_largest_word(bits) + 1;
    loss.linear_scale = bits / 2.0 / ((levels * levels - 1) / (3 * levels));
    loss.expected_row = hd_expected_row_portable;
    loss.combine_rows = hd_combine_rows_portable;
#if defined(__x86_64__)
    hd_isa_level level = hd_isa_best();
    if (level == HD_ISA_AVX2) {
        loss.expected_row = hd_expected_row_avx2;
        loss.combine_rows = hd_combine_rows_avx2;
    } else if (level == HD_ISA_AVX512) {
        loss.expected_row = hd_expected_row_avx512;
        loss.combine_rows = hd_combine_rows_avx512;
    }
#endif
    return loss;
}

bool row_workspace_make(row_workspace *w, size_t widest) {
    *w = (row_workspace){0};
    size_t lanes = (widest + 15) / 16 * 16;
    if (lanes == 0) lanes = 16;
    w->block = aligned_alloc(64, lanes * (3 + 5 * HD_MAXIMUM_BITS) * sizeof *w->block);
    w->indices = malloc(lanes * sizeof *w->indices);
    if (!w->block || !w->indices) return false;
    float *at = w->block;
    float **rows[] = {&w->p[0], &w->p[1], &w->p[2], &w->slopes[0], &w->slopes[1]};
    for (size_t i = 0; i < 5; i++, at += lanes * HD_MAXIMUM_BITS) *rows[i] = at;
    w->u = at;
    w->du = at + lanes;
    w->lane_inverse = at + 2 * lanes;
    return true;
}

void row_workspace_free(row_workspace *w) {
    free(w->block);
    free(w->indices);
    *w = (row_workspace){0};
}

void row_begin(const row_loss *loss, row_workspace *w, size_t lanes) {
    w->pushed = w->since_flush = 0;
    w->lanes = lanes;
    w->padded = (lanes + HD_ROW_PADDING - 1) / HD_ROW_PADDING * HD_ROW_PADDING;
    memset(w->partial, 0, sizeof w->partial);
    memset(w->sums, 0, sizeof w->sums);
    if (loss->surrogate != HD_SURROGATE_EXPECTED) return;
    size_t start = lanes * HD_MAXIMUM_BITS, bytes = (w->padded - lanes) * HD_MAXIMUM_BITS * sizeof(float);
    for (int i = 0; i < 3; i++) memset(w->p[i] + start, 0, bytes);
    for (int i = 0; i < 2; i++) memset(w->slopes[i] + start, 0, bytes);
}

void row_push(const row_loss *loss, row_workspace *w, bool with_slopes) {
    float *row = w->p[w->pushed % 3];
    if (loss->surrogate == HD_SURROGATE_LINEAR)
        memcpy(row, w->u, w->lanes * sizeof *row);
    else
        loss->expected_row(loss->table, w->u, w->lanes, row, with_slopes ? w->slopes[w->pushed % 2] : NULL);
    w->pushed++;
}

static void flush(row_workspace *w) {
    for (int i = 0; i < 16; i++) w->sums[i] += (double)w->partial[i];
    memset(w->partial, 0, sizeof w->partial);
    w->since_flush = 0;
}

static float sign_of(float x) {
    return (float)((x > 0) - (x < 0));
}

static double mean_cost(const row_loss *loss, const double costs[HD_MAXIMUM_BITS]) {
    double sum = 0;
    for (int b = 0; b < loss->bits; b++) sum += costs[b];
    return sum / loss->bits;
}

static void combine_linear(const row_loss *loss, row_workspace *w, const float *before, const float *row,
                           const float *after, const double costs[HD_MAXIMUM_BITS], bool gradient) {
    for (size_t lane = 0; lane < w->lanes; lane++) w->partial[lane % 16] += fabsf(row[lane] - before[lane]);
    if (!gradient) return;
    float slope = (float)(loss->linear_scale * mean_cost(loss, costs));
    for (size_t lane = 0; lane < w->lanes; lane++)
        w->du[lane] = slope * (sign_of(row[lane] - before[lane]) + sign_of(row[lane] - after[lane]));
}

void row_combine(const row_loss *loss, row_workspace *w, const double costs[HD_MAXIMUM_BITS], bool gradient) {
    size_t after = w->pushed - 1, row = after - 1, before = row - 1;
    const float *rows[] = {w->p[before % 3], w->p[row % 3], w->p[after % 3]};
    if (loss->surrogate == HD_SURROGATE_LINEAR) {
        combine_linear(loss, w, rows[0], rows[1], rows[2], costs, gradient);
    } else {
        float float_costs[HD_MAXIMUM_BITS];
        for (int b = 0; b < HD_MAXIMUM_BITS; b++) float_costs[b] = (float)costs[b];
        loss->combine_rows(rows[0], rows[1], rows[2], w->slopes[row % 2], float_costs, w->padded,
                           gradient ? w->du : NULL, w->partial);
    }
    if (++w->since_flush == ROWS_IN_FLOAT) flush(w);
}

void row_end(const row_loss *loss, row_workspace *w, const double costs[HD_MAXIMUM_BITS], double *cost,
             double *flips) {
    flush(w);
    double sum = 0;
    if (loss->surrogate == HD_SURROGATE_LINEAR) {
        for (int i = 0; i < 16; i++) sum += w->sums[i];
        *cost += sum * loss->linear_scale * mean_cost(loss, costs);
        *flips += sum * loss->linear_scale;
        return;
    }
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) {
        double bit = w->sums[b] + w->sums[b + HD_MAXIMUM_BITS];
        *cost += bit * costs[b];
        *flips += bit;
    }
}

void hd_expected_bits_at(const hd_expected_bits *table, float u, float p[HD_MAXIMUM_BITS],
                         float slope[HD_MAXIMUM_BITS]) {
    hd_expected_row_portable(table, &u, 1, p, slope);
}
