/* An energy table with the shape of another one and the energies of an energy reference table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ert.h"

/* The first of some actions that the component has. */
static bool find(const hd_ert *ert, const char *component, const char *const *actions, double *pj,
                 hd_error *error) {
    for (const char *const *a = actions; *a; a++)
        if (hd_ert_energy(ert, component, *a, pj)) return true;
    bool known = false;
    for (size_t i = 0; i < ert->count && !known; i++) {
        double any;
        known = hd_ert_energy(ert, component, ert->actions[i].action, &any);
    }
    return hd_fail(error, "the ERT has no %s%s%s", known ? actions[0] : "component ", known ? " of " : "",
                   component);
}

/* A cycle in which every bit of the streaming word flips with probability a half. */
static double random_cycle_pj(const hd_energy_model *m) {
    double pj = m->idle_pj_per_cycle;
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) pj += 0.5 * m->bit_costs_pj[b];
    return pj;
}

/* Costs of weight flips include their propagation: exchanges it for the wire's. */
static void set_propagation(hd_energy_model *m, double pj_per_flip) {
    double more = pj_per_flip - m->propagation_pj_per_flip;
    double *const of_weight_flips[] = {&m->aw, &m->refined[HD_TERM_WEIGHT], &m->plan[HD_PLAN_FLIP],
                                       &m->parts[HD_PART_WEIGHT_LINK][HD_TERM_WEIGHT]};
    for (size_t i = 0; i < sizeof of_weight_flips / sizeof *of_weight_flips; i++) *of_weight_flips[i] += more;
    m->parts[HD_PART_WEIGHT_LINK][HD_TERM_WEIGHT] = fmax(0, m->parts[HD_PART_WEIGHT_LINK][HD_TERM_WEIGHT]);
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) m->bit_costs_pj[b] += more;
    m->propagation_pj_per_flip = pj_per_flip;
}

bool hd_energy_table_from_ert(const hd_ert *ert, const hd_ert_use *use, const hd_energy_table *shape,
                              const char *name, hd_energy_table *table, hd_error *error) {
    static const char *const macs[] = {"mac_random", "mac", "compute", "multiply", NULL};
    static const char *const transfers[] = {"transfer_random", "transfer", NULL};
    const hd_energy_model *anchor = &shape->models[use->dataflow][HD_TWOS_COMPLEMENT];
    double mac, wire = 0;
    if (!find(ert, use->mac, macs, &mac, error) ||
        (use->wire && !find(ert, use->wire, transfers, &wire, error)))
        return false;
    if (!anchor->present || !(random_cycle_pj(anchor) > 0))
        return hd_fail(error, "the energy table %s has no model for %s to take the shape of", shape->name,
                       hd_dataflow_name(use->dataflow));
    if (!(mac > 0))
        return hd_fail(error, "the ERT's %s costs nothing: an energy above 0 is needed", use->mac);
    double factor = mac / random_cycle_pj(anchor);
    *table = *shape;
    (void)snprintf(table->name, sizeof table->name, "%s", name);
    (void)snprintf(table->origin, sizeof table->origin,
                   "Energies of the ERT: random words cost %g pJ a cycle (%s, %s)%s; the shape over bits and "
                   "parts, and everything "
                   "that the ERT does not say, is %s times %.5g.",
                   mac, use->mac, hd_dataflow_name(use->dataflow), use->wire ? ", links by its wire" : "",
                   shape->name, factor);
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
        for (int r = 0; r < HD_REPRESENTATION_COUNT; r++) {
            hd_energy_model *m = &table->models[d][r];
            if (!m->present) continue;
            hd_energy_model_scale(m, factor);
            if (use->wire) set_propagation(m, wire / (0.5 * HD_MAXIMUM_BITS));
            (void)snprintf(m->basis, sizeof m->basis, "estimated: %s times %.5g, as the ERT's %s says",
                           shape->name, factor, use->mac);
        }
    return true;
}
