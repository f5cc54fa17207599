/* What the passes of a convolution by Winograd's filtering share: the filling of bands, products on them. */
#ifndef DARKNET_KERNELS_WINOGRAD_TILES_H
#define DARKNET_KERNELS_WINOGRAD_TILES_H

#include "kernels/dense_tiles.h"
#include "kernels/winograd_plan.h"

/* Fills a band with a tensor or a gradient, zeros around the images. */
void winograd_fill(const winograd_band *b, const tile_source *source, float *filled);

/* `tiles` of a filled band, from `first` on. */
winograd_source winograd_tiles(const tile_geometry *g, const float *filled, const winograd_place *places,
                               size_t first, size_t tiles);

/* Products with transformed weights take so many tiles at a time, whose transforms stay near. */
#define WINOGRAD_NEAR_TILES 16

/* A band's tiles times the transformed weights: what forward and the gradient of the input share. */
typedef struct winograd_multiplication {
    const winograd_kernels *kernels;
    const winograd_plan *plan;
    const winograd_place *places;
    const tile_geometry *geometry; /* of the filled band */
    const float *filled;
    float *near;              /* workspace: winograd_near_floats */
    winograd_product product; /* out and the others for the whole band; moments, sums and ahead with it */
} winograd_multiplication;

size_t winograd_near_floats(const winograd_kernels *k, size_t in_channels);
void winograd_multiply(const winograd_multiplication *m, const winograd_band *b);

size_t winograd_backward_bytes(const convolution_shape *s, int threads);
void winograd_backward(const backward_call *call);

#endif
