/* The plug-in: the one room that sees both libraries. It hangs the bit-flip loss, the energy report, the
 * integer accuracy and the reordered checkpoints on darknet's hooks, and has the `darknet hd` commands. */
#ifndef HDLOSS_PLUGIN_H
#define HDLOSS_PLUGIN_H

#include "data/data.h"
#include "network/network.h"
#include "train/train.h"

typedef struct plugin plugin;

/* resource_directory: where accelerators/ is found for names that are no path (may be NULL). */
plugin *plugin_create(const char *resource_directory, error *e);
void plugin_destroy(plugin *p);

/* What darknet is given; lives as long as the plug-in. */
const darknet_extension *plugin_extension(plugin *p);

/* The most memory that a network may take, 0 for the machine's: the command line's, kept here because this is
 * what every command is given. */
void plugin_limit_memory(plugin *p, uint64_t bytes);
uint64_t plugin_memory_limit(const plugin *p);

/* The accelerator of reports, beating a cfg's; NULL: the cfg's or the default. */
bool plugin_use_accelerator(plugin *p, const char *path, error *e);

/* Accuracy of the integer network of `net`'s weights (loaded from weights_path: its .stream is used when
 * there is one), calibrated on the data's first training images where the sidecar has no activation scales.
 * logits_path: where all logits are written as .npy, or NULL. */
bool plugin_evaluate_int8(plugin *p, network *net, const char *weights_path, const data_options *calibration,
                          const dataset *d, int top, const char *logits_path, evaluation *result, error *e);

/* `darknet hd NAME ...`; ends with a NULL name. */
typedef struct plugin_command {
    const char *name, *summary;
    int (*run)(plugin *p, int argc, char **argv);
} plugin_command;
const plugin_command *plugin_commands(void);

#endif
