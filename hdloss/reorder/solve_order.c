/* One order of a plan: the shortest path through its points, in blocks where a matrix of all points would be
 * too large; for weight-stationary plans the path is dealt to the array's columns. */
#include "reorder/solve_order.h"

#include "reorder/seeded.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

uint32_t *hd_order_distances(const hd_distance_source *source, size_t order, size_t first, size_t count,
                             hd_error *error) {
    uint32_t *matrix = calloc(count * count, sizeof *matrix);
    if (!matrix) {
        hd_fail(error, "out of memory for the distances of %zu steps", count);
    } else if (!source->add(source, order, first, count, matrix, error)) {
        free(matrix);
        matrix = NULL;
    }
    return matrix;
}

/* The dearest edges to cut when the path is closed to a ring first. */
static void find_cuts(const hd_path_problem *p, const uint32_t *path, hd_cuts *cuts) {
    size_t n = p->count;
    *cuts = (hd_cuts){.count = 1, .places = {(uint32_t)n - 1}};
    int64_t closing = p->distances[path[n - 1] * p->stride + path[0]];
    for (size_t i = 0; i + 1 < n; i++) {
        int64_t extra = closing - p->distances[path[i] * p->stride + path[i + 1]];
        if (cuts->count == HD_CUTS && extra >= cuts->extra[HD_CUTS - 1]) continue;
        uint32_t at = cuts->count < HD_CUTS ? cuts->count++ : HD_CUTS - 1;
        for (; at > 1 && cuts->extra[at - 1] > extra; at--) {
            cuts->extra[at] = cuts->extra[at - 1];
            cuts->places[at] = cuts->places[at - 1];
        }
        cuts->extra[at] = extra;
        cuts->places[at] = (uint32_t)i;
    }
}

static uint64_t dealt_cost(const uint32_t *matrix, size_t count, size_t cols, const uint32_t *order) {
    uint64_t cost = 0;
    for (size_t i = cols; i < count; i++) cost += matrix[order[i - cols] * count + order[i]];
    return cost;
}

bool hd_deal_to_columns(const uint32_t *matrix, size_t count, size_t cols, const uint32_t *present,
                        uint32_t *order, hd_error *error) {
    uint32_t *dealt = malloc(count * sizeof *dealt);
    if (!dealt) return hd_fail(error, "out of memory for an order of %zu channels", count);
    for (size_t column = 0, at = 0; column < cols && column < count; column++)
        for (size_t i = column; i < count; i += cols) dealt[i] = order[at++];
    bool better = dealt_cost(matrix, count, cols, dealt) < dealt_cost(matrix, count, cols, present);
    memcpy(order, better ? dealt : present, count * sizeof *order);
    free(dealt);
    return true;
}

/* The order that the plan has now, malloc'ed. */
static uint32_t *present_order(const hd_plan *plan, size_t order) {
    uint32_t *present = malloc(plan->order_length * sizeof *present);
    for (size_t i = 0; present && i < plan->order_length; i++)
        present[i] = plan->orders ? plan->orders[order * plan->order_length + i] : (uint32_t)i;
    return present;
}

static bool solve_whole(const hd_distance_source *source, size_t order, const hd_path_options *options,
                        uint32_t *path, hd_cuts *cuts, hd_error *error) {
    const hd_plan *plan = source->plan;
    size_t n = plan->order_length;
    uint32_t *matrix = hd_order_distances(source, order, 0, n, error);
    if (!matrix) return false;
    uint32_t *present = present_order(plan, order);
    bool done = present || hd_fail(error, "out of memory for an order of %zu steps", n);
    if (done) {
        hd_path_problem p = {.distances = matrix, .stride = n, .count = n, .known = present};
        done = hd_solve_path(&p, options, path, NULL, error);
        if (done && plan->dataflow == HD_WEIGHT_STATIONARY)
            done = hd_deal_to_columns(matrix, n, (size_t)plan->accelerator.cols, present, path, error);
        else if (done && cuts)
            find_cuts(&p, path, cuts);
    }
    free(present);
    free(matrix);
    return done;
}

static bool solve_blocks(const hd_distance_source *source, size_t order, const hd_path_options *options,
                         uint32_t *path, hd_error *error) {
    size_t length = source->plan->order_length, blocks = (length + BLOCK - 1) / BLOCK;
    for (size_t block = 0; block < blocks; block++) {
        size_t first = length * block / blocks, count = length * (block + 1) / blocks - first;
        uint32_t *matrix = hd_order_distances(source, order, first, count, error);
        if (!matrix) return false;
        hd_path_problem p = {.distances = matrix, .stride = count, .count = count};
        bool done = hd_solve_path(&p, options, path + first, NULL, error);
        free(matrix);
        if (!done) return false;
        for (size_t i = 0; i < count; i++) path[first + i] += (uint32_t)first;
    }
    return true;
}

bool hd_solve_order(const hd_distance_source *source, size_t order, const hd_path_options *options,
                    uint32_t *path, hd_cuts *cuts, hd_error *error) {
    hd_path_options own = *options;
    own.seed = hd_seeded_derive(options->seed, order);
    if (cuts) *cuts = (hd_cuts){.count = 1, .places = {(uint32_t)source->plan->order_length - 1}};
    if (source->plan->order_length > HD_LARGEST_MATRIX) return solve_blocks(source, order, &own, path, error);
    return solve_whole(source, order, &own, path, cuts, error);
}
