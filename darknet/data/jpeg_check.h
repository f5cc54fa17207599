/* Whether a JPEG is built soundly enough to be handed to the decoder. */
#ifndef DARKNET_DATA_JPEG_CHECK_H
#define DARKNET_DATA_JPEG_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* NULL when it is; else what is wrong with it. */
const char *jpeg_check(const uint8_t *bytes, size_t count);

#endif
