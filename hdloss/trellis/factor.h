/* How much of each column's error the later columns cannot take back. Private to the room. */
#ifndef HDLOSS_TRELLIS_FACTOR_H
#define HDLOSS_TRELLIS_FACTOR_H

#include <stdbool.h>
#include <stddef.h>

/* moments: [n][n], symmetric, of at least two samples more than none; read through order[n] (which column
 * comes when), NULL: as they stand. Its diagonal is raised by 1 % of its mean. Writes, for j = 0 .. n - 1 in
 * that order, left[j] = the power of column j that no combination of the columns after it explains, and
 * combination[j][i] for i > j: what column i has to take on for column j's error. work: [n][n]. False when
 * moments are not positive. */
bool hd_factor_moments(const float *moments, const size_t *order, size_t n, float *left, float *combination,
                       float *work);

#endif
