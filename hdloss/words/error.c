/* Errors as values, for the whole library: one sentence in an object that the caller passed. */
#include <stdarg.h>
#include <stdio.h>

#include "hdloss.h"

bool hd_fail(hd_error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return false;
}

const char *hd_version(void) {
    return PROJECT_VERSION;
}
