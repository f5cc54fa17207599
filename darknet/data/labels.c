/* Labels: matched against an image's path, see labels.h. */
#include "data/labels.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"

typedef struct named_class {
    const char *text;
    size_t length;
    int class_index;
} named_class;

struct label_matcher {
    char *path;
    string_list list;
    named_class *sorted; /* by text */
    size_t count, longest;
};

static int compare_classes(const void *a, const void *b) {
    const named_class *x = a, *y = b;
    return strcmp(x->text, y->text);
}

void label_matcher_destroy(label_matcher *m) {
    if (!m) return;
    string_list_free(&m->list);
    free(m->sorted);
    free(m->path);
    free(m);
}

static bool fill(label_matcher *m, const char *labels_path, int classes, error *e) {
    if (!string_list_read(labels_path, &m->list, e)) return false;
    if (m->list.count < (size_t)classes)
        return error_set(e, "%s: %zu labels for %d classes", labels_path, m->list.count, classes);
    m->count = (size_t)classes;
    m->path = strdup(labels_path);
    m->sorted = calloc(m->count, sizeof *m->sorted);
    if (!m->path || !m->sorted) return error_set(e, "%s: out of memory", labels_path);
    for (size_t i = 0; i < m->count; i++) {
        size_t length = strlen(m->list.items[i]);
        m->sorted[i] = (named_class){m->list.items[i], length, (int)i};
        if (length > m->longest) m->longest = length;
    }
    qsort(m->sorted, m->count, sizeof *m->sorted, compare_classes);
    for (size_t i = 1; i < m->count; i++)
        if (strcmp(m->sorted[i - 1].text, m->sorted[i].text) == 0)
            return error_set(e, "%s: the label %.100s stands there twice", labels_path, m->sorted[i].text);
    return true;
}

label_matcher *label_matcher_create(const char *labels_path, int classes, error *e) {
    label_matcher *m = calloc(1, sizeof *m);
    if (!m) {
        error_set(e, "%s: out of memory", labels_path);
        return NULL;
    }
    if (fill(m, labels_path, classes, e)) return m;
    label_matcher_destroy(m);
    return NULL;
}

/* ---- matching ---- */

/* Where a label was found in one piece of text. */
typedef struct match {
    const named_class *found;
    size_t first, last; /* [first, last) */
} match;

/* The matches that no other match covers. When there are more than fit, the last gives way: by then they are
 * far beyond two, or all the same label. */
typedef struct match_set {
    match items[64];
    size_t count;
} match_set;

static bool covers(const match *outer, const match *inner) {
    return outer->first <= inner->first && outer->last >= inner->last;
}

static void add_match(match_set *set, const named_class *found, size_t first) {
    match added = {found, first, first + found->length};
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (covers(set->items + i, &added)) return;
        if (!covers(&added, set->items + i)) set->items[kept++] = set->items[i];
    }
    if (kept == sizeof set->items / sizeof *set->items) kept--;
    set->items[kept] = added;
    set->count = kept + 1;
}

static const named_class *lookup(const label_matcher *m, const char *text, size_t length) {
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strncmp(m->sorted[middle].text, text, length);
        if (order == 0 && m->sorted[middle].length > length) order = 1;
        if (order == 0) return m->sorted + middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* A word starts at 0 and behind each '_', and ends before each '_' and at the end. */
static void match_words(const label_matcher *m, const char *text, size_t length, match_set *set) {
    for (size_t first = 0; first < length; first++) {
        if (first && text[first - 1] != '_') continue;
        size_t most = length - first < m->longest ? length - first : m->longest;
        for (size_t last = first + 1; last <= first + most; last++) {
            if (last < length && text[last] != '_') continue;
            const named_class *c = lookup(m, text + first, last - first);
            if (c) add_match(set, c, first);
        }
    }
}

static void match_anywhere(const label_matcher *m, const char *text, size_t length, match_set *set) {
    for (size_t i = 0; i < m->count; i++) {
        const named_class *c = m->sorted + i;
        for (size_t at = 0; at < length;) {
            const char *place = memmem(text + at, length - at, c->text, c->length);
            if (!place) break;
            at = (size_t)(place - text) + 1;
            add_match(set, c, at - 1);
        }
    }
}

typedef void (*matching)(const label_matcher *m, const char *text, size_t length, match_set *set);

/* True when this piece of the path decides: one label (*class_index) or several (-1 and an error). */
static bool decide(const label_matcher *m, const char *path, const char *text, size_t length, matching how,
                   int *class_index, error *e) {
    match_set set = {.count = 0};
    how(m, text, length, &set);
    if (!set.count) return false;
    const named_class *found = set.items[0].found;
    *class_index = found->class_index;
    for (size_t i = 1; i < set.count; i++) {
        if (set.items[i].found == found) continue;
        error_set(e, "%.500s: its path holds two labels of %.200s, %.60s and %.60s, where one is wanted",
                  path, m->path, found->text, set.items[i].found->text);
        *class_index = -1;
        return true;
    }
    return true;
}

int label_matcher_find(const label_matcher *m, const char *path, error *e) {
    static const matching ways[] = {match_words, match_anywhere};
    const char *name = path_base(path), *dot = strrchr(name, '.');
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    int class_index;
    for (size_t w = 0; w < 2; w++)
        if (decide(m, path, name, length, ways[w], &class_index, e)) return class_index;
    for (size_t w = 0; w < 2; w++) {
        for (size_t end = (size_t)(name - path); end > 0;) {
            end--; /* the '/' behind this directory */
            size_t first = end;
            while (first > 0 && path[first - 1] != '/') first--;
            if (decide(m, path, path + first, end - first, ways[w], &class_index, e)) return class_index;
            end = first;
        }
    }
    error_set(e, "%.600s: its path holds none of the %zu labels of %.200s", path, m->count, m->path);
    return -1;
}
