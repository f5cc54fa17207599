/* Files for tests of the data room: a directory of the test's own, and images encoded on the spot. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include <stddef.h>
#include <stdint.h>

/* Makes a fresh directory; files_remove deletes it with the files in it. */
void files_make(void);
void files_remove(void);

/* The path of a name in it; valid until the eighth next call. */
const char *files_path(const char *name);

/* Writes a file there and returns its path. */
const char *files_write(const char *name, const void *bytes, size_t count);
const char *files_write_text(const char *name, const char *text);
const char *files_write_gzip(const char *name, const void *bytes, size_t count);

typedef enum image_kind { IMAGE_PNG, IMAGE_BMP, IMAGE_PPM } image_kind;

/* Encodes [height][width][channels] pixels (a BMP's have 3 channels); the bytes are malloc'ed. */
uint8_t *files_encode(image_kind kind, const uint8_t *pixels, int width, int height, int channels,
                      size_t *count);

/* A picture of 20 x 12 pixels, (12 x, 20 y, 128) at (x, y) but for what JPEG loses of it. */
#define JPEG_BASELINE_BYTES 382
#define JPEG_PROGRESSIVE_BYTES 619
extern const uint8_t jpeg_baseline[JPEG_BASELINE_BYTES], jpeg_progressive[JPEG_PROGRESSIVE_BYTES];

#endif
