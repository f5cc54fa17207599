/* Where a path that a .data file or a list writes leads to. */
#ifndef DARKNET_DATA_PATHS_H
#define DARKNET_DATA_PATHS_H

#include <stdbool.h>

#include "core/error.h"

/* A leading $NAME is replaced by that environment variable; NULL and a sentence beginning with `where` when
 * it is not set. The result is malloc'ed. */
char *path_expand(const char *path, const char *where, error *e);

/* As it is when it is absolute or exists from the working directory; else from the directory of the file
 * `beside`, when it exists there; else as it is. malloc'ed, NULL when out of memory. */
char *path_find(const char *path, const char *beside);

#endif
