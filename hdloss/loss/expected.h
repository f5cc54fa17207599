/* The table of bit probabilities and the row kernels of the bit-flip loss, inside libhdloss. A row is a
 * padded run of lanes; each lane has 8 bit slots, so p and slopes are [lanes][8]. */
#ifndef HDLOSS_LOSS_EXPECTED_H
#define HDLOSS_LOSS_EXPECTED_H

#include "hdloss.h"

enum { HD_ROW_PADDING = 2 }; /* rows hold a multiple of this many lanes */

struct hd_expected_bits {
    int bits;
    int first_word, words;  /* unit intervals [first_word, first_word + words] are covered; constant beyond */
    int intervals_per_word; /* a power of two */
    float warp;    /* steepness of noise narrower than the table's, 1 as a rule; see expected_table.c */
    float *cubics; /* [words * intervals_per_word + 1][4][8]: c0 + f (c1 + f (c2 + f c3)), 0 <= f < 1 */
};

/* p[lanes][8] and dp/du[lanes][8] of u[lanes]. slopes may be NULL. */
typedef void hd_expected_row(const hd_expected_bits *table, const float *u, size_t lanes, float *p,
                             float *slopes);
hd_expected_row hd_expected_row_portable, hd_expected_row_avx2, hd_expected_row_avx512;

/* One row between its neighbours: flips[16] += p + before - 2 p before, two lanes by 8 bits apart;
 * du[lane] = sum over b of costs[b] * slope * (2 - 2 before - 2 after). lanes is a multiple of
 * HD_ROW_PADDING; slopes, after and du may all be NULL when only the value is wanted. */
typedef void hd_combine_rows(const float *before, const float *p, const float *after, const float *slopes,
                             const float costs[HD_MAXIMUM_BITS], size_t lanes, float *du, float flips[16]);
hd_combine_rows hd_combine_rows_portable, hd_combine_rows_avx2, hd_combine_rows_avx512;

#endif
