/* Exports as directories: see export_files.h. */
#include "export_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

static bool cannot(const char *path, const char *what, error *e) {
    return error_set(e, "%s: %s: %s", path, what, strerror(errno));
}

static bool belongs(const char *name) {
    size_t length = strlen(name);
    bool array =
        length > 4 && (strcmp(name + length - 4, ".npy") == 0 || strcmp(name + length - 4, ".hex") == 0);
    return array || strcmp(name, HD_EXPORT_MANIFEST) == 0;
}

/* Visits a directory's entries: stops and returns false where `visit` does. */
static bool each_entry(const char *path, bool (*visit)(const char *directory, const char *name)) {
    DIR *directory = opendir(path);
    if (!directory) return false;
    bool good = true;
    const struct dirent *entry;
    while (good && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            good = visit(path, entry->d_name);
    (void)closedir(directory);
    return good;
}

static bool entry_belongs(const char *directory, const char *name) {
    (void)directory;
    return belongs(name);
}

static bool remove_entry(const char *directory, const char *name) {
    char path[8192];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return !belongs(name) || unlink(path) == 0;
}

static void remove_export(const char *path) {
    if (each_entry(path, remove_entry)) (void)rmdir(path);
}

static bool write_file(const char *path, const hd_export_file *file, error *e) {
    FILE *stream = fopen(path, "wb");
    if (!stream) return cannot(path, "cannot be written", e);
    bool good = fwrite(file->bytes, 1, file->count, stream) == file->count;
    good = fclose(stream) == 0 && good;
    return good || cannot(path, "cannot be written", e);
}

/* Hundreds of files are flushed to disk at once, with the file system that they are on. */
static bool sync_all(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    if (directory < 0) return false;
    bool good = syncfs(directory) == 0;
    (void)close(directory);
    return good;
}

/* Whether the place is free, or holds nothing but an export. */
static bool place_is_usable(const char *path, bool *exists, error *e) {
    struct stat status;
    *exists = stat(path, &status) == 0;
    if (!*exists) return true;
    if (!S_ISDIR(status.st_mode)) return error_set(e, "%s: is there already and no directory", path);
    return each_entry(path, entry_belongs) ||
           error_set(e, "%s: holds other files than an export: name a new directory", path);
}

/* Gives `partial` the name `final`. What had it before is then called `partial`. */
static bool put_in_place(const char *partial, const char *final, bool exists) {
    if (!exists) return rename(partial, final) == 0;
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, final, RENAME_EXCHANGE) == 0) return true;
    char aside[4192]; /* where the file system cannot exchange names */
    (void)snprintf(aside, sizeof aside, "%s.old", partial);
    if (rename(final, aside) != 0) return false;
    if (rename(partial, final) == 0) return rename(aside, partial) == 0;
    (void)rename(aside, final);
    return false;
}

bool export_directory_write(const char *path, const hd_export_files *files, error *e) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    char final[4096], partial[4160], name[4352];
    bool exists;
    if (length == 0 || length >= sizeof final)
        return error_set(e, "%.60s...: is no name for a directory", path);
    (void)snprintf(final, sizeof final, "%.*s", (int)length, path);
    (void)snprintf(partial, sizeof partial, "%s.partial.%ld", final, (long)getpid());
    if (!place_is_usable(final, &exists, e)) return false;
    if (mkdir(partial, 0777) != 0) return cannot(final, "the directory cannot be made", e);
    bool good = true;
    for (size_t i = 0; good && i < files->count; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", partial, files->items[i].name);
        good = write_file(name, &files->items[i], e);
    }
    if (good) {
        good = (sync_all(partial) && put_in_place(partial, final, exists)) ||
               cannot(final, "the directory cannot be put in place", e);
    }
    if (!good || exists) remove_export(partial); /* what is there no longer, or not yet */
    return good;
}

static bool load(void *user, const char *name, uint8_t **bytes, size_t *count, hd_error *h) {
    char path[8192];
    error e = {0};
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)user, name);
    *bytes = file_read(path, 0, count, &e);
    return *bytes || hd_fail(h, "%s", e.message);
}

bool export_directory_read(const char *path, hd_export *exported, error *e) {
    hd_error h = {0};
    struct stat status;
    if (stat(path, &status) != 0) return cannot(path, "cannot be opened", e);
    if (!S_ISDIR(status.st_mode))
        return error_set(e, "%s: is no directory; `darknet hd export` writes one", path);
    return hd_export_decode(load, (void *)path, path, exported, &h) || from_hd(&h, e);
}
