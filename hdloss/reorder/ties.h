/* Which channels of a network's nodes can be permuted, and which must move together. Private to the room.
 * The channels of a node's output are a row of blocks; a block's channels may be put in any order, the same
 * one for all blocks of the same variable. Shortcuts tie blocks to each other, a route sets them side by
 * side, a grouped convolution parts them; the image's channels, the classes and what is not understood are
 * held. */
#ifndef HDLOSS_REORDER_TIES_H
#define HDLOSS_REORDER_TIES_H

#include "reordering.h"

typedef struct hd_variable {
    size_t length;
    size_t parent;   /* union-find: itself for a root */
    size_t parts[2]; /* what a root was split into, SIZE_MAX: whole */
    bool held;
} hd_variable;

typedef struct hd_blocks {
    size_t count, capacity;
    size_t *variables;
} hd_blocks;

typedef struct hd_ties {
    size_t variable_count, variable_capacity;
    hd_variable *variables;
    size_t node_count;
    hd_blocks *outputs; /* [node_count]: of each node's output channels, whole roots only once hd_ties_find is
                           done */
    hd_blocks image;
} hd_ties;

/* Freed by hd_ties_free, also after a failure. */
bool hd_ties_find(const hd_network *network, hd_ties *ties, hd_error *error);
void hd_ties_free(hd_ties *ties);

/* The blocks that a node reads: its first input's. */
static inline const hd_blocks *hd_ties_input(const hd_ties *ties, const hd_node *node) {
    return node->inputs[0] < 0 ? &ties->image : &ties->outputs[node->inputs[0]];
}

/* A depthwise convolution with one filter a channel, whose output channels are its input's. */
static inline bool hd_node_keeps_channels(const hd_node *node) {
    return node->type == HD_NODE_CONVOLUTION && node->groups > 1 && node->groups == node->in_channels &&
           node->out_channels == node->in_channels;
}

#endif
