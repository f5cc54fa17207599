/* cfg texts of the classifier families that Darknet's users run, at any input size and width, for tests.
 * Written from the papers' tables and the published layer lists. */
#ifndef TESTS_FAMILIES_H
#define TESTS_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct family_options {
    int size;    /* of the input, both ways; 0: the family's usual small one */
    int divisor; /* of all widths; 1: the whole network */
    int batch, subdivisions;
    int classes;
    bool random; /* dropouts and crops that change what they pass on in training */
} family_options;

size_t family_count(void);
const char *family_name(size_t i);
/* Whether it ends in a loss. */
bool family_trains(size_t i);
size_t family_find(const char *name);
/* malloc'ed. */
char *family_text(size_t i, const family_options *o);

#endif
