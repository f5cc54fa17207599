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

/* Assigns the channels of every group to segments by the similarity of their columns: how much the distances
 * that one channel lays between steps agree with another's, in flips of these costs. Writes
 * lane_channels[groups][lane_axis]. */
bool hd_cluster_by_similarity(const hd_distance_source *source, const uint32_t bit_costs[HD_MAXIMUM_BITS],
                              int threads, uint32_t *lane_channels, hd_error *error);

typedef struct hd_exchanges {
    uint64_t tried, made;
} hd_exchanges;

/* Exchanges channels between segments wherever the sum of their re-solved paths, by the source's pair costs,
 * falls. lane_channels and orders[order_count][order_length] are those of the present state and are changed
 * together; the source's plan is read for its shape alone. */
bool hd_cluster_exchange(const hd_distance_source *source, const hd_reorder_options *options,
                         uint32_t *lane_channels, uint32_t *orders, hd_exchanges *exchanges, hd_error *error);

/* Whether this plan's channels can be dealt to its segments in another way: see hd_reorder_clusters. */
bool hd_clusters_possible(const hd_plan *plan);

#endif
