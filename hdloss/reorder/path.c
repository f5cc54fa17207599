/* Shortest paths through points with a symmetric distance matrix: exact by dynamic programming for a few
 * points, else greedy paths from several starts and the iterated local search of tour.c. An open path is a
 * closed tour through one more node, equally far from all points; a path with costs at its ends is one
 * through two more nodes, held together. Held and Karp, "A dynamic programming approach to sequencing
 * problems", SIAM Journal 10 (1962). */
#include "reordering.h"

#include "reorder/bound.h"
#include "reorder/one_tree.h"
#include "reorder/seeded.h"
#include "reorder/tour.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_COUNT = 10, DEFAULT_STARTS = 4, DEFAULT_KICKS_PER_POINT = 30, DEFAULT_BOUND_STEPS = 300 };

hd_path_options hd_path_defaults(void) {
    return (hd_path_options){.seed = 1,
                             .greedy_starts = DEFAULT_STARTS,
                             .kicks_per_point = DEFAULT_KICKS_PER_POINT,
                             .bound_steps = DEFAULT_BOUND_STEPS};
}

uint64_t hd_path_length(const hd_path_problem *p, const uint32_t *order) {
    if (p->count == 0) return 0;
    uint64_t length = 0;
    for (size_t i = 1; i < p->count; i++) length += p->distances[order[i - 1] * p->stride + order[i]];
    uint32_t first = order[0], last = order[p->count - 1];
    if (p->closed) return p->count > 1 ? length + p->distances[last * p->stride + first] : 0;
    if (p->start_costs) length += p->start_costs[first];
    if (p->end_costs) length += p->end_costs[last];
    return length;
}

/* The best order of a few points. best[set][last]: the shortest path through `set` that ends at `last`. */
static bool solve_exactly(const hd_path_problem *p, uint32_t *order) {
    size_t n = p->count, sets = (size_t)1 << n;
    uint64_t *best = malloc(sets * n * sizeof *best);
    uint8_t *before = malloc(sets * n);
    bool done = best && before;
    if (done) {
        memset(best, 0xff, sets * n * sizeof *best);
        for (size_t i = 0; i < (p->closed ? 1 : n); i++)
            best[((size_t)1 << i) * n + i] = p->start_costs && !p->closed ? p->start_costs[i] : 0;
        for (size_t set = 1; set < sets; set++)
            for (size_t last = 0; last < n; last++) {
                uint64_t length = best[set * n + last];
                if (length == UINT64_MAX) continue;
                for (size_t next = 0; next < n; next++) {
                    size_t grown = set | (size_t)1 << next;
                    if (grown == set ||
                        length + p->distances[last * p->stride + next] >= best[grown * n + next])
                        continue;
                    best[grown * n + next] = length + p->distances[last * p->stride + next];
                    before[grown * n + next] = (uint8_t)last;
                }
            }
        size_t set = sets - 1, last = 0;
        uint64_t shortest = UINT64_MAX;
        for (size_t i = 0; i < n; i++) {
            uint64_t length = best[set * n + i];
            if (length == UINT64_MAX) continue;
            if (p->closed) length += i == 0 ? 0 : p->distances[i * p->stride];
            if (!p->closed && p->end_costs) length += p->end_costs[i];
            if (length >= shortest) continue;
            shortest = length;
            last = i;
        }
        for (size_t i = n; i-- > 0;) {
            order[i] = (uint32_t)last;
            size_t earlier = before[set * n + last];
            set &= ~((size_t)1 << last);
            last = earlier;
        }
    }
    free(best);
    free(before);
    return done;
}

/* From `start` always on to the nearest point not yet visited, the lower number among equals. */
static void greedy_path(const hd_path_problem *p, uint32_t start, uint32_t *order) {
    uint32_t left = (uint32_t)p->count;
    for (uint32_t i = 0; i < left; i++) order[i] = i;
    order[start] = 0;
    order[0] = start;
    for (uint32_t done = 1; done < left; done++) {
        const uint32_t *row = p->distances + order[done - 1] * p->stride;
        uint32_t at = done;
        for (uint32_t i = done + 1; i < left; i++)
            if (row[order[i]] < row[order[at]] || (row[order[i]] == row[order[at]] && order[i] < order[at]))
                at = i;
        uint32_t chosen = order[at];
        order[at] = order[done];
        order[done] = chosen;
    }
}

static void reverse(uint32_t *order, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t swap = order[i];
        order[i] = order[count - 1 - i];
        order[count - 1 - i] = swap;
    }
}

/* The best of the known order and several greedy paths, each also tried backwards; `trial` is work space. */
static uint64_t best_start(const hd_path_problem *p, const hd_path_options *options, uint32_t *order,
                           uint32_t *trial) {
    hd_seeded random = {hd_seeded_derive(options->seed, 0)};
    uint64_t shortest = UINT64_MAX;
    if (p->known) {
        shortest = hd_path_length(p, p->known);
        memcpy(order, p->known, p->count * sizeof *order);
    }
    uint32_t starts = options->greedy_starts > 0 || p->known ? options->greedy_starts : 1;
    for (uint32_t i = 0; i < starts; i++) {
        greedy_path(p, i == 0 ? 0 : hd_seeded_below(&random, (uint32_t)p->count), trial);
        for (int way = 0; way < 2; way++) {
            uint64_t length = hd_path_length(p, trial);
            if (length < shortest) {
                shortest = length;
                memcpy(order, trial, p->count * sizeof *order);
            }
            reverse(trial, p->count);
        }
    }
    return shortest;
}

/* The matrix with the extra nodes appended: `extra` 0 for a closed tour, 1 for free ends, 2 for costs at the
 * ends. An edge to an extra node costs `hold` more, but for the one between the two, so that no good tour
 * parts them. */
static void extend(const hd_path_problem *p, unsigned extra, uint32_t hold, uint32_t *matrix) {
    size_t n = p->count, stride = n + extra;
    for (size_t i = 0; i < n; i++)
        memcpy(matrix + i * stride, p->distances + i * p->stride, n * sizeof *matrix);
    for (unsigned node = 0; node < extra; node++) {
        const uint32_t *costs = node == 0 ? p->start_costs : p->end_costs;
        for (size_t i = 0; i < n; i++) {
            uint32_t cost = hold + (costs ? costs[i] : 0);
            matrix[i * stride + n + node] = cost;
            matrix[(n + node) * stride + i] = cost;
        }
        for (unsigned other = 0; other < extra; other++) matrix[(n + node) * stride + n + other] = 0;
    }
}

/* Reads the path off a closed tour: it begins behind the extra node (or nodes, the start's one last before
 * it). */
static void read_path(const hd_tour *tour, size_t count, unsigned extra, uint32_t *order) {
    size_t n = tour->count, at = extra == 0 ? 0 : tour->positions[count];
    bool backwards = extra == 2 && tour->nodes[(at + 1) % n] == count + 1;
    for (size_t i = 0; i < count; i++) {
        if (extra > 0) at = (at + (backwards ? n - 1 : 1)) % n;
        order[i] = tour->nodes[at];
        if (extra == 0) at++;
    }
}

static bool improve(const hd_path_problem *p, const hd_path_options *options, uint64_t start,
                    uint32_t largest, uint32_t *order) {
    unsigned extra = p->closed ? 0 : p->start_costs || p->end_costs ? 2 : 1;
    uint32_t n = (uint32_t)p->count + extra;
    uint64_t hold = extra == 2 ? start / 2 + 1 : largest;
    uint32_t *matrix = malloc((size_t)n * n * sizeof *matrix), *nodes = malloc(n * sizeof *nodes);
    hd_tour tour;
    bool done = matrix && nodes && hd_tour_create(&tour, matrix, n, n);
    if (done) {
        extend(p, extra, (uint32_t)hold, matrix);
        hd_tour_find_neighbours(&tour, NULL);
        memcpy(nodes, order, p->count * sizeof *nodes);
        if (extra == 2) nodes[n - 2] = (uint32_t)p->count + 1;
        if (extra > 0) nodes[n - 1] = (uint32_t)p->count;
        hd_tour_set(&tour, nodes);
        hd_tour_improve(&tour, options->kicks_per_point * p->count, hd_seeded_derive(options->seed, 1));
        read_path(&tour, p->count, extra, order);
        hd_tour_free(&tour);
    }
    free(matrix);
    free(nodes);
    return done;
}

static uint32_t largest_cost(const hd_path_problem *p) {
    uint32_t largest = 0;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t j = 0; j < p->count; j++)
            if (j != i && p->distances[i * p->stride + j] > largest)
                largest = p->distances[i * p->stride + j];
        if (p->start_costs && p->start_costs[i] > largest) largest = p->start_costs[i];
        if (p->end_costs && p->end_costs[i] > largest) largest = p->end_costs[i];
    }
    return largest;
}

static bool check(const hd_path_problem *p, hd_error *error) {
    if (p->count >= HD_TREE_LARGEST_COUNT - 2)
        return hd_fail(error, "a path through %zu points: at most %d are possible", p->count,
                       HD_TREE_LARGEST_COUNT - 3);
    if (p->stride < p->count)
        return hd_fail(error, "a distance matrix of %zu points has a stride of %zu: it must not be less",
                       p->count, p->stride);
    if (p->closed && (p->start_costs || p->end_costs))
        return hd_fail(error, "a closed path has no ends: its start and end costs must be NULL");
    return true;
}

bool hd_solve_path(const hd_path_problem *p, const hd_path_options *options, uint32_t *order,
                   uint64_t *length, hd_error *error) {
    const hd_path_options defaults = hd_path_defaults();
    if (!options) options = &defaults;
    if (!check(p, error)) return false;
    if (p->count <= EXACT_COUNT) {
        if (p->count > 0 && !solve_exactly(p, order)) return hd_fail(error, "out of memory for a path");
    } else {
        uint32_t *trial = malloc(p->count * sizeof *trial), largest = largest_cost(p);
        if (!trial) return hd_fail(error, "out of memory for a path through %zu points", p->count);
        uint64_t start = best_start(p, options, order, trial);
        free(trial);
        if (start / 2 + 1 + largest > UINT32_MAX)
            return hd_fail(
                error, "distances up to %" PRIu32 " between %zu points: a path of them must stay below 2^32",
                largest, p->count);
        if (!improve(p, options, start, largest, order))
            return hd_fail(error, "out of memory for a path through %zu points", p->count);
    }
    if (length) *length = hd_path_length(p, order);
    return true;
}

bool hd_path_bound(const hd_path_problem *p, const hd_path_options *options, uint64_t length, uint64_t *bound,
                   hd_error *error) {
    const hd_path_options defaults = hd_path_defaults();
    if (!options) options = &defaults;
    if (!check(p, error)) return false;
    if (p->closed || p->start_costs || p->end_costs)
        return hd_fail(
            error, "bounds are for open paths with free ends: closed must be false and the ends' costs NULL");
    if (length > UINT32_MAX)
        return hd_fail(error, "a path of length %" PRIu64 ": it must stay below 2^32", length);
    if (!hd_one_tree_bound(p->distances, p->stride, (uint32_t)p->count, length, options->bound_steps, bound))
        return hd_fail(error, "out of memory for the bound of a path through %zu points", p->count);
    return true;
}
