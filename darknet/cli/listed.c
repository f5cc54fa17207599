/* darknet classifier test, csv, label: a line for each image of the data file's list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/classifier.h"
#include "data/paths.h"

#define LISTED                                                                                               \
    "\nThe list is DATA's test, or valid when there is none. An image that cannot be read is told on\n"      \
    "standard error, and the next follows."

static const option_spec options[] = {OPTION_TOP, OPTION_CLEAR, OPTION_TOPK, OPTION_THREADS, OPTION_END};

static const command_spec test_spec = {
    "classifier test DATA CFG WEIGHTS [options]",
    "Each image's path and its probabilities, one a class, tabs between them. Images are stretched to the\n"
    "network's size." LISTED,
    3, 3, options};
static const command_spec csv_spec = {
    "classifier csv DATA CFG WEIGHTS [options]",
    "Each image's path and the numbers of its likeliest classes (from 0, best first), tabs between them.\n"
    "Images are letterboxed." LISTED,
    3, 3, options};
static const command_spec label_spec = {
    "classifier label DATA CFG WEIGHTS [options]",
    "Each image's likeliest label, one a line, in the list's order. Images are cropped to their centred\n"
    "square." LISTED,
    3, 3, options};

typedef bool (*line_printer)(const classifier *c, const char *path, error *e);

static bool print_probabilities(const classifier *c, const char *path, error *e) {
    (void)e;
    printf("%s", path);
    for (int i = 0; i < c->outputs; i++) printf("\t%g", (double)c->answer[i]);
    printf("\n");
    return true;
}

static bool print_classes(const classifier *c, const char *path, error *e) {
    int *best = malloc((size_t)c->top * sizeof *best);
    if (!best) return error_set(e, "%s: out of memory", path);
    classifier_best(c, best);
    printf("%s", path);
    for (int k = 0; k < c->top; k++) printf("\t%d", best[k]);
    printf("\n");
    free(best);
    return true;
}

static bool print_label(const classifier *c, const char *path, error *e) {
    (void)path, (void)e;
    int best = 0;
    char buffer[32];
    for (int i = 1; i < c->outputs; i++)
        if (c->answer[i] > c->answer[best]) best = i;
    printf("%s\n", classifier_name(c, best, buffer, sizeof buffer));
    return true;
}

/* From the working directory, else beside the .data file, else beside the list. malloc'ed. */
static char *find_image(const char *entry, const char *data_path, const char *list_path) {
    char *found = path_find(entry, data_path);
    if (!found || strcmp(found, entry) != 0) return found;
    free(found);
    return path_find(entry, list_path);
}

static bool print_one(classifier *c, const char *entry, const data_options *data, const char *list_path,
                      sizing how, line_printer print, error *e) {
    char *path = find_image(entry, data->path, list_path);
    bool good = path ? classifier_answer(c, path, how, e) && print(c, entry, e)
                     : error_set(e, "%s: out of memory", entry);
    free(path);
    return good;
}

static int print_all(classifier *c, const data_options *data, const char *list_path, sizing how,
                     line_printer print) {
    string_list list;
    error e = {0};
    if (!string_list_read(list_path, &list, &e)) return fail("%s", e.message);
    int status = list.count ? 0 : fail("%s: the list is empty: one image path a line is wanted", list_path);
    for (size_t i = 0; i < list.count; i++)
        if (!print_one(c, list.items[i], data, list_path, how, print, &e)) status = fail("%s", e.message);
    string_list_free(&list);
    return status;
}

static int run(program *p, const arguments *a, const data_options *data, const char *names, sizing how,
               line_printer print) {
    const char *list_path = data->test ? data->test : data->valid;
    if (!list_path) return fail("%s: neither test nor valid names a list of images", data->path);
    if (!data_is_list(data, list_path))
        return fail("%s: %s is no list of image files, one path a line", data->path, list_path);
    classifier c;
    if (!classifier_open(&c, p, a, data, names)) return 1;
    int status = print_all(&c, data, list_path, how, print);
    classifier_close(&c);
    return status;
}

static int run_test(program *p, const arguments *a, const data_options *data) {
    return run(p, a, data, NULL, SIZE_STRETCH, print_probabilities);
}
static int run_csv(program *p, const arguments *a, const data_options *data) {
    return run(p, a, data, NULL, SIZE_LETTERBOX, print_classes);
}
static int run_label(program *p, const arguments *a, const data_options *data) {
    return run(p, a, data, data->labels ? data->labels : data->names, SIZE_CENTER_CROP, print_label);
}

int command_classifier_test(program *p, int argc, char **argv) {
    return command_with_data(p, &test_spec, argc, argv, run_test);
}
int command_classifier_csv(program *p, int argc, char **argv) {
    return command_with_data(p, &csv_spec, argc, argv, run_csv);
}
int command_classifier_label(program *p, int argc, char **argv) {
    return command_with_data(p, &label_spec, argc, argv, run_label);
}
