/* The proven lower bound on an open path. Private to the room; the public form is in reordering.h. */
#ifndef HDLOSS_REORDER_BOUND_H
#define HDLOSS_REORDER_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number that no order of the `count` points has a path shorter than, at most `length`, which is that of
 * some order. `steps` steps of ascent, fewer when the bound meets the length. False: out of memory. */
bool hd_one_tree_bound(const uint32_t *distances, size_t stride, uint32_t count, uint64_t length,
                       uint32_t steps, uint64_t *bound);

#endif
