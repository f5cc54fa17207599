/* Command lines: positional words and options, after one table a command. */
#ifndef DARKNET_CLI_ARGUMENTS_H
#define DARKNET_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct option_spec {
    const char *name; /* "-int8" */
    const char
        *value; /* what its value is called in the help, NULL for a flag, "[1]" for one that takes 0 or 1 */
    const char *help;
} option_spec;

typedef struct command_spec {
    const char *usage; /* "classifier valid DATA CFG WEIGHTS" */
    const char *summary;
    int least, most;            /* positional words */
    const option_spec *options; /* ends with a NULL name; "--help" is everywhere */
} command_spec;

enum { MOST_POSITIONS = 64, MOST_OPTIONS = 24 };

typedef struct arguments {
    const command_spec *spec;
    const char *positions[MOST_POSITIONS];
    int position_count;
    const char
        *values[MOST_OPTIONS]; /* by the option's place in the table; NULL not given; "" for a flag that is */
} arguments;

typedef enum parse_result { PARSE_OK, PARSE_HELP, PARSE_ERROR } parse_result;

/* Reads argv (after the command's own words). Prints the help to stdout, or one sentence to stderr. */
parse_result arguments_parse(arguments *a, const command_spec *spec, int argc, char **argv);

/* The option's value, NULL when it was not given. */
const char *option_text(const arguments *a, const char *name);
bool option_given(const arguments *a, const char *name);
/* False, and a sentence on stderr, when the value is no such number. *value keeps its default when not given.
 */
bool option_int(const arguments *a, const char *name, int least, int most, int *value);
bool option_number(const arguments *a, const char *name, double least, double most, double *value);

/* Whether text is a whole number from least to most, then *value. */
bool whole_number(const char *text, int least, int most, int *value);
/* A size in bytes, above 0: a number, or one with K, M, G or T (powers of 1024). False when the text is none.
 */
bool size_parse(const char *text, uint64_t *bytes);

/* A sentence on stderr, "darknet: ...". Returns 1, the exit status. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
