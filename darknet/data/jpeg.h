/* JPEG: libjpeg-turbo reads the file's structure and its codes, the pixels are reckoned from the coefficients
 * here, in the arithmetic of the decoder that Darknet has (see jpeg_planes.h). */
#ifndef DARKNET_DATA_JPEG_H
#define DARKNET_DATA_JPEG_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* A JPEG (Huffman-coded, baseline, extended or progressive, 8 bits a sample; grey, RGB, YCbCr, CMYK or YCCK)
 * to [height][width][channels], channels 1 or 3. What the file ends without, or what contradicts itself, is
 * an error; bytes that belong to nothing are passed over. The pixels belong to the caller, freed with free().
 * NULL and a sentence that begins with `name` on error. */
uint8_t *jpeg_decode(const uint8_t *bytes, size_t count, const char *name, int channels, int *width,
                     int *height, error *e);

#endif
