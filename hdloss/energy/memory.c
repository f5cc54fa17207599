/* Bytes between the array and the memories around it, for one image. */
#include "energy/report.h"

static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t bytes_of(uint64_t words, int bits) {
    return plus(times(words / 8, (uint64_t)bits), (words % 8 * (uint64_t)bits + 7) / 8);
}

hd_memory_bytes hd_memory_bytes_of(const hd_plan *plan) {
    enum { SUM_BYTES = 4 };
    uint64_t pixels = plan->shape.output_pixels, outputs = times(plan->shape.filters, pixels);
    int bits = plan->accelerator.activation_bits;
    hd_memory_bytes m = {.weights =
                             times(bytes_of(plan->weights, plan->accelerator.weight_bits), plan->repeats),
                         .orders = times(hd_plan_table_bytes(plan), plan->repeats)};
    /* Tiles whose sums meet in an output. */
    uint64_t tiles = plan->segments * plan->positions, inputs;
    if (plan->dataflow == HD_OUTPUT_STATIONARY) {
        /* Each tile streams its activations past all rows; depthwise rows share none. */
        inputs = times(plan->depthwise ? plan->weights : plan->tiles * plan->tile_steps, pixels);
        tiles = 1;
    } else if (plan->dataflow == HD_WEIGHT_STATIONARY) {
        inputs = times(plan->groups * plan->lane_axis * plan->positions * plan->column_segments, pixels);
    } else {
        inputs = times(plan->groups * plan->lane_axis * plan->positions, pixels);
    }
    m.activations = plus(bytes_of(inputs, bits), bytes_of(outputs, bits));
    m.partial_sums = times(times(outputs, 2 * tiles - 1), SUM_BYTES);
    return m;
}

hd_memory_energy hd_memory_energy_of(const hd_memory_bytes *bytes, const hd_memory_costs *costs,
                                     int decimals) {
    hd_memory_energy e = {
        .weights_pj = hd_energy_to_decimals((double)bytes->weights * costs->weights, decimals),
        .activations_pj = hd_energy_to_decimals((double)bytes->activations * costs->activations, decimals),
        .partial_sums_pj = hd_energy_to_decimals((double)bytes->partial_sums * costs->partial_sums, decimals),
        .orders_pj = hd_energy_to_decimals((double)bytes->orders * costs->orders, decimals)};
    e.total_pj =
        hd_energy_to_decimals(e.weights_pj + e.activations_pj + e.partial_sums_pj + e.orders_pj, decimals);
    return e;
}
