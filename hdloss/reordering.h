/* Orders of words that cost few bit flips: shortest paths with a certificate, and the reorderings of stream
 * plans and networks made of them. Part of the public interface of libhdloss. An optimiser writes orders into
 * a buffer that the caller owns; analysers count what they bring. The same seed gives the same answer,
 * whatever the number of threads. */
#ifndef HDLOSS_REORDERING_H
#define HDLOSS_REORDERING_H

#include "hdloss.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* -------------------------------------------------------------------------------------------------- paths */

/* An order in which to visit `count` points: open, open with costs at its ends, or closed to a ring. The
 * length counts the distances between neighbours in the order, the ends' costs, and in a ring the way back.
 * Borrows its arrays. */
typedef struct hd_path_problem {
    const uint32_t *distances;               /* [count][stride], symmetric; the diagonal is not read */
    size_t stride, count;                    /* count < 65533; paths must stay shorter than 2^32 */
    const uint32_t *start_costs, *end_costs; /* [count] or NULL: no cost */
    bool closed;
    const uint32_t *known; /* an order to start from as well, or NULL; the answer is never longer */
} hd_path_problem;

typedef struct hd_path_options {
    uint64_t seed;
    uint32_t greedy_starts;   /* greedy paths tried, at least one unless an order is known */
    uint64_t kicks_per_point; /* budget of perturbations, times the number of points; 0: local search alone */
    uint32_t bound_steps;     /* budget of the lower bound's ascent */
} hd_path_options;

/* seed 1, 4 starts, 30 kicks a point, 300 steps. Wherever options are taken, NULL means these. */
hd_path_options hd_path_defaults(void);

/* Writes a short order to order[count], and its length to *length unless NULL. Proven shortest for up to 10
 * points. */
bool hd_solve_path(const hd_path_problem *problem, const hd_path_options *options, uint32_t *order,
                   uint64_t *length, hd_error *error);

uint64_t hd_path_length(const hd_path_problem *problem, const uint32_t *order);

/* A length that no order is shorter than, for open paths with free ends. `length` is that of a known order,
 * which the ascent aims at; the bound never exceeds it. */
bool hd_path_bound(const hd_path_problem *problem, const hd_path_options *options, uint64_t length,
                   uint64_t *bound, hd_error *error);

/* ------------------------------------------------------------------------------------------- stream plans */

/* Solvers count in whole numbers: a flip of bit b costs bit_costs[b]. Ones for equal costs, else parts of
 * 256. Equal costs are of flips on the wires, with the accelerator's encoding (bus_invert: the cheaper form
 * of each word, and the invert line); costs that differ are of the PE's operands, behind the decoder.
 * Rounding (rounding.h) takes its costs the same way. */
void hd_whole_bit_costs(const double costs[HD_MAXIMUM_BITS], uint32_t bit_costs[HD_MAXIMUM_BITS]);

typedef struct hd_reorder_options {
    hd_path_options path;
    uint32_t bit_costs[HD_MAXIMUM_BITS];
    uint32_t exchanges_per_channel; /* budget of cluster reordering */
    bool choose_channels;           /* reordering for rounding: cluster too, see rounding.h */
    bool join_tiles; /* also choose where each order begins and its direction, for few flips from tile to tile
                      */
    int threads;     /* at least 1; the answer does not depend on it */
} hd_reorder_options;

/* The path defaults, ones, 16 exchanges, join_tiles, one thread. */
hd_reorder_options hd_reorder_defaults(void);

/* Segment reordering: a short path for each of the plan's orders by itself, from the words as they stream
 * (with the plan's lane channels; its present orders are tried as starts). Words: [plan->weights]. Writes
 * orders[order_count][order_length], for hd_plan_set_orders. Orders longer than 6144 are solved in blocks. */
bool hd_reorder_segments(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                         uint32_t *orders, hd_error *error);

/* What choosing the channels of each segment gained over segment reordering, recounted on the words. */
typedef struct hd_cluster_report {
    hd_flips segment_flips, cluster_flips;
    bool clustered; /* false: the plan's own segments were as good and are kept */
    bool seeded;    /* similar columns were the better start */
    uint64_t exchanges_tried, exchanges_made;
} hd_cluster_report;

/* Cluster reordering: also chooses which channels share a segment. Writes lane_channels[groups][lane_axis]
 * and orders[order_count][order_length] for hd_plan_set_lane_channels and hd_plan_set_orders; never worse
 * than hd_reorder_segments. Depthwise layers, weight-stationary plans, layers of one segment and those beyond
 * 6144 channels or steps keep their segments. */
bool hd_reorder_clusters(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                         uint32_t *lane_channels, uint32_t *orders, hd_cluster_report *report,
                         hd_error *error);

/* Signs of filters: negating a filter costs nothing where its output is negated back. sign_sets 1: one sign a
 * filter, for batch normalisation to take back (hd_fold_signs); plan->segments: one for each segment, for
 * adders that can subtract, kept in the sidecar. Chooses signs[sign_sets][filters] and
 * orders[order_count][order_length] together, in turns; the streamed words sign * word never flip more than
 * in the orders of hd_reorder_segments. Input stationary only. */
bool hd_choose_signs(const hd_plan *plan, const int8_t *words, size_t sign_sets,
                     const hd_reorder_options *options, int8_t *signs, uint32_t *orders, hd_error *error);

/* streamed[weights] = sign * word for such signs. */
void hd_apply_signs(const hd_plan *plan, const int8_t *words, size_t sign_sets, const int8_t *signs,
                    int8_t *streamed);

/* How near the plan's orders are to the best possible ones for these words, inside tiles. */
typedef struct hd_certificate {
    size_t orders, uncertified; /* all, and those without a bound: too long, or weight stationary */
    size_t proven_shortest;
    uint64_t length, bound;       /* sums over the certified orders, in units of bit_costs */
    double mean_gap, largest_gap; /* of length / bound - 1 over the certified orders; 0 when there are none */
} hd_certificate;

/* Certificates are by options->path.bound_steps and bit_costs; gaps of several layers are averaged by their
 * orders. */
bool hd_certify_orders(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                       hd_certificate *certificate, hd_error *error);
/* total += one layer; start from a zeroed struct. */
void hd_certificate_add(hd_certificate *total, const hd_certificate *layer);

/* ------------------------------------------------------------------------------------------------ networks
 */

/* Orders of the channels of every node's output: channel orders[node][place] moves to `place`. NULL: they
 * stay. */
typedef struct hd_channel_orders {
    size_t node_count;
    uint32_t **orders; /* [node_count][out_channels]; owned */
} hd_channel_orders;

void hd_channel_orders_free(hd_channel_orders *orders);

/* Direct reordering: one order a layer, joint over the network. Layers tied by shortcuts, routes and
 * depthwise layers share an order, solved on their summed flips per image; the image's channels, the classes,
 * and what grouped convolutions or unsupported layers fix stay in place. To be freed; after a failure it is
 * empty. */
bool hd_reorder_direct(const hd_network *network, const hd_accelerator *accelerator,
                       const hd_reorder_options *options, hd_channel_orders *orders, hd_error *error);

/* Permutes the parameters of the network's nodes in place, so that it computes the same function (up to the
 * order of sums) with its channels in the new order. Orders that do not fit each other are refused, and
 * nothing is changed. */
bool hd_fold_orders(hd_network *network, const hd_channel_orders *orders, hd_error *error);

/* Negates the filters of a convolution whose sign is -1, with their batch-norm scales and rolling means, so
 * that the node computes the same. signs[out_channels] of +1 and -1; the node must normalise. */
bool hd_fold_signs(hd_node *node, const int8_t *signs, hd_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
