/* Files: whole-file reading, and writing that never leaves half a file under the final name. */
#ifndef DARKNET_CORE_FILE_H
#define DARKNET_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"

/* Reads a whole file of at most `limit` bytes (0: no limit). The buffer has one extra zero byte behind its
 * *bytes bytes, belongs to the caller and is freed with free(). NULL and a sentence on error. */
void *file_read(const char *path, size_t limit, size_t *bytes, error *e);

/* An atomic write: data goes to a temporary file beside `path`; file_writer_commit flushes, syncs, renames it
 * to `path` and syncs the directory. file_writer_abort (or a failed commit) removes the temporary file; an
 * existing `path` is then untouched. */
typedef struct file_writer {
    FILE *stream;
    char *path;
    char *temporary_path;
} file_writer;

bool file_writer_open(file_writer *w, const char *path, error *e);
bool file_writer_write(file_writer *w, const void *data, size_t bytes, error *e);
bool file_writer_commit(file_writer *w, error *e);
void file_writer_abort(file_writer *w);

/* The whole of `data` to `path`, atomically. */
bool file_write_atomic(const char *path, const void *data, size_t bytes, error *e);

/* Makes the directory and its parents where missing. */
bool directory_create(const char *path, error *e);

/* The file's name without its directories; points into `path`. */
const char *path_base(const char *path);

#endif
