/* Typed readers of a section's keys. Each notes the name it was asked for, so that what nobody asks for can
 * be reported once a section has been read. */
#include "config/cfg_internal.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

const char *section_name(const cfg_section *s) {
    return s->name;
}

int section_line(const cfg_section *s) {
    return s->line;
}

const char *section_path(const cfg_section *s) {
    return s->owner->path;
}

bool section_has(const cfg_section *s, const char *key) {
    return section_find_key(s, key) != NULL;
}

int section_key_line(const cfg_section *s, const char *key) {
    const cfg_key *found = section_find_key(s, key);
    return found ? found->line : s->line;
}

/* Without memory a name is not noted: a "did you mean" is then missing, nothing worse. */
static void note_asked(const cfg_section *s, const char *name) {
    asked_names *asked = s->asked;
    for (size_t i = 0; i < asked->count; i++)
        if (strcmp(asked->names[i], name) == 0) return;
    if (asked->count == asked->capacity) {
        size_t capacity = asked->capacity ? asked->capacity * 2 : 16;
        char **grown = realloc(asked->names, capacity * sizeof *grown);
        if (!grown) return;
        asked->names = grown;
        asked->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy) asked->names[asked->count++] = copy;
}

static const cfg_key *ask(const cfg_section *s, const char *name) {
    note_asked(s, name);
    cfg_key *key = section_find_key(s, name);
    if (key) key->known = true;
    return key;
}

/* ---- text to numbers: all of [text, end) or nothing ---- */

#define NUMBER_BYTES 64

/* Copies an item so that it ends where it should for the C library; false when it cannot be a number. */
static bool number_text(const char *text, size_t bytes, char copy[NUMBER_BYTES]) {
    if (bytes == 0 || bytes >= NUMBER_BYTES) return false;
    for (size_t i = 0; i < bytes; i++)
        if (!strchr("0123456789+-.eE", text[i]) || !text[i]) return false;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return true;
}

static bool parse_int(const char *text, size_t bytes, int *value) {
    char copy[NUMBER_BYTES], *end;
    if (!number_text(text, bytes, copy)) return false;
    errno = 0;
    long parsed = strtol(copy, &end, 10);
    if (*end || end == copy || errno == ERANGE || parsed < INT_MIN || parsed > INT_MAX) return false;
    *value = (int)parsed;
    return true;
}

/* Always with '.' for the point, whatever locale the process has set. */
static bool parse_number(const char *text, size_t bytes, double *value) {
    char copy[NUMBER_BYTES], *end;
    if (!number_text(text, bytes, copy)) return false;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain) return false;
    *value = strtod_l(copy, &end, plain);
    freelocale(plain);
    return !*end && end != copy && isfinite(*value);
}

/* ---- one value ---- */

int section_int(const cfg_section *s, const char *key, int fallback, int min, int max, diagnostics *d) {
    const cfg_key *k = ask(s, key);
    int value;
    if (!k) return fallback;
    if (!parse_int(k->value, strlen(k->value), &value)) {
        diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not a whole number", s->owner->path, k->line, key,
                          k->value);
        return fallback;
    }
    if (value >= min && value <= max) return value;
    if (max == INT_MAX)
        diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not a whole number of at least %d", s->owner->path,
                          k->line, key, k->value, min);
    else
        diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not a whole number from %d to %d", s->owner->path,
                          k->line, key, k->value, min, max);
    return fallback;
}

double section_number(const cfg_section *s, const char *key, double fallback, double min, double max,
                      diagnostics *d) {
    const cfg_key *k = ask(s, key);
    double value;
    if (!k) return fallback;
    if (!parse_number(k->value, strlen(k->value), &value)) {
        diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not a number", s->owner->path, k->line, key, k->value);
        return fallback;
    }
    if (value >= min && value <= max) return value;
    diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not a number from %g to %g", s->owner->path, k->line, key,
                      k->value, min, max);
    return fallback;
}

bool section_flag(const cfg_section *s, const char *key, bool fallback, diagnostics *d) {
    const cfg_key *k = ask(s, key);
    if (!k) return fallback;
    if (strcmp(k->value, "0") == 0) return false;
    if (strcmp(k->value, "1") == 0) return true;
    diagnostics_error(d, "%s:%d: %s: \"%.80s\" is not 0 or 1", s->owner->path, k->line, key, k->value);
    return fallback;
}

const char *section_string(const cfg_section *s, const char *key, const char *fallback) {
    const cfg_key *k = ask(s, key);
    return k ? k->value : fallback;
}

/* ---- lists ---- */

static size_t count_items(const char *text) {
    size_t count = 1;
    for (; *text; text++) count += *text == ',';
    return count;
}

typedef bool (*item_parser)(const char *text, size_t bytes, void *values, size_t i);

static bool parse_int_item(const char *text, size_t bytes, void *values, size_t i) {
    return parse_int(text, bytes, (int *)values + i);
}

static bool parse_number_item(const char *text, size_t bytes, void *values, size_t i) {
    return parse_number(text, bytes, (double *)values + i);
}

static size_t read_list(const cfg_section *s, const char *key, void **values, size_t item_bytes,
                        item_parser parse, const char *kind, diagnostics *d) {
    *values = NULL;
    const cfg_key *k = ask(s, key);
    if (!k) return 0;
    size_t count = count_items(k->value), bytes;
    void *items = size_multiply(count, item_bytes, &bytes) ? malloc(bytes) : NULL;
    if (!items) {
        diagnostics_error(d, "%s:%d: %s: out of memory for %zu values", s->owner->path, k->line, key, count);
        return 0;
    }
    const char *at = k->value;
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(at, ",");
        if (!parse(at, length, items, i)) {
            diagnostics_error(d, "%s:%d: %s: \"%.*s\", value %zu of the list, is not a %s", s->owner->path,
                              k->line, key, length < 80 ? (int)length : 80, at, i + 1, kind);
            free(items);
            return 0;
        }
        at += length + 1;
    }
    *values = items;
    return count;
}

size_t section_int_list(const cfg_section *s, const char *key, int **values, diagnostics *d) {
    void *items;
    size_t count = read_list(s, key, &items, sizeof(int), parse_int_item, "whole number", d);
    *values = items;
    return count;
}

size_t section_number_list(const cfg_section *s, const char *key, double **values, diagnostics *d) {
    void *items;
    size_t count = read_list(s, key, &items, sizeof(double), parse_number_item, "number", d);
    *values = items;
    return count;
}

/* ---- what nobody asked for ---- */

void section_report_unknown(const cfg_section *s, diagnostics *d) {
    for (size_t i = 0; i < s->count; i++) {
        const cfg_key *k = s->keys + i;
        if (k->known) continue;
        const char *meant = closest_name(k->name, (const char *const *)s->asked->names, s->asked->count);
        if (meant)
            diagnostics_warning(d, "%s:%d: %.80s is not a key of [%.40s] and is left aside: did you mean %s?",
                                s->owner->path, k->line, k->name, s->name, meant);
        else
            diagnostics_warning(d, "%s:%d: %.80s is not a key of [%.40s] and is left aside", s->owner->path,
                                k->line, k->name, s->name);
    }
}
