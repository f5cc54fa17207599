/* The cheapest spanning tree under node potentials, the inner step of the lower bound. Private to the room.
 */
#ifndef HDLOSS_REORDER_ONE_TREE_H
#define HDLOSS_REORDER_ONE_TREE_H

#include <stddef.h>
#include <stdint.h>

/* Costs are in units of 2^-HD_TREE_SCALE_BITS of a distance. Their lowest bits carry a node's number inside
 * the kernels. */
enum { HD_TREE_SCALE_BITS = 8, HD_TREE_INDEX_BITS = 16, HD_TREE_LARGEST_COUNT = 1 << HD_TREE_INDEX_BITS };

/* Spanning tree over `count` nodes of edges (distance << scale) + potential of both ends. Writes each node's
 * degree. `reach` and `offer` are work space of `count` each. |potential| < 2^40. Returns the tree's cost,
 * the same at all levels of instruction sets. */
typedef int64_t hd_spanning_tree_function(const uint32_t *distances, size_t stride, uint32_t count,
                                          const int64_t *potentials, int32_t *degrees, int64_t *reach,
                                          int64_t *offer, uint32_t *parents);

hd_spanning_tree_function hd_spanning_tree_portable, hd_spanning_tree_avx2, hd_spanning_tree_avx512;

#endif
