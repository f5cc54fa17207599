/* Which layers' gradients are one and the same memory. */
#ifndef DARKNET_NETWORK_SHARE_DELTAS_H
#define DARKNET_NETWORK_SHARE_DELTAS_H

#include "network/network.h"

/* The backward pass of a plain sum (layer_type.shares_delta) copies its delta to its inputs; where the order
 * of additions allows it the inputs' deltas are the sum's own memory instead. owners[i]: the layer whose
 * buffer serves as layer i's delta, i itself when it shares nobody's. False when memory is out. */
bool share_deltas(const network *net, int *owners);

#endif
