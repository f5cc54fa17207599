/* The best words of one chain: the inner loop of trellis rounding. Private to the room. */
#ifndef HDLOSS_TRELLIS_CHAIN_H
#define HDLOSS_TRELLIS_CHAIN_H

#include "rounding.h"

/* Costs are whole numbers. The flips of all bits and a word's change together cost at most 2^21, an error is
 * charged at most 2^22 above the nearest word's, which no saved flips could ever pay for, and a pattern that
 * must not be used 2^23. */
enum {
    HD_CHAIN_STATES = 256,
    HD_CHAIN_FLIPS_LIMIT = 1 << 21,
    HD_CHAIN_ERROR_LIMIT = (1 << 22) + 1,
    HD_CHAIN_FORBIDDEN = 1 << 23,
    HD_CHAIN_FREE = -1 /* no neighbour */
};

typedef struct hd_chain_costs {
    float values[HD_CHAIN_STATES];      /* of the words that the patterns mean */
    uint32_t barriers[HD_CHAIN_STATES]; /* HD_CHAIN_FORBIDDEN << 8 or 0 */
    uint32_t flips[HD_MAXIMUM_BITS];    /* cost << 8 | the bit */
    uint32_t all_flips;                 /* the sum of the costs, << 8 */
    uint32_t largest_change;            /* what may be charged for a change of word besides flips, << 8 */
    uint32_t invert;                    /* bus-invert: the invert line's cost << 8; 0: no such coding */
    double unit;                        /* units that a flip of cost 1 has, about */
    int bits;
    float largest_word;
} hd_chain_costs;

/* For costs of at least 0 that are not all 0; largest_change: in the unit of bit_costs. On wires with
 * bus-invert coding equal costs are of flips on the wires: a word may be sent inverted, which flips the
 * invert line and the bits that would have stayed. Costs that differ are those of the PE's operands, where no
 * encoding shows. */
void hd_chain_costs_init(hd_chain_costs *costs, const hd_accelerator *accelerator,
                         const double bit_costs[HD_MAXIMUM_BITS], double largest_change);

/* Minimises over patterns p[0 .. steps - 1], exactly,
 *   sum of the flips' costs (bus-invert: of the cheaper form) from `before` to p[0], from each to the next
 * and from the last to `after`
 *   + sum of changes[t] >> 8 over the steps whose word differs from the one before (changes[steps]: `after`)
 *   + sum of trunc(min(errors[t] (value(p[t]) - x[t])^2 - the nearest word's, limit)),
 * arithmetic on the errors in float32. before, after: patterns or HD_CHAIN_FREE. steps >= 1, errors >= 0 and
 * finite; changes: NULL or [steps + 1], multiples of 256 up to largest_change. work:
 * [steps][HD_CHAIN_STATES]. All levels of instruction sets give the same patterns. */
typedef void hd_chain_function(const hd_chain_costs *costs, const float *x, const float *errors,
                               const uint32_t *changes, size_t steps, int before, int after, uint8_t *work,
                               uint8_t *patterns);

/* The fastest form that this machine runs. */
hd_chain_function *hd_chain_best(void);

hd_chain_function hd_chain_portable, hd_chain_avx2, hd_chain_avx512;

#endif
