/* Bilinear resampling of one plane with align-corners positions, shared by the float images of the public
 * functions and the byte images of the data sets, so that both give the same bits. */
#ifndef DARKNET_DATA_RESAMPLE_H
#define DARKNET_DATA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* One channel of an image: where it begins and how far its pixels and rows lie apart, in elements. */
typedef struct float_plane {
    float *data;
    int width, height;
    size_t pixel_step, row_step;
} float_plane;

typedef struct byte_plane {
    const uint8_t *data;
    int width, height;
    size_t pixel_step, row_step;
} byte_plane;

/* A byte as a pixel value in [0,1]. */
static inline float pixel_from_byte(uint8_t byte) {
    return (float)byte / 255.0f;
}

/* Fills `out` from `in`; scratch holds out->width * in->height floats. Position i of n new ones reads
 * i * (old - 1) / (n - 1); the last column and row are copies of the last ones. */
void resample_floats(const float_plane *in, const float_plane *out, float *scratch);
void resample_bytes(const byte_plane *in, const float_plane *out, float *scratch);

#endif
