/* What darknet hd energy found, and the forms it writes it in. */
#ifndef HDLOSS_PLUGIN_ENERGY_FIGURES_H
#define HDLOSS_PLUGIN_ENERGY_FIGURES_H

#include "internal.h"

typedef struct energy_figures {
    const loaded_network *loaded;
    stream_figures *each, total;            /* flips and the plan level */
    hd_energy_report *traced, traced_total; /* traced NULL: without -trace */
    int *accumulator_bits;                  /* what each layer's sums may need */
} energy_figures;

/* Groups of parts that tables and figures show; together the datapath. */
enum { ENERGY_GROUPS = 5 };
extern const char
    *const energy_group_names[ENERGY_GROUPS]; /* multiplier, accumulator, registers, wires, other */
void energy_groups(const hd_energy_report *r, double groups_pj[ENERGY_GROUPS]);

/* The level asked for: the trace where there is one. */
const hd_energy_report *energy_of(const energy_figures *f, size_t i); /* i == count: the total */
double energy_plan_over_trace(const energy_figures *f, size_t i);     /* 0 without a trace */

void energy_print(const energy_figures *f);
json_t *energy_json(const energy_figures *f);
bool energy_write_csv(const energy_figures *f, const char *path, error *e);
bool energy_write_svg(const energy_figures *f, const char *path, error *e);

#endif
