/* Energy at the plan level: exact weight streams, activations by the table's statistics. A flip's cost
 * includes moving it to the neighbouring PE, so compute is what is left of the cost once that propagation is
 * taken out. */
#include <string.h>

#include "hdloss.h"

const hd_energy_model *hd_energy_model_of(const hd_energy_table *table, const hd_plan *plan,
                                          hd_error *error) {
    const hd_energy_model *model = &table->models[plan->dataflow][plan->accelerator.representation];
    if (model->present) return model;
    hd_fail(error, "the energy table %s has no model for %s with %s: models.%s.%s is needed", table->name,
            hd_dataflow_name(plan->dataflow), hd_representation_name(plan->accelerator.representation),
            hd_dataflow_name(plan->dataflow), hd_representation_name(plan->accelerator.representation));
    return NULL;
}

bool hd_bit_costs(const hd_energy_table *table, const hd_plan *plan, double costs[HD_MAXIMUM_BITS],
                  hd_error *error) {
    int bits = plan->accelerator.weight_bits;
    memset(costs, 0, HD_MAXIMUM_BITS * sizeof *costs);
    if (!table) {
        for (int b = 0; b < bits; b++) costs[b] = 1;
        return true;
    }
    const hd_energy_model *model = hd_energy_model_of(table, plan, error);
    if (!model) return false;
    for (int b = 0; b < bits - 1; b++) costs[b] = model->bit_costs_pj[b];
    costs[bits - 1] = model->bit_costs_pj[HD_MAXIMUM_BITS - 1];
    return true;
}

static void derive(hd_energy_report *r) {
    r->utilisation = r->array_pe_cycles ? (double)r->active_pe_cycles / (double)r->array_pe_cycles : 0;
    r->datapath_pj = r->compute_pj + r->propagation_pj;
    r->pj_per_mac = r->macs ? r->datapath_pj / (double)r->macs : 0;
}

bool hd_energy_plan_level(const hd_energy_table *table, const hd_plan *plan, const hd_flips *flips,
                          hd_energy_report *report, hd_error *error) {
    return hd_energy_plan_level_with(table, plan, flips, table->assumed_activation_popcount, report, error);
}

bool hd_energy_plan_level_with(const hd_energy_table *table, const hd_plan *plan, const hd_flips *flips, double mean_popcount,
                               hd_energy_report *report, hd_error *error) {
    if (!(mean_popcount >= 0 && mean_popcount <= HD_MAXIMUM_BITS))
        return hd_fail(error, "a mean popcount of %g: 0 to %d is wanted", mean_popcount, HD_MAXIMUM_BITS);
    double assumed = table->assumed_activation_popcount;
    double share = assumed > 0 ? mean_popcount / assumed : 1;
    double costs[HD_MAXIMUM_BITS];
    const hd_energy_model *model = hd_energy_model_of(table, plan, error);
    if (!model || !hd_bit_costs(table, plan, costs, error)) return false;
    hd_energy_report r = {.macs = (uint64_t)plan->weights * plan->shape.output_pixels};
    /* Tiles stream back to back; a stationary weight tile stays for all of an image's pixels. */
    uint64_t tile_cycles =
        plan->dataflow == HD_WEIGHT_STATIONARY ? plan->shape.output_pixels : plan->tile_steps * plan->repeats;
    r.cycles = plan->tiles * tile_cycles;
    r.active_pe_cycles = r.macs;
    r.array_pe_cycles = r.cycles * (uint64_t)plan->accelerator.rows * (uint64_t)plan->accelerator.cols;
    r.flips_per_image = flips->flips_per_image;
    double flip_pj = 0;
    for (int b = 0; b < plan->accelerator.weight_bits; b++)
        flip_pj += (double)flips->operand_flips_by_bit[b] * (costs[b] - model->propagation_pj_per_flip);
    r.compute_pj =
        (double)plan->image_passes * flip_pj * share + model->idle_pj_per_cycle * (double)r.active_pe_cycles;
    r.propagation_pj = model->propagation_pj_per_flip * (double)flips->flips_per_image;
    r.clock_pj = model->clock_pj_per_cycle * (double)r.array_pe_cycles;
    derive(&r);
    *report = r;
    return true;
}

void hd_energy_add(hd_energy_report *total, const hd_energy_report *layer) {
    total->macs += layer->macs;
    total->cycles += layer->cycles;
    total->active_pe_cycles += layer->active_pe_cycles;
    total->array_pe_cycles += layer->array_pe_cycles;
    total->flips_per_image += layer->flips_per_image;
    total->compute_pj += layer->compute_pj;
    total->propagation_pj += layer->propagation_pj;
    total->clock_pj += layer->clock_pj;
    derive(total);
}
