/* What the files of `hd round` share. Private to the plug-in. */
#ifndef HDLOSS_PLUGIN_COMMAND_ROUND_H
#define HDLOSS_PLUGIN_COMMAND_ROUND_H

#include "paired_accuracy.h"
#include "rounding_job.h"

typedef struct round_settings {
    enum { ROUND_BY_MU, ROUND_BY_SQNR, ROUND_BY_DROP } goal;
    double target; /* mu, dB or points */
    order_method method;
    bool by_energy;
    size_t images;         /* for batch-norm statistics and activations */
    const char *data_path; /* NULL: none */
    const char *out, *json;
} round_settings;

typedef struct rounding_run {
    const round_settings *settings;
    loaded_network *loaded;
    network_view view;
    calibration_data data; /* open when there is a data_path */
    importances importance;
    rounding_job job;
    weight_streams before; /* WEIGHTS' words in natural order: 1x */
    answers plain;         /* of the integer network of WEIGHTS on the held-out images */
    float *activation_scales;
    double mu;
    paired_accuracy accuracy; /* images 0 without data */
} rounding_run;

/* command_round.c: makes the network that of the words, with statistics and activation scales for them, and
 * compares its accuracy; without data it only sets the weights. */
bool round_settle(rounding_run *run, error *e);
/* round_search.c: the words and orders of the fewest flips whose accuracy falls by at most settings->target
 * points, the standard error included. Leaves them settled. */
bool round_to_drop(rounding_run *run, error *e);
/* round_report.c: recounts OUT from what was written, prints the figures and writes the JSON. */
bool round_report(const rounding_run *run, error *e);

#endif
