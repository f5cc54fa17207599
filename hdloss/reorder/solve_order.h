/* One order of a plan at a time: its distances and its path. Private to the room. */
#ifndef HDLOSS_REORDER_SOLVE_ORDER_H
#define HDLOSS_REORDER_SOLVE_ORDER_H

#include "reorder/reorder.h"

/* Orders longer than this are solved in blocks of the natural order, since the matrix grows with the square.
 */
enum { HD_LARGEST_MATRIX = 6144 };

/* The distances between some of an order's points, malloc'ed, [count][count]; NULL and a sentence on failure.
 */
uint32_t *hd_order_distances(const hd_distance_source *source, size_t order, size_t first, size_t count,
                             hd_error *error);

/* Where else a path could begin for little more: cut between places cuts[i] and cuts[i] + 1 of it, for
 * extra[i] more. */
enum { HD_CUTS = 12 };
typedef struct hd_cuts {
    uint32_t count;
    uint32_t places[HD_CUTS]; /* the first is the path's own end: order_length - 1, for nothing */
    int64_t extra[HD_CUTS];
} hd_cuts;

/* Solves one order into order[order_length]. cuts may be NULL. */
bool hd_solve_order(const hd_distance_source *source, size_t order, const hd_path_options *options,
                    uint32_t *path, hd_cuts *cuts, hd_error *error);

/* Weight stationary: column j of the array takes order[j], order[j + cols], ... Turns a path in `order` so
 * that each column gets a stretch of it, or takes `present` if that costs less. */
bool hd_deal_to_columns(const uint32_t *matrix, size_t count, size_t cols, const uint32_t *present,
                        uint32_t *order, hd_error *error);

/* Chooses among cuts and directions of all orders so that the plan's tiles join with few flips, exactly for
 * lanes that neighbouring tiles share. cuts[order_count]; orders[order_count][order_length] are turned in
 * place. */
bool hd_join_tiles(const hd_distance_source *source, const hd_cuts *cuts, uint32_t *orders, hd_error *error);

#endif
