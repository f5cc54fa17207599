/* .data files: which keys there are, and the paths they hold made ready to open. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"
#include "data/paths.h"

#define CLASSES_LIMIT 1000000

void data_options_free(data_options *o) {
    char *strings[] = {o->train,  o->valid,  o->test,  o->train_labels, o->valid_labels, o->test_labels,
                       o->format, o->labels, o->names, o->backup,       o->path};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) free(strings[i]);
    *o = (data_options){0};
}

/* Appends an item to a comma-separated list; frees `list` when memory is out. */
static char *append_item(char *list, const char *item) {
    size_t used = list ? strlen(list) + 1 : 0, length = strlen(item);
    char *grown = realloc(list, used + length + 1);
    if (!grown) {
        free(list);
        return NULL;
    }
    if (used) grown[used - 1] = ',';
    memcpy(grown + used, item, length + 1);
    return grown;
}

typedef struct path_reader {
    const cfg_section *section;
    const char *data_path;
    diagnostics *d;
    error *e; /* of one key */
} path_reader;

static char *make_ready(const path_reader *r, const char *item, const char *where, bool find) {
    char *expanded = path_expand(item, where, r->e);
    if (!expanded || !find) return expanded;
    char *found = path_find(expanded, r->data_path);
    if (!found) error_set(r->e, "%s: out of memory", where);
    free(expanded);
    return found;
}

/* One key's comma-separated paths, each made ready; *out stays NULL when the key is absent. */
static bool read_paths(const path_reader *r, const char *key, bool find, char **out) {
    const char *at = section_string(r->section, key, NULL);
    char where[512];
    if (!at) return true;
    (void)snprintf(where, sizeof where, "%.400s:%d: %s", r->data_path, section_key_line(r->section, key),
                   key);
    for (bool more = true; more;) {
        size_t length = strcspn(at, ",");
        more = at[length] == ',';
        char *item = length ? strndup(at, length) : NULL;
        char *ready = item ? make_ready(r, item, where, find) : NULL;
        free(item);
        if (length == 0) return error_set(r->e, "%s: an empty path", where);
        if (!ready) return false;
        *out = append_item(*out, ready);
        free(ready);
        if (!*out) return error_set(r->e, "%s: out of memory", where);
        at += length + 1;
    }
    return true;
}

/* Mistakes go to the diagnostics, so that the other keys are read all the same. */
static void read_key(const path_reader *r, const char *key, bool find, char **out) {
    error e = {{0}};
    path_reader own = *r;
    own.e = &e;
    if (!read_paths(&own, key, find, out)) diagnostics_error(r->d, "%s", e.message);
}

static void check_format(const cfg_section *s, const char *format, diagnostics *d) {
    static const char *const formats[] = {"auto", "list", "cifar10", "cifar100", "idx"};
    enum { COUNT = sizeof formats / sizeof *formats };
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(format, formats[i]) == 0) return;
    const char *closest = closest_name(format, formats, COUNT);
    diagnostics_error(d, "%s:%d: format: \"%.80s\" is none of auto, list, cifar10, cifar100, idx%s%s%s",
                      section_path(s), section_key_line(s, "format"), format,
                      closest ? "; did you mean \"" : "", closest ? closest : "", closest ? "\"?" : "");
}

static bool read_strings(const cfg_section *s, data_options *o, diagnostics *d, error *e) {
    path_reader r = {.section = s, .data_path = o->path, .d = d};
    const char *format = section_string(s, "format", "auto");
    check_format(s, format, d);
    read_key(&r, "train", true, &o->train);
    read_key(&r, "valid", true, &o->valid);
    read_key(&r, "test", true, &o->test);
    read_key(&r, "train_labels", true, &o->train_labels);
    read_key(&r, "valid_labels", true, &o->valid_labels);
    read_key(&r, "test_labels", true, &o->test_labels);
    read_key(&r, "labels", true, &o->labels);
    read_key(&r, "names", true, &o->names);
    read_key(&r, "backup", false, &o->backup);
    o->format = strdup(format);
    if (!o->names && o->labels) o->names = strdup(o->labels);
    if (!o->backup) o->backup = strdup("/backup/");
    if (!o->format || !o->backup || (o->labels && !o->names))
        return error_set(e, "%s: out of memory", o->path);
    return true;
}

static bool read_options(const cfg_section *s, data_options *o, diagnostics *d, error *e) {
    o->classes = section_int(s, "classes", 2, 1, CLASSES_LIMIT, d);
    o->top = section_int(s, "top", 1, 1, CLASSES_LIMIT, d);
    o->valid_split = (size_t)section_int(s, "valid_split", 0, 0, INT_MAX, d);
    bool good = read_strings(s, o, d, e);
    if (o->top > o->classes)
        diagnostics_error(d, "%s:%d: top: %d is more than the %d classes", o->path,
                          section_key_line(s, "top"), o->top, o->classes);
    section_report_unknown(s, d);
    return good;
}

static bool first_error(const diagnostics *d, error *e) {
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        bool is_warning;
        const char *sentence = diagnostics_get(d, i, &is_warning);
        if (!is_warning) return error_set(e, "%s", sentence);
    }
    return true;
}

bool data_options_diagnose(const char *path, data_options *options, diagnostics *d, error *e) {
    *options = (data_options){0};
    size_t errors_before = diagnostics_error_count(d);
    cfg *c = data_file_read(path, d, e);
    if (!c) return false;
    bool good = (options->path = strdup(path)) != NULL;
    if (good)
        good = read_options(cfg_section_at(c, 0), options, d, e);
    else
        error_set(e, "%s: out of memory", path);
    cfg_destroy(c);
    if (good && diagnostics_error_count(d) > errors_before) good = first_error(d, e);
    if (!good) data_options_free(options);
    return good;
}

bool data_options_read(const char *path, data_options *options, error *e) {
    diagnostics *d = diagnostics_create();
    if (!d) return error_set(e, "%s: out of memory", path);
    bool good = data_options_diagnose(path, options, d, e);
    diagnostics_destroy(d);
    return good;
}
