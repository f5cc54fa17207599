/* Files for tests: see data_files.h. Encoding through stb_image_write, of the same Debian package as the
 * decoder. */
#include "data_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

static char directory[64];

static void stop(const char *what) {
    perror(what);
    abort();
}

void files_make(void) {
    (void)snprintf(directory, sizeof directory, "/tmp/test_data_XXXXXX");
    if (!mkdtemp(directory)) stop(directory);
}

void files_remove(void) {
    DIR *d = opendir(directory);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.') (void)unlink(files_path(entry->d_name));
    if (d) closedir(d);
    (void)rmdir(directory);
}

const char *files_path(const char *name) {
    static char paths[8][400];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *files_write(const char *name, const void *bytes, size_t count) {
    const char *path = files_path(name);
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, count, stream) != count || fclose(stream) != 0) stop(path);
    return path;
}

const char *files_write_text(const char *name, const char *text) {
    return files_write(name, text, strlen(text));
}

const char *files_write_gzip(const char *name, const void *bytes, size_t count) {
    const char *path = files_path(name);
    gzFile stream = gzopen(path, "wb");
    if (!stream || gzwrite(stream, bytes, (unsigned)count) != (int)count || gzclose(stream) != Z_OK)
        stop(path);
    return path;
}

typedef struct collector {
    uint8_t *bytes;
    size_t count;
} collector;

static void collect(void *context, void *data, int size) {
    collector *c = context;
    c->bytes = realloc(c->bytes, c->count + (size_t)size);
    if (!c->bytes) stop("realloc");
    memcpy(c->bytes + c->count, data, (size_t)size);
    c->count += (size_t)size;
}

uint8_t *files_encode(image_kind kind, const uint8_t *pixels, int width, int height, int channels,
                      size_t *count) {
    collector c = {0};
    char header[64];
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    switch (kind) {
    case IMAGE_PNG:
        (void)stbi_write_png_to_func(collect, &c, width, height, channels, pixels, width * channels);
        break;
    case IMAGE_BMP:
        (void)stbi_write_bmp_to_func(collect, &c, width, height, channels, pixels);
        break;
    case IMAGE_PPM:
        collect(&c, header,
                snprintf(header, sizeof header, "P%d\n# test\n%d %d\n255\n", channels == 3 ? 6 : 5, width,
                         height));
        c.bytes = realloc(c.bytes, c.count + bytes);
        if (!c.bytes) stop("realloc");
        memcpy(c.bytes + c.count, pixels, bytes);
        c.count += bytes;
        break;
    }
    *count = c.count;
    return c.bytes;
}
