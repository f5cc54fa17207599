/* JPEGs of every kind for tests, encoded on the spot by libjpeg, and their pixels by stb_image. */
#ifndef TESTS_JPEG_FILES_H
#define TESTS_JPEG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum jpeg_colors { COLORS_GREY, COLORS_RGB, COLORS_YCC, COLORS_CMYK, COLORS_YCCK } jpeg_colors;

typedef struct jpeg_kind {
    const char *name;
    int width, height;
    jpeg_colors colors;
    int luma[2],
        chroma[2]; /* sampling factors across and down, of the first component and of the others; 0: 1 */
    int quality;   /* 1 to 100 */
    bool progressive, arithmetic, scans_of_one; /* the last: each component in a scan of its own */
    unsigned restart;                           /* MCUs between restart marks; 0: none */
} jpeg_kind;

/* A picture of waves, edges and noise (from `seed`) as a JPEG of the kind; malloc'ed. */
uint8_t *jpeg_file(const jpeg_kind *kind, unsigned seed, size_t *count);

/* The pixels [height][width][channels] that stb_image decodes (sound files only); malloc'ed, NULL when none.
 */
uint8_t *jpeg_reference(const uint8_t *bytes, size_t count, int channels, int *width, int *height);

#endif
