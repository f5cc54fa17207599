/* Segment reordering: every order of a stream plan solved by itself, over all threads, and the certificates.
 * Li et al., arXiv 2002.05293, section on segmented reordering; here for any dataflow. */
#include "reorder/flip_distances.h"
#include "reorder/solve_order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

hd_reorder_options hd_reorder_defaults(void) {
    return (hd_reorder_options){.path = hd_path_defaults(),
                                .bit_costs = {1, 1, 1, 1, 1, 1, 1, 1},
                                .exchanges_per_channel = 16,
                                .join_tiles = true,
                                .threads = 1};
}

void hd_whole_bit_costs(const double costs[HD_MAXIMUM_BITS], uint32_t bit_costs[HD_MAXIMUM_BITS]) {
    double largest = 0, smallest = INFINITY;
    for (unsigned bit = 0; bit < HD_MAXIMUM_BITS; bit++) {
        largest = costs[bit] > largest ? costs[bit] : largest;
        if (costs[bit] > 0 && costs[bit] < smallest) smallest = costs[bit];
    }
    for (unsigned bit = 0; bit < HD_MAXIMUM_BITS; bit++) {
        double cost = costs[bit] > 0 ? costs[bit] : 0;
        bit_costs[bit] = (uint32_t)lround(largest <= smallest ? (cost > 0) : cost / largest * 256);
    }
}

static bool check(const hd_plan *plan, const hd_reorder_options *options, hd_error *error) {
    if (options->threads < 1)
        return hd_fail(error, "%d threads for a reordering: at least 1", options->threads);
    if (plan->order_count == 0) return hd_fail(error, "a plan without orders: make it with hd_plan_init");
    return true;
}

/* Keeps the failure of the lowest order, so that the sentence does not depend on the threads either. */
static void note_failure(size_t order, const hd_error *mine, size_t *failed, hd_error *error) {
#pragma omp critical(hd_reorder_failure)
    if (order < *failed) {
        *failed = order;
        if (error) *error = *mine;
    }
}

bool hd_reorder_by_distances(const hd_distance_source *source, const hd_reorder_options *options,
                             uint32_t *orders, hd_error *error) {
    const hd_plan *plan = source->plan;
    if (!check(plan, options, error)) return false;
    bool join = options->join_tiles && plan->dataflow != HD_WEIGHT_STATIONARY;
    hd_cuts *cuts = join ? malloc(plan->order_count * sizeof *cuts) : NULL;
    size_t failed = SIZE_MAX;
    if (join && !cuts) return hd_fail(error, "out of memory for joining %zu orders", plan->order_count);
#pragma omp parallel for num_threads(options->threads) schedule(dynamic, 1)
    for (size_t order = 0; order < plan->order_count; order++) {
        hd_error mine;
        if (!hd_solve_order(source, order, &options->path, orders + order * plan->order_length,
                            cuts ? cuts + order : NULL, &mine))
            note_failure(order, &mine, &failed, error);
    }
    bool done = failed == SIZE_MAX;
    if (done && join) done = hd_join_tiles(source, cuts, orders, error);
    free(cuts);
    return done;
}

bool hd_reorder_segments(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                         uint32_t *orders, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    hd_flip_distances flips;
    if (!check(plan, options, error) ||
        !hd_flip_distances_init(&flips, plan, words, options->bit_costs, error))
        return false;
    bool done = hd_reorder_by_distances(&flips.source, options, orders, error);
    hd_flip_distances_free(&flips);
    return done;
}

static bool certify_order(const hd_distance_source *source, size_t order, const hd_reorder_options *options,
                          uint64_t *length, uint64_t *bound, hd_error *error) {
    const hd_plan *plan = source->plan;
    uint32_t *matrix = hd_order_distances(source, order, 0, plan->order_length, error), *natural = NULL;
    size_t n = plan->order_length;
    if (!matrix) return false;
    const uint32_t *path = plan->orders ? plan->orders + order * n : NULL;
    if (!path) path = natural = malloc(n * sizeof *natural);
    bool done = path;
    for (size_t i = 0; natural && i < n; i++) natural[i] = (uint32_t)i;
    if (done) {
        hd_path_problem p = {.distances = matrix, .stride = n, .count = n};
        *length = hd_path_length(&p, path);
        done = hd_path_bound(&p, &options->path, *length, bound, error);
    } else {
        hd_fail(error, "out of memory for an order of %zu steps", n);
    }
    free(natural);
    free(matrix);
    return done;
}

bool hd_certify_orders(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                       hd_certificate *certificate, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    *certificate = (hd_certificate){0};
    if (!check(plan, options, error)) return false;
    size_t n = plan->order_count, failed = SIZE_MAX;
    certificate->orders = n;
    if (plan->dataflow == HD_WEIGHT_STATIONARY || plan->order_length > HD_LARGEST_MATRIX) {
        certificate->uncertified = n;
        return true;
    }
    hd_flip_distances flips;
    bool ready = hd_flip_distances_init(&flips, plan, words, options->bit_costs, error);
    uint64_t *lengths = malloc(n * sizeof *lengths), *bounds = malloc(n * sizeof *bounds);
    if (ready && lengths && bounds) {
#pragma omp parallel for num_threads(options->threads) schedule(dynamic, 1)
        for (size_t order = 0; order < n; order++) {
            hd_error mine;
            if (!certify_order(&flips.source, order, options, &lengths[order], &bounds[order], &mine))
                note_failure(order, &mine, &failed, error);
        }
    } else {
        failed = 0;
        if (ready) hd_fail(error, "out of memory for the bounds of %zu orders", n);
    }
    for (size_t i = 0; failed == SIZE_MAX && i < n; i++) {
        double gap = (double)(lengths[i] - bounds[i]) / (double)(bounds[i] > 0 ? bounds[i] : 1);
        certificate->length += lengths[i];
        certificate->bound += bounds[i];
        certificate->proven_shortest += lengths[i] == bounds[i];
        certificate->mean_gap += gap / (double)n;
        if (gap > certificate->largest_gap) certificate->largest_gap = gap;
    }
    if (ready) hd_flip_distances_free(&flips);
    free(lengths);
    free(bounds);
    return failed == SIZE_MAX;
}

void hd_certificate_add(hd_certificate *total, const hd_certificate *layer) {
    double before = (double)(total->orders - total->uncertified),
           more = (double)(layer->orders - layer->uncertified);
    if (before + more > 0)
        total->mean_gap = (total->mean_gap * before + layer->mean_gap * more) / (before + more);
    if (layer->largest_gap > total->largest_gap) total->largest_gap = layer->largest_gap;
    total->orders += layer->orders;
    total->uncertified += layer->uncertified;
    total->proven_shortest += layer->proven_shortest;
    total->length += layer->length;
    total->bound += layer->bound;
}
