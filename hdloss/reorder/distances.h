/* Hamming distances between points made of packed words. Private to the room. */
#ifndef HDLOSS_REORDER_DISTANCES_H
#define HDLOSS_REORDER_DISTANCES_H

#include "reordering.h"

/* Bits that cost the same, as one mask over four words. Or, on wires with bus-invert coding, flips of words
 * that may be sent inverted: d, or invert_lines - d where that is less, for d bits that differ. */
typedef struct hd_cost_groups {
    unsigned count;
    uint32_t masks[HD_MAXIMUM_BITS], costs[HD_MAXIMUM_BITS];
    uint32_t invert_lines,
        invert_cost; /* wires with the invert line, and what a flip costs; 0: no bus-invert */
} hd_cost_groups;

hd_cost_groups hd_cost_groups_of(const uint32_t bit_costs[HD_MAXIMUM_BITS]);
/* The same for an accelerator's encoding. Costs that differ by bit are those of the PE's operands, behind the
 * decoder, where no encoding shows; equal ones are of flips on the wires. */
hd_cost_groups hd_cost_groups_on(const hd_accelerator *accelerator,
                                 const uint32_t bit_costs[HD_MAXIMUM_BITS]);

/* What counted flips cost by these groups, which are of the same bit costs. */
uint64_t hd_cost_of_flips(const hd_cost_groups *groups, const uint32_t bit_costs[HD_MAXIMUM_BITS],
                          const hd_flips *flips);

/* Adds to row[j], for each j < count, the cost of the bits in which four words `own` differ from words[j].
 * Equal at all levels of instruction sets. */
typedef void hd_distance_row_function(const uint32_t *words, size_t count, uint32_t own,
                                      const hd_cost_groups *groups, uint32_t *row);

hd_distance_row_function hd_distance_row_portable, hd_distance_row_avx2, hd_distance_row_avx512;

/* The best of them on this machine. */
hd_distance_row_function *hd_distance_row(void);

/* The points that one order of a plan strings together: point k is all the words that are streamed when the
 * order says k, on the lanes of every tile that follows this order. */
typedef struct hd_points {
    size_t count, plane_count;
    uint32_t *planes; /* [plane_count][count]; owned */
} hd_points;

/* patterns: the encoded words of the plan's weights. */
bool hd_points_gather(const hd_plan *plan, size_t order, const uint8_t *patterns, hd_points *points,
                      hd_error *error);
void hd_points_free(hd_points *points);

/* The first tile that follows an order; those that do are consecutive, *count of them. */
size_t hd_tiles_of_order(const hd_plan *plan, size_t order, size_t *count);

/* matrix[count][count] += the distances of points first .. first + count - 1; the diagonal stays. */
void hd_points_add_distances(const hd_points *points, size_t first, size_t count,
                             const hd_cost_groups *groups, uint32_t *matrix);

#endif
