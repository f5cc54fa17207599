/* Cutting into bands of tiles, see winograd_plan.h. */
#include "kernels/winograd_plan.h"

#define MOST_PARTS 16
#define MOST_ITEMS 64
#define LEAST_BANDS 16      /* where there are enough tiles */
#define LEAST_BAND_TILES 16 /* fewer would leave the weights' loads unpaid */
#define FILLED_BYTES 32768  /* of a band, unless that makes fewer than WINOGRAD_OUTER_TILES */

static size_t batch_tiles(const winograd_plan *p) {
    return p->s.batch * p->tiles_y * p->tiles_x;
}

/* Tiles that a band may have: never fewer for a larger batch. */
static size_t most_band_tiles(const winograd_plan *p) {
    const convolution_shape *s = &p->s;
    size_t tile_bytes = 4 * size_larger(s->in_channels, s->out_channels) * sizeof(float);
    size_t share = size_larger(LEAST_BAND_TILES, batch_tiles(p) / LEAST_BANDS);
    return size_smaller(share, size_larger(WINOGRAD_OUTER_TILES, FILLED_BYTES / tile_bytes));
}

winograd_plan winograd_plan_of(const convolution_shape *s) {
    winograd_plan p = {.s = *s,
                       .tiles_y = size_ceil_divide(s->out_height, 2),
                       .tiles_x = size_ceil_divide(s->out_width, 2),
                       .bands_per_image = 1,
                       .band_images = 1};
    size_t tiles = most_band_tiles(&p), image_tiles = p.tiles_y * p.tiles_x;
    p.band_rows = p.tiles_y;
    if (tiles >= image_tiles) {
        p.band_images = size_smaller(tiles / image_tiles, s->batch);
    } else {
        p.bands_per_image = size_ceil_divide(p.tiles_y, size_larger(1, tiles / p.tiles_x));
        p.band_rows = size_ceil_divide(p.tiles_y, p.bands_per_image);
        p.bands_per_image = size_ceil_divide(p.tiles_y, p.band_rows);
    }
    p.bands = size_ceil_divide(s->batch, p.band_images) * p.bands_per_image;
    p.band_tiles = p.band_images * p.band_rows * p.tiles_x;
    p.items = size_smaller(p.bands, MOST_ITEMS);
    p.parts = size_smaller(p.bands, MOST_PARTS);
    size_t height = 2 * p.band_rows + 2, width = 2 * p.tiles_x + 2;
    tile_geometry_set(&p.in, height, width, s->in_channels / TILE_CHANNELS);
    tile_geometry_set(&p.out, height, width, s->out_channels / TILE_CHANNELS);
    p.in.first_y = p.in.first_x = p.out.first_y = p.out.first_x = -1;
    return p;
}

size_t winograd_most_items(const winograd_plan *p) {
    return size_smaller(MOST_ITEMS, batch_tiles(p));
}

size_t winograd_most_parts(const winograd_plan *p) {
    return size_smaller(MOST_PARTS, batch_tiles(p));
}

winograd_band winograd_band_at(const winograd_plan *p, size_t index) {
    const convolution_shape *s = &p->s;
    size_t image = index / p->bands_per_image * p->band_images,
           first = index % p->bands_per_image * p->band_rows;
    winograd_band b = {.image = image,
                       .images = size_smaller(p->band_images, s->batch - image),
                       .first = first,
                       .last = size_smaller(first + p->band_rows, p->tiles_y),
                       .pixel = (image * s->out_height + 2 * first) * s->out_width};
    size_t rows = size_smaller(2 * b.last, s->out_height) - 2 * first;
    b.pixels = b.images * rows * s->out_width;
    b.tiles = b.images * (b.last - first) * p->tiles_x;
    return b;
}

size_t winograd_places_floats(const winograd_plan *p) {
    return floats_padded(p->band_tiles * (sizeof(winograd_place) / sizeof(float)));
}

const winograd_place *winograd_places(const winograd_plan *p, float **workspace) {
    winograd_place *places = (winograd_place *)(void *)take_floats(workspace, winograd_places_floats(p));
    for (size_t i = 0; i < p->band_tiles; i++) {
        size_t image = i / (p->band_rows * p->tiles_x), y = i / p->tiles_x % p->band_rows * 2,
               x = i % p->tiles_x * 2;
        places[i] = (winograd_place){.image = image,
                                     .patch = (y * p->in.width + x) * TILE_CHANNELS,
                                     .pixel = (image * p->s.out_height + y) * p->s.out_width + x,
                                     .y = y,
                                     .x = x};
    }
    return places;
}
