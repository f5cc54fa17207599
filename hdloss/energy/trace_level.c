/* Energy at the trace level: the table's models on counts of every register and settled signal. */
#include <math.h>

#include "energy/report.h"
#include "trace.h"

/* The features of the models, summed over elements and cycles. */
static void sum_terms(const hd_trace_counts *n, double terms[HD_ENERGY_TERM_COUNT]) {
    terms[HD_TERM_CYCLE] = (double)n->enabled_pe_cycles;
    terms[HD_TERM_WEIGHT] = (double)n->weight;
    terms[HD_TERM_ACTIVATION] = (double)n->activation;
    terms[HD_TERM_SIGN] = (double)n->sign;
    terms[HD_TERM_PARTIAL_PRODUCTS] = (double)n->partial_products;
    terms[HD_TERM_PRODUCT] = (double)n->product;
    terms[HD_TERM_PSUM_IN] = (double)n->psum_in;
    terms[HD_TERM_PSUM_OUT] = (double)n->psum_out;
    terms[HD_TERM_ROOT] = 0;
    for (int flips = 1; flips <= HD_PARTIAL_PRODUCTS; flips++)
        terms[HD_TERM_ROOT] += (double)n->partial_product_histogram[flips] * sqrt(flips);
    terms[HD_TERM_CARRY] = (double)n->carry;
    terms[HD_TERM_ACTIVATION_SIGN] = (double)n->activation_sign;
}

static double product(const double *coefficients, const double *terms, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += coefficients[i] * terms[i];
    return sum;
}

/* Parts as they were fitted; their sum is near the total of the model for totals. */
static double attribute(const hd_energy_model *m, const double *terms, double parts[HD_ENERGY_PART_COUNT]) {
    double sum = 0;
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++)
        sum += parts[i] = product(m->parts[i], terms, HD_TRANSFERABLE_TERMS);
    return sum;
}

bool hd_energy_trace_level(const hd_energy_table *table, const hd_plan *plan, const hd_trace_counts *n,
                           hd_energy_report *report, hd_error *error) {
    const hd_energy_model *m = hd_energy_model_of(table, plan, error);
    if (!m) return false;
    double terms[HD_ENERGY_TERM_COUNT];
    const double transferable[HD_TRANSFERABLE_TERMS] = {m->a0,  m->aw, m->ax, m->as,
                                                        m->app, m->ap, m->ab, m->an};
    hd_energy_report r = {.macs = n->macs,
                          .cycles = n->cycles,
                          .active_pe_cycles = n->macs,
                          .enabled_pe_cycles = n->enabled_pe_cycles,
                          .array_pe_cycles = n->array_pe_cycles,
                          .flips_per_image = n->weight,
                          .weight_flips = n->weight,
                          .activation_flips = n->activation,
                          .sum_flips = n->psum,
                          .memory = hd_memory_bytes_of(plan)};
    sum_terms(n, terms);
    double total = m->has_refined ? product(m->refined, terms, HD_ENERGY_TERM_COUNT)
                                  : product(transferable, terms, HD_TRANSFERABLE_TERMS);
    if (m->has_parts) {
        double attributed = attribute(m, terms, r.parts_pj);
        /* Terms of either sign can leave less than nothing for a stream without flips: then the parts stand.
         */
        double factor = total > 0 && attributed > 0 ? total / attributed : 1;
        for (int i = 0; i < HD_ENERGY_PART_COUNT; i++) r.parts_pj[i] *= factor;
    } else {
        double moved = m->propagation_pj_per_flip * (double)n->weight;
        if (total < 0) total = 0;
        r.parts_pj[HD_PART_WEIGHT_LINK] = moved < total ? moved : total;
        r.parts_pj[HD_PART_OTHER] = total - r.parts_pj[HD_PART_WEIGHT_LINK];
    }
    hd_energy_clock(m, &r);
    hd_energy_derive(&r);
    *report = r;
    return true;
}
