/* Distances in flips of the words as they are. */
#include "reorder/flip_distances.h"

#include <stdlib.h>

enum { PATTERNS = 256 };

static bool add(const hd_distance_source *source, size_t order, size_t first, size_t count, uint32_t *matrix,
                hd_error *error) {
    const hd_flip_distances *flips = source->context;
    hd_points points;
    if (!hd_points_gather(source->plan, order, source->patterns, &points, error)) return false;
    hd_points_add_distances(&points, first, count, &flips->groups, matrix);
    hd_points_free(&points);
    return true;
}

static void fill_pairs(const hd_cost_groups *groups, const uint32_t bit_costs[HD_MAXIMUM_BITS],
                       uint32_t *pair_costs) {
    for (unsigned a = 0; a < PATTERNS; a++)
        for (unsigned b = 0; b < PATTERNS; b++) {
            uint32_t cost = 0;
            for (unsigned bit = 0; bit < HD_MAXIMUM_BITS; bit++)
                if ((a ^ b) >> bit & 1) cost += bit_costs[bit];
            uint32_t most = groups->invert_lines * groups->invert_cost;
            if (2 * cost > most && most > 0)
                cost = most > cost ? most - cost : 0; /* patterns of more bits than words have */
            pair_costs[a * PATTERNS + b] = cost;
        }
}

bool hd_flip_distances_init(hd_flip_distances *flips, const hd_plan *plan, const int8_t *words,
                            const uint32_t bit_costs[HD_MAXIMUM_BITS], hd_error *error) {
    *flips = (hd_flip_distances){.groups = hd_cost_groups_on(&plan->accelerator, bit_costs)};
    flips->patterns = malloc(plan->weights);
    flips->pair_costs = malloc(sizeof(uint32_t[PATTERNS * PATTERNS]));
    if (!flips->patterns || !flips->pair_costs) {
        hd_flip_distances_free(flips);
        return hd_fail(error, "out of memory for %zu words", plan->weights);
    }
    hd_encode_words(words, plan->weights, plan->accelerator.weight_bits, plan->accelerator.representation,
                    flips->patterns);
    fill_pairs(&flips->groups, bit_costs, flips->pair_costs);
    flips->source = (hd_distance_source){plan, flips->patterns, flips->pair_costs, flips, add};
    return true;
}

void hd_flip_distances_free(hd_flip_distances *flips) {
    free(flips->patterns);
    free(flips->pair_costs);
    *flips = (hd_flip_distances){0};
}
