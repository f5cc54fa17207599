/* The C interface's .data and label files. Strings are malloc'ed one by one, as Darknet's clients free them.
 */
#include <stdlib.h>
#include <string.h>

#include "interface/interface.h"

void free_ptrs(void **ptrs, int n) {
    for (int i = 0; ptrs && i < n; i++) free(ptrs[i]);
    free(ptrs);
}

static char **copy_lines(const char *filename, const string_list *list, error *e) {
    char **lines = calloc(list->count + 1, sizeof *lines);
    bool good = lines != NULL;
    for (size_t i = 0; good && i < list->count; i++) good = (lines[i] = strdup(list->items[i])) != NULL;
    if (good) return lines;
    free_ptrs((void **)lines, lines ? (int)list->count : 0);
    error_set(e, "%s: out of memory for %zu lines", filename, list->count);
    return NULL;
}

static char **read_labels(const char *filename, size_t least, error *e) {
    string_list list;
    if (!string_list_read(filename, &list, e)) return NULL;
    char **lines = NULL;
    if (list.count < least)
        error_set(e, "%s: %zu lines for %zu classes", filename, list.count, least);
    else
        lines = copy_lines(filename, &list, e);
    string_list_free(&list);
    return lines;
}

char **get_labels(const char *filename) {
    error *e = interface_begin();
    if (filename) return read_labels(filename, 0, e);
    error_set(e, "get_labels: no file name");
    return NULL;
}

metadata get_metadata(const char *filename) {
    error *e = interface_begin();
    data_options options;
    metadata m = {0};
    if (!filename) {
        error_set(e, "get_metadata: no file name");
        return m;
    }
    if (!data_options_read(filename, &options, e)) return m;
    if (options.names)
        m.names = read_labels(options.names, (size_t)options.classes, e);
    else
        error_set(e, "%s: neither names nor labels is given", filename);
    if (m.names) m.classes = options.classes;
    data_options_free(&options);
    return m;
}
