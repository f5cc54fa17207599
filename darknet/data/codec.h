/* The decoder library's two calls that are used, behind our own names. */
#ifndef DARKNET_DATA_CODEC_H
#define DARKNET_DATA_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of a PNG or BMP from its header; false and a reason when it is none of them. */
bool codec_size(const uint8_t *bytes, size_t count, int *width, int *height, const char **reason);

/* Its pixels, [height][width][channels], freed with free(); NULL and a reason when they cannot be decoded. */
uint8_t *codec_decode(const uint8_t *bytes, size_t count, int channels, int *width, int *height,
                      const char **reason);

#endif
