/* Checkpoints on disk: <name>_<epoch>.weights, <name>.weights, and the resumable pair <name>.backup +
 * <name>.state. */
#ifndef DARKNET_TRAIN_CHECKPOINT_H
#define DARKNET_TRAIN_CHECKPOINT_H

#include "network/network.h"
#include "train/optimizer.h"

/* What a resumed run needs beside the optimiser's and the layers' own state. */
typedef struct run_state {
    uint64_t seed, seen, steps;
    double average_loss;
    /* sums of the running epoch */
    double epoch_loss, epoch_regularizer_loss;
    uint64_t epoch_updates, epoch_images, epoch_hits;
    double epoch_seconds, epoch_wait_seconds, run_seconds;
    int32_t best_epoch;
    int32_t updated_epoch; /* the last epoch whose end was evaluated */
    double best_top1;
} run_state;

/* Writes <path>.state's bytes beside a .backup: everything of the run, the parameters too, so that the two
 * files can never be out of step: the state is whole by itself. First the state, then the weights. */
bool checkpoint_save_backup(const char *weights_path, const network *net, const optimizer *o,
                            const run_state *run, error *e);

/* Whether a .state stands beside these weights. */
bool checkpoint_has_state(const char *weights_path);
/* Restores all of it. False and a sentence when the state is damaged, of another network, or of other
 * weights. */
bool checkpoint_load_state(const char *weights_path, network *net, optimizer *o, run_state *run, error *e);

/* Removes the files of epoch checkpoints ("<name>_<epoch>.*") older than the last `keep`, but for the best
 * epoch's. */
void checkpoint_prune(const char *directory, const char *name, int epoch, int keep, int best_epoch);

#endif
