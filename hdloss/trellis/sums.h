/* The partial sums that change as words do: what a change of one lane's word costs beside its flips, given
 * the other lanes' words. Private to the room. */
#ifndef HDLOSS_TRELLIS_SUMS_H
#define HDLOSS_TRELLIS_SUMS_H

#include "hdloss.h"

/* For each step of a pass, which rows' words differ from the one before. Steps that begin a tile are left
 * out: new activations come with them, and every sum changes. */
typedef struct hd_sums {
    size_t rows, steps;
    uint8_t *changed; /* [steps][rows] */
} hd_sums;

/* Sums that flow through the rows: input stationary, all words unchanged so far. */
bool hd_sums_create(hd_sums *sums, const hd_plan *plan, hd_error *error);
void hd_sums_free(hd_sums *sums);

/* How many sums more change at `step` if the row's word does: those from it down to the next row that has a
 * changed word, or the last row of the array; none where a row above has one. */
size_t hd_sums_more(const hd_sums *sums, size_t step, size_t row);

#endif
