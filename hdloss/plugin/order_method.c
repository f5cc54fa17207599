/* Names of the orders that a network's streams can get, and direct reordering of a network in place. */
#include <stdio.h>
#include <string.h>

#include "rounding_job.h"

static const char *const names[ORDER_METHOD_COUNT] = {[ORDER_NATURAL] = "natural",
                                                      [ORDER_DIRECT] = "direct",
                                                      [ORDER_SEGMENT] = "segment",
                                                      [ORDER_CLUSTER] = "cluster"};

const char *order_method_name(order_method method) {
    return names[method];
}

bool order_method_parse(const char *name, order_method *method, error *e) {
    for (int i = 0; i < ORDER_METHOD_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *method = (order_method)i;
            return true;
        }
    return error_set(e, "-method: \"%s\" is not one of natural, direct, segment, cluster", name);
}

bool fold_direct(network *net, const network_view *view, const array_model *model, bool quick, error *e) {
    hd_channel_orders orders = {0};
    hd_network description = view->description;
    hd_reorder_options o = hd_reorder_defaults();
    hd_error h = {0};
    o.threads = network_threads(net);
    if (quick) o.path.kicks_per_point = 0;
    bool good = hd_reorder_direct(&description, &model->accelerator, &o, &orders, &h) &&
                hd_fold_orders(&description, &orders, &h);
    hd_channel_orders_free(&orders);
    return good || from_hd(&h, e);
}
