/* The gradients of a dense convolution on tiles: bands dealt out to threads; each band's gradient tile serves
 * the input gradient (a product with the transposed weights) and the weight gradient (outer products). */
#include "kernels/dense_tiles.h"

#include <omp.h>
#include <string.h>

/* The input gradient of one class of input pixels, see dense_backward_lists. */
typedef struct residue_class {
    size_t y, x;
    dense_lists lists;
    tile_product product;
    float *packing;
} residue_class;

typedef struct backward_work {
    const backward_call *call;
    const tile_kernels *kernels, *delta_products;
    const tile_kernels *outer_products; /* on pairs of pixels; NULL: the kernels' own on tiles */
    dense_plan plan;
    lazy_tensor in;
    lazy_gradient dy;
    size_t class_count;
    residue_class classes[DENSE_MOST_CLASSES];
    tile_outer outer;
    bool swapped; /* input channels are the rows of the weight gradient's parts */
    float *parts;
    size_t part_stride;
    float *sums; /* [parts][2][sum_stride] */
    const float *center;
    bool sums_in_product; /* gathered from the registers, else in a pass over each band */
    size_t sum_stride;
    float *tiles;
} backward_work;

/* Cost of a pixel's outer product in register steps: entries in threes are cheapest. */
static size_t outer_cost(size_t rows, size_t entries) {
    size_t threes = entries / 3, rest = entries % 3;
    if (rest == 1 && threes) return (rows + 7) / 8 * ((threes - 1) * 24 + 32);
    return (rows + 7) / 8 * (threes * 24 + (rest == 2 ? 16 : rest ? 9 : 0));
}

static bool swap_roles(const dense_plan *p) {
    return p->area * outer_cost(p->s.in_channels, p->out_blocks) <
           outer_cost(p->s.out_channels, p->area * p->in_blocks);
}

static size_t part_floats(const dense_plan *p) {
    if (swap_roles(p)) return p->area * p->s.in_channels * p->out_blocks * TILE_CHANNELS;
    return p->s.out_channels * p->area * p->in_blocks * TILE_CHANNELS;
}

static size_t most_entries(const dense_plan *p) {
    return p->area * p->in_blocks + p->out_blocks;
}

/* Two tiles, and what products may want made of them. */
static size_t backward_tile_floats(const dense_plan *p) {
    size_t floats = floats_padded(tile_floats(&p->in)) + floats_padded(tile_floats(&p->out));
    if (p->s.bfloat16) floats += shrunk_floats(&p->out) + paired_floats(&p->in) + paired_floats(&p->out);
    return floats;
}

size_t dense_backward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = dense_plan_largest(s, &dense_budget, true);
    size_t columns = size_round_up(s->in_channels, TILE_CHANNELS);
    size_t floats = s->stride_y * s->stride_x * (dense_backward_list_floats(&p) + TILE_CHANNELS);
    floats += floats_padded(p.area * s->out_channels * columns) + floats_padded(4 * most_entries(&p));
    floats += 3 * floats_padded(s->in_channels) + 5 * floats_padded(s->out_channels);
    floats += p.parts * (floats_padded(part_floats(&p)) + 2 * floats_padded(s->in_channels));
    return (floats + (size_t)threads * backward_tile_floats(&p)) * sizeof(float);
}

static void prepare_classes(backward_work *w, float **workspace) {
    const convolution_shape *s = &w->plan.s;
    bool stream = !w->call->accumulate && (!w->call->sums || w->sums_in_product) &&
                  stream_fits(w->call->in_delta, s->batch * input_pixels(s), s->in_channels);
    for (size_t i = 0; i < s->stride_y * s->stride_x; i++) {
        residue_class *c = &w->classes[w->class_count++];
        c->y = i / s->stride_x;
        c->x = i % s->stride_x;
        dense_backward_lists(&w->plan, c->y, c->x, &c->lists, workspace);
        c->product = (tile_product){.row_in = c->lists.row_in,
                                    .blocks = c->lists.blocks,
                                    .offsets = c->lists.offsets,
                                    .widths = c->lists.widths,
                                    .weights = {.depth = c->lists.depth, .columns = s->in_channels},
                                    .row_out = c->lists.row_out,
                                    .stream = stream,
                                    .finish = w->call->accumulate ? TILE_ACCUMULATE : TILE_STORE};
        c->packing =
            take_floats(workspace, w->delta_products->weights_floats(c->lists.depth, s->in_channels));
        c->product.weights.packed = c->packing;
    }
}

static void prepare_outer(backward_work *w, float **workspace) {
    const dense_plan *p = &w->plan;
    size_t *lists = (size_t *)(void *)take_floats(workspace, 4 * most_entries(p));
    size_t *columns = lists, *results = lists + most_entries(p);
    size_t halo = ((size_t)-p->out.first_y * p->out.width + (size_t)-p->out.first_x) * TILE_CHANNELS;
    tile_outer *o = &w->outer;
    w->swapped = swap_roles(p);
    for (size_t i = 0; i < (w->swapped ? p->out_blocks : p->area * p->in_blocks); i++) {
        size_t k = i / p->in_blocks, pixel = (k / p->s.size * p->in.width + k % p->s.size) * p->s.dilation;
        columns[i] =
            w->swapped ? i * p->out.plane + halo : i % p->in_blocks * p->in.plane + pixel * TILE_CHANNELS;
        results[i] = i * TILE_CHANNELS;
        o->entries++;
    }
    for (size_t i = 0; w->outer_products && i < o->entries; i++)
        columns[i] = i * pair_plane(w->swapped ? &p->out : &p->in);
    o->column_offsets = columns;
    o->result_offsets = results;
    o->result_row = o->entries * TILE_CHANNELS;
    w->part_stride = floats_padded(part_floats(p));
    w->parts = take_floats(workspace, p->parts * w->part_stride);
}

static void backward_prepare(backward_work *w, const backward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    *w = (backward_work){
        .call = call, .kernels = tile_kernels_at(call->level), .plan = dense_plan_of(s, &dense_budget, true)};
    w->delta_products = dense_products(s, s->out_channels, call->level);
    const tile_kernels *pairs = dense_products(s, 2, call->level);
    if (pairs->outer_pairs && dense_is_plain(&w->plan.s)) w->outer_products = pairs;
    w->in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    w->dy = pad_gradient(call->dy, s->out_channels, &workspace);
    w->sums_in_product = sums_fit_product(call);
    if (call->sums) w->center = pad_channels(call->sums->center, 0, s->in_channels, &workspace);
    if (call->in_delta) prepare_classes(w, &workspace);
    prepare_outer(w, &workspace);
    w->sum_stride = floats_padded(s->in_channels);
    w->sums = take_floats(&workspace, w->plan.parts * 2 * w->sum_stride);
    w->tiles = workspace;
}

/* The same from pairs of pixels, of a plain convolution. */
static void weight_band_in_pairs(const backward_work *w, const dense_band *b, const float *in_tile,
                                 const float *out_tile, float *pairs, float *part, bool add) {
    const dense_plan *p = &w->plan;
    size_t pixels = (b->last - b->first) * p->s.out_width;
    uint32_t *in = (uint32_t *)(void *)pairs, *out = in + paired_floats(&p->in);
    w->outer_products->pair(in_tile, p->in.plane, p->in.blocks, pixels, in, pair_plane(&p->in));
    w->outer_products->pair(out_tile, p->out.plane, p->out.blocks, pixels, out, pair_plane(&p->out));
    tile_outer o = w->outer;
    o.rows = w->swapped ? in : out;
    o.rows_plane = pair_plane(w->swapped ? &p->in : &p->out);
    o.row_count = w->swapped ? p->s.in_channels : p->s.out_channels;
    o.columns = w->swapped ? out : in;
    o.run_length = (pixels + 1) / 2;
    o.result = part;
    o.add = add;
    w->outer_products->outer_pairs(&o);
}

/* Adds a band's outer products to a part. */
static void weight_band(const backward_work *w, const dense_band *b, const float *in_tile,
                        const float *out_tile, float *part, bool add) {
    const dense_plan *p = &w->plan;
    const convolution_shape *s = &p->s;
    bool whole =
        p->in.width == s->out_width && p->out.width == s->out_width && s->stride_x == 1 && s->stride_y == 1;
    size_t rows = b->last - b->first, in_step = s->stride_x * TILE_CHANNELS;
    size_t in_run = s->stride_y * p->in.width * TILE_CHANNELS, out_run = p->out.width * TILE_CHANNELS;
    tile_outer o = w->outer;
    o.add = add;
    o.runs = whole ? 1 : rows;
    o.run_length = whole ? rows * s->out_width : s->out_width;
    if (!w->swapped) {
        o.rows =
            out_tile + ((size_t)-p->out.first_y * p->out.width + (size_t)-p->out.first_x) * TILE_CHANNELS;
        o.rows_plane = p->out.plane;
        o.row_count = s->out_channels;
        o.rows_step = TILE_CHANNELS;
        o.rows_run = out_run;
        o.columns = in_tile;
        o.columns_step = in_step;
        o.columns_run = in_run;
        o.result = part;
        w->kernels->outer(&o);
        return;
    }
    o.rows_plane = p->in.plane;
    o.row_count = s->in_channels;
    o.rows_step = in_step;
    o.rows_run = in_run;
    o.columns = out_tile;
    o.columns_step = TILE_CHANNELS;
    o.columns_run = out_run;
    for (size_t k = 0; k < p->area; k++) {
        o.rows = in_tile + (k / s->size * p->in.width + k % s->size) * s->dilation * TILE_CHANNELS;
        o.result = part + k * s->in_channels * o.result_row;
        w->kernels->outer(&o);
    }
}

/* What the next band reads, as much as this one does. */
static tile_ahead next_band(const backward_work *w, const dense_band *b) {
    const convolution_shape *s = &w->plan.s;
    size_t out = (b->image * s->out_height + b->last) * s->out_width * s->out_channels;
    size_t in = (b->image * s->in_height + b->in_last) * s->in_width * s->in_channels;
    tile_ahead a = {.count = 1, .at = {w->dy.delta + out}, .row_floats = {s->out_channels}};
    if (w->dy.data) {
        a.at[a.count] = w->dy.data + out;
        a.row_floats[a.count++] = s->out_channels;
    }
    a.at[a.count] = w->in.data + in;
    a.row_floats[a.count++] = s->stride_y * s->stride_x * s->in_channels;
    return a;
}

static void delta_band(const backward_work *w, const dense_band *b, const float *out_tile, float *sums) {
    const convolution_shape *s = &w->plan.s;
    size_t offset = (b->image * s->in_height + b->in_first) * s->in_width * s->in_channels;
    for (size_t i = 0; i < w->class_count; i++) {
        const residue_class *c = &w->classes[i];
        tile_product p = c->product;
        p.tile = out_tile;
        p.out = w->call->in_delta + offset;
        if (i == 0) p.ahead = next_band(w, b);
        if (w->sums_in_product)
            p.sums = (tile_sums){.data = w->in.data + offset,
                                 .map = w->in.map,
                                 .center = w->center,
                                 .dz = sums,
                                 .dz_x = sums + w->sum_stride};
        run_product(w->delta_products, &p, dense_backward_rows(&w->plan, b, c->y, c->x), 0,
                    w->delta_products->panels(s->in_channels), false);
    }
}

/* Adds the sums of a band's in_delta, which is still in cache, to its part's. */
static void sum_band(const backward_work *w, const dense_band *b, float *sums, bool add) {
    const backward_call *call = w->call;
    const convolution_shape *s = &w->plan.s;
    size_t first = (b->image * s->in_height + b->in_first) * s->in_width;
    const lazy_gradient whole = {.delta = call->in_delta, .data = call->in->data, .map = call->in->map};
    lazy_gradient band = gradient_at(&whole, first * s->in_channels);
    row_kernels_at(call->level)
        ->reduce((b->in_last - b->in_first) * s->in_width, s->in_channels, &band, call->sums->center, sums,
                 sums + w->sum_stride, add);
}

static void backward_band(const backward_work *w, const dense_band *b, float *tiles, size_t index, bool add) {
    const dense_plan *p = &w->plan;
    const convolution_shape *s = &p->s;
    float *in_tile = take_floats(&tiles, tile_floats(&p->in)),
          *out_tile = take_floats(&tiles, tile_floats(&p->out));
    const tile_source in = {w->kernels, &p->in, s->in_height, s->in_width, s->in_channels, &w->in, NULL};
    const tile_source out = {w->kernels, &p->out, s->out_height, s->out_width, s->out_channels, NULL, &w->dy};
    size_t missing = p->band_rows - (b->last - b->first);
    fill_tile(&out, b->image, (ptrdiff_t)b->first + p->out.first_y, p->out.height, out_tile);
    if (w->call->weight_delta) {
        fill_tile(&in, b->image, (ptrdiff_t)(b->first * s->stride_y) + p->in.first_y,
                  p->in.height - missing * s->stride_y, in_tile);
        float *part = w->parts + index * w->part_stride;
        if (w->outer_products)
            weight_band_in_pairs(w, b, in_tile, out_tile, tiles, part, add);
        else
            weight_band(w, b, in_tile, out_tile, part, add);
    }
    float *sums = w->sums + index * 2 * w->sum_stride;
    if (w->sums_in_product && !add) memset(sums, 0, 2 * w->sum_stride * sizeof(float));
    if (w->call->in_delta && w->delta_products->shrink) {
        w->delta_products->shrink(out_tile, tile_floats(&p->out), tiles);
        delta_band(w, b, tiles, sums);
    } else if (w->call->in_delta) {
        delta_band(w, b, out_tile, sums);
    }
    if (w->call->sums && !w->sums_in_product) sum_band(w, b, sums, add);
}

static void backward_part(const backward_work *w, size_t part, float *tiles) {
    size_t first = w->plan.bands * part / w->plan.parts, last = w->plan.bands * (part + 1) / w->plan.parts;
    for (size_t i = first; i < last; i++) {
        dense_band b = dense_band_at(&w->plan, i);
        backward_band(w, &b, tiles, part, i > first);
    }
}

/* From a part's layout into Darknet's, one output channel. */
static void add_filter(const backward_work *w, size_t filter) {
    const dense_plan *p = &w->plan;
    size_t channels = p->s.in_channels, row = w->outer.result_row;
    float *to = w->call->weight_delta + filter * channels * p->area;
    for (size_t k = 0; k < p->area; k++) {
        const float *from = w->swapped ? w->parts + k * channels * row + filter
                                       : w->parts + filter * row + k * p->in_blocks * TILE_CHANNELS;
        size_t step = w->swapped ? row : 1;
        for (size_t c = 0; c < channels; c++) to[c * p->area + k] += from[c * step];
    }
}

void dense_backward(const backward_call *call) {
    backward_work w;
    backward_prepare(&w, call);
    size_t panels = w.delta_products->panels(call->shape->in_channels),
           tile_size = backward_tile_floats(&w.plan);
#pragma omp parallel num_threads(call->threads)
    {
        float *tiles = w.tiles + (size_t)omp_get_thread_num() * tile_size;
#pragma omp for schedule(static)
        for (size_t i = 0; i < w.class_count * panels; i++) {
            const residue_class *c = &w.classes[i / panels];
            w.delta_products->pack(&c->product.weights, i % panels, call->weights, c->lists.weight_at,
                                   w.plan.area, c->packing);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < w.plan.parts; i++) backward_part(&w, i, tiles);
    }
    if (call->sums) sums_of_parts(w.plan.parts, call->shape->in_channels, w.sum_stride, w.sums, call->sums);
    if (!call->weight_delta) return;
    sum_parts(w.plan.parts - 1, w.part_stride, w.part_stride, w.parts + w.part_stride, w.parts,
              call->threads);
#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 16)
    for (size_t f = 0; f < call->shape->out_channels; f++) add_filter(&w, f);
}
