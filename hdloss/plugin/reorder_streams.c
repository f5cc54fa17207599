/* Segment and cluster reordering of a network's streams, with signs of filters; see reorder_streams.h. */
#include "reorder_streams.h"

#include <stdlib.h>
#include <string.h>

/* Room for one layer's answers. */
typedef struct answer {
    uint32_t *orders, *lane_channels;
    int8_t *signs;
} answer;

static bool answer_create(answer *a, const hd_plan *plan, error *e) {
    a->orders = malloc(plan->order_count * plan->order_length * sizeof *a->orders);
    a->lane_channels = malloc(plan->groups * plan->lane_axis * sizeof *a->lane_channels);
    a->signs = malloc(plan->segments * plan->shape.filters);
    return (a->orders && a->lane_channels && a->signs) || error_set(e, "out of memory");
}

static void answer_free(answer *a) {
    free(a->orders);
    free(a->lane_channels);
    free(a->signs);
}

static size_t count_negative(const int8_t *signs, size_t count) {
    size_t negative = 0;
    for (size_t i = 0; i < count; i++) negative += signs[i] < 0;
    return negative;
}

/* One sign a filter, folded into the network and the words. */
static bool fold(weight_stream *w, const network_view *view, const hd_reorder_options *o, answer *a,
                 reorder_gain *gain, hd_error *h) {
    hd_node *node = &view->nodes[w->index];
    if (w->plan.dataflow != HD_INPUT_STATIONARY || !node->batch_normalize) return true;
    if (!hd_choose_signs(&w->plan, w->words, 1, o, a->signs, a->orders, h) ||
        !hd_fold_signs(node, a->signs, h))
        return false;
    hd_apply_signs(&w->plan, w->words, 1, a->signs, w->words);
    gain->negated = count_negative(a->signs, w->shape.filters);
    return hd_plan_set_orders(&w->plan, a->orders, h);
}

/* Signs of each segment, for the lane channels that the plan has. */
static bool sign_segments(weight_stream *w, const hd_reorder_options *o, answer *a, reorder_gain *gain,
                          hd_error *h) {
    if (w->plan.dataflow != HD_INPUT_STATIONARY) return true;
    size_t count = w->plan.segments * w->shape.filters;
    w->streamed = malloc(w->plan.weights);
    if (!w->streamed) return hd_fail(h, "out of memory");
    if (!hd_choose_signs(&w->plan, w->words, w->plan.segments, o, a->signs, a->orders, h)) return false;
    hd_apply_signs(&w->plan, w->words, w->plan.segments, a->signs, w->streamed);
    gain->negated = count_negative(a->signs, count);
    w->sign_sets = w->plan.segments;
    w->signs = a->signs;
    a->signs = NULL;
    return hd_plan_set_orders(&w->plan, a->orders, h);
}

static bool solve(weight_stream *w, const reorder_request *request, const network_view *view,
                  const hd_reorder_options *o, answer *a, reorder_gain *gain, hd_error *h) {
    if (request->signs == SIGNS_FOLDED && !fold(w, view, o, a, gain, h)) return false;
    if (request->method == ORDER_CLUSTER) {
        if (!hd_reorder_clusters(&w->plan, w->words, o, a->lane_channels, a->orders, &gain->cluster, h) ||
            !hd_plan_set_lane_channels(&w->plan,
                                       gain->cluster.clustered ? a->lane_channels : w->plan.lane_channels, h))
            return false;
    } else if (!hd_reorder_segments(&w->plan, w->streamed ? w->streamed : w->words, o, a->orders, h)) {
        return false;
    }
    return hd_plan_set_orders(&w->plan, a->orders, h) &&
           (request->signs != SIGNS_SEGMENT || sign_segments(w, o, a, gain, h));
}

bool reorder_streams(weight_streams *s, const network_view *view, const reorder_request *request,
                     reorder_gain *gains, error *e) {
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        hd_error h = {0};
        double costs[HD_MAXIMUM_BITS];
        answer a = {0};
        hd_reorder_options o = hd_reorder_defaults();
        o.threads = request->threads;
        gains[i] = (reorder_gain){0};
        bool good =
            hd_bit_costs(request->by_energy ? &s->model.table : NULL, &w->plan, costs, &h) || from_hd(&h, e);
        if (good) hd_whole_bit_costs(costs, o.bit_costs);
        good = good && answer_create(&a, &w->plan, e);
        if (good && !solve(w, request, view, &o, &a, &gains[i], &h))
            good = error_set(e, "layer %d: %s", w->index, h.message);
        answer_free(&a);
        if (!good) return false;
    }
    return true;
}
