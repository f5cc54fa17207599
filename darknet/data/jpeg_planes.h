/* From a JPEG's coefficients to pixels. The JPEG standard leaves the rounding of the inverse transform, the
 * interpolation of subsampled colours and the conversion to RGB to the decoder. Darknet's decoder is
 * stb_image, and its numbers are these (tests/unit/test_jpeg.c compares them bit by bit). */
#ifndef DARKNET_DATA_JPEG_PLANES_H
#define DARKNET_DATA_JPEG_PLANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JPEG_PLANES_LIMIT 4

/* The colours of a file's planes. CMYK and YCCK are taken as Adobe's programs write them: the amounts of
 * light that the inks leave. */
typedef enum jpeg_model { JPEG_GREY, JPEG_RGB, JPEG_YCC, JPEG_CMYK, JPEG_YCCK } jpeg_model;

/* One component's samples, [height][stride], of which the first `width` in a row belong to the image; each
 * stands for across x down pixels. */
typedef struct jpeg_plane {
    uint8_t *samples;
    size_t width, height, stride, across, down;
} jpeg_plane;

typedef struct jpeg_planes {
    jpeg_plane plane[JPEG_PLANES_LIMIT];
    size_t width, height; /* the image's, in pixels */
    jpeg_model model;
} jpeg_planes;

/* 8 x 8 samples [8][stride] from 8 x 8 coefficients and their quantisation steps, both by rows. */
void jpeg_block_samples(const int16_t *coefficients, const uint16_t *steps, uint8_t *samples, size_t stride);

/* The whole image as [height][width][channels], channels 1 or 3. False when out of memory. */
bool jpeg_planes_pixels(const jpeg_planes *planes, int channels, uint8_t *pixels);

#endif
