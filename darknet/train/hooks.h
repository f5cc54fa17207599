/* What happens with a network at an epoch's end: evaluation on the data's parts, the extensions' columns and
 * checkpoint hooks, the log's row. Hooks can only read the network that trains; checkpoint hooks get a copy.
 */
#ifndef DARKNET_TRAIN_HOOKS_H
#define DARKNET_TRAIN_HOOKS_H

#include "train/train.h"

typedef struct run_hooks {
    network *net;
    const train_callbacks *callbacks;
    dataset *valid, *held_out; /* NULL where the data has none */
    const dataset *train;
    int top; /* > 0: a message tells top-1 and top-`top` accuracy */
} run_hooks;

/* `taken`: bytes of memory that are in use beside the network and the training set. */
bool hooks_open(run_hooks *h, network *net, const data_options *data, const dataset *train, uint64_t taken,
                const train_callbacks *callbacks, error *e);
void hooks_close(run_hooks *h);

/* Fills the accuracies of `epoch` (NAN where there is no such set). */
bool hooks_evaluate(run_hooks *h, darknet_epoch *epoch, error *e);
/* Runs the extensions' epoch hooks and writes the row. fresh: the log begins with this epoch. */
bool hooks_on_epoch(run_hooks *h, darknet_epoch *epoch, const char *log_path, bool fresh, error *e);
/* The extensions' checkpoint hooks, on a copy of the network. Failures are warnings. */
void hooks_on_checkpoint(run_hooks *h, const char *path, const darknet_epoch *epoch, bool final);

#endif
