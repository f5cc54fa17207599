/* The bit-flip loss of a network: surrogate flips of every layer's plan, weighted by energy and divided by
 * the energy of random words, with the gradient for the float weights. A tile is walked row by row with its
 * neighbours' rows, so each tile writes its own weights' gradients and no other's; chunks of tiles are fixed
 * and summed in their order. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loss/row_loss.h"
#include "stream/gather.h"

enum { CHUNK_WORDS = 1 << 14 };

typedef struct chunk {
    size_t layer, first_tile, end_tile;
    double cost, flips; /* out: cost-weighted and plain surrogate flips */
} chunk;

static double cost_sum(const hd_loss_layer *layer) {
    double sum = 0;
    for (int b = 0; b < layer->plan->accelerator.weight_bits; b++) sum += layer->bit_costs[b];
    return sum;
}

static double layer_weight(const hd_loss_layer *layer) {
    return layer->emphasis * (double)layer->plan->image_passes;
}

static bool check_layer(const hd_loss_layer *layer, size_t number, hd_error *error) {
    if (!(layer->emphasis >= 0 && layer->emphasis <= DBL_MAX))
        return hd_fail(error, "loss layer %zu: emphasis %g: a finite number from 0 up is right", number,
                       layer->emphasis);
    for (int b = 0; b < HD_MAXIMUM_BITS; b++)
        if (!(layer->bit_costs[b] >= 0 && layer->bit_costs[b] <= FLT_MAX))
            return hd_fail(error,
                           "loss layer %zu: the cost of bit %d is %g: a finite number from 0 up is right",
                           number, b, layer->bit_costs[b]);
    for (size_t f = 0; f < layer->plan->shape.filters; f++)
        if (!(layer->scales[f] > 0 && layer->scales[f] <= FLT_MAX))
            return hd_fail(error,
                           "loss layer %zu: the scale of filter %zu is %g: a scale is positive and finite",
                           number, f, (double)layer->scales[f]);
    return true;
}

static size_t tiles_in_chunk(const hd_plan *plan) {
    size_t words = plan->tile_steps * plan->tile_lanes;
    return words >= CHUNK_WORDS ? 1 : CHUNK_WORDS / words;
}

/* All layers' chunks in one list; NULL and a sentence without memory. *count may be 0. */
static chunk *list_chunks(const hd_loss_layer *layers, size_t layer_count, size_t *count, hd_error *error) {
    size_t total = 0;
    for (size_t i = 0; i < layer_count; i++) {
        size_t each = tiles_in_chunk(layers[i].plan);
        if (layer_weight(&layers[i]) > 0) total += (layers[i].plan->tiles + each - 1) / each;
    }
    chunk *chunks = malloc((total + 1) * sizeof *chunks);
    if (!chunks) {
        hd_fail(error, "no memory for %zu chunks of the bit-flip loss", total);
        return NULL;
    }
    *count = 0;
    for (size_t i = 0; i < layer_count; i++) {
        if (!(layer_weight(&layers[i]) > 0)) continue;
        size_t each = tiles_in_chunk(layers[i].plan), tiles = layers[i].plan->tiles;
        for (size_t t = 0; t < tiles; t += each)
            chunks[(*count)++] =
                (chunk){.layer = i, .first_tile = t, .end_tile = t + each < tiles ? t + each : tiles};
    }
    return chunks;
}

/* ---- one tile ---- */

static float inverse_scale(const hd_loss_layer *layer, size_t weight) {
    return 1.0f / layer->scales[weight / layer->plan->filter_weights];
}

/* Row t of the tile's u = w / scale; -1 is the words held before it, tile->steps those that come after. */
static void load_row(const hd_loss_layer *layer, const hd_tile *tile, ptrdiff_t t, row_workspace *w,
                     float *u) {
    const hd_plan *plan = layer->plan;
    if (t < 0 || (size_t)t == tile->steps) {
        if (t < 0)
            hd_tile_weights_before(plan, tile, w->indices);
        else
            hd_tile_weights_after(plan, tile, w->indices);
        for (size_t lane = 0; lane < tile->lanes; lane++)
            u[lane] = layer->weights[w->indices[lane]] * inverse_scale(layer, w->indices[lane]);
        return;
    }
    hd_row_gather_floats(plan, tile, (size_t)t, layer->weights, u);
    if (plan->dataflow == HD_INPUT_STATIONARY) {
        float inverse = inverse_scale(layer, hd_plan_weight(plan, tile, (size_t)t, 0));
        for (size_t lane = 0; lane < tile->lanes; lane++) u[lane] *= inverse;
    } else {
        for (size_t lane = 0; lane < tile->lanes; lane++) u[lane] *= w->lane_inverse[lane];
    }
}

static void add_gradient(const hd_loss_layer *layer, const hd_tile *tile, size_t t, const row_workspace *w,
                         float factor, float *du) {
    const hd_plan *plan = layer->plan;
    if (plan->dataflow == HD_INPUT_STATIONARY) {
        float row_factor = factor * inverse_scale(layer, hd_plan_weight(plan, tile, t, 0));
        for (size_t lane = 0; lane < tile->lanes; lane++) du[lane] *= row_factor;
    } else {
        for (size_t lane = 0; lane < tile->lanes; lane++) du[lane] *= factor * w->lane_inverse[lane];
    }
    hd_row_scatter_add(plan, tile, t, du, layer->gradient);
}

static void walk_tile(const hd_loss_layer *layer, const row_loss *loss, const hd_tile *tile,
                      double gradient_factor, row_workspace *w, chunk *out) {
    const hd_plan *plan = layer->plan;
    if (plan->dataflow != HD_INPUT_STATIONARY)
        for (size_t lane = 0; lane < tile->lanes; lane++)
            w->lane_inverse[lane] = inverse_scale(layer, hd_plan_weight(plan, tile, 0, lane));
    row_begin(loss, w, tile->lanes);
    ptrdiff_t steps = (ptrdiff_t)tile->steps;
    bool gradient = layer->gradient && gradient_factor != 0;
    for (ptrdiff_t t = -1; t <= steps; t++) {
        load_row(layer, tile, t, w, w->u);
        row_push(loss, w, gradient && t >= 0 && t < steps);
        if (t < 1) continue; /* the row before t is complete once t is there */
        row_combine(loss, w, layer->bit_costs, gradient);
        if (gradient) add_gradient(layer, tile, (size_t)(t - 1), w, (float)gradient_factor, w->du);
    }
    row_end(loss, w, layer->bit_costs, &out->cost, &out->flips);
}

/* ---- the network ---- */

typedef struct job {
    hd_loss_layer *layers;
    const hd_loss_options *options;
    chunk *chunks;
    size_t chunk_count, widest;
    hd_expected_bits *tables[HD_MAXIMUM_BITS + 1][HD_REPRESENTATION_COUNT];
    double denominator;
} job;

static bool make_tables(job *j, size_t count, hd_error *error) {
    for (size_t i = 0; i < count && j->options->surrogate == HD_SURROGATE_EXPECTED; i++) {
        const hd_accelerator *a = &j->layers[i].plan->accelerator;
        hd_expected_bits **slot = &j->tables[a->weight_bits][a->representation];
        if (!*slot)
            *slot = hd_expected_bits_create(a->weight_bits, a->representation, j->options->sigma, error);
        if (!*slot) return false;
    }
    return true;
}

static void run_chunk(const job *j, chunk *c, row_workspace *w) {
    hd_loss_layer *layer = &j->layers[c->layer];
    const hd_accelerator *a = &layer->plan->accelerator;
    row_loss loss =
        row_loss_make(j->options->surrogate, a->weight_bits, j->tables[a->weight_bits][a->representation]);
    double factor = j->options->gradient_scale * layer_weight(layer) / j->denominator;
    for (size_t t = c->first_tile; t < c->end_tile; t++) {
        hd_tile tile = hd_plan_tile(layer->plan, t);
        walk_tile(layer, &loss, &tile, factor, w, c);
    }
}

static bool run_chunks(const job *j) {
    int threads = j->options->threads;
    if ((size_t)threads > j->chunk_count) threads = (int)(j->chunk_count ? j->chunk_count : 1);
    bool good = true;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        row_workspace w;
        bool ready = row_workspace_make(&w, j->widest);
        if (!ready) {
#pragma omp atomic write
            good = false;
        }
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < j->chunk_count; i++)
            if (ready) run_chunk(j, &j->chunks[i], &w);
        row_workspace_free(&w);
    }
    return good;
}

static double sum_up(const job *j, size_t layer_count) {
    for (size_t i = 0; i < layer_count; i++) j->layers[i].value = j->layers[i].expected_flips = 0;
    for (size_t i = 0; i < j->chunk_count; i++) {
        hd_loss_layer *layer = &j->layers[j->chunks[i].layer];
        layer->value += j->chunks[i].cost;
        layer->expected_flips += j->chunks[i].flips;
    }
    double loss = 0;
    for (size_t i = 0; i < layer_count; i++) {
        if (j->denominator > 0) j->layers[i].value *= layer_weight(&j->layers[i]) / j->denominator;
        loss += j->layers[i].value;
    }
    return loss;
}

static bool check_job(const job *j, size_t count, hd_error *error) {
    if (j->options->threads < 1)
        return hd_fail(error, "the bit-flip loss takes at least 1 thread, not %d", j->options->threads);
    if ((unsigned)j->options->surrogate >= HD_SURROGATE_COUNT)
        return hd_fail(error, "no such surrogate: expected or linear is right");
    if (!isfinite(j->options->gradient_scale))
        return hd_fail(error, "the bit-flip loss's gradient scale is not a finite number");
    for (size_t i = 0; i < count; i++)
        if (!check_layer(&j->layers[i], i, error)) return false;
    return true;
}

bool hd_loss(hd_loss_layer *layers, size_t count, const hd_loss_options *options, double *loss,
             hd_error *error) {
    job j = {.layers = layers, .options = options};
    if (!check_job(&j, count, error)) return false;
    for (size_t i = 0; i < count; i++) {
        j.denominator +=
            layer_weight(&layers[i]) * (double)layers[i].plan->weights * cost_sum(&layers[i]) / 2;
        if (layers[i].plan->tile_lanes > j.widest) j.widest = layers[i].plan->tile_lanes;
    }
    bool good =
        make_tables(&j, count, error) && (j.chunks = list_chunks(layers, count, &j.chunk_count, error));
    if (good && !(j.denominator > 0)) j.chunk_count = 0;
    if (good && !run_chunks(&j)) good = hd_fail(error, "no memory for the rows of the bit-flip loss");
    if (good) *loss = sum_up(&j, count);
    free(j.chunks);
    for (int b = 0; b <= HD_MAXIMUM_BITS; b++)
        for (int r = 0; r < HD_REPRESENTATION_COUNT; r++) hd_expected_bits_destroy(j.tables[b][r]);
    return good;
}
