/* Depthwise convolutions: bands of rows dealt out to threads. */
#include "kernels/depthwise.h"

#include <omp.h>
#include <string.h>

#define MOST_CLASSES 16 /* strides up to 4 x 4; larger ones take the general form */
#define FEW_ITEMS 8     /* fewer are cut across channels as well */

/* Tiles live in the first-level cache; bytes are those of one vector of channels. */
static const band_budget budget = {.tile_bytes = 16384, .least_pixels = 1, .most_pixels = 4096};

extern const depthwise_kernels depthwise_kernels_portable;
#if defined(__x86_64__)
extern const depthwise_kernels depthwise_kernels_avx2, depthwise_kernels_avx512;
#endif

const depthwise_kernels *depthwise_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &depthwise_kernels_avx512;
    if (level == ISA_AVX2) return &depthwise_kernels_avx2;
#endif
    (void)level;
    return &depthwise_kernels_portable;
}

static bool fits(const convolution_shape *s) {
    return s->groups == s->in_channels && s->groups == s->out_channels &&
           s->stride_y * s->stride_x <= MOST_CLASSES && s->size * s->size <= DEPTHWISE_MOST_POSITIONS;
}

/* The plan of one block of channels: that of a dense convolution between two such blocks. */
static dense_plan plan_of(const convolution_shape *shape, bool backward) {
    convolution_shape s = *shape;
    s.in_channels = s.out_channels = TILE_CHANNELS;
    s.groups = 1;
    return dense_plan_of(&s, &budget, backward);
}

static size_t packed_floats(const convolution_shape *s) {
    return s->size * s->size * floats_padded(s->in_channels);
}

static size_t packed_bytes(const convolution_shape *s, isa_level level) {
    (void)level;
    return packed_floats(s) * sizeof(float);
}

/* [channels][area] to [area][padded channels] */
static void pack(const convolution_shape *s, const float *weights, void *packed, isa_level level) {
    (void)level;
    size_t area = s->size * s->size, padded = floats_padded(s->in_channels);
    float *to = packed;
    for (size_t k = 0; k < area; k++)
        for (size_t c = 0; c < padded; c++)
            to[k * padded + c] = c < s->in_channels ? weights[c * area + k] : 0;
}

static const float *pack_weights(const convolution_shape *s, const float *weights, float **workspace) {
    float *packed = take_floats(workspace, packed_floats(s));
    pack(s, weights, packed, ISA_PORTABLE);
    return packed;
}

/* ---- forward ---- */

static size_t forward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = plan_of(s, false);
    size_t items = p.items, floats = packed_floats(s) + 2 * padded_map_floats(s->in_channels);
    floats += items * 5 * floats_padded(s->in_channels) + floats_padded(2 * items);
    return (floats + (size_t)threads * floats_padded(tile_floats(&p.in))) * sizeof(float);
}

typedef struct forward_work {
    const forward_call *call;
    dense_plan plan;
    size_t groups; /* of channels, each item is cut into so many */
    channel_map store;
    depthwise_forward_job job; /* what all jobs share */
    float *records;            /* [items][5][stride] */
    size_t stride;
    size_t *rows; /* [items] */
    float *tiles;
} forward_work;

static void forward_prepare(forward_work *w, const forward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    *w = (forward_work){.call = call, .plan = plan_of(s, false), .stride = floats_padded(s->in_channels)};
    size_t blocks = w->stride / TILE_CHANNELS,
           wanted = w->plan.items < FEW_ITEMS ? (FEW_ITEMS + w->plan.items - 1) / w->plan.items : 1;
    w->groups = wanted < blocks ? wanted : blocks;
    w->job = (depthwise_forward_job){.plan = &w->plan, .channels = s->in_channels, .out = call->out};
    w->job.stream = stream_fits(call->out, s->batch * output_pixels(s), s->out_channels);
    w->job.in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    if (call->store) {
        w->store = pad_map(call->store, s->in_channels, &workspace);
        w->job.store = &w->store;
    }
    w->job.weights = call->packed ? call->packed : pack_weights(s, call->weights, &workspace);
    w->records = take_floats(&workspace, w->plan.items * 5 * w->stride);
    w->rows = (size_t *)(void *)take_floats(&workspace, 2 * w->plan.items);
    w->tiles = workspace;
}

static void forward_item(const forward_work *w, size_t item, size_t group, float *tile) {
    const dense_plan *p = &w->plan;
    depthwise_forward_job j = w->job;
    size_t blocks = w->stride / TILE_CHANNELS, rows = 0, last = group + 1;
    j.first_channel = blocks * group / w->groups * TILE_CHANNELS;
    j.last_channel = last == w->groups ? j.channels : blocks * last / w->groups * TILE_CHANNELS;
    j.tile = tile;
    j.fresh = true;
    if (w->call->moments) {
        j.moments.pivot = w->records + item * 5 * w->stride;
        j.moments.sum = j.moments.pivot + w->stride;
        j.moments.square = j.moments.sum + w->stride;
    }
    for (size_t i = p->bands * item / p->items; i < p->bands * (item + 1) / p->items; i++, j.fresh = false) {
        j.band = dense_band_at(p, i);
        depthwise_kernels_at(w->call->level)->forward(&j);
        rows += (j.band.last - j.band.first) * p->s.out_width;
    }
    if (group == 0) w->rows[item] = rows;
}

static void forward(const forward_call *call) {
    forward_work w;
    forward_prepare(&w, call);
    size_t jobs = w.plan.items * w.groups, tile = floats_padded(tile_floats(&w.plan.in));
#pragma omp parallel for num_threads(call->threads) schedule(static) if (jobs > 1)
    for (size_t i = 0; i < jobs; i++)
        forward_item(&w, i / w.groups, i % w.groups, w.tiles + (size_t)omp_get_thread_num() * tile);
    if (call->moments)
        moments_of_items(w.plan.items, w.rows, call->shape->in_channels, w.stride, w.records, call->moments);
}

/* ---- backward ---- */

typedef struct backward_work {
    const backward_call *call;
    dense_plan plan;
    lazy_tensor in;
    lazy_gradient dy;
    const float *weights, *center;
    size_t class_count, channels, stride; /* stride: padded channels */
    depthwise_class classes[MOST_CLASSES];
    float *parts, *sums; /* [parts][area][stride], [parts][2][stride] */
    float *tiles;
} backward_work;

static size_t backward_tile_floats(const dense_plan *p) {
    return floats_padded(tile_floats(&p->in)) + floats_padded(tile_floats(&p->out));
}

static size_t backward_bytes(const convolution_shape *s, int threads) {
    dense_plan p = plan_of(s, true);
    size_t floats =
        packed_floats(s) + padded_map_floats(s->in_channels) + padded_gradient_floats(s->in_channels);
    floats += s->stride_y * s->stride_x * 2 * floats_padded(2 * p.area) + floats_padded(s->in_channels);
    floats += p.parts * (p.area + 2) * floats_padded(s->in_channels);
    return (floats + (size_t)threads * backward_tile_floats(&p)) * sizeof(float);
}

static void make_class(const dense_plan *p, depthwise_class *k, size_t y, size_t x, float **workspace) {
    const convolution_shape *s = &p->s;
    ptrdiff_t step_y, step_x;
    *k = (depthwise_class){.y = y, .x = x};
    k->position = (size_t *)(void *)take_floats(workspace, 2 * p->area);
    k->offset = (size_t *)(void *)take_floats(workspace, 2 * p->area);
    for (size_t i = 0; i < p->area; i++) {
        if (!dense_reach(s, y, i / s->size, s->stride_y, &step_y) ||
            !dense_reach(s, x, i % s->size, s->stride_x, &step_x))
            continue;
        k->position[k->positions] = i;
        k->offset[k->positions++] =
            (size_t)(step_y - p->out.first_y) * p->out.width + (size_t)(step_x - p->out.first_x);
    }
}

static void backward_prepare(backward_work *w, const backward_call *call) {
    const convolution_shape *s = call->shape;
    float *workspace = call->workspace;
    *w = (backward_work){.call = call,
                         .plan = plan_of(s, true),
                         .channels = s->in_channels,
                         .stride = floats_padded(s->in_channels)};
    w->in = (lazy_tensor){call->in->data, pad_map(&call->in->map, s->in_channels, &workspace)};
    w->dy = pad_gradient(call->dy, s->in_channels, &workspace);
    w->weights = pack_weights(s, call->weights, &workspace);
    if (call->sums) w->center = pad_channels(call->sums->center, 0, s->in_channels, &workspace);
    for (size_t i = 0; i < s->stride_y * s->stride_x; i++)
        make_class(&w->plan, &w->classes[w->class_count++], i / s->stride_x, i % s->stride_x, &workspace);
    w->parts = take_floats(&workspace, w->plan.parts * w->plan.area * w->stride);
    w->sums = take_floats(&workspace, w->plan.parts * 2 * w->stride);
    w->tiles = workspace;
}

static void backward_part(const backward_work *w, size_t part, float *tiles) {
    const dense_plan *p = &w->plan;
    const backward_call *call = w->call;
    depthwise_backward_job j = {
        .plan = p,
        .channels = w->channels,
        .in = w->in,
        .dy = w->dy,
        .weights = w->weights,
        .classes = w->classes,
        .class_count = w->class_count,
        .in_delta = call->in_delta,
        .accumulate = call->accumulate,
        .stream = !call->accumulate &&
                  stream_fits(call->in_delta, call->shape->batch * input_pixels(call->shape), w->channels),
        .center = w->center};
    if (call->weight_delta) j.weight_part = w->parts + part * p->area * w->stride;
    if (call->sums) j.sum_dz = w->sums + part * 2 * w->stride, j.sum_dz_x = j.sum_dz + w->stride;
    j.in_tile = take_floats(&tiles, tile_floats(&p->in));
    j.out_tile = tiles;
    for (size_t i = p->bands * part / p->parts; i < p->bands * (part + 1) / p->parts; i++, j.add = true) {
        j.band = dense_band_at(p, i);
        depthwise_kernels_at(call->level)->backward(&j);
    }
}

static void backward(const backward_call *call) {
    backward_work w;
    backward_prepare(&w, call);
    size_t area = w.plan.area, part_floats = area * w.stride;
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t i = 0; i < w.plan.parts; i++)
        backward_part(&w, i, w.tiles + (size_t)omp_get_thread_num() * backward_tile_floats(&w.plan));
    if (call->sums) sums_of_parts(w.plan.parts, w.channels, w.stride, w.sums, call->sums);
    if (!call->weight_delta) return;
    sum_parts(w.plan.parts - 1, part_floats, part_floats, w.parts + part_floats, w.parts, call->threads);
    for (size_t c = 0; c < w.channels; c++)
        for (size_t k = 0; k < area; k++) call->weight_delta[c * area + k] += w.parts[k * w.stride + c];
}

const convolution_form convolution_depthwise = {.fits = fits,
                                                .forward_bytes = forward_bytes,
                                                .backward_bytes = backward_bytes,
                                                .packed_bytes = packed_bytes,
                                                .pack = pack,
                                                .forward = forward,
                                                .backward = backward};
