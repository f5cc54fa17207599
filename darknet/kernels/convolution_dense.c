/* Dense convolutions, 1x1 and k x k, on tiles: bands of rows dealt out to threads, each mapped once into a
 * tile in cache, and the products of tile.h on it. */
#include "kernels/dense_plan.h"

#include <omp.h>
#include <string.h>

#define MOST_CLASSES 16          /* strides up to 4 x 4; larger ones take the general form */
#define FEW_ITEMS 8              /* fewer are cut across columns as well */
#define WEIGHTS_NEAR_BYTES 32768 /* weights up to this size are walked whole for every few rows */

/* Tiles share the second-level cache with the weights; fewer pixels would leave the weights' loads unpaid. */
static const band_budget budget = {.tile_bytes = 49152, .least_pixels = 32, .most_pixels = 256};

extern const tile_kernels tile_kernels_portable;
#if defined(__x86_64__)
extern const tile_kernels tile_kernels_avx2, tile_kernels_avx512;
#endif

const tile_kernels *tile_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &tile_kernels_avx512;
    if (level == ISA_AVX2) return &tile_kernels_avx2;
#endif
    (void)level;
    return &tile_kernels_portable;
}

static bool fits(const convolution_shape *s) {
    return s->groups == 1 && s->stride_y * s->stride_x <= MOST_CLASSES;
}

/* ---- filling tiles ---- */

/* What a tile is filled with: a mapped tensor or a gradient. */
typedef struct tile_source {
    const tile_kernels *kernels;
    const tile_geometry *geometry;
    size_t height, width, channels; /* of the tensor */
    const lazy_tensor *tensor;      /* or NULL */
    const lazy_gradient *gradient;
} tile_source;

static void fill_pixels(const tile_source *f, size_t pixel, size_t pixels, float *to) {
    size_t offset = pixel * f->channels, plane = f->geometry->plane;
    if (f->tensor) {
        f->kernels->map(pixels, f->channels, &f->tensor->map, f->tensor->data + offset, to, plane);
    } else {
        lazy_gradient part = gradient_at(f->gradient, offset);
        f->kernels->gradient(pixels, f->channels, &part, to, plane);
    }
}

static void zero_pixels(const tile_geometry *g, float *to, size_t pixels) {
    if (pixels)
        for (size_t b = 0; b < g->blocks; b++)
            memset(to + b * g->plane, 0, pixels * TILE_CHANNELS * sizeof(float));
}

/* Fills the tile whose row 0 is row first_y of an image, `rows` of them; zeros outside of the image. */
static void fill_tile(const tile_source *f, size_t image, ptrdiff_t first_y, size_t rows, float *tile) {
    const tile_geometry *g = f->geometry;
    size_t left = (size_t)-g->first_x, right = g->width - left > f->width ? g->width - left - f->width : 0;
    size_t width = g->width - left - right; /* a tile may be narrower than the tensor */
    if (left == 0 && right == 0 && width == f->width && first_y >= 0 && (size_t)first_y + rows <= f->height) {
        fill_pixels(f, (image * f->height + (size_t)first_y) * width, rows * width, tile);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        float *to = tile + r * g->width * TILE_CHANNELS;
        ptrdiff_t y = first_y + (ptrdiff_t)r;
        if (y < 0 || (size_t)y >= f->height) {
            zero_pixels(g, to, g->width);
            continue;
        }
        zero_pixels(g, to, left);
        fill_pixels(f, (image * f->height + (size_t)y) * f->width, width, to + left * TILE_CHANNELS);
        zero_pixels(g, to + (left + width) * TILE_CHANNELS, right);
    }
}

/* Rows times panels: small weights whole for every few rows, large ones a panel at a time. */
static void run_product(const tile_kernels *k, const tile_product *p, size_t rows, size_t first_panel,
                        size_t panels, bool fresh) {
    if (p->weights.depth * p->weights.columns * sizeof(float) <= WEIGHTS_NEAR_BYTES) {
        k->product(p, 0, rows, first_panel, panels, fresh);
        return;
    }
    for (size_t i = first_panel; i < first_panel + panels; i++) k->product(p, 0, rows, i, 1, fresh);
}

/* ---- forward ---- */

typedef struct forward_work {
    const forward_call *call;
    const tile_kernels *kernels;
    dense_plan plan;
    size_t items, groups; /* items of bands, each cut into groups of panels */
    lazy_tensor in;
    dense_lists lists;
    tile_product product;
    float *moments; /* [items][3][columns] */
    size_t moment_stride;
    size_t *item_rows;
    float *tiles;
} forward_work;

static size_t group_count(const dense_plan *p, size_t panels) {
    size_t groups = p->items < FEW_ITEMS ? (FEW_ITEMS + p->items - 1) / p->items : 1;
    return groups < panels ? groups : panels;
}

static size_t forward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = dense_plan_of(s, &budget, false);
    size_t items = p.items, columns = size_round_up(s->out_channels, TILE_CHANNELS);
    size_t floats = dense_forward_list_floats(&p) + 2 * floats_padded(s->in_channels) + 2 * columns;
    floats += floats_padded(p.area * s->in_channels * columns);
    floats += items * 5 * columns + floats_padded(2 * items);
    return (floats + (size_t)threads * floats_padded(tile_floats(&p.in))) * sizeof(float);
}

static forward_work forward_prepare(const forward_call *call) {
    const convolution_shape *s = call->shape;
    forward_work w = {
        .call = call, .kernels = tile_kernels_at(call->level), .plan = dense_plan_of(s, &budget, false)};
    float *workspace = call->workspace;
    w.items = w.plan.items;
    w.groups = group_count(&w.plan, w.kernels->panels(s->out_channels));
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
    w.product.weights.packed =
        take_floats(&workspace, w.kernels->weights_floats(w.lists.depth, s->out_channels));
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
    fill_tile(&source, b->image, (ptrdiff_t)(b->first * s->stride_y) + w->plan.in.first_y, height, tile);
    tile_product p = w->product;
    p.tile = tile;
    p.out = w->call->out + (b->image * s->out_height + b->first) * s->out_width * s->out_channels;
    p.moments = *moments;
    run_product(w->kernels, &p, rows * s->out_width, first_panel, panels, fresh);
}

static void forward_item(const forward_work *w, size_t item, size_t group, float *tile) {
    size_t panels = w->kernels->panels(w->call->shape->out_channels);
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

static void forward(const forward_call *call) {
    const forward_work w = forward_prepare(call);
    size_t panels = w.kernels->panels(call->shape->out_channels),
           tile_size = floats_padded(tile_floats(&w.plan.in));
#pragma omp parallel num_threads(call->threads)
    {
        float *tile = w.tiles + (size_t)omp_get_thread_num() * tile_size;
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < panels; i++)
            w.kernels->pack(&w.product.weights, i, call->weights, w.lists.weight_at, w.lists.depth);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < w.items * w.groups; i++) forward_item(&w, i / w.groups, i % w.groups, tile);
    }
    if (call->moments)
        moments_of_items(w.items, w.item_rows, call->shape->out_channels, w.moment_stride, w.moments,
                         call->moments);
}

/* ---- backward ---- */

/* The input gradient of one class of input pixels, see dense_backward_lists. */
typedef struct residue_class {
    size_t y, x;
    dense_lists lists;
    tile_product product;
} residue_class;

typedef struct backward_work {
    const backward_call *call;
    const tile_kernels *kernels;
    dense_plan plan;
    lazy_tensor in;
    lazy_gradient dy;
    size_t class_count;
    residue_class classes[MOST_CLASSES];
    tile_outer outer;
    bool swapped; /* input channels are the rows of the weight gradient's parts */
    float *parts;
    size_t part_stride;
    float *sums; /* [parts][2][sum_stride] */
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

static size_t backward_tile_floats(const dense_plan *p) {
    return floats_padded(tile_floats(&p->in)) + floats_padded(tile_floats(&p->out));
}

static size_t backward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = dense_plan_of(s, &budget, true);
    size_t columns = size_round_up(s->in_channels, TILE_CHANNELS);
    size_t floats = s->stride_y * s->stride_x * (dense_backward_list_floats(&p) + TILE_CHANNELS);
    floats += floats_padded(p.area * s->out_channels * columns) + floats_padded(4 * most_entries(&p));
    floats += 2 * floats_padded(s->in_channels) + 5 * floats_padded(s->out_channels);
    floats += p.parts * (floats_padded(part_floats(&p)) + 2 * floats_padded(s->in_channels));
    return (floats + (size_t)threads * backward_tile_floats(&p)) * sizeof(float);
}

static void prepare_classes(backward_work *w, float **workspace) {
    const convolution_shape *s = &w->plan.s;
    bool stream =
        !w->call->accumulate && stream_fits(w->call->in_delta, s->batch * input_pixels(s), s->in_channels);
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
        c->product.weights.packed =
            take_floats(workspace, w->kernels->weights_floats(c->lists.depth, s->in_channels));
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
        .call = call, .kernels = tile_kernels_at(call->level), .plan = dense_plan_of(s, &budget, true)};
    w->in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    w->dy = pad_gradient(call->dy, s->out_channels, &workspace);
    if (call->in_delta) prepare_classes(w, &workspace);
    prepare_outer(w, &workspace);
    w->sum_stride = floats_padded(s->in_channels);
    w->sums = take_floats(&workspace, w->plan.parts * 2 * w->sum_stride);
    w->tiles = workspace;
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

static void delta_band(const backward_work *w, const dense_band *b, const float *out_tile) {
    const convolution_shape *s = &w->plan.s;
    for (size_t i = 0; i < w->class_count; i++) {
        const residue_class *c = &w->classes[i];
        tile_product p = c->product;
        p.tile = out_tile;
        p.out = w->call->in_delta + (b->image * s->in_height + b->in_first) * s->in_width * s->in_channels;
        run_product(w->kernels, &p, dense_backward_rows(&w->plan, b, c->y, c->x), 0,
                    w->kernels->panels(s->in_channels), false);
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
    float *in_tile = take_floats(&tiles, tile_floats(&p->in)), *out_tile = tiles;
    const tile_source in = {w->kernels, &p->in, s->in_height, s->in_width, s->in_channels, &w->in, NULL};
    const tile_source out = {w->kernels, &p->out, s->out_height, s->out_width, s->out_channels, NULL, &w->dy};
    size_t missing = p->band_rows - (b->last - b->first);
    fill_tile(&out, b->image, (ptrdiff_t)b->first + p->out.first_y, p->out.height, out_tile);
    if (w->call->weight_delta) {
        fill_tile(&in, b->image, (ptrdiff_t)(b->first * s->stride_y) + p->in.first_y,
                  p->in.height - missing * s->stride_y, in_tile);
        weight_band(w, b, in_tile, out_tile, w->parts + index * w->part_stride, add);
    }
    if (w->call->in_delta) delta_band(w, b, out_tile);
    if (w->call->sums) sum_band(w, b, w->sums + index * 2 * w->sum_stride, add);
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

static void backward(const backward_call *call) {
    backward_work w;
    backward_prepare(&w, call);
    size_t panels = w.kernels->panels(call->shape->in_channels), tile_size = backward_tile_floats(&w.plan);
#pragma omp parallel num_threads(call->threads)
    {
        float *tiles = w.tiles + (size_t)omp_get_thread_num() * tile_size;
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < w.class_count * panels; i++) {
            const residue_class *c = &w.classes[i / panels];
            w.kernels->pack(&c->product.weights, i % panels, call->weights, c->lists.weight_at, w.plan.area);
        }
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < w.plan.parts; i++) backward_part(&w, i, tiles);
    }
    if (call->sums) sums_of_parts(w.plan.parts, call->shape->in_channels, w.sum_stride, w.sums, call->sums);
    if (!call->weight_delta) return;
    sum_parts(w.plan.parts - 1, w.part_stride, w.part_stride, w.parts + w.part_stride, w.parts,
              call->threads);
#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 16)
    for (size_t f = 0; f < call->shape->out_channels; f++) add_filter(&w, f);
}

const convolution_form convolution_dense = {fits, forward_bytes, backward_bytes, forward, backward};
