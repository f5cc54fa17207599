/* The plain source of distances: flips between the words themselves. Private to the room. */
#ifndef HDLOSS_REORDER_FLIP_DISTANCES_H
#define HDLOSS_REORDER_FLIP_DISTANCES_H

#include "reorder/distances.h"
#include "reorder/reorder.h"

typedef struct hd_flip_distances {
    hd_distance_source source; /* its context is this struct, which must not be moved */
    hd_cost_groups groups;
    uint8_t *patterns;
    uint32_t *pair_costs;
} hd_flip_distances;

/* Borrows the plan. Freed after success only. */
bool hd_flip_distances_init(hd_flip_distances *flips, const hd_plan *plan, const int8_t *words,
                            const uint32_t bit_costs[HD_MAXIMUM_BITS], hd_error *error);
void hd_flip_distances_free(hd_flip_distances *flips);

#endif
