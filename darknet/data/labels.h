/* The label of an image, from its path. */
#ifndef DARKNET_DATA_LABELS_H
#define DARKNET_DATA_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "core/error.h"

typedef struct label_matcher label_matcher;

/* The first `classes` entries of a labels file. */
label_matcher *label_matcher_create(const char *labels_path, int classes, error *e);
void label_matcher_destroy(label_matcher *m);

/* The class whose label the path holds: first as whole '_'-separated words of the file's name (without its
 * ending), then anywhere in that name, then the same two in the directories, the innermost first. A label
 * that only matches inside another label's match ("bee" in "beetle") does not count. No match, or two of
 * them: -1 and a sentence naming the file and the labels. */
int label_matcher_find(const label_matcher *m, const char *path, error *e);

#endif
