/* The step: SGD with momentum by Darknet's rules (or Nesterov's, or Adam), and the moving average of weights.
 */
#ifndef DARKNET_TRAIN_OPTIMIZER_H
#define DARKNET_TRAIN_OPTIMIZER_H

#include "network/network.h"

typedef struct optimizer {
    network *net;
    float *velocity; /* SGD: u, the running sum of deltas; Adam: first moment. Places as in net->values */
    float *second;   /* Adam: second moment, else NULL */
    float *average;  /* moving average of all values, NULL without [net] ema */
    uint64_t steps;
} optimizer;

bool optimizer_create(optimizer *o, network *net, error *e);
void optimizer_destroy(optimizer *o);

/* One step from net->gradients (negative gradients summed over `images`), then clears them.
 * SGD: u = momentum * u + gradient - decay * images * w (weights only decay); w += rate / images * u.
 * Nesterov: w += rate / images * (d + momentum * u) with d the last step's part of u. */
void optimizer_step(optimizer *o, double rate, size_t images);

/* Exchanges the network's values with their moving average (nothing without one). Twice restores. */
void optimizer_swap_average(optimizer *o);

#endif
