/* Energy reference tables of Accelergy (Wu, Emer and Sze, ICCAD 2019): reading them, and making an energy
 * table of one. Part of the public interface.
 *
 * The subset that is read, YAML of ERT version 0.2 to 0.4, energies in pJ:
 *
 *     ERT:
 *       version: 0.4
 *       tables:
 *         - name: system.chip.pe[0..167].mac
 *           actions:
 *             - name: mac_random
 *               arguments: {data_delta: 1}       (optional, or null)
 *               energy: 2.2
 *
 * Other keys are left out. An action that comes with several arguments stands for the mean of its energies.
 */
#ifndef HDLOSS_ERT_H
#define HDLOSS_ERT_H

#include "hdloss.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct hd_ert_action {
    char *component; /* as in the file */
    char *action;
    double energy_pj;
} hd_ert_action;

typedef struct hd_ert {
    hd_ert_action *actions;
    size_t count;
} hd_ert;

/* `name` stands in sentences. Frees nothing on failure that hd_ert_free would have to. */
bool hd_ert_parse(const char *text, size_t bytes, const char *name, hd_ert *ert, hd_error *error);
void hd_ert_free(hd_ert *ert);
/* Mean energy of an action. component: the whole name in the file, or its last part without an index, "mac"
 * for "system.pe[0..167].mac" and for "chip.mac[1..9]". False when there is no such action. */
bool hd_ert_energy(const hd_ert *ert, const char *component, const char *action, double *energy_pj);

/* What of an ERT goes into an energy table. */
typedef struct hd_ert_use {
    const char *mac; /* component with mac_random, or else mac, compute or multiply */
    const char
        *wire; /* NULL, or a component with transfer_random or transfer: one word to the next element */
    hd_dataflow dataflow; /* whose random words cost mac_random */
} hd_ert_use;

/* An ERT knows no bits: the table gets the shape of another one, such as the calibrated osu018, all of its
 * energies times one factor, so that a cycle of random two's-complement words (half of the bits flip) costs
 * mac_random. With a wire, a flip's propagation is its transfer over half the word's bits instead. `name`
 * becomes the table's. */
bool hd_energy_table_from_ert(const hd_ert *ert, const hd_ert_use *use, const hd_energy_table *shape,
                              const char *name, hd_energy_table *table, hd_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
