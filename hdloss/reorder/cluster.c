/* Cluster reordering: which input channels share a segment. Seeded from the similarity of columns, improved
 * by exchanges that are accepted by the re-optimised cost, and kept only where it beats segment reordering on
 * a recount. Li et al., arXiv 2002.05293, section on clustering; seeds and moves are this project's. */
#include "reorder/flip_distances.h"

#include <stdlib.h>
#include <string.h>

/* More channels than this stay in their segments: similarities grow with the square. */
enum { LARGEST_AXIS = 6144 };

typedef struct attempt {
    hd_plan plan;
    uint32_t *orders;
    uint64_t cost;
} attempt;

static uint64_t cost_of(const hd_plan *plan, const hd_flips *flips, const hd_reorder_options *options) {
    hd_cost_groups groups = hd_cost_groups_on(&plan->accelerator, options->bit_costs);
    return hd_cost_of_flips(&groups, options->bit_costs, flips);
}

/* Solves the plan's orders and sets and counts them. */
static bool solve(attempt *a, const int8_t *words, const hd_reorder_options *options, hd_flips *flips,
                  hd_error *error) {
    if (!hd_reorder_segments(&a->plan, words, options, a->orders, error) ||
        !hd_plan_set_orders(&a->plan, a->orders, error) ||
        !hd_count_flips(&a->plan, words, options->threads, flips, error))
        return false;
    a->cost = cost_of(&a->plan, flips, options);
    return true;
}

/* Starts from the better of the plan's own segments and those of similar channels, by quickly solved orders.
 */
static bool choose_seed(attempt *a, const attempt *segments, const int8_t *words,
                        const hd_reorder_options *options, uint32_t *channels, hd_cluster_report *report,
                        hd_error *error) {
    hd_reorder_options quick = *options;
    hd_flip_distances distances;
    hd_flips flips;
    quick.path.kicks_per_point = 0;
    if (!hd_flip_distances_init(&distances, &a->plan, words, options->bit_costs, error)) return false;
    bool done =
        hd_cluster_by_similarity(&distances.source, options->bit_costs, options->threads, channels, error);
    hd_flip_distances_free(&distances);
    if (!done || !hd_plan_set_orders(&a->plan, NULL, error) || !solve(a, words, &quick, &flips, error))
        return false;
    uint64_t natural = a->cost;
    if (!hd_plan_set_orders(&a->plan, NULL, error) || !hd_plan_set_lane_channels(&a->plan, channels, error) ||
        !solve(a, words, &quick, &flips, error))
        return false;
    report->seeded = a->cost < natural;
    if (report->seeded) return true;
    return hd_plan_set_lane_channels(&a->plan, segments->plan.lane_channels, error) &&
           hd_plan_set_orders(&a->plan, segments->orders, error);
}

static bool exchange(attempt *a, const int8_t *words, const hd_reorder_options *options, uint32_t *channels,
                     hd_cluster_report *report, hd_error *error) {
    const hd_plan *plan = &a->plan;
    hd_flip_distances distances;
    hd_exchanges exchanges = {0};
    for (size_t i = 0; i < plan->groups * plan->lane_axis; i++)
        channels[i] = plan->lane_channels ? plan->lane_channels[i] : (uint32_t)(i % plan->lane_axis);
    memcpy(a->orders, plan->orders, plan->order_count * plan->order_length * sizeof *a->orders);
    if (!hd_flip_distances_init(&distances, plan, words, options->bit_costs, error)) return false;
    bool done = hd_cluster_exchange(&distances.source, options, channels, a->orders, &exchanges, error);
    hd_flip_distances_free(&distances);
    report->exchanges_tried = exchanges.tried;
    report->exchanges_made = exchanges.made;
    return done && hd_plan_set_lane_channels(&a->plan, channels, error) &&
           hd_plan_set_orders(&a->plan, a->orders, error);
}

static bool attempt_create(attempt *a, const hd_plan *plan, hd_error *error) {
    a->orders = malloc(plan->order_count * plan->order_length * sizeof *a->orders);
    if (!a->orders) return hd_fail(error, "out of memory for %zu orders", plan->order_count);
    return hd_plan_copy(&a->plan, plan, error);
}

static void attempt_free(attempt *a) {
    hd_plan_free(&a->plan);
    free(a->orders);
}

bool hd_clusters_possible(const hd_plan *plan) {
    return plan->segments > 1 && plan->lane_axis <= LARGEST_AXIS && plan->order_length <= LARGEST_AXIS &&
           plan->dataflow != HD_WEIGHT_STATIONARY && !plan->depthwise;
}

bool hd_reorder_clusters(const hd_plan *plan, const int8_t *words, const hd_reorder_options *options,
                         uint32_t *lane_channels, uint32_t *orders, hd_cluster_report *report,
                         hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    *report = (hd_cluster_report){0};
    attempt segments = {0}, clusters = {0};
    size_t channels = plan->groups * plan->lane_axis;
    bool done = attempt_create(&segments, plan, error) &&
                solve(&segments, words, options, &report->segment_flips, error) &&
                attempt_create(&clusters, plan, error);
    report->cluster_flips = report->segment_flips;
    const attempt *best = &segments;
    if (done && hd_clusters_possible(plan)) {
        hd_flips flips;
        done = choose_seed(&clusters, &segments, words, options, lane_channels, report, error) &&
               exchange(&clusters, words, options, lane_channels, report, error) &&
               solve(&clusters, words, options, &flips, error);
        if (done && clusters.cost < segments.cost) {
            best = &clusters;
            report->cluster_flips = flips;
            report->clustered = true;
        }
    }
    for (size_t i = 0; done && i < channels; i++)
        lane_channels[i] =
            best->plan.lane_channels ? best->plan.lane_channels[i] : (uint32_t)(i % plan->lane_axis);
    if (done) memcpy(orders, best->orders, plan->order_count * plan->order_length * sizeof *orders);
    attempt_free(&segments);
    attempt_free(&clusters);
    return done;
}
