/* Bit probabilities of a row of words, and their combination with the rows before and after. Written with
 * vectors of fixed width and no fused operations, so that every level gives equal results. */
#include <math.h>
#include <string.h>

#include "loss/expected.h"
#include "words/isa.h"

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));

#pragma GCC diagnostic ignored "-Wpsabi" /* sum8 is inlined: no vector crosses a call */

enum { BLOCK = 64 };

/* Noise narrower than the table's: stretches the distance to the edge, see expected_table.c. */
static void stretch(float warp, int count, float *restrict part, float *restrict steepness) {
    for (int i = 0; i < count; i++) {
        float stretched = (part[i] - 0.5f) * warp;
        steepness[i] = stretched > -0.5f && stretched < 0.5f ? warp : 0.0f;
        stretched = stretched > -0.5f ? stretched : -0.5f;
        part[i] = (stretched < 0.5f ? stretched : 0.5f) + 0.5f;
    }
}

/* Where each word stands in the table: its interval, the place 0 <= f < 1 in it, and d f / d u. */
static void locate(const hd_expected_bits *t, const float *restrict u, int count, int *restrict interval,
                   float *restrict place, float *restrict rate) {
    float first = (float)t->first_word, last = (float)(t->first_word + t->words);
    float per_word = (float)t->intervals_per_word;
    int first_word = t->first_word, intervals_per_word = t->intervals_per_word,
        top = t->words * intervals_per_word;
    for (int i = 0; i < count; i++) {
        float value = u[i];
        value = value > first ? value : first; /* what is not a number ends here too */
        value = value < last ? value : last;
        int whole = (int)value;
        whole -= (float)whole > value; /* rounded down */
        interval[i] = (whole - first_word) * intervals_per_word;
        place[i] = value - (float)whole;
        rate[i] = 1.0f;
    }
    if (t->warp != 1.0f) stretch(t->warp, count, place, rate);
    for (int i = 0; i < count; i++) {
        float at = place[i] * per_word;
        int step = (int)at, index = interval[i] + step;
        interval[i] = index < top ? index : top;
        place[i] = at - (float)step;
        rate[i] *= per_word;
    }
}

void HD_ISA_NAME(hd_expected_row)(const hd_expected_bits *table, const float *u, size_t lanes, float *p,
                                  float *slopes) {
    int interval[BLOCK];
    float place[BLOCK], rate[BLOCK];
    for (size_t start = 0; start < lanes; start += BLOCK) {
        int count = lanes - start < BLOCK ? (int)(lanes - start) : BLOCK;
        locate(table, u + start, count, interval, place, rate);
        for (int i = 0; i < count; i++) {
            const v8 *c = (const v8 *)(table->cubics + (size_t)interval[i] * 4 * HD_MAXIMUM_BITS);
            v8 c1 = c[1], c2 = c[2], c3 = c[3];
            size_t slot = (start + (size_t)i) * HD_MAXIMUM_BITS;
            *(v8 *)(p + slot) = c[0] + place[i] * (c1 + place[i] * (c2 + place[i] * c3));
            if (slopes)
                *(v8 *)(slopes + slot) = rate[i] * (c1 + place[i] * ((c2 + c2) + place[i] * (c3 + c3 + c3)));
        }
    }
}

/* Sum of each half, as a fixed tree. */
static inline float sum8(v8 x) {
    v8 a = x + __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
    a += __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5);
    return a[0] + a[1];
}

void HD_ISA_NAME(hd_combine_rows)(const float *before, const float *p, const float *after,
                                  const float *slopes, const float costs[HD_MAXIMUM_BITS], size_t lanes,
                                  float *du, float flips[16]) {
    v16 sum = *(const v16 *)flips, cost;
    memcpy(&cost, costs, HD_MAXIMUM_BITS * sizeof *costs);
    memcpy((char *)&cost + sizeof cost / 2, costs, HD_MAXIMUM_BITS * sizeof *costs);
    cost += cost;
    for (size_t lane = 0; lane < lanes; lane += HD_ROW_PADDING) {
        v16 now = *(const v16 *)(p + lane * HD_MAXIMUM_BITS),
            held = *(const v16 *)(before + lane * HD_MAXIMUM_BITS);
        v16 product = now * held;
        sum += (now + held) - (product + product);
        if (!du) continue;
        v16 next = *(const v16 *)(after + lane * HD_MAXIMUM_BITS),
            slope = *(const v16 *)(slopes + lane * HD_MAXIMUM_BITS);
        v16 terms = cost * slope * (1.0f - held - next);
        v8 halves[2];
        memcpy(halves, &terms, sizeof terms);
        du[lane] = sum8(halves[0]);
        du[lane + 1] = sum8(halves[1]);
    }
    *(v16 *)flips = sum;
}
