/* What the fuzz targets share. A target is one function over bytes; libFuzzer calls it with bytes of its own
 * making
 * (`make fuzz`), replay.c with those of a corpus (`make test-corpus`). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Ends the process with a report of the input, in every build. */
#define FUZZ_CHECK(condition)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* A file in memory with these bytes. Its path is good until fuzz_file_close. */
typedef struct fuzz_file {
    int descriptor;
    char path[64];
} fuzz_file;

static inline fuzz_file fuzz_file_open(const void *bytes, size_t count) {
    fuzz_file f = {.descriptor = memfd_create("fuzz", 0)};
    FUZZ_CHECK(f.descriptor >= 0);
    FUZZ_CHECK(write(f.descriptor, bytes, count) == (ssize_t)count);
    (void)snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.descriptor);
    return f;
}

static inline void fuzz_file_close(const fuzz_file *f) {
    (void)close(f->descriptor);
}

/* A sentence is one line that ends inside its buffer. */
static inline void fuzz_check_sentence(const char *sentence, size_t room) {
    size_t length = strnlen(sentence, room);
    FUZZ_CHECK(length > 0 && length < room);
}

#endif
