/* How a convolution by Winograd's filtering is cut: bands of rows of 2x2 tiles, of a part of an image or of a
 * few whole images, which are filled into cache at once and transformed a few tiles at a time. All of it
 * depends on the shape alone. */
#ifndef DARKNET_KERNELS_WINOGRAD_PLAN_H
#define DARKNET_KERNELS_WINOGRAD_PLAN_H

#include "kernels/dense_plan.h"
#include "kernels/winograd.h"

/* Outer products take so many tiles at a time: they pay for the loads and stores of the weights' gradient. */
#define WINOGRAD_OUTER_TILES 64

typedef struct winograd_plan {
    convolution_shape s;
    size_t tiles_y, tiles_x;       /* of an image */
    size_t band_rows, band_images; /* rows of tiles; several images only when these are all rows */
    size_t bands_per_image, bands; /* band i: part i % bands_per_image of an image, or of band_images */
    size_t band_tiles;             /* of the largest band */
    tile_geometry in, out;         /* of one image's part of a band, with one pixel around it */
    size_t items;                  /* runs of bands that share a record of moments */
    size_t parts;                  /* runs of bands that share a gradient of the weights */
} winograd_plan;

/* Rows of tiles [first, last) of images [image, image + images). */
typedef struct winograd_band {
    size_t image, images, first, last;
    size_t pixel, pixels; /* its first output pixel of the tensor, and how many it has */
    size_t tiles;
} winograd_band;

winograd_plan winograd_plan_of(const convolution_shape *s);
/* For sizes of memory: as many as any smaller batch has. */
size_t winograd_most_items(const winograd_plan *p);
size_t winograd_most_parts(const winograd_plan *p);
winograd_band winograd_band_at(const winograd_plan *p, size_t index);

/* Where the tiles of a band stand: of the largest one; any band has the first ones of these. */
size_t winograd_places_floats(const winograd_plan *p);
const winograd_place *winograd_places(const winograd_plan *p, float **workspace);

/* Floats of a filled band. */
static inline size_t winograd_band_floats(const winograd_plan *p, const tile_geometry *g) {
    return floats_padded(p->band_images * tile_floats(g));
}

#endif
