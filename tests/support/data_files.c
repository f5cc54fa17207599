/* Files for tests: see data_files.h. Encoding through stb_image_write, of the same Debian package as the
 * decoder. */
#include "data_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

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

/* ---- encoders: the plainest form of each format ---- */

typedef struct collector {
    uint8_t *bytes;
    size_t count;
} collector;

static void put(collector *c, const void *bytes, size_t count) {
    c->bytes = realloc(c->bytes, c->count + count + 1);
    if (!c->bytes) stop("realloc");
    memcpy(c->bytes + c->count, bytes, count);
    c->count += count;
}

static void put_big_endian(collector *c, size_t value) {
    const uint8_t bytes[] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value};
    put(c, bytes, 4);
}

static void put_little_endian(collector *c, size_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) put(c, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void put_png_chunk(collector *c, const char *name, const collector *content) {
    put_big_endian(c, content->count);
    size_t begin = c->count;
    put(c, name, 4);
    put(c, content->bytes, content->count);
    put_big_endian(c, crc32(0, c->bytes + begin, (unsigned)(c->count - begin)));
}

static void put_png(collector *c, const uint8_t *pixels, size_t width, size_t height, size_t channels) {
    collector header = {0}, rows = {0}, packed = {0};
    put(c, "\x89PNG\r\n\x1a\n", 8);
    put_big_endian(&header, width);
    put_big_endian(&header, height);
    put(&header, channels == 3 ? "\x08\x02\0\0" : "\x08\0\0\0", 5); /* depth, colours, then all defaults */
    for (size_t y = 0; y < height; y++) {
        put(&rows, "", 1); /* no filter */
        put(&rows, pixels + y * width * channels, width * channels);
    }
    uLongf length = compressBound(rows.count);
    packed.bytes = malloc(length);
    if (!packed.bytes || compress(packed.bytes, &length, rows.bytes, rows.count) != Z_OK) stop("compress");
    packed.count = length;
    put_png_chunk(c, "IHDR", &header);
    put_png_chunk(c, "IDAT", &packed);
    put_png_chunk(c, "IEND", &(collector){(uint8_t[]){0}, 0});
    free(header.bytes);
    free(rows.bytes);
    free(packed.bytes);
}

/* Rows from the bottom, blue first, padded to 4 bytes. */
static void put_bmp(collector *c, const uint8_t *pixels, size_t width, size_t height) {
    size_t padding = (4 - width * 3 % 4) % 4;
    put(c, "BM", 2);
    put_little_endian(c, 54 + (width * 3 + padding) * height, 4);
    put_little_endian(c, 0, 4);
    put_little_endian(c, 54, 4);
    put_little_endian(c, 40, 4);
    put_little_endian(c, width, 4);
    put_little_endian(c, height, 4);
    put_little_endian(c, 1, 2);
    put_little_endian(c, 24, 2);
    for (int i = 0; i < 6; i++) put_little_endian(c, 0, 4);
    for (size_t y = height; y-- > 0;) {
        for (size_t x = 0; x < width; x++) {
            const uint8_t *pixel = pixels + (y * width + x) * 3;
            put(c, (const uint8_t[]){pixel[2], pixel[1], pixel[0]}, 3);
        }
        put_little_endian(c, 0, padding);
    }
}

static void put_pnm(collector *c, const uint8_t *pixels, size_t width, size_t height, size_t channels) {
    char header[64];
    int length =
        snprintf(header, sizeof header, "P%d\n# test\n%zu %zu\n255\n", channels == 3 ? 6 : 5, width, height);
    put(c, header, (size_t)length);
    put(c, pixels, width * height * channels);
}

uint8_t *files_encode(image_kind kind, const uint8_t *pixels, int width, int height, int channels,
                      size_t *count) {
    collector c = {0};
    size_t w = (size_t)width, h = (size_t)height;
    switch (kind) {
    case IMAGE_PNG:
        put_png(&c, pixels, w, h, (size_t)channels);
        break;
    case IMAGE_BMP:
        put_bmp(&c, pixels, w, h);
        break; /* three channels */
    case IMAGE_PPM:
        put_pnm(&c, pixels, w, h, (size_t)channels);
        break;
    }
    *count = c.count;
    return c.bytes;
}
