/* Command lines: see arguments.h. */
#include "cli/arguments.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fail(const char *format, ...) {
    va_list arguments_list;
    va_start(arguments_list, format);
    (void)fputs("darknet: ", stderr);
    (void)vfprintf(stderr, format, arguments_list);
    (void)fputc('\n', stderr);
    va_end(arguments_list);
    return 1;
}

/* Options of Darknet's that choose among processors and windows: taken, so that its users' scripts run, and
 * without effect. */
static const option_spec ignored[] = {{"-i", "N", NULL},          {"-gpus", "LIST", NULL},
                                      {"-nogpu", NULL, NULL},     {"-dont_show", NULL, NULL},
                                      {"-mjpeg_port", "N", NULL}, {0}};

static void print_help(const command_spec *spec) {
    printf("usage: darknet %s\n\n%s\n", spec->usage, spec->summary);
    if (spec->options && spec->options->name) printf("\n");
    for (const option_spec *o = spec->options; o && o->name; o++) {
        char head[64];
        (void)snprintf(head, sizeof head, "%s %s", o->name, o->value ? o->value : "");
        printf("  %-24s %s\n", head, o->help);
    }
    printf("\nOptions may stand anywhere. Taken and without effect:");
    for (const option_spec *o = ignored; o->name; o++) printf(" %s", o->name);
    printf("\n");
}

static int place_in(const option_spec *options, const char *name) {
    for (int i = 0; options && options[i].name; i++)
        if (strcmp(options[i].name, name) == 0) return i;
    return -1;
}

static int option_place(const command_spec *spec, const char *name) {
    return place_in(spec->options, name);
}

/* A word that begins with '-' and is no number is an option. */
static bool is_option(const char *word) {
    char *end;
    if (word[0] != '-' || word[1] == 0) return false;
    (void)strtod(word, &end);
    return *end != 0;
}

/* Takes the option at argv[*i] and its value; false after a mistake that is told. */
static bool take_option(arguments *a, int argc, char **argv, int *i) {
    const command_spec *spec = a->spec;
    const char *name = argv[*i];
    int place = option_place(spec, name), other = place < 0 ? place_in(ignored, name) : -1;
    if (place < 0 && other < 0) {
        fail("unknown option %s; usage: darknet %s", name, spec->usage);
        return false;
    }
    const char *wanted = place >= 0 ? spec->options[place].value : ignored[other].value, *value = "";
    bool may_miss = wanted && wanted[0] == '[';
    if (may_miss && *i + 1 < argc && (strcmp(argv[*i + 1], "0") == 0 || strcmp(argv[*i + 1], "1") == 0))
        value = *argv[++*i] == '0' ? NULL : "";
    else if (wanted && !may_miss && *i + 1 < argc)
        value = argv[++*i];
    else if (wanted && !may_miss) {
        fail("%s wants a value: %s", name, wanted);
        return false;
    }
    if (place >= 0) a->values[place] = value;
    return true;
}

parse_result arguments_parse(arguments *a, const command_spec *spec, int argc, char **argv) {
    *a = (arguments){.spec = spec};
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(spec);
            return PARSE_HELP;
        }
    for (int i = 0; i < argc; i++) {
        if (is_option(argv[i])) {
            if (!take_option(a, argc, argv, &i)) return PARSE_ERROR;
        } else if (a->position_count == spec->most) {
            fail("unexpected \"%s\"; usage: darknet %s", argv[i], spec->usage);
            return PARSE_ERROR;
        } else {
            a->positions[a->position_count++] = argv[i];
        }
    }
    if (a->position_count >= spec->least) return PARSE_OK;
    fail("too few arguments; usage: darknet %s", spec->usage);
    return PARSE_ERROR;
}

const char *option_text(const arguments *a, const char *name) {
    int place = option_place(a->spec, name);
    return place < 0 ? NULL : a->values[place];
}

bool option_given(const arguments *a, const char *name) {
    return option_text(a, name) != NULL;
}

bool option_number(const arguments *a, const char *name, double least, double most, double *value) {
    const char *text = option_text(a, name);
    if (!text) return true;
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number) || number < least || number > most) {
        fail("%s: \"%s\" is not a number from %g to %g", name, text, least, most);
        return false;
    }
    *value = number;
    return true;
}

bool whole_number(const char *text, int least, int most, int *value) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || *end || errno || number < least || number > most) return false;
    *value = (int)number;
    return true;
}

bool option_int(const arguments *a, const char *name, int least, int most, int *value) {
    double number = *value;
    if (!option_number(a, name, least, most, &number)) return false;
    if (number != floor(number)) {
        fail("%s: \"%s\" is not a whole number", name, option_text(a, name));
        return false;
    }
    *value = (int)number;
    return true;
}

bool size_parse(const char *text, uint64_t *bytes) {
    static const char units[] = "KMGT";
    char *end;
    double number = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL; /* small letters, too */
    if (end == text || (*end && (!unit || end[1])) || !isfinite(number)) return false;
    for (const char *u = units; unit && u <= unit; u++) number *= 1024.0;
    if (number < 1.0 || number > 0x1p60) return false;
    *bytes = (uint64_t)number;
    return true;
}
