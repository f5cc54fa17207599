/* The gradients of a 3x3 convolution by Winograd's filtering: each band's gradient is filled into cache once
 * and serves the input gradient (a convolution with the kernels turned round) and the weight gradient (outer
 * products of transformed tiles, a column of the 16 positions at a time). */
#include "kernels/winograd_tiles.h"

#include <omp.h>
#include <string.h>

typedef struct backward_work {
    const backward_call *call;
    const winograd_kernels *kernels;
    winograd_plan plan;
    lazy_tensor in;
    lazy_gradient dy;
    winograd_multiplication multiplication; /* of dy, into in_delta */
    float *packing;
    float *parts; /* [parts][16][in][out] */
    size_t part_floats;
    float *sums; /* [parts][2][in] */
    const float *center;
    bool sums_in_product; /* gathered from the registers, else in a pass over each band */
    float *scratch;
    size_t scratch_floats; /* of each thread */
} backward_work;

static size_t matrices_floats(const convolution_shape *s) {
    return WINOGRAD_POSITIONS * s->in_channels * s->out_channels;
}

static size_t columns_floats(const winograd_kernels *k, const convolution_shape *s) {
    return floats_padded(k->column_floats(WINOGRAD_OUTER_TILES, s->in_channels)) +
           floats_padded(k->column_floats(WINOGRAD_OUTER_TILES, s->out_channels));
}

/* Filled bands, and what one of the two products needs. */
static size_t thread_floats(const winograd_plan *p, const winograd_kernels *k) {
    size_t near = winograd_near_floats(k, p->s.out_channels), columns = columns_floats(k, &p->s);
    return winograd_band_floats(p, &p->in) + winograd_band_floats(p, &p->out) +
           (near > columns ? near : columns);
}

size_t winograd_backward_bytes(const convolution_shape *s, int threads) {
    winograd_plan p = winograd_plan_of(s);
    size_t floats = winograd_places_floats(&p) + matrices_floats(s);
    floats += 3 * floats_padded(s->in_channels) + 5 * floats_padded(s->out_channels);
    floats += winograd_most_parts(&p) * (matrices_floats(s) + 2 * s->in_channels);
    return (floats + (size_t)threads * thread_floats(&p, winograd_kernels_at(isa_best()))) * sizeof(float);
}

static void prepare_product(backward_work *w, float **workspace) {
    const backward_call *call = w->call;
    const convolution_shape *s = call->shape;
    winograd_product *p = &w->multiplication.product;
    w->packing = take_floats(workspace, matrices_floats(s));
    p->weights = w->packing;
    p->columns = s->in_channels;
    p->vectors = s->in_channels / w->kernels->lanes;
    p->finish = call->accumulate ? TILE_ACCUMULATE : TILE_STORE;
    p->stream = call->in_delta && !call->accumulate && (!call->sums || w->sums_in_product) &&
                stream_fits(call->in_delta, s->batch * input_pixels(s), s->in_channels);
}

static void backward_prepare(backward_work *w, const backward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    *w = (backward_work){
        .call = call, .kernels = winograd_kernels_at(call->level), .plan = winograd_plan_of(s)};
    w->multiplication = (winograd_multiplication){.kernels = w->kernels,
                                                  .plan = &w->plan,
                                                  .places = winograd_places(&w->plan, &workspace),
                                                  .geometry = &w->plan.out};
    w->in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    w->dy = pad_gradient(call->dy, s->out_channels, &workspace);
    w->sums_in_product = sums_fit_product(call);
    if (call->sums) w->center = pad_channels(call->sums->center, 0, s->in_channels, &workspace);
    prepare_product(w, &workspace);
    w->part_floats = matrices_floats(s);
    w->parts = take_floats(&workspace, w->plan.parts * w->part_floats);
    w->sums = take_floats(&workspace, w->plan.parts * 2 * s->in_channels);
    w->scratch = workspace;
    w->scratch_floats = thread_floats(&w->plan, w->kernels);
}

/* Adds a band's outer products to a part. */
static void weight_band(const backward_work *w, const winograd_band *b, const float *filled_in,
                        const float *filled_out, float *part, bool add, float *scratch) {
    const convolution_shape *s = &w->plan.s;
    const winograd_kernels *k = w->kernels;
    float *in = take_floats(&scratch, k->column_floats(WINOGRAD_OUTER_TILES, s->in_channels)), *out = scratch;
    for (size_t first = 0; first < b->tiles; first += WINOGRAD_OUTER_TILES) {
        size_t left = b->tiles - first, tiles = left < WINOGRAD_OUTER_TILES ? left : WINOGRAD_OUTER_TILES;
        winograd_source of_in =
            winograd_tiles(&w->plan.in, filled_in, w->multiplication.places, first, tiles);
        winograd_source of_out =
            winograd_tiles(&w->plan.out, filled_out, w->multiplication.places, first, tiles);
        for (size_t column = 0; column < 4; column++) {
            const winograd_outer o = {.in = in,
                                      .out = out,
                                      .tiles = tiles,
                                      .in_blocks = w->plan.in.blocks,
                                      .out_blocks = w->plan.out.blocks,
                                      .result = part + column * (w->part_floats / 4),
                                      .add = add || first > 0};
            k->input_column(&of_in, column, in);
            k->output_column(&of_out, column, out);
            k->outer(&o);
        }
    }
}

/* What the next band reads, as much as this one does. */
static tile_ahead next_band(const backward_work *w, const winograd_band *b) {
    const convolution_shape *s = &w->plan.s;
    size_t pixel = b->pixel + b->pixels;
    tile_ahead a = {
        .count = 1, .at = {w->dy.delta + pixel * s->out_channels}, .row_floats = {s->out_channels}};
    if (w->dy.data) {
        a.at[a.count] = w->dy.data + pixel * s->out_channels;
        a.row_floats[a.count++] = s->out_channels;
    }
    a.at[a.count] = w->in.data + pixel * s->in_channels;
    a.row_floats[a.count++] = s->in_channels;
    return a;
}

static void delta_band(const backward_work *w, const winograd_band *b, const float *filled, float *sums,
                       float *scratch) {
    size_t channels = w->plan.s.in_channels, offset = b->pixel * channels;
    winograd_multiplication m = w->multiplication;
    m.filled = filled;
    m.near = scratch;
    m.product.out = w->call->in_delta + offset;
    m.product.ahead = next_band(w, b);
    if (w->sums_in_product)
        m.product.sums = (tile_sums){.data = w->in.data + offset,
                                     .map = w->in.map,
                                     .center = w->center,
                                     .dz = sums,
                                     .dz_x = sums + channels};
    winograd_multiply(&m, b);
}

/* Adds the sums of a band's in_delta, which is still in cache, to its part's. */
static void sum_band(const backward_work *w, const winograd_band *b, float *sums, bool add) {
    const backward_call *call = w->call;
    size_t channels = w->plan.s.in_channels;
    const lazy_gradient whole = {.delta = call->in_delta, .data = call->in->data, .map = call->in->map};
    lazy_gradient band = gradient_at(&whole, b->pixel * channels);
    row_kernels_at(call->level)
        ->reduce(b->pixels, channels, &band, call->sums->center, sums, sums + channels, add);
}

static void backward_band(const backward_work *w, const winograd_band *b, float *scratch, size_t part,
                          bool add) {
    const winograd_plan *p = &w->plan;
    const convolution_shape *s = &p->s;
    const tile_kernels *k = tile_kernels_at(w->call->level);
    float *filled_in = take_floats(&scratch, winograd_band_floats(p, &p->in)),
          *filled_out = take_floats(&scratch, winograd_band_floats(p, &p->out));
    const tile_source in = {k, &p->in, s->in_height, s->in_width, s->in_channels, &w->in, NULL};
    const tile_source out = {k, &p->out, s->out_height, s->out_width, s->out_channels, NULL, &w->dy};
    winograd_fill(b, &out, filled_out);
    if (w->call->weight_delta) {
        winograd_fill(b, &in, filled_in);
        weight_band(w, b, filled_in, filled_out, w->parts + part * w->part_floats, add, scratch);
    }
    float *sums = w->sums + part * 2 * s->in_channels;
    if (w->sums_in_product && !add) memset(sums, 0, 2 * s->in_channels * sizeof(float));
    if (w->call->in_delta) delta_band(w, b, filled_out, sums, scratch);
    if (w->call->sums && !w->sums_in_product) sum_band(w, b, sums, add);
}

static void backward_part(const backward_work *w, size_t part, float *scratch) {
    size_t first = w->plan.bands * part / w->plan.parts, last = w->plan.bands * (part + 1) / w->plan.parts;
    for (size_t i = first; i < last; i++) {
        winograd_band b = winograd_band_at(&w->plan, i);
        backward_band(w, &b, scratch, part, i > first);
    }
}

void winograd_backward(const backward_call *call) {
    const convolution_shape *s = call->shape;
    const winograd_weights turned = {.depth = s->out_channels,
                                     .columns = s->in_channels,
                                     .depth_step = 9 * s->in_channels,
                                     .column_step = 9,
                                     .turned = true};
    backward_work w;
    backward_prepare(&w, call);
#pragma omp parallel num_threads(call->threads)
    {
        float *scratch = w.scratch + (size_t)omp_get_thread_num() * w.scratch_floats;
        if (call->in_delta) {
#pragma omp for schedule(static)
            for (size_t i = 0; i < s->in_channels / w.kernels->lanes; i++)
                w.kernels->pack(&turned, i, call->weights, w.packing);
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < w.plan.parts; i++) backward_part(&w, i, scratch);
    }
    if (call->sums) sums_of_parts(w.plan.parts, s->in_channels, s->in_channels, w.sums, call->sums);
    if (!call->weight_delta) return;
    sum_parts(w.plan.parts - 1, w.part_floats, w.part_floats, w.parts + w.part_floats, w.parts,
              call->threads);
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t c = 0; c < s->in_channels; c++)
        w.kernels->add_filters(s->in_channels, s->out_channels, c, w.parts, call->weight_delta);
}
