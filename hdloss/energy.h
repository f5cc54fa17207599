/* Energy of accelerators: coefficient tables, the plan level (weight streams exact, activations by
 * statistics) and the trace level (every register, see trace.h). docs/energy.md says where each figure comes
 * from. Included by hdloss.h, part of the public interface. */
#ifndef HDLOSS_ENERGY_H
#define HDLOSS_ENERGY_H

#include "hdloss.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ------------------------------------------------------------------------------------------------- tables */

/* What the energy of an element's cycle is made of at the trace level. The transferable model has the first
 * eight terms, the refined one all. */
typedef enum hd_energy_term {
    HD_TERM_CYCLE,
    HD_TERM_WEIGHT,           /* flips of the weight register */
    HD_TERM_ACTIVATION,       /* of the activation register */
    HD_TERM_SIGN,             /* of the weight's sign */
    HD_TERM_PARTIAL_PRODUCTS, /* of the multiplier's and gates */
    HD_TERM_PRODUCT,
    HD_TERM_PSUM_IN, /* of the adder's base */
    HD_TERM_PSUM_OUT,
    HD_TRANSFERABLE_TERMS,
    HD_TERM_ROOT = HD_TRANSFERABLE_TERMS, /* square root of the cycle's partial-product flips */
    HD_TERM_CARRY,
    HD_TERM_ACTIVATION_SIGN,
    HD_ENERGY_TERM_COUNT
} hd_energy_term;

/* Parts of an element, by cell instance; the clock is none of them. Links are wires to the neighbours. */
typedef enum hd_energy_part {
    HD_PART_MULTIPLIER,
    HD_PART_ACCUMULATOR,
    HD_PART_WEIGHT_REGISTER,
    HD_PART_ACTIVATION_REGISTER,
    HD_PART_CONTROL,
    HD_PART_WIRES,
    HD_PART_WEIGHT_LINK,
    HD_PART_ACTIVATION_LINK,
    HD_PART_PSUM_LINK,
    HD_PART_OTHER, /* compute energy of a table without an attribution */
    HD_ENERGY_PART_COUNT
} hd_energy_part;
const char *hd_energy_part_name(hd_energy_part part); /* "multiplier", ...; "unknown" out of range */

/* Terms of the plan level's own fit. */
typedef enum hd_plan_term {
    HD_PLAN_CYCLE,
    HD_PLAN_FLIP,
    HD_PLAN_SIGN_FLIP,
    HD_PLAN_PARTIAL_PRODUCT_FLIP, /* weight flips x ones of activations + activation flips x ones of weights
                                   */
    HD_PLAN_ACTIVATION_FLIP,
    HD_PLAN_TERM_COUNT
} hd_plan_term;

/* Coefficients of one PE type. Energies in pJ of one PE. */
typedef struct hd_energy_model {
    bool present;
    char basis[512];                      /* "measured", or what the figures stand on instead */
    double bit_costs_pj[HD_MAXIMUM_BITS]; /* a flip of weight bit 0..7 (7: the sign), propagation included */
    double idle_pj_per_cycle;             /* a0: an active PE whose operands hold */
    double propagation_pj_per_flip;       /* forwarding one weight bit flip to the neighbour */
    double clock_pj_per_cycle;            /* of a cycle with a step */
    double clock_idle_pj_per_cycle;       /* of a cycle without; where a table does not say, the same */
    /* The transferable model of the trace level: E = clock + a0 + aw HD(w) + ax HD(x) + as [sign flips] + app
     * PP + ap HD(product) + ab HD(psum in) + an HD(psum out). Collinear: good for totals, not to be read one
     * by one. */
    double a0, aw, ax, as, app, ap, ab, an;
    double held_out_errors_percent[8];
    size_t held_out_error_count;

    /* What only a calibrated table has. */
    bool has_refined, has_plan, has_parts;
    double refined[HD_ENERGY_TERM_COUNT]; /* the terms of hd_energy_term; for totals, better than the above */
    double plan[HD_PLAN_TERM_COUNT];      /* not negative */
    /* Attribution by cell instance, not negative: [part][term of the transferable model]. */
    double parts[HD_ENERGY_PART_COUNT][HD_TRANSFERABLE_TERMS];
    double natural_pj_per_cycle[HD_ENERGY_PART_COUNT]; /* under words as networks have them: the plan level's
                                                          shares */
    double activation_propagation_pj_per_flip;         /* register and link of a streaming activation */
} hd_energy_model;

typedef struct hd_energy_table {
    char name[HD_NAME_BYTES];
    char origin[2048], process[256];
    char tools[1024], units[1024], residuals[4096]; /* "a; b", "key: text; key: text" */
    double voltage_v, clock_mhz, temperature_c;
    bool provisional;
    char assumed_activations[1024];     /* what `bit_costs_pj` assume of the activations */
    double assumed_activation_popcount; /* mean number of ones of an activation */
    double assumed_activation_zero_fraction;
    hd_energy_model models[HD_DATAFLOW_COUNT][HD_REPRESENTATION_COUNT];
} hd_energy_table;

/* Reads JSON text; `name` stands in sentences ("tables/x.json: models.input_stationary...: ..."). */
bool hd_energy_table_parse(const char *text, size_t bytes, const char *name, hd_energy_table *table,
                           hd_error *error);
/* The model of a plan's dataflow and representation, or NULL and a sentence. */
const hd_energy_model *hd_energy_model_of(const hd_energy_table *table, const hd_plan *plan, hd_error *error);
/* Every energy of the model times factor. */
void hd_energy_model_scale(hd_energy_model *model, double factor);

/* Cost of a flip of each bit of this plan's words, sign bit at weight_bits - 1, the others zero above. table
 * NULL: ones. Where the table has a fit for the plan level they are what that fit says at the table's assumed
 * activations, propagation included, none below 0. */
bool hd_bit_costs(const hd_energy_table *table, const hd_plan *plan, double costs[HD_MAXIMUM_BITS],
                  hd_error *error);

/* ----------------------------------------------------------------------------------------------- memory */

/* Bytes that one image moves between the array and the memories around it. */
typedef struct hd_memory_bytes {
    uint64_t weights;      /* streamed or loaded words */
    uint64_t activations;  /* read into the array, and the layer's outputs written once */
    uint64_t partial_sums; /* 32-bit sums written, and read again where tiles add up */
    uint64_t orders;       /* entries of order tables and lane channels */
} hd_memory_bytes;

/* Sums below the array are added up over the segments and kernel positions where they flow; they leave once
 * where they stay. Figures beyond 64 bits saturate. */
hd_memory_bytes hd_memory_bytes_of(const hd_plan *plan);

/* What a byte of each costs, pJ. */
typedef struct hd_memory_costs {
    double weights, activations, partial_sums, orders;
} hd_memory_costs;

/* Energies of the four kinds, to so many decimals of a pJ, and their sum: a figure of its own, in no other.
 */
typedef struct hd_memory_energy {
    double weights_pj, activations_pj, partial_sums_pj, orders_pj, total_pj;
} hd_memory_energy;
hd_memory_energy hd_memory_energy_of(const hd_memory_bytes *bytes, const hd_memory_costs *costs,
                                     int decimals);

/* ---------------------------------------------------------------------------------------------- reports */

/* Energy of one image. The datapath energy is the headline; clock and memory stand beside it. */
typedef struct hd_energy_report {
    uint64_t macs, cycles;
    uint64_t active_pe_cycles;  /* cycles of PEs that multiply for this layer: its MACs */
    uint64_t enabled_pe_cycles; /* cycles in which a PE's registers are clocked; sums pass rows not in use */
    uint64_t array_pe_cycles;   /* cycles x all PEs */
    double utilisation;         /* active / array PE cycles */
    uint64_t flips_per_image;   /* on the weights' wires */
    /* Flips of registers by operand; sums are counted by the trace level only. */
    uint64_t weight_flips, activation_flips, sum_flips;
    double parts_pj[HD_ENERGY_PART_COUNT];
    double compute_pj;     /* multiplier, accumulator, control, inner wires, sums' links */
    double propagation_pj; /* registers and links of weights and activations */
    double datapath_pj;    /* = compute_pj + propagation_pj = sum of parts_pj */
    double clock_pj;       /* of PEs in cycles that clock their registers */
    double idle_pj;        /* clock of all other PE cycles */
    double pj_per_mac;     /* datapath_pj / macs */
    hd_memory_bytes memory;
} hd_energy_report;

/* Activations as the plan level knows them, means over a layer's input bytes. */
typedef struct hd_activation_statistics {
    double ones;                   /* of a byte, 0..8 */
    double zero_fraction;          /* bytes that are zero */
    double flips_between_pixels;   /* bits that differ between neighbours in a row of the image, 0..8 */
    double flips_between_channels; /* between neighbouring channels of a pixel */
    double flips_apart;            /* between bytes that have nothing to do with each other */
} hd_activation_statistics;

/* Those that the table assumes; flips are those of independent bits. */
hd_activation_statistics hd_assumed_activations(const hd_energy_table *table);

/* Statistics of count images, [count][height][width][channels] bytes, from sums that several batches add to.
 * Start from a zeroed struct. */
typedef struct hd_activation_sums {
    uint64_t bytes, ones, zeros, ones_by_bit[8];
    uint64_t pixel_pairs, pixel_flips, channel_pairs, channel_flips;
} hd_activation_sums;
void hd_activation_sums_add(hd_activation_sums *sums, const uint8_t *activations, size_t count, size_t height,
                            size_t width, size_t channels);
hd_activation_statistics
hd_activation_statistics_of(const hd_activation_sums *sums); /* zeros without bytes */

/* The plan level. activations NULL: the table's. With the table's own fit for it:
 *     datapath = cycle x enabled PE cycles + flip x weight flips + sign_flip x sign flips +
 * partial_product_flip x (weight flips x ones of activations + activation flips x ones of weights)
 *                + activation_flip x activation flips,
 * attributed by what moves operands and the parts' shares under natural words; without it, bit costs, the
 * PE's part of them in proportion to the activations' ones, and a0 x active PE cycles. */
bool hd_energy_plan_level(const hd_energy_table *table, const hd_plan *plan, const hd_flips *flips,
                          const hd_activation_statistics *activations, hd_energy_report *report,
                          hd_error *error);

struct hd_trace_counts;
/* The trace level: the refined model (the transferable one where a table has no other) on a layer's counts.
 * Parts are in proportion to the attribution by cell instance and sum up to the model's total. */
bool hd_energy_trace_level(const hd_energy_table *table, const hd_plan *plan,
                           const struct hd_trace_counts *counts, hd_energy_report *report, hd_error *error);

/* Rounds parts, clock and idle to so many decimals of a pJ (-2: to 100 pJ) and takes the sums from them, so
 * that printed parts add up to printed sums, in a report and over reports that hd_energy_add sums and this
 * rounds again. */
void hd_energy_round(hd_energy_report *report, int decimals);

/* total += one layer, parts first, then the derived figures from the sums. Start from a zeroed struct. */
void hd_energy_add(hd_energy_report *total, const hd_energy_report *layer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
