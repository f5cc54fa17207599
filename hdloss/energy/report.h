/* What the energy levels share, inside libhdloss. */
#ifndef HDLOSS_ENERGY_REPORT_H
#define HDLOSS_ENERGY_REPORT_H

#include "energy.h"

/* Compute, propagation, datapath, utilisation and pJ/MAC from the parts and counts. */
void hd_energy_derive(hd_energy_report *r);
/* clock_pj and idle_pj from the cycles. */
void hd_energy_clock(const hd_energy_model *m, hd_energy_report *r);
/* The nearest multiple, as the double nearest to its decimals: it prints with them and no more. */
double hd_energy_to_decimals(double pj, int decimals);
bool hd_energy_part_propagates(hd_energy_part part);

#endif
