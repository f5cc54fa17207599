/* The parts of cluster reordering. Private to the room. */
#ifndef HDLOSS_REORDER_CLUSTER_H
#define HDLOSS_REORDER_CLUSTER_H

#include "reorder/flip_distances.h"

/* Assigns the channels of every group to segments by the similarity of their columns: how much the distances
 * that one channel lays between steps agree with another's. Writes lane_channels[groups][lane_axis]. */
bool hd_cluster_by_similarity(const hd_flip_distances *flips, int threads, uint32_t *lane_channels,
                              hd_error *error);

typedef struct hd_exchanges {
    uint64_t tried, made;
} hd_exchanges;

/* Exchanges channels between segments wherever the sum of their re-solved paths falls. lane_channels and
 * orders [order_count][order_length] are those of the present state and are changed together. */
bool hd_cluster_exchange(const hd_flip_distances *flips, const hd_reorder_options *options,
                         uint32_t *lane_channels, uint32_t *orders, hd_exchanges *exchanges, hd_error *error);

#endif
