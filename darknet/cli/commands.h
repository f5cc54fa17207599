/* The program's commands, one file each. */
#ifndef DARKNET_CLI_COMMANDS_H
#define DARKNET_CLI_COMMANDS_H

#include "cli/arguments.h"
#include "data/data.h"
#include "network/network.h"
#include "plugin.h"

/* What a command is given beside its words. */
typedef struct program {
    plugin *plugin; /* the bit-flip extension */
} program;

typedef int (*command_function)(program *p, int argc,
                                char **argv); /* argv after the command's words; the exit status */

typedef struct command {
    const char *group, *name; /* "classifier", "train"; group NULL for commands of one word */
    const char *summary;
    command_function run;
} command;

int command_classifier_train(program *p, int argc, char **argv);
int command_classifier_valid(program *p, int argc, char **argv);
int command_classifier_predict(program *p, int argc, char **argv);
int command_classifier_test(program *p, int argc, char **argv);
int command_classifier_csv(program *p, int argc, char **argv);
int command_classifier_label(program *p, int argc, char **argv);
int command_partial(program *p, int argc, char **argv);
int command_average(program *p, int argc, char **argv);
int command_statistics(program *p, int argc, char **argv);
int command_normalize(program *p, int argc, char **argv);
int command_denormalize(program *p, int argc, char **argv);
int command_reset(program *p, int argc, char **argv);
int command_speed(program *p, int argc, char **argv);
int command_ops(program *p, int argc, char **argv);

/* ---- shared ---- */
/* Builds the network of a cfg and prints what was wrong with the cfg on stderr (all mistakes). NULL after an
 * error. */
network *command_build(program *p, const char *cfg_path, network_settings *settings);
/* The same, and shows the table of its layers where somebody is looking: when standard error is a terminal.
 */
network *command_network(program *p, const char *cfg_path, network_settings *settings);
/* Reads the command line and the data file that is its first word, runs `run` with both, and frees the data.
 */
int command_with_data(program *p, const command_spec *spec, int argc, char **argv,
                      int (*run)(program *p, const arguments *a, const data_options *data));
/* The threads option's value, 0 when absent; false after an error. */
bool command_threads(const arguments *a, int *threads);

/* Keys that the options -hdloss and -bfloat16 set over the cfg's, for network_settings. */
typedef struct key_overrides {
    const char *list[3][2];
    size_t count;
} key_overrides;
key_overrides command_overrides(const arguments *a);

#define OPTION_THREADS                                                                                       \
    { "-threads", "N", "threads (default: all processors); results do not depend on it" }
#define OPTION_END                                                                                           \
    { 0 }

#endif
