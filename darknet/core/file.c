/* Files: see file.h. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for the whole of a regular file at once, so that a large one is never there twice. */
static size_t first_capacity(FILE *stream, size_t limit) {
    const size_t least = 4096;
    struct stat status;
    if (fstat(fileno(stream), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0) return least;
    size_t size = (size_t)status.st_size;
    if (limit && size > limit) size = limit;
    return size < least ? least : size + 2;
}

static void *read_stream(FILE *stream, const char *path, size_t limit, size_t *bytes, error *e) {
    size_t capacity = first_capacity(stream, limit), used = 0;
    char *buffer = malloc(capacity);
    while (buffer) {
        used += fread(buffer + used, 1, capacity - used - 1, stream);
        if (limit && used > limit) {
            error_set(e, "%s: larger than %zu bytes, the most that is read here", path, limit);
            break;
        }
        if (ferror(stream)) {
            error_set(e, "%s: cannot be read: %s", path, strerror(errno));
            break;
        }
        if (feof(stream)) {
            buffer[used] = 0;
            *bytes = used;
            return buffer;
        }
        if (capacity - used > 1) continue;
        char *grown = capacity > SIZE_MAX / 2 ? NULL : realloc(buffer, capacity * 2);
        if (!grown) {
            error_set(e, "%s: out of memory after %zu bytes", path, used);
            break;
        }
        buffer = grown;
        capacity *= 2;
    }
    if (!buffer) error_set(e, "%s: out of memory", path);
    free(buffer);
    return NULL;
}

void *file_read(const char *path, size_t limit, size_t *bytes, error *e) {
    *bytes = 0;
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        error_set(e, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    void *data = read_stream(stream, path, limit, bytes, e);
    fclose(stream);
    return data;
}

bool file_writer_open(file_writer *w, const char *path, error *e) {
    *w = (file_writer){0};
    size_t length = strlen(path);
    w->path = malloc(length + 1);
    w->temporary_path = malloc(length + 32);
    if (!w->path || !w->temporary_path) {
        file_writer_abort(w);
        return error_set(e, "%s: out of memory", path);
    }
    memcpy(w->path, path, length + 1);
    (void)snprintf(w->temporary_path, length + 32, "%s.tmp.%ld", path, (long)getpid());
    w->stream = fopen(w->temporary_path, "wb");
    if (!w->stream) {
        error_set(e, "%s: cannot be written: %s", w->temporary_path, strerror(errno));
        free(w->temporary_path);
        w->temporary_path = NULL;
        file_writer_abort(w);
        return false;
    }
    return true;
}

bool file_writer_write(file_writer *w, const void *data, size_t bytes, error *e) {
    if (bytes && fwrite(data, 1, bytes, w->stream) != bytes)
        return error_set(e, "%s: cannot be written: %s", w->temporary_path, strerror(errno));
    return true;
}

static void sync_directory_of(const char *path) {
    char *copy = strdup(path);
    if (!copy) return;
    char *slash = strrchr(copy, '/');
    if (slash) *(slash == copy ? slash + 1 : slash) = 0;
    int directory = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY);
    if (directory >= 0) {
        (void)fsync(directory);
        close(directory);
    }
    free(copy);
}

bool file_writer_commit(file_writer *w, error *e) {
    bool good = fflush(w->stream) == 0 && fsync(fileno(w->stream)) == 0;
    good = fclose(w->stream) == 0 && good;
    w->stream = NULL;
    good = good && rename(w->temporary_path, w->path) == 0;
    if (!good) {
        error_set(e, "%s: cannot be written: %s", w->path, strerror(errno));
        file_writer_abort(w);
        return false;
    }
    sync_directory_of(w->path);
    free(w->path);
    free(w->temporary_path);
    *w = (file_writer){0};
    return true;
}

void file_writer_abort(file_writer *w) {
    if (w->stream) fclose(w->stream);
    if (w->temporary_path) (void)unlink(w->temporary_path);
    free(w->path);
    free(w->temporary_path);
    *w = (file_writer){0};
}

bool file_write_atomic(const char *path, const void *data, size_t bytes, error *e) {
    file_writer w;
    if (!file_writer_open(&w, path, e)) return false;
    if (!file_writer_write(&w, data, bytes, e)) {
        file_writer_abort(&w);
        return false;
    }
    return file_writer_commit(&w, e);
}

bool directory_create(const char *path, error *e) {
    char *copy = strdup(path);
    if (!copy) return error_set(e, "%s: out of memory", path);
    bool good = true;
    for (char *p = copy + 1; good; p++) {
        if (*p != '/' && *p != 0) continue;
        char kept = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            error_set(e, "%s: the directory cannot be made: %s", copy, strerror(errno));
            good = false;
        }
        *p = kept;
        if (kept == 0) break;
    }
    struct stat status;
    if (good && (stat(copy, &status) != 0 || !S_ISDIR(status.st_mode)))
        good = error_set(e, "%s: is not a directory", path);
    free(copy);
    return good;
}

const char *path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
