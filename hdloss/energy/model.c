/* One element's coefficients: names, scaling, costs of bits. */
#include <math.h>
#include <string.h>

#include "energy.h"

const char *hd_energy_part_name(hd_energy_part part) {
    static const char *const names[HD_ENERGY_PART_COUNT] = {
        "multiplier", "accumulator", "weight_register", "activation_register", "control",
        "wires",      "weight_link", "activation_link", "psum_link",           "other"};
    return (int)part >= 0 && part < HD_ENERGY_PART_COUNT ? names[part] : "unknown";
}

const hd_energy_model *hd_energy_model_of(const hd_energy_table *table, const hd_plan *plan,
                                          hd_error *error) {
    const hd_energy_model *model = &table->models[plan->dataflow][plan->accelerator.representation];
    if (model->present) return model;
    hd_fail(error, "the energy table %s has no model for %s with %s: models.%s.%s is needed", table->name,
            hd_dataflow_name(plan->dataflow), hd_representation_name(plan->accelerator.representation),
            hd_dataflow_name(plan->dataflow), hd_representation_name(plan->accelerator.representation));
    return NULL;
}

static void scale(double *energies, size_t count, double factor) {
    for (size_t i = 0; i < count; i++) energies[i] *= factor;
}

void hd_energy_model_scale(hd_energy_model *m, double factor) {
    double *const energies[] = {&m->idle_pj_per_cycle,
                                &m->propagation_pj_per_flip,
                                &m->activation_propagation_pj_per_flip,
                                &m->clock_pj_per_cycle,
                                &m->clock_idle_pj_per_cycle,
                                &m->a0,
                                &m->aw,
                                &m->ax,
                                &m->as,
                                &m->app,
                                &m->ap,
                                &m->ab,
                                &m->an};
    for (size_t i = 0; i < sizeof energies / sizeof *energies; i++) *energies[i] *= factor;
    scale(m->bit_costs_pj, HD_MAXIMUM_BITS, factor);
    scale(m->refined, HD_ENERGY_TERM_COUNT, factor);
    scale(m->plan, HD_PLAN_TERM_COUNT, factor);
    scale(m->natural_pj_per_cycle, HD_ENERGY_PART_COUNT, factor);
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++) scale(m->parts[i], HD_TRANSFERABLE_TERMS, factor);
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
    if (!model->has_plan) return true;
    /* What is minimised is then what the plan level tells. */
    double any = model->plan[HD_PLAN_FLIP] +
                 model->plan[HD_PLAN_PARTIAL_PRODUCT_FLIP] * table->assumed_activation_popcount;
    for (int b = 0; b < bits; b++)
        costs[b] = fmax(0, any + (b == bits - 1 ? model->plan[HD_PLAN_SIGN_FLIP] : 0));
    return true;
}
