/* Trees of classes: see class_tree.h. */
#include "config/class_tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static bool parse_parent(const char *line, int index, int *parent) {
    const char *space = line + strcspn(line, " \t");
    char *end;
    long value = strtol(space, &end, 10);
    if (end == space || end[strspn(end, " \t")] || value < -1 || value >= index) return false;
    *parent = (int)value;
    return true;
}

static bool read_lines(class_tree *t, const string_list *lines, const char *path, error *e) {
    int last = INT_MIN;
    for (size_t i = 0; i < lines->count; i++) {
        if (!parse_parent(lines->items[i], (int)i, &t->parents[i]))
            return error_set(
                e, "%s: class %zu, \"%.80s\": a name and an earlier class's number (or -1) are wanted", path,
                i, lines->items[i]);
        t->leaves[i] = true;
        if (t->parents[i] >= 0) t->leaves[t->parents[i]] = false;
        if (t->parents[i] != last) t->groups++;
        last = t->parents[i];
        t->group_sizes[t->groups - 1]++;
        t->count++;
    }
    return true;
}

class_tree *class_tree_read(const char *path, error *e) {
    string_list lines = {0};
    if (!string_list_read(path, &lines, e)) return NULL;
    class_tree *t = calloc(1, sizeof *t);
    size_t room = lines.count ? lines.count : 1;
    bool good = t && lines.count < INT_MAX;
    if (good) {
        t->parents = calloc(room, sizeof *t->parents);
        t->group_sizes = calloc(room, sizeof *t->group_sizes);
        t->leaves = calloc(room, sizeof *t->leaves);
        good = t->parents && t->group_sizes && t->leaves;
    }
    if (!good)
        error_set(e, "%s: out of memory", path);
    else
        good = read_lines(t, &lines, path, e);
    string_list_free(&lines);
    if (good) return t;
    class_tree_destroy(t);
    return NULL;
}

void class_tree_destroy(class_tree *t) {
    if (!t) return;
    free(t->parents);
    free(t->group_sizes);
    free(t->leaves);
    free(t);
}

void class_tree_fill_truth(const class_tree *t, float unknown, float *truth) {
    for (size_t i = 0; i < t->count; i++)
        for (int parent = t->parents[i]; truth[i] != 0.0f && parent >= 0; parent = t->parents[parent])
            truth[parent] = 1.0f;
    size_t first = 0;
    for (size_t g = 0; g < t->groups; first += t->group_sizes[g++]) {
        bool known = false;
        for (size_t i = first; i < first + t->group_sizes[g]; i++) known = known || truth[i] != 0.0f;
        for (size_t i = first; !known && i < first + t->group_sizes[g]; i++) truth[i] = unknown;
    }
}

void class_tree_multiply(const class_tree *t, bool only_leaves, float *probabilities) {
    for (size_t i = 0; i < t->count; i++)
        if (t->parents[i] >= 0) probabilities[i] *= probabilities[t->parents[i]];
    for (size_t i = 0; only_leaves && i < t->count; i++)
        if (!t->leaves[i]) probabilities[i] = 0.0f;
}
