/* Reports: what follows from the parts, and sums over layers. */
#include <math.h>
#include <stdlib.h>

#include "energy/report.h"

bool hd_energy_part_propagates(hd_energy_part part) {
    return part == HD_PART_WEIGHT_REGISTER || part == HD_PART_ACTIVATION_REGISTER ||
           part == HD_PART_WEIGHT_LINK || part == HD_PART_ACTIVATION_LINK;
}

void hd_energy_derive(hd_energy_report *r) {
    r->compute_pj = r->propagation_pj = 0;
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++)
        *(hd_energy_part_propagates((hd_energy_part)i) ? &r->propagation_pj : &r->compute_pj) +=
            r->parts_pj[i];
    r->datapath_pj = r->compute_pj + r->propagation_pj;
    r->utilisation = r->array_pe_cycles ? (double)r->active_pe_cycles / (double)r->array_pe_cycles : 0;
    r->pj_per_mac = r->macs ? r->datapath_pj / (double)r->macs : 0;
}

void hd_energy_clock(const hd_energy_model *m, hd_energy_report *r) {
    r->clock_pj = m->clock_pj_per_cycle * (double)r->enabled_pe_cycles;
    r->idle_pj = m->clock_idle_pj_per_cycle * (double)(r->array_pe_cycles - r->enabled_pe_cycles);
}

static void add(uint64_t *to, uint64_t more) {
    if (__builtin_add_overflow(*to, more, to)) *to = UINT64_MAX;
}

void hd_energy_add(hd_energy_report *total, const hd_energy_report *layer) {
    add(&total->macs, layer->macs);
    add(&total->cycles, layer->cycles);
    add(&total->active_pe_cycles, layer->active_pe_cycles);
    add(&total->enabled_pe_cycles, layer->enabled_pe_cycles);
    add(&total->array_pe_cycles, layer->array_pe_cycles);
    add(&total->flips_per_image, layer->flips_per_image);
    add(&total->weight_flips, layer->weight_flips);
    add(&total->activation_flips, layer->activation_flips);
    add(&total->sum_flips, layer->sum_flips);
    add(&total->memory.weights, layer->memory.weights);
    add(&total->memory.activations, layer->memory.activations);
    add(&total->memory.partial_sums, layer->memory.partial_sums);
    add(&total->memory.orders, layer->memory.orders);
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++) total->parts_pj[i] += layer->parts_pj[i];
    total->clock_pj += layer->clock_pj;
    total->idle_pj += layer->idle_pj;
    hd_energy_derive(total);
}

double hd_energy_to_decimals(double pj, int decimals) {
    double power = pow(10, abs(decimals));
    return decimals >= 0 ? round(pj * power) / power : round(pj / power) * power;
}

void hd_energy_round(hd_energy_report *r, int decimals) {
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++)
        r->parts_pj[i] = hd_energy_to_decimals(r->parts_pj[i], decimals);
    hd_energy_derive(r);
    double *const sums[] = {&r->compute_pj, &r->propagation_pj, &r->clock_pj, &r->idle_pj};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        *sums[i] = hd_energy_to_decimals(*sums[i], decimals);
    r->datapath_pj = hd_energy_to_decimals(r->compute_pj + r->propagation_pj, decimals);
    r->pj_per_mac = r->macs ? r->datapath_pj / (double)r->macs : 0;
}
