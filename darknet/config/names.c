/* Guessing what a misspelt name was meant to be, by edit distance (insertions, deletions, replacements). */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64
#define FARTHEST 2

/* Levenshtein's distance, one row at a time. Both names are shorter than NAME_BYTES. */
static size_t edit_distance(const char *a, const char *b) {
    size_t columns = strlen(b), row[NAME_BYTES];
    for (size_t j = 0; j <= columns; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[columns];
}

const char *closest_name(const char *word, const char *const *names, size_t count) {
    const char *closest = NULL;
    size_t length = strlen(word), best = FARTHEST + 1;
    if (length >= NAME_BYTES) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) >= NAME_BYTES) continue;
        size_t distance = edit_distance(word, names[i]);
        if (distance < best && 2 * distance < length) {
            best = distance;
            closest = names[i];
        }
    }
    return closest;
}
