/* Learning-rate schedules: [net]'s policies. */
#ifndef DARKNET_TRAIN_SCHEDULE_H
#define DARKNET_TRAIN_SCHEDULE_H

#include "network/network.h"

/* The rate at batch number `batch`. Darknet counts an update's own images: its first update is number 1.
 * o->max_batches must be resolved for poly and sgdr. */
double schedule_rate(const net_options *o, uint64_t batch);

#endif
