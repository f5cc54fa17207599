/* Errors as values. A function that can fail returns false (or NULL) and leaves one sentence in the
 * error object its caller passed: what is wrong, where, and what would be right. Nothing in the library
 * prints or exits. */
#ifndef DARKNET_CORE_ERROR_H
#define DARKNET_CORE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#include "darknet_extension.h"

typedef darknet_error error;

/* Writes the sentence and returns false, so that callers can write `return error_set(e, ...)`.
 * e may be NULL: the sentence is then dropped. */
bool error_set(error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
