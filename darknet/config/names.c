/* Guessing what a misspelt name was meant to be, by edit distance (letters inserted, left out,
 * replaced, or exchanged with their neighbour). */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 64
#define FARTHEST 2

/* Row i + 1 of the table from rows i and i - 1 (before, NULL for the first). */
static void next_row(const char *a, size_t i, const char *b, size_t columns, const size_t *before,
                     const size_t *last, size_t *row) {
    row[0] = i + 1;
    for (size_t j = 0; j < columns; j++) {
        size_t best = last[j] + (a[i] != b[j]);
        if (last[j + 1] + 1 < best) best = last[j + 1] + 1;
        if (row[j] + 1 < best) best = row[j] + 1;
        if (i && j && a[i] == b[j - 1] && a[i - 1] == b[j] && before[j - 1] + 1 < best)
            best = before[j - 1] + 1;
        row[j + 1] = best;
    }
}

/* The optimal string alignment distance. Both names are shorter than NAME_BYTES. */
static size_t edit_distance(const char *a, const char *b) {
    size_t columns = strlen(b), memory[3][NAME_BYTES], *rows[3] = {memory[0], memory[1], memory[2]};
    for (size_t j = 0; j <= columns; j++) rows[1][j] = j;
    for (size_t i = 0; a[i]; i++) {
        next_row(a, i, b, columns, rows[0], rows[1], rows[2]);
        size_t *oldest = rows[0];
        rows[0] = rows[1];
        rows[1] = rows[2];
        rows[2] = oldest;
    }
    return rows[1][columns];
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
