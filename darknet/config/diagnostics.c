/* Diagnostics: a bounded list of sentences, errors and warnings in the order they were found. */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_ENTRIES 100
#define SENTENCE_BYTES 512

typedef struct entry {
    bool is_warning;
    char sentence[SENTENCE_BYTES];
} entry;

struct diagnostics {
    entry *entries;
    size_t kept, capacity;
    size_t errors, warnings;
};

diagnostics *diagnostics_create(void) {
    return calloc(1, sizeof(diagnostics));
}

void diagnostics_destroy(diagnostics *d) {
    if (!d) return;
    free(d->entries);
    free(d);
}

/* The place for one more entry: a new one, or, when the list is full and an error comes, the last warning's.
 */
static entry *place_for(diagnostics *d, bool is_warning) {
    if (d->kept == KEPT_ENTRIES) {
        for (size_t i = d->kept; !is_warning && i-- > 0;) {
            if (!d->entries[i].is_warning) continue;
            memmove(d->entries + i, d->entries + i + 1, (d->kept - i - 1) * sizeof *d->entries);
            return d->entries + d->kept - 1;
        }
        return NULL;
    }
    if (d->kept == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 8;
        entry *grown = realloc(d->entries, capacity * sizeof *grown);
        if (!grown) return NULL;
        d->entries = grown;
        d->capacity = capacity;
    }
    return d->entries + d->kept++;
}

/* Files are quoted in sentences, and sentences go to terminals: control characters become '?'. */
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

static void add(diagnostics *d, bool is_warning, const char *format, va_list arguments) {
    if (!d) return;
    if (is_warning)
        d->warnings++;
    else
        d->errors++;
    entry *place = place_for(d, is_warning);
    if (!place) return;
    place->is_warning = is_warning;
    (void)vsnprintf(place->sentence, sizeof place->sentence, format, arguments);
    make_printable(place->sentence);
}

void diagnostics_error(diagnostics *d, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(d, false, format, arguments);
    va_end(arguments);
}

void diagnostics_warning(diagnostics *d, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(d, true, format, arguments);
    va_end(arguments);
}

size_t diagnostics_error_count(const diagnostics *d) {
    return d ? d->errors : 0;
}

size_t diagnostics_count(const diagnostics *d) {
    return d ? d->kept : 0;
}

size_t diagnostics_dropped(const diagnostics *d) {
    return d ? d->errors + d->warnings - d->kept : 0;
}

const char *diagnostics_get(const diagnostics *d, size_t i, bool *is_warning) {
    if (!d || i >= d->kept) return NULL;
    if (is_warning) *is_warning = d->entries[i].is_warning;
    return d->entries[i].sentence;
}
