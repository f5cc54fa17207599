/* Errors as values: see error.h. */
#include "core/error.h"

#include <stdio.h>

bool error_set(error *e, const char *format, ...) {
    if (!e) return false;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(e->message, sizeof e->message, format, arguments);
    va_end(arguments);
    return false;
}
