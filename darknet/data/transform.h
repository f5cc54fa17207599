/* What is done to one image's pixels, each a function without state. Outputs are [height][width][channels]
 * floats. */
#ifndef DARKNET_DATA_TRANSFORM_H
#define DARKNET_DATA_TRANSFORM_H

#include <stdbool.h>

#include "data/dataset.h"

/* The value of each byte, by channel. */
typedef struct byte_table {
    float value[3][256];
} byte_table;

/* The image seen through a width x height window whose corner lies at (left, top) of it, possibly outside:
 * zero bytes there. Mirrored when flip. */
void transform_window(const stored_image *image, int channels, int left, int top, bool flip,
                      const byte_table *table, int width, int height, float *out);

/* The same of floats [height][width][channels], the window being of the image's own size. */
void transform_window_floats(const float *in, int channels, int left, int top, int width, int height,
                             float *out);

/* The largest centred square, resized; scratch holds width * min(image width, image height) floats. */
void transform_center_crop(const stored_image *image, int channels, int width, int height, float *scratch,
                           float *out);

/* Darknet's random crop: scale is output pixels per image pixel, aspect stretches the width by 1 / aspect,
 * the angle is in radians about the image's middle, (dx, dy) shift in output pixels. Bilinear, border
 * clamped. */
typedef struct crop_geometry {
    float scale, aspect, angle, dx, dy;
} crop_geometry;
void transform_crop(const stored_image *image, int channels, const crop_geometry *g, int width, int height,
                    float *out);

/* Mirrors left and right. */
void transform_flip(float *pixels, int width, int height, int channels);

/* In HSV: hue shifted by up to a turn (1) either way, saturation and value multiplied; clamped to [0,1]. One
 * channel: value alone. */
void transform_color(float *pixels, size_t count, int channels, float hue, float saturation, float value);

enum { TRANSFORM_MOST_BLUR = 64 }; /* pixels */
/* Convolved with a Gaussian of this standard deviation in pixels, at most TRANSFORM_MOST_BLUR, cut off at
 * three of them; the border is repeated. 0 changes nothing. scratch: as many floats as pixels has. */
void transform_blur(float *pixels, int width, int height, int channels, float deviation, float *scratch);

#endif
