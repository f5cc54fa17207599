/* Rounding weights to words that cost few bit flips: the exact minimum along each lane. Part of the public
 * interface of libhdloss. Analysers recount what the optimisers wrote. The answers do not depend on the
 * number of threads. */
#ifndef HDLOSS_ROUNDING_H
#define HDLOSS_ROUNDING_H

#include "hdloss.h"
#include "reordering.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* One layer to be rounded. Borrows everything. */
typedef struct hd_round_layer {
    hd_plan *plan;           /* its orders and lane channels are changed by hd_reorder_and_round alone */
    const float *weights;    /* [plan->weights] */
    const float *scales;     /* [filters] */
    const float *importance; /* [plan->weights]: h, the weight of each word's squared error, finite and >= 0;
                                NULL: ones */
    double bit_costs[HD_MAXIMUM_BITS]; /* of a flip of each bit, as from hd_bit_costs; not all zero */
    double emphasis; /* factor on this layer's flips beside other layers', > 0: 1, or its passes an image */
    double sum_cost; /* of a partial sum that changes, in the unit of bit_costs, where sums flow through the
                        array (hd_sums_flow); finite, at least 0, times the rows at most 1000 times all bits'
                        flips; hd_round_trellis and hd_reorder_and_round alone read it */
    int8_t *words;   /* [plan->weights]: out */
} hd_round_layer;

/* True, or false and a sentence: weights and scales must be finite, scales, emphasis and at least one bit's
 * cost positive, no importance or cost negative. What takes layers checks them so. */
bool hd_round_layer_validate(const hd_round_layer *layer, hd_error *error);

/* Trellis rounding: along each lane of the array, through all tiles in the plan's order, the words q_t that
 * minimise
 *
 *     emphasis * sum_t cost(q_t, q_t+1)  +  mu * sum_t h_t (q_t - w_t / scale)^2
 *
 * over all words in +-(2^(bits-1) - 1), by Viterbi's algorithm. Exact for the chain from the lane's first
 * word to its last, in fixed point: flip costs are whole parts of 2^21 for all bits together, errors are
 * truncated to the same unit. The step from the last word back to the first is joined afterwards, exactly
 * within 64 words on either side; so are the pieces of chains beyond 65536 words. mu >= 0; threads at
 * least 1.
 *
 * With a sum_cost the lanes of a layer depend on each other: emphasis * sum_cost * hd_count_sum_changes is
 * added, and each lane in turn, from the top, is put at its minimum given the others (as exactly as above),
 * three times round. At first no word changes, so that lanes come to change in the same steps. */
bool hd_round_trellis(const hd_round_layer *layers, size_t count, double mu, int threads, hd_error *error);

/* Whether partial sums flow from row to row: input stationary, not depthwise. */
bool hd_sums_flow(const hd_plan *plan);

/* Partial sums of a pass that may differ from the step before since a word does, activations being held:
 * those of a step from the first changed row on, to the last row of the array (a sum stays where the
 * activation is zero, or where changes cancel). Tiles' first steps are left out. */
bool hd_count_sum_changes(const hd_plan *plan, const int8_t *words, uint64_t *changes, hd_error *error);

/* The error of words: SQNR = 10 log10(signal / noise) over x = w / scale. */
typedef struct hd_rounding {
    double signal, noise;  /* sum of x^2, of (q - x)^2 */
    double weighted_noise; /* sum of h (q - x)^2 */
    double sqnr_db;        /* infinite without noise */
    uint64_t words, moved; /* all, and those that are not the nearest word */
    unsigned largest_move; /* in words, from the nearest one */
} hd_rounding;

/* The words of layer->words, as they are. */
bool hd_measure_rounding(const hd_round_layer *layer, hd_rounding *rounding, hd_error *error);
/* total += one layer; start from a zeroed struct. */
void hd_rounding_add(hd_rounding *total, const hd_rounding *layer);

/* What a layer's errors do to its outputs together: row_importance[f] e' M e for the errors e, in words, of
 * filter f's weights at one kernel position. */
typedef struct hd_compensation {
    const float *row_importance; /* [filters], finite and at least 0 */
    const float *moments; /* M: [groups][lane axis][lane axis], second moments of the inputs; about their
                             means where means are taken back afterwards */
} hd_compensation;

/* Input stationary, not depthwise, 2 to 4096 channels a group. */
bool hd_can_compensate(const hd_plan *plan);

/* Trellis rounding, lane after lane as tiles stream, where the weights still to be rounded take on what
 * cancels the errors so far: words lie further from their weights at the same effect on the outputs.
 * layer->importance is not read. Each lane's stream through a tile is the minimum of hd_round_trellis for its
 * moved targets, given the word before; the later tiles are not foreseen. *divergence, unless NULL: the sum
 * of row_importance e' M e. */
bool hd_round_compensated(const hd_round_layer *layer, const hd_compensation *compensation, double mu,
                          double *divergence, hd_error *error);

/* importance[plan->weights] of a word's error that is left after such cancelling: for
 * hd_reorder_for_rounding. */
bool hd_compensated_importance(const hd_plan *plan, const hd_compensation *compensation, float *importance,
                               hd_error *error);

/* Segment orders for words that are still to be rounded at this mu: two steps are as far apart as the flips
 * and errors that rounding both freely would leave, which is what the trellis will find more closely than the
 * flips between the nearest words. Importances are told apart in powers of 4. Writes
 * orders[order_count][order_length] as hd_reorder_segments does; options->bit_costs are not read, the layer's
 * are. */
bool hd_reorder_for_rounding(const hd_round_layer *layer, double mu, const hd_reorder_options *options,
                             uint32_t *orders, hd_error *error);

/* The same, choosing also which channels share a segment: writes lane_channels[groups][lane_axis] too. Begins
 * with similar columns and exchanges options->exchanges_per_channel channels; not always better than the
 * plan's own segments. */
bool hd_cluster_for_rounding(const hd_round_layer *layer, double mu, const hd_reorder_options *options,
                             uint32_t *lane_channels, uint32_t *orders, hd_error *error);

/* Orders for rounding, rounding, orders for the rounded words, rounding, ... while the objective of
 * hd_round_trellis falls; never ends above what rounding in the plan's present orders gives. Sets the plans'
 * orders and the words. */
bool hd_reorder_and_round(const hd_round_layer *layers, size_t count, double mu,
                          const hd_reorder_options *options, hd_error *error);

/* The mu at which the layers together keep an SQNR of at least sqnr_db (and less than 0.05 dB more, where the
 * words allow it), and the words for it. options NULL: the plans keep their orders; else as
 * hd_reorder_and_round. */
bool hd_round_to_sqnr(const hd_round_layer *layers, size_t count, double sqnr_db,
                      const hd_reorder_options *options, int threads, double *mu, hd_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
