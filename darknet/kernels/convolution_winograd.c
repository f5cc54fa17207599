/* 3x3 convolutions by Winograd's minimal filtering: bands of tiles dealt out to threads, each mapped once
 * into cache, transformed, multiplied and transformed back a few tiles at a time. */
#include "kernels/winograd_tiles.h"

#include <omp.h>

#define FEW_ITEMS 8      /* fewer are cut across columns as well */
#define MOST_CHANNELS 64 /* it was measured up to here */

/* Tiles that stick out, and images of few pixels, leave too little of the gain: a third of the products must
 * be saved. */
static bool saves_products(const convolution_shape *s) {
    size_t tiles = (s->out_height + 1) / 2 * ((s->out_width + 1) / 2);
    return 3 * WINOGRAD_POSITIONS * tiles <= 2 * 9 * output_pixels(s);
}

static bool fits(const convolution_shape *s) {
    return s->size == 3 && s->stride_y == 1 && s->stride_x == 1 && s->padding == 1 && s->dilation == 1 &&
           s->groups == 1 && s->in_channels % TILE_CHANNELS == 0 && s->out_channels % TILE_CHANNELS == 0 &&
           s->in_channels <= MOST_CHANNELS && s->out_channels <= MOST_CHANNELS && saves_products(s);
}

typedef struct forward_work {
    const forward_call *call;
    const winograd_kernels *kernels;
    winograd_plan plan;
    size_t items, groups; /* items of bands, each cut into groups of vectors of columns */
    size_t vectors;
    lazy_tensor in;
    winograd_multiplication multiplication;
    float *packing; /* where weights that come unpacked go */
    float *moments; /* [items][5][columns] */
    size_t *item_pixels;
    float *scratch;
    size_t scratch_floats; /* of each thread */
} forward_work;

static size_t weights_floats(const convolution_shape *s) {
    return WINOGRAD_POSITIONS * s->in_channels * s->out_channels;
}

static winograd_weights weights_of(const convolution_shape *s) {
    return (winograd_weights){.depth = s->in_channels,
                              .columns = s->out_channels,
                              .depth_step = 9,
                              .column_step = 9 * s->in_channels};
}

/* A thread's filled band and what multiplying needs. */
static size_t thread_floats(const winograd_plan *p, const winograd_kernels *k) {
    return winograd_band_floats(p, &p->in) + winograd_near_floats(k, p->s.in_channels);
}

static size_t forward_bytes(const convolution_shape *s, int threads) {
    winograd_plan p = winograd_plan_of(s);
    size_t items = winograd_most_items(&p);
    size_t floats = winograd_places_floats(&p) + 2 * floats_padded(s->in_channels);
    floats += 2 * floats_padded(s->out_channels) + weights_floats(s);
    floats += items * 5 * s->out_channels + floats_padded(2 * items);
    return (floats + (size_t)threads * thread_floats(&p, winograd_kernels_at(isa_best()))) * sizeof(float);
}

static void forward_prepare(forward_work *w, const forward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    *w = (forward_work){
        .call = call, .kernels = winograd_kernels_at(call->level), .plan = winograd_plan_of(s)};
    w->items = w->plan.items;
    w->vectors = s->out_channels / w->kernels->lanes;
    w->groups = w->items < FEW_ITEMS ? (FEW_ITEMS + w->items - 1) / w->items : 1;
    if (w->groups > w->vectors) w->groups = w->vectors;
    w->multiplication = (winograd_multiplication){.kernels = w->kernels,
                                                  .plan = &w->plan,
                                                  .places = winograd_places(&w->plan, &workspace),
                                                  .geometry = &w->plan.in};
    w->in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    winograd_product *product = &w->multiplication.product;
    product->columns = s->out_channels;
    if (call->store) {
        product->finish = TILE_MAP;
        product->map = pad_map(call->store, s->out_channels, &workspace);
    }
    w->packing = take_floats(&workspace, weights_floats(s));
    product->weights = call->packed ? call->packed : w->packing;
    w->moments = take_floats(&workspace, w->items * 5 * s->out_channels);
    w->item_pixels = (size_t *)(void *)take_floats(&workspace, 2 * w->items);
    w->scratch = workspace;
    w->scratch_floats = thread_floats(&w->plan, w->kernels);
}

static void forward_band(const forward_work *w, const winograd_band *b, const winograd_product *product,
                         float *scratch) {
    const convolution_shape *s = &w->plan.s;
    const tile_source source = {tile_kernels_at(w->call->level),
                                &w->plan.in,
                                s->in_height,
                                s->in_width,
                                s->in_channels,
                                &w->in,
                                NULL};
    winograd_multiplication m = w->multiplication;
    float *filled = take_floats(&scratch, winograd_band_floats(&w->plan, &w->plan.in));
    m.product = *product;
    m.product.out = w->call->out + b->pixel * s->out_channels;
    m.product.ahead = (tile_ahead){.count = 1,
                                   .at = {w->in.data + (b->pixel + b->pixels) * s->in_channels},
                                   .row_floats = {s->in_channels}};
    m.filled = filled;
    m.near = scratch;
    winograd_fill(b, &source, filled);
    winograd_multiply(&m, b);
}

static void forward_item(const forward_work *w, size_t item, size_t group, float *scratch) {
    size_t first = w->plan.bands * item / w->items, last = w->plan.bands * (item + 1) / w->items, pixels = 0;
    size_t columns = w->call->shape->out_channels;
    winograd_product p = w->multiplication.product;
    p.first = w->vectors * group / w->groups;
    p.vectors = w->vectors * (group + 1) / w->groups - p.first;
    if (w->call->moments) {
        p.moments.pivot = w->moments + item * 5 * columns;
        p.moments.sum = p.moments.pivot + columns;
        p.moments.square = p.moments.sum + columns;
    }
    for (size_t i = first; i < last; i++) {
        winograd_band b = winograd_band_at(&w->plan, i);
        p.fresh = i == first;
        forward_band(w, &b, &p, scratch);
        pixels += b.pixels;
    }
    if (group == 0) w->item_pixels[item] = pixels;
}

static size_t packed_bytes(const convolution_shape *s, isa_level level) {
    (void)level;
    return weights_floats(s) * sizeof(float);
}

static void pack(const convolution_shape *s, const float *weights, void *packed, isa_level level) {
    const winograd_kernels *k = winograd_kernels_at(level);
    const winograd_weights w = weights_of(s);
    for (size_t i = 0; i < s->out_channels / k->lanes; i++) k->pack(&w, i, weights, packed);
}

static void forward(const forward_call *call) {
    forward_work w;
    const winograd_weights weights = weights_of(call->shape);
    forward_prepare(&w, call);
#pragma omp parallel num_threads(call->threads)
    {
        float *scratch = w.scratch + (size_t)omp_get_thread_num() * w.scratch_floats;
        if (!call->packed) {
#pragma omp for schedule(static)
            for (size_t i = 0; i < w.vectors; i++) w.kernels->pack(&weights, i, call->weights, w.packing);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < w.items * w.groups; i++) forward_item(&w, i / w.groups, i % w.groups, scratch);
    }
    if (call->moments)
        moments_of_items(w.items, w.item_pixels, call->shape->out_channels, call->shape->out_channels,
                         w.moments, call->moments);
}

const convolution_form convolution_winograd = {.fits = fits,
                                               .forward_bytes = forward_bytes,
                                               .backward_bytes = winograd_backward_bytes,
                                               .packed_bytes = packed_bytes,
                                               .pack = pack,
                                               .forward = forward,
                                               .backward = winograd_backward};
