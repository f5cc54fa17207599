/* The door of this room: the public interface, and solving a plan's orders by distances of another kind. */
#ifndef HDLOSS_REORDER_REORDER_H
#define HDLOSS_REORDER_REORDER_H

#include "reordering.h"

/* What it costs to stream one point of an order after another. */
typedef struct hd_distance_source hd_distance_source;
struct hd_distance_source {
    const hd_plan *plan;
    const uint8_t *patterns;    /* [plan->weights]: encoded words */
    const uint32_t *pair_costs; /* [256][256]: from pattern to pattern, symmetric; used where tiles join */
    const void *context;
    /* matrix[count][count] += distances between the points first .. first + count - 1 of an order, symmetric.
     * May be called from several threads at once. */
    bool (*add)(const hd_distance_source *source, size_t order, size_t first, size_t count, uint32_t *matrix,
                hd_error *error);
};

/* As hd_reorder_segments, by these distances; options->bit_costs are not read. */
bool hd_reorder_by_distances(const hd_distance_source *source, const hd_reorder_options *options,
                             uint32_t *orders, hd_error *error);

#endif
