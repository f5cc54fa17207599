/* Direct reordering as plans: one order of a layer's filters for all its tiles, and its inputs on lanes in
 * the order of the layer that they come from. The flips are those of the network that hd_fold_orders makes.
 */
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* Where channels go that nobody reorders. */
static uint32_t *natural_order(size_t count) {
    uint32_t *order = malloc(count * sizeof *order);
    for (size_t i = 0; order && i < count; i++) order[i] = (uint32_t)i;
    return order;
}

/* The order of a layer's inputs: `channels` of them, each of `each` values in a row (a connected layer reads
 * its input in C,H,W order). */
static uint32_t *input_order(const uint32_t *order, size_t channels, size_t each) {
    uint32_t *inputs = natural_order(channels * each);
    for (size_t i = 0; inputs && order && i < channels * each; i++)
        inputs[i] = (uint32_t)(order[i / each] * each + i % each);
    return inputs;
}

/* Steps of an output-stationary reduction: places (channel, row, column) with the channels in `inputs`'
 * order. */
static bool set_reduction(hd_plan *plan, const uint32_t *inputs, hd_error *h) {
    size_t area = plan->shape.size * plan->shape.size;
    uint32_t *order = natural_order(plan->order_length);
    if (!order) return hd_fail(h, "out of memory");
    for (size_t t = 0; t < plan->order_length; t++) order[t] = (uint32_t)(inputs[t / area] * area + t % area);
    bool good = hd_plan_set_one_order(plan, order, h);
    free(order);
    return good;
}

static bool set_plan(hd_plan *plan, const uint32_t *filters, const uint32_t *inputs, hd_error *h) {
    if (plan->depthwise) return hd_plan_set_lane_channels(plan, filters, h);
    if (plan->dataflow == HD_OUTPUT_STATIONARY)
        return hd_plan_set_lane_channels(plan, filters, h) && set_reduction(plan, inputs, h);
    return hd_plan_set_lane_channels(plan, inputs, h) && hd_plan_set_one_order(plan, filters, h);
}

static bool reorder_stream(weight_stream *w, const hd_network *description, const hd_channel_orders *orders,
                           hd_error *h) {
    const hd_node *node = &description->nodes[w->index];
    int from = node->inputs[0];
    if (!w->plan.depthwise && w->shape.groups > 1) return true; /* grouped layers stay */
    size_t channels = (size_t)node->in_channels;
    uint32_t *filters = input_order(orders->orders[w->index], (size_t)node->out_channels, 1);
    uint32_t *inputs =
        input_order(from < 0 ? NULL : orders->orders[from], channels, w->shape.channels / channels);
    bool good = (filters && inputs) || hd_fail(h, "out of memory");
    good = good && set_plan(&w->plan, filters, inputs, h);
    free(filters);
    free(inputs);
    return good;
}

bool streams_reorder_direct(weight_streams *s, const network_view *view, bool quick, int threads, error *e) {
    hd_channel_orders orders = {0};
    hd_reorder_options o = hd_reorder_defaults();
    hd_error h = {0};
    o.threads = threads;
    if (quick) o.path.kicks_per_point = 0;
    bool good = hd_reorder_direct(&view->description, &s->model.accelerator, &o, &orders, &h);
    for (size_t i = 0; good && i < s->count; i++)
        good = reorder_stream(&s->items[i], &view->description, &orders, &h);
    hd_channel_orders_free(&orders);
    return good || from_hd(&h, e);
}
