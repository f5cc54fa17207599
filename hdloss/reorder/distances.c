/* The points behind an order of a stream plan, and their distances. */
#include "reorder/distances.h"

#include "words/isa.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_IN_A_PLANE = 4 };

hd_cost_groups hd_cost_groups_of(const uint32_t bit_costs[HD_MAXIMUM_BITS]) {
    hd_cost_groups groups = {0};
    for (unsigned bit = 0; bit < HD_MAXIMUM_BITS; bit++) {
        unsigned g = 0;
        while (g < groups.count && groups.costs[g] != bit_costs[bit]) g++;
        if (g == groups.count) groups.costs[groups.count++] = bit_costs[bit];
        groups.masks[g] |= UINT32_C(0x01010101) << bit;
    }
    return groups;
}

hd_cost_groups hd_cost_groups_on(const hd_accelerator *accelerator,
                                 const uint32_t bit_costs[HD_MAXIMUM_BITS]) {
    hd_cost_groups groups = hd_cost_groups_of(bit_costs);
    bool equal = accelerator->encoding == HD_BUS_INVERT;
    for (int bit = 1; bit < accelerator->weight_bits; bit++) equal = equal && bit_costs[bit] == bit_costs[0];
    if (!equal) return groups;
    groups.invert_lines = (uint32_t)accelerator->weight_bits + 1;
    groups.invert_cost = bit_costs[0];
    return groups;
}

uint64_t hd_cost_of_flips(const hd_cost_groups *groups, const uint32_t bit_costs[HD_MAXIMUM_BITS],
                          const hd_flips *flips) {
    if (groups->invert_lines) return groups->invert_cost * flips->flips;
    uint64_t cost = 0;
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) cost += bit_costs[bit] * flips->operand_flips_by_bit[bit];
    return cost;
}

hd_distance_row_function *hd_distance_row(void) {
#if defined(__x86_64__)
    switch (hd_isa_best()) {
    case HD_ISA_AVX512:
        return hd_distance_row_avx512;
    case HD_ISA_AVX2:
        return hd_distance_row_avx2;
    case HD_ISA_PORTABLE:
        break;
    }
#endif
    return hd_distance_row_portable;
}

size_t hd_tiles_of_order(const hd_plan *plan, size_t order, size_t *count) {
    *count = plan->tiles / plan->order_count;
    return order * *count;
}

bool hd_points_gather(const hd_plan *plan, size_t order, const uint8_t *patterns, hd_points *points,
                      hd_error *error) {
    size_t tiles, first = hd_tiles_of_order(plan, order, &tiles), words = 0, at = 0;
    *points = (hd_points){.count = plan->order_length};
    bool weight_stationary = plan->dataflow == HD_WEIGHT_STATIONARY;
    for (size_t i = 0; i < tiles; i++) words += hd_plan_tile(plan, first + i).rows;
    points->plane_count = (words + WORDS_IN_A_PLANE - 1) / WORDS_IN_A_PLANE;
    points->planes = calloc(points->plane_count * points->count, sizeof *points->planes);
    if (!points->planes) return hd_fail(error, "out of memory for the words of %zu steps", points->count);
    for (size_t i = 0; i < tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, first + i);
        if (weight_stationary && tile.column_segment > 0) continue;
        const uint32_t *channels =
            plan->lane_channels ? plan->lane_channels + tile.group * plan->lane_axis : NULL;
        for (size_t row = 0; row < tile.rows; row++, at++) {
            size_t channel = tile.first_channel + row, shift = 8 * (at % WORDS_IN_A_PLANE);
            if (channels) channel = channels[channel];
            uint32_t *plane = points->planes + at / WORDS_IN_A_PLANE * points->count;
            const uint8_t *lane = patterns + tile.base + plan->lane_stride * channel;
            for (size_t k = 0; k < points->count; k++)
                plane[k] |= (uint32_t)lane[plan->step_stride * k] << shift;
        }
    }
    return true;
}

void hd_points_free(hd_points *points) {
    free(points->planes);
    *points = (hd_points){0};
}

void hd_points_add_distances(const hd_points *points, size_t first, size_t count,
                             const hd_cost_groups *groups, uint32_t *matrix) {
    hd_distance_row_function *add_row = hd_distance_row();
    for (size_t i = 0; i < count; i++)
        for (size_t plane = 0; plane < points->plane_count; plane++) {
            const uint32_t *words = points->planes + plane * points->count + first;
            add_row(words, count, words[i], groups, matrix + i * count);
        }
}
