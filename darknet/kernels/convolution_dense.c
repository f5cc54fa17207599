/* Dense convolutions, 1x1 and k x k, on tiles: bands of rows dealt out to threads, each mapped once into a
 * tile in cache, and the products of tile.h on it. */
#include "kernels/dense_tiles.h"

#include <omp.h>

#define FEW_ITEMS 8 /* fewer are cut across columns as well */

static bool fits(const convolution_shape *s) {
    return s->groups == 1 && s->stride_y * s->stride_x <= DENSE_MOST_CLASSES;
}

typedef struct forward_work {
    const forward_call *call;
    const tile_kernels *kernels, *products;
    dense_plan plan;
    size_t items, groups; /* items of bands, each cut into groups of panels */
    lazy_tensor in;
    bool direct; /* rows are read where they stand, without a tile */
    dense_lists lists;
    tile_product product;
    float *packing; /* where weights that come unpacked go */
    float *moments; /* [items][3][columns] */
    size_t moment_stride;
    size_t *item_rows;
    float *tiles;
} forward_work;

static size_t group_count(const dense_plan *p, size_t panels) {
    size_t groups = p->items < FEW_ITEMS ? (FEW_ITEMS + p->items - 1) / p->items : 1;
    return groups < panels ? groups : panels;
}

/* A tile, and what products may want made of it. */
static size_t forward_tile_floats(const dense_plan *p) {
    return floats_padded(tile_floats(&p->in)) + (p->s.bfloat16 ? shrunk_floats(&p->in) : 0);
}

static size_t forward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = dense_plan_largest(s, &dense_budget, false);
    size_t items = p.items, columns = size_round_up(s->out_channels, TILE_CHANNELS);
    size_t floats = dense_forward_list_floats(&p) + 2 * floats_padded(s->in_channels) + 2 * columns;
    floats += floats_padded(p.area * s->in_channels * columns);
    floats += items * 5 * columns + floats_padded(2 * items);
    return (floats + (size_t)threads * forward_tile_floats(&p)) * sizeof(float);
}

static bool is_identity(const channel_map *m) {
    return !m->scale && !m->shift && m->activation == ACTIVATION_LINEAR;
}

static forward_work forward_prepare(const forward_call *call) {
    const convolution_shape *s = call->shape;
    forward_work w = {.call = call,
                      .kernels = tile_kernels_at(call->level),
                      .products = dense_products(s, s->in_channels, call->level),
                      .plan = dense_plan_of(s, &dense_budget, false)};
    float *workspace = call->workspace;
    w.items = w.plan.items;
    w.groups = group_count(&w.plan, w.products->panels(s->out_channels));
    w.direct = !w.products->shrink && is_identity(&call->in->map) && dense_is_plain(&w.plan.s);
    if (w.direct)
        dense_direct_lists(&w.plan, &w.lists, &workspace);
    else
        dense_forward_lists(&w.plan, &w.lists, &workspace);
    w.in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    w.product = (tile_product){.row_in = w.lists.row_in,
                               .blocks = w.lists.blocks,
                               .offsets = w.lists.offsets,
                               .widths = w.lists.widths,
                               .weights = {.depth = w.lists.depth, .columns = s->out_channels},
                               .row_out = w.lists.row_out};
    if (call->store) {
        w.product.finish = TILE_MAP;
        w.product.map = pad_map(call->store, s->out_channels, &workspace);
    }
    w.packing = take_floats(&workspace, w.products->weights_floats(w.lists.depth, s->out_channels));
    w.product.weights.packed = call->packed ? call->packed : w.packing;
    w.moment_stride = size_round_up(s->out_channels, TILE_CHANNELS);
    w.moments = take_floats(&workspace, w.items * 5 * w.moment_stride);
    w.item_rows = (size_t *)(void *)take_floats(&workspace, 2 * w.items);
    w.tiles = workspace;
    return w;
}

static void forward_band(const forward_work *w, const dense_band *b, float *tile, size_t first_panel,
                         size_t panels, const tile_moments *moments, bool fresh) {
    const convolution_shape *s = &w->plan.s;
    const tile_source source = {w->kernels,     &w->plan.in, s->in_height, s->in_width,
                                s->in_channels, &w->in,      NULL};
    size_t rows = (b->last - b->first), height = w->plan.in.height - (w->plan.band_rows - rows) * s->stride_y;
    tile_product p = w->product;
    p.tile = tile;
    if (w->direct)
        p.tile = w->in.data + b->first * s->in_width * s->in_channels;
    else
        fill_tile(&source, b->image, (ptrdiff_t)(b->first * s->stride_y) + w->plan.in.first_y, height, tile);
    if (w->products->shrink) {
        float *shrunk = tile + floats_padded(tile_floats(&w->plan.in));
        w->products->shrink(tile, tile_floats(&w->plan.in), shrunk);
        p.tile = shrunk;
    }
    /* the next band's rows, as many as this one's */
    p.ahead =
        (tile_ahead){.count = 1,
                     .at = {w->in.data + ((b->image * s->in_height + b->last * s->stride_y) * s->in_width) *
                                             s->in_channels},
                     .row_floats = {s->stride_y * s->stride_x * s->in_channels}};
    p.out = w->call->out + (b->image * s->out_height + b->first) * s->out_width * s->out_channels;
    p.moments = *moments;
    run_product(w->products, &p, rows * s->out_width, first_panel, panels, fresh);
}

static void forward_item(const forward_work *w, size_t item, size_t group, float *tile) {
    size_t panels = w->products->panels(w->call->shape->out_channels);
    size_t first_panel = panels * group / w->groups, last_panel = panels * (group + 1) / w->groups;
    size_t first = w->plan.bands * item / w->items, last = w->plan.bands * (item + 1) / w->items, rows = 0;
    tile_moments m = {0};
    if (w->call->moments) {
        m.pivot = w->moments + item * 5 * w->moment_stride;
        m.sum = m.pivot + w->moment_stride;
        m.square = m.sum + w->moment_stride;
    }
    for (size_t i = first; i < last; i++) {
        dense_band b = dense_band_at(&w->plan, i);
        forward_band(w, &b, tile, first_panel, last_panel - first_panel, &m, i == first);
        rows += (b.last - b.first) * w->plan.s.out_width;
    }
    if (group == 0) w->item_rows[item] = rows;
}

/* Behind the packed weights, the list that packing reads. */
static size_t packed_bytes(const convolution_shape *s, isa_level level) {
    size_t depth = s->in_channels * s->size * s->size;
    size_t floats =
        floats_padded(dense_products(s, s->in_channels, level)->weights_floats(depth, s->out_channels));
    return floats * sizeof(float) + depth * sizeof(size_t);
}

static void pack(const convolution_shape *s, const float *weights, void *packed, isa_level level) {
    const tile_kernels *k = dense_products(s, s->in_channels, level);
    tile_weights w = {.depth = s->in_channels * s->size * s->size, .columns = s->out_channels};
    float *at = packed;
    size_t *weight_at = (size_t *)(void *)(at + floats_padded(k->weights_floats(w.depth, w.columns)));
    for (size_t i = 0; i < w.depth; i++)
        weight_at[i] = i / s->in_channels + i % s->in_channels * s->size * s->size;
    for (size_t i = 0; i < k->panels(w.columns); i++) k->pack(&w, i, weights, weight_at, w.depth, at);
}

static void forward(const forward_call *call) {
    const forward_work w = forward_prepare(call);
    size_t panels = w.products->panels(call->shape->out_channels), tile_size = forward_tile_floats(&w.plan);
#pragma omp parallel num_threads(call->threads)
    {
        float *tile = w.tiles + (size_t)omp_get_thread_num() * tile_size;
        if (!call->packed) {
#pragma omp for schedule(static)
            for (size_t i = 0; i < panels; i++)
                w.products->pack(&w.product.weights, i, call->weights, w.lists.weight_at, w.lists.depth,
                                 w.packing);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < w.items * w.groups; i++) forward_item(&w, i / w.groups, i % w.groups, tile);
    }
    if (call->moments)
        moments_of_items(w.items, w.item_rows, call->shape->out_channels, w.moment_stride, w.moments,
                         call->moments);
}

const convolution_form convolution_dense = {.fits = fits,
                                            .forward_bytes = forward_bytes,
                                            .backward_bytes = dense_backward_bytes,
                                            .packed_bytes = packed_bytes,
                                            .pack = pack,
                                            .forward = forward,
                                            .backward = dense_backward};
