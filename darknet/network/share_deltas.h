/* Which layers' gradients are one and the same memory. */
#ifndef DARKNET_NETWORK_SHARE_DELTAS_H
#define DARKNET_NETWORK_SHARE_DELTAS_H

#include "network/network.h"

/* The backward pass of a plain sum copies its delta to its inputs. Where nothing can tell the difference, the
 * input uses the sum's memory instead. parents[i]: the sum whose delta is i's delta, or -1. */
void share_deltas(const network *net, int *parents);

/* The layer at the end of i's chain of parents: whose memory it is. */
int delta_owner(const int *parents, int i);

#endif
