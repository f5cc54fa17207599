/* stb_image (https://github.com/nothings/stb), as Debian's libstb-dev installs it: PNG and BMP, from memory.
 * Its JPEG reader trusts damaged files (2.27 reads past its tables), hence jpeg.c; the formats that it reads
 * without a signature to go by (TGA), or that are no photographs, are left out, too. No single allocation
 * exceeds a bound, whatever a file claims. Its warnings are its own, hence the pragmas. */
#include "data/codec.h"

#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define ALLOCATION_LIMIT ((size_t)256 << 20)

static void *bounded_allocate(size_t bytes) {
    return bytes > ALLOCATION_LIMIT ? NULL : malloc(bytes);
}

static void *bounded_reallocate(void *pointer, size_t bytes) {
    return bytes > ALLOCATION_LIMIT ? NULL : realloc(pointer, bytes);
}

/* stb_image copies nothing to NULL, which the C standard forbids. */
static void *copy_bytes(void *to, const void *from, size_t bytes) {
    return bytes ? memcpy(to, from, bytes) : to;
}

/* It also adds 0 to NULL, which one sanitizer counts as an overflow. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#define memcpy(to, from, bytes) copy_bytes(to, from, bytes)
#define STBI_MALLOC(bytes) bounded_allocate(bytes)
#define STBI_REALLOC(pointer, bytes) bounded_reallocate(pointer, bytes)
#define STBI_FREE(pointer) free(pointer)
#define STBI_ASSERT(condition) ((void)0)
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS (1 << 16)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#undef memcpy
#ifdef __clang__
#pragma clang attribute pop
#endif

static const char *failure(void) {
    const char *reason = stbi_failure_reason();
    return reason ? reason : "unknown reason";
}

bool codec_size(const uint8_t *bytes, size_t count, int *width, int *height, const char **reason) {
    int channels;
    if (stbi_info_from_memory(bytes, (int)count, width, height, &channels) && *width > 0 && *height > 0)
        return true;
    *reason = failure();
    return false;
}

uint8_t *codec_decode(const uint8_t *bytes, size_t count, int channels, int *width, int *height,
                      const char **reason) {
    int file_channels;
    uint8_t *pixels = stbi_load_from_memory(bytes, (int)count, width, height, &file_channels, channels);
    if (!pixels) *reason = failure();
    return pixels;
}
