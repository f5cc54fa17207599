/* Folding orders of channels into a network's parameters: filters, biases and batch-norm arrays follow the
 * order of a node's output, the filters' insides that of its input. */
#include "reorder/ties.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t *order_of(const hd_channel_orders *orders, int node) {
    return node < 0 ? NULL : orders->orders[node];
}

static uint32_t at(const uint32_t *order, size_t place) {
    return order ? order[place] : (uint32_t)place;
}

static bool same(const uint32_t *a, const uint32_t *b, size_t count) {
    for (size_t i = 0; (a || b) && i < count; i++)
        if (at(a, i) != at(b, i)) return false;
    return true;
}

/* Channels stay within their group. */
static bool keeps_groups(const uint32_t *order, size_t count, size_t group) {
    for (size_t i = 0; order && i < count; i++)
        if (order[i] / group != i / group) return false;
    return true;
}

static size_t channels_of(const hd_network *network, int node) {
    return (size_t)(node < 0 ? network->channels : network->nodes[node].out_channels);
}

/* A sum's inputs have its order; of one with more or fewer channels, the first ones that both have. */
static bool shortcut_fits(const hd_network *network, const hd_channel_orders *orders, const hd_node *node,
                          const uint32_t *output) {
    for (int i = 0; i < node->input_count; i++) {
        size_t own = (size_t)node->out_channels, its = channels_of(network, node->inputs[i]);
        if (!same(order_of(orders, node->inputs[i]), output, its < own ? its : own)) return false;
    }
    return true;
}

static bool route_fits(const hd_network *network, const hd_channel_orders *orders, const hd_node *node,
                       const uint32_t *output) {
    size_t first = 0;
    for (int i = 0; i < node->input_count; i++) {
        int input = node->inputs[i];
        const uint32_t *order = order_of(orders, input);
        size_t channels = channels_of(network, input);
        for (size_t j = 0; j < channels; j++)
            if (at(output, first + j) != first + at(order, j)) return false;
        first += channels;
    }
    return true;
}

static bool fits(const hd_network *network, const hd_channel_orders *orders, const hd_node *node,
                 const uint32_t *output) {
    const uint32_t *input = order_of(orders, node->inputs[0]);
    size_t in = (size_t)node->in_channels, out = (size_t)node->out_channels;
    switch (node->type) {
    case HD_NODE_CONVOLUTION:
        if (hd_node_keeps_channels(node)) return same(input, output, out);
        return keeps_groups(input, in, in / (size_t)node->groups) &&
               keeps_groups(output, out, out / (size_t)node->groups);
    case HD_NODE_CONNECTED:
        return true;
    case HD_NODE_SHORTCUT:
        return shortcut_fits(network, orders, node, output);
    case HD_NODE_ROUTE:
        return route_fits(network, orders, node, output);
    case HD_NODE_MAXPOOL:
    case HD_NODE_AVERAGE_POOL:
    case HD_NODE_BATCHNORM:
    case HD_NODE_ACTIVATION:
    case HD_NODE_IDENTITY:
        return same(input, output, out);
    case HD_NODE_SOFTMAX:
    case HD_NODE_UNSUPPORTED:
        break;
    }
    bool still = same(output, NULL, out);
    for (int i = 0; i < node->input_count; i++)
        still = still && same(order_of(orders, node->inputs[i]), NULL, in);
    return still;
}

static bool check(const hd_network *network, const hd_channel_orders *orders, uint8_t *scratch, bool *read,
                  hd_error *error) {
    for (int i = 0; i < network->node_count; i++) {
        const hd_node *node = &network->nodes[i];
        const uint32_t *order = orders->orders[i];
        if (order && !hd_is_permutation(order, (size_t)node->out_channels, scratch))
            return hd_fail(error, "the order of layer %d is no permutation of its %d channels", node->index,
                           node->out_channels);
        if (!fits(network, orders, node, order))
            return hd_fail(error, "the order of layer %d (%s) does not fit those of the layers it reads",
                           node->index, node->type_name);
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] >= 0) read[node->inputs[j]] = true;
    }
    for (int i = 0; i < network->node_count; i++)
        if (!read[i] && !same(orders->orders[i], NULL, (size_t)network->nodes[i].out_channels))
            return hd_fail(error,
                           "layer %d (%s) is an output of the network: its channels have to stay in place",
                           network->nodes[i].index, network->nodes[i].type_name);
    return true;
}

static void permute(float *values, const uint32_t *order, size_t count, float *scratch) {
    if (!values || !order) return;
    memcpy(scratch, values, count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = scratch[order[i]];
}

/* weights[outputs][channels / groups][spatial], both axes in their new order. */
static void permute_weights(const hd_node *node, const uint32_t *input, const uint32_t *output,
                            size_t spatial, float *scratch) {
    bool connected = node->type == HD_NODE_CONNECTED, keeps = hd_node_keeps_channels(node);
    size_t groups = connected ? 1 : (size_t)node->groups, outputs = (size_t)node->out_channels;
    size_t channels = (size_t)node->in_channels / groups, filter = channels * spatial;
    if (!input && !output) return;
    memcpy(scratch, node->weights, outputs * filter * sizeof *scratch);
    for (size_t f = 0; f < outputs; f++) {
        size_t first = f / (outputs / groups) * channels;
        for (size_t c = 0; c < channels; c++) {
            size_t from = keeps ? 0 : at(input, first + c) - first;
            memcpy(node->weights + f * filter + c * spatial,
                   scratch + at(output, f) * filter + from * spatial, spatial * sizeof *scratch);
        }
    }
}

static size_t spatial_weights(const hd_node *node) {
    return node->type == HD_NODE_CONNECTED ? (size_t)node->in_height * (size_t)node->in_width
                                           : (size_t)node->size * (size_t)node->size;
}

static size_t scratch_floats(const hd_network *network) {
    size_t most = 1;
    for (int i = 0; i < network->node_count; i++) {
        const hd_node *node = &network->nodes[i];
        hd_layer_shape shape;
        size_t need = (size_t)node->out_channels;
        if (hd_layer_shape_of_node(node, &shape) && hd_layer_weights(&shape) > need)
            need = hd_layer_weights(&shape);
        if (need > most) most = need;
    }
    return most;
}

bool hd_fold_orders(hd_network *network, const hd_channel_orders *orders, hd_error *error) {
    if (orders->node_count != (size_t)network->node_count)
        return hd_fail(error, "orders for %zu layers, but %s has %d", orders->node_count, network->name,
                       network->node_count);
    float *scratch = malloc(scratch_floats(network) * sizeof *scratch);
    bool *read = calloc((size_t)network->node_count + 1, sizeof *read);
    bool done = scratch && read;
    if (!done) hd_fail(error, "out of memory for folding orders into %s", network->name);
    done = done && check(network, orders, (uint8_t *)scratch, read, error);
    for (int i = 0; done && i < network->node_count; i++) {
        const hd_node *node = &network->nodes[i];
        const uint32_t *output = orders->orders[i];
        size_t count = (size_t)node->out_channels;
        bool weighted = node->type == HD_NODE_CONVOLUTION || node->type == HD_NODE_CONNECTED;
        if (!weighted && node->type != HD_NODE_BATCHNORM) continue;
        if (weighted)
            permute_weights(node, order_of(orders, node->inputs[0]), output, spatial_weights(node), scratch);
        permute(node->biases, output, count, scratch);
        permute(node->scales, output, count, scratch);
        permute(node->rolling_mean, output, count, scratch);
        permute(node->rolling_variance, output, count, scratch);
    }
    free(scratch);
    free(read);
    return done;
}

bool hd_fold_signs(hd_node *node, const int8_t *signs, hd_error *error) {
    hd_layer_shape shape;
    if (!hd_layer_shape_of_node(node, &shape) || !node->batch_normalize)
        return hd_fail(error,
                       "layer %d (%s) has no batch normalisation to take signs back: they cannot be folded",
                       node->index, node->type_name);
    for (size_t f = 0; f < shape.filters; f++)
        if (signs[f] != 1 && signs[f] != -1)
            return hd_fail(error, "the sign of filter %zu is %d: it must be 1 or -1", f, signs[f]);
    size_t filter = hd_layer_filter_weights(&shape);
    for (size_t f = 0; f < shape.filters; f++) {
        if (signs[f] > 0) continue;
        for (size_t i = 0; i < filter; i++) node->weights[f * filter + i] = -node->weights[f * filter + i];
        node->scales[f] = -node->scales[f];
        node->rolling_mean[f] = -node->rolling_mean[f];
    }
    return true;
}
