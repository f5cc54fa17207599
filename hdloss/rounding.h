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
    const hd_plan *plan;
    const float *weights;    /* [plan->weights] */
    const float *scales;     /* [filters] */
    const float *importance; /* [plan->weights]: h, the weight of each word's squared error, finite and >= 0;
                                NULL: ones */
    double bit_costs[HD_MAXIMUM_BITS]; /* of a flip of each bit, as from hd_bit_costs; not all zero */
    double emphasis; /* factor on this layer's flips beside other layers', > 0: 1, or its passes an image */
    int8_t *words;   /* [plan->weights]: out */
} hd_round_layer;

/* Trellis rounding: along each lane of the array, through all tiles in the plan's order, the words q_t that
 * minimise
 *
 *     emphasis * sum_t cost(q_t, q_t+1)  +  mu * sum_t h_t (q_t - w_t / scale)^2
 *
 * over all words in +-(2^(bits-1) - 1), by Viterbi's algorithm. Exact for the chain from the lane's first
 * word to its last, in fixed point: flip costs are whole parts of 2^21 for all bits together, errors are
 * truncated to the same unit. The step from the last word back to the first is joined afterwards, exactly
 * within 64 words on either side; so are the pieces of chains beyond 65536 words. mu >= 0; threads at
 * least 1. */
bool hd_round_trellis(const hd_round_layer *layers, size_t count, double mu, int threads, hd_error *error);

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

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
