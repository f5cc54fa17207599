/* Paths: see paths.h. */
#include "data/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first `bytes` bytes of `head`, a '/' when wanted, and `tail`. */
static char *join(const char *head, size_t bytes, const char *tail) {
    size_t length = strlen(tail);
    char *joined = malloc(bytes + length + 1);
    if (!joined) return NULL;
    memcpy(joined, head, bytes);
    memcpy(joined + bytes, tail, length + 1);
    return joined;
}

char *path_expand(const char *path, const char *where, error *e) {
    char *result;
    if (path[0] != '$') {
        result = strdup(path);
    } else {
        size_t length = strcspn(path, "/");
        char *name = join(path + 1, length - 1, "");
        const char *value = name ? getenv(name) : NULL;
        if (name && (!value || !*value)) {
            error_set(e, "%s: \"%.200s\": the environment variable %.100s is not set", where, path, name);
            free(name);
            return NULL;
        }
        free(name);
        result = value ? join(value, strlen(value), path + length) : NULL;
    }
    if (!result) error_set(e, "%s: out of memory", where);
    return result;
}

char *path_find(const char *path, const char *beside) {
    const char *slash = strrchr(beside, '/');
    if (path[0] == '/' || !slash || access(path, F_OK) == 0) return strdup(path);
    char *candidate = join(beside, (size_t)(slash - beside) + 1, path);
    if (!candidate || access(candidate, F_OK) == 0) return candidate;
    free(candidate);
    return strdup(path);
}
