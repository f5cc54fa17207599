/* Decoding of image files' bytes to interleaved 8-bit pixels; the only place that knows the decoder library.
 */
#ifndef DARKNET_DATA_DECODE_H
#define DARKNET_DATA_DECODE_H

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

#endif
