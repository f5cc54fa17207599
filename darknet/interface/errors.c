/* Each thread's last error and notes, as errno is each thread's. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "interface/interface.h"

static _Thread_local darknet_error last_error;
static _Thread_local char last_notes[4096];

const char *darknet_last_error(void) {
    return last_error.message;
}
const char *darknet_last_notes(void) {
    return last_notes;
}

error *interface_begin(void) {
    last_error.message[0] = 0;
    return &last_error;
}

void interface_clear_notes(void) {
    last_notes[0] = 0;
}

void interface_note(const char *format, ...) {
    size_t used = strlen(last_notes);
    if (used && used + 1 < sizeof last_notes) last_notes[used++] = '\n';
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(last_notes + used, sizeof last_notes - used, format, arguments);
    va_end(arguments);
}
