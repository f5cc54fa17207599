/* Decoding of image files' bytes to interleaved 8-bit pixels; the rooms behind it know the decoder libraries.
 */
#ifndef DARKNET_DATA_DECODE_H
#define DARKNET_DATA_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* The largest file and the most pixels that are decoded. */
#define IMAGE_FILE_BYTES_LIMIT ((size_t)128 << 20)
#define IMAGE_PIXELS_LIMIT ((size_t)32 << 20)

/* JPEG, PNG, BMP or binary PPM/PGM to [height][width][channels], channels 1 or 3. The pixels belong to the
 * caller, freed with free(). NULL and a sentence that begins with `name` on error. */
uint8_t *decode_image(const void *bytes, size_t count, const char *name, int channels, int *width,
                      int *height, error *e);

/* The same from a file. */
uint8_t *decode_image_file(const char *path, int channels, int *width, int *height, error *e);

/* For the readers of single formats: whether an image of this size is decoded; false and a sentence if not.
 */
bool decode_check_size(const char *name, size_t width, size_t height, error *e);

/* The grey of a pixel of red, green and blue. */
static inline uint8_t decode_luminance(const uint8_t *rgb) {
    return (uint8_t)((rgb[0] * 77 + rgb[1] * 150 + rgb[2] * 29) >> 8);
}

#endif
