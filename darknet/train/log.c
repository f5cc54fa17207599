/* CSV logs: one head, then rows by epoch. Rewritten whole and atomically, so that a killed run leaves whole
 * rows and a resumed one replaces what it does again. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "train/train.h"

/* Where the rows begin: behind the '#' lines and the column line. */
static const char *rows_of(const char *text) {
    while (*text == '#') {
        const char *end = strchr(text, '\n');
        if (!end) return text + strlen(text);
        text = end + 1;
    }
    const char *end = strchr(text, '\n');
    return end ? end + 1 : text + strlen(text);
}

static bool keep_rows_before(file_writer *w, const char *text, int epoch, error *e) {
    for (const char *line = rows_of(text); *line;) {
        const char *end = strchr(line, '\n');
        if (!end) break;
        if (strtol(line, NULL, 10) < epoch && !file_writer_write(w, line, (size_t)(end + 1 - line), e))
            return false;
        line = end + 1;
    }
    return true;
}

bool log_write_epoch(const char *path, const char *head, int epoch, const char *rows, bool fresh, error *e) {
    size_t bytes = 0;
    char *old = NULL;
    if (!fresh && access(path, F_OK) == 0 && !(old = file_read(path, (size_t)1 << 30, &bytes, e)))
        return false;
    file_writer w;
    bool good = file_writer_open(&w, path, e);
    if (good) {
        good = file_writer_write(&w, head, strlen(head), e) &&
               (!old || keep_rows_before(&w, old, epoch, e)) && file_writer_write(&w, rows, strlen(rows), e);
        if (good)
            good = file_writer_commit(&w, e);
        else
            file_writer_abort(&w);
    }
    free(old);
    return good;
}
