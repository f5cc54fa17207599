/* Energy at the plan level: exact weight streams, activations by statistics. */
#include <math.h>

#include "energy/report.h"

/* ---- cycles ---- */
/* A tile takes at least as many cycles as the array has rows, since held operands enter and local sums leave
 * one row a cycle (hdloss/rtl/README.md); fill and drain once. */
static void count_cycles(const hd_plan *plan, hd_energy_report *r) {
    uint64_t rows = (uint64_t)plan->accelerator.rows, cols = (uint64_t)plan->accelerator.cols;
    uint64_t pixels = plan->shape.output_pixels;
    uint64_t steps = plan->dataflow == HD_WEIGHT_STATIONARY ? pixels : plan->tile_steps;
    r->macs = r->active_pe_cycles = (uint64_t)plan->weights * pixels;
    r->cycles = plan->tiles * plan->repeats * (steps > rows ? steps : rows) + rows + cols;
    r->array_pe_cycles = r->cycles * rows * cols;
    r->enabled_pe_cycles = r->macs;
    /* Sums flow through all rows of a column in use. */
    if (plan->dataflow != HD_OUTPUT_STATIONARY)
        r->enabled_pe_cycles =
            plan->groups * plan->segments * plan->positions * rows * plan->order_length * pixels;
}

/* ---- activations ---- */
/* Flips of the elements' activation registers in one image, as far as statistics tell. */
static double activation_flips(const hd_plan *plan, const hd_activation_statistics *a) {
    double pixels = (double)plan->shape.output_pixels,
           positions = (double)(plan->shape.size * plan->shape.size);
    double macs = (double)plan->weights * pixels;
    double along_kernel = a->flips_between_pixels * (positions - 1);
    if (plan->dataflow == HD_WEIGHT_STATIONARY) return macs * a->flips_between_pixels;
    if (plan->dataflow == HD_OUTPUT_STATIONARY) {
        if (plan->depthwise) return macs * (along_kernel + a->flips_apart) / positions;
        if (plan->orders) return macs * a->flips_apart;
        return macs * (along_kernel + a->flips_between_channels) / positions;
    }
    /* Held: each row and column in use loads once a tile; rows that the last segment leaves unused load
     * zeros. */
    double loads = (double)(plan->groups * plan->lane_axis) * pixels;
    double flips = loads * (along_kernel + a->flips_apart);
    size_t left_over = plan->segments * (size_t)plan->accelerator.rows - plan->lane_axis;
    if (plan->segments > 1) flips += 2 * a->ones * (double)left_over * (double)plan->groups * pixels;
    return flips;
}

/* ---- energy ---- */
/* Splits energy among parts in proportion to their energies under natural words; a table without them has no
 * parts. */
static void share_out(const hd_energy_model *m, bool propagates, double pj,
                      double parts[HD_ENERGY_PART_COUNT]) {
    double sum = 0;
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++)
        if (hd_energy_part_propagates((hd_energy_part)i) == propagates) sum += m->natural_pj_per_cycle[i];
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++)
        if (sum > 0 && hd_energy_part_propagates((hd_energy_part)i) == propagates)
            parts[i] += pj * (m->natural_pj_per_cycle[i] / sum);
    if (!(sum > 0)) parts[propagates ? HD_PART_WEIGHT_LINK : HD_PART_OTHER] += pj;
}

/* The table's own fit for this level. */
static double fitted_pj(const hd_energy_model *m, const hd_flips *flips, const hd_activation_statistics *a,
                        const hd_energy_report *r, double sign_flips, double moved) {
    double weight_flips = (double)r->weight_flips;
    double ones = flips->words ? (double)flips->one_bits / (double)flips->words : 0;
    return m->plan[HD_PLAN_CYCLE] * (double)r->enabled_pe_cycles + m->plan[HD_PLAN_FLIP] * weight_flips +
           m->plan[HD_PLAN_SIGN_FLIP] * sign_flips +
           m->plan[HD_PLAN_PARTIAL_PRODUCT_FLIP] * (weight_flips * a->ones + moved * ones) +
           m->plan[HD_PLAN_ACTIVATION_FLIP] * moved;
}

/* Costs of bits, the element's part of them in proportion to the ones that the flips meet. */
static double compute_by_bits(const hd_energy_table *table, const hd_energy_model *m, const hd_plan *plan,
                              const hd_flips *flips, const hd_activation_statistics *a, const double *costs,
                              const hd_energy_report *r) {
    double assumed = table->assumed_activation_popcount, share = assumed > 0 ? a->ones / assumed : 1,
           flip_pj = 0;
    for (int b = 0; b < plan->accelerator.weight_bits; b++)
        flip_pj += (double)flips->operand_flips_by_bit[b] * (costs[b] - m->propagation_pj_per_flip);
    return (double)plan->image_passes * flip_pj * share + m->idle_pj_per_cycle * (double)r->active_pe_cycles;
}

static bool check_activations(const hd_activation_statistics *a, hd_error *error) {
    const double bits[] = {a->ones, a->flips_between_pixels, a->flips_between_channels, a->flips_apart};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (!(bits[i] >= 0 && bits[i] <= HD_MAXIMUM_BITS))
            return hd_fail(error, "activations with %g %s of a byte on average: 0 to %d is wanted", bits[i],
                           i ? "flipped bits" : "ones", HD_MAXIMUM_BITS);
    return true;
}

bool hd_energy_plan_level(const hd_energy_table *table, const hd_plan *plan, const hd_flips *flips,
                          const hd_activation_statistics *activations, hd_energy_report *report,
                          hd_error *error) {
    hd_activation_statistics a = activations ? *activations : hd_assumed_activations(table);
    double costs[HD_MAXIMUM_BITS];
    const hd_energy_model *m = hd_energy_model_of(table, plan, error);
    if (!m || !hd_bit_costs(table, plan, costs, error) || !check_activations(&a, error)) return false;
    hd_energy_report r = {.flips_per_image = flips->flips_per_image, .memory = hd_memory_bytes_of(plan)};
    double passes = (double)plan->image_passes, moved = activation_flips(plan, &a);
    count_cycles(plan, &r);
    r.weight_flips = flips->operand_flips * plan->image_passes;
    r.activation_flips = moved < 0x1p64 ? (uint64_t)(moved + 0.5) : UINT64_MAX;
    double on_wires = m->propagation_pj_per_flip * (double)flips->flips_per_image;
    double propagation = on_wires, compute;
    if (m->has_plan) {
        bool streams = plan->dataflow != HD_INPUT_STATIONARY;
        double total = fmax(0, fitted_pj(m, flips, &a, &r, (double)flips->sign_flips * passes, moved));
        double in_fit = m->propagation_pj_per_flip * (double)r.weight_flips +
                        (streams ? m->activation_propagation_pj_per_flip * moved : 0);
        if (in_fit > total) in_fit = total;
        compute = total - in_fit;
        propagation = in_fit + on_wires - m->propagation_pj_per_flip * (double)r.weight_flips;
        if (propagation < 0) propagation = 0;
    } else {
        compute = compute_by_bits(table, m, plan, flips, &a, costs, &r);
    }
    share_out(m, false, compute, r.parts_pj);
    share_out(m, true, propagation, r.parts_pj);
    hd_energy_clock(m, &r);
    hd_energy_derive(&r);
    *report = r;
    return true;
}
