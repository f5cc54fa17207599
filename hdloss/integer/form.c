/* Forms of activations and calibration: from the largest magnitudes seen to the scales of all outputs. */
#include <math.h>
#include <stdlib.h>

#include "integer/form.h"
#include "integer/internal.h"
#include "integer/requantise.h"

size_t hd_integer_scale_count(const hd_network *network) {
    return 1 + 2 * (size_t)network->node_count;
}

hd_activation_form hd_form_of(const hd_node *node) {
    switch (node->activation) {
    case HD_ACTIVATION_LINEAR:
        return HD_FORM_SIGNED;
    case HD_ACTIVATION_RELU:
    case HD_ACTIVATION_RELU6:
        return HD_FORM_UNSIGNED;
    default:
        return HD_FORM_TABLE;
    }
}

static bool computes(const hd_node *node) {
    return node->type == HD_NODE_CONVOLUTION || node->type == HD_NODE_CONNECTED ||
           node->type == HD_NODE_SHORTCUT || node->type == HD_NODE_BATCHNORM;
}

bool hd_integer_needs_pre_activation(const hd_node *node) {
    return computes(node) && hd_form_of(node) == HD_FORM_TABLE;
}

bool hd_form_inherits(const hd_node *node, const bool *is_signed, const float *scales) {
    if (computes(node)) return false;
    if (node->type == HD_NODE_ACTIVATION) return node->activation == HD_ACTIVATION_LINEAR;
    if (node->type != HD_NODE_ROUTE) return true;
    int first = 1 + node->inputs[0];
    for (int j = 1; j < node->input_count; j++) {
        int other = 1 + node->inputs[j];
        if (is_signed[other] != is_signed[first] || scales[other] != scales[first]) return false;
    }
    return true;
}

bool hd_form_is_signed(const hd_node *node, const bool *is_signed) {
    if (computes(node) || (node->type == HD_NODE_ACTIVATION && node->activation != HD_ACTIVATION_LINEAR))
        return hd_form_of(node) != HD_FORM_UNSIGNED;
    bool any = false;
    for (int j = 0; j < node->input_count; j++) any = any || is_signed[1 + node->inputs[j]];
    return any;
}

static bool check_node(const hd_network *network, int at, hd_error *error) {
    const hd_node *node = &network->nodes[at];
    const char *name = node->type_name ? node->type_name : "unnamed";
    if (node->type == HD_NODE_UNSUPPORTED)
        return hd_fail(error, "layer %d (%s): the integer network does not support this layer type",
                       node->index, name);
    int wanted = node->type == HD_NODE_SHORTCUT ? 2 : 1;
    if (node->input_count < 1 || (node->type != HD_NODE_ROUTE && node->input_count != wanted))
        return hd_fail(error, "layer %d (%s): has %d inputs instead of %d", node->index, name,
                       node->input_count, wanted);
    long long channels = 0;
    for (int j = 0; j < node->input_count; j++) {
        int from = node->inputs[j];
        if (from < -1 || from >= at)
            return hd_fail(error, "layer %d (%s): reads node %d, which does not come before it", node->index,
                           name, from);
        const hd_node *source = from < 0 ? NULL : &network->nodes[from];
        int height = source ? source->out_height : network->height,
            width = source ? source->out_width : network->width;
        int depth = source ? source->out_channels : network->channels;
        channels += depth;
        bool shorter = node->type == HD_NODE_SHORTCUT && j == 1 &&
                       hd_integer_overlap_exists(node->in_height, node->in_width, height, width);
        bool differs = height != node->in_height || width != node->in_width || depth != node->in_channels;
        if (shorter && differs && node->alpha != 1.0f)
            return hd_fail(error,
                           "layer %d (%s): adds layers of different shapes with alpha %g; only alpha=1 is "
                           "supported there",
                           node->index, name, (double)node->alpha);
        if (!shorter && (height != node->in_height || width != node->in_width ||
                         (depth != node->in_channels && (j == 0 || node->type != HD_NODE_ROUTE))))
            return hd_fail(error,
                           "layer %d (%s): input %d is %d x %d x %d, not %d x %d x %d as this layer wants",
                           node->index, name, j, height, width, depth, node->in_height, node->in_width,
                           node->in_channels);
        if (source && source->type == HD_NODE_SOFTMAX && node->type != HD_NODE_IDENTITY)
            return hd_fail(error,
                           "layer %d (%s): reads a softmax; softmax is supported at the network's end only",
                           node->index, name);
    }
    if (node->type == HD_NODE_ROUTE && channels != node->out_channels)
        return hd_fail(error, "layer %d (%s): has %d output channels, but its inputs have %lld", node->index,
                       name, node->out_channels, channels);
    if (hd_form_of(node) == HD_FORM_TABLE && node->activation == HD_ACTIVATION_OTHER &&
        !node->activation_function && (computes(node) || node->type == HD_NODE_ACTIVATION))
        return hd_fail(error, "layer %d (%s): its activation function is missing", node->index, name);
    return true;
}

bool hd_form_check_graph(const hd_network *network, hd_error *error) {
    if (network->node_count < 1) return hd_fail(error, "the network has no layers");
    for (int i = 0; i < network->node_count; i++)
        if (!check_node(network, i, error)) return false;
    return true;
}

static bool scale_of(float magnitude, int levels, const char *what, int index, float *scale,
                     hd_error *error) {
    if (!isfinite(magnitude) || magnitude < 0)
        return hd_fail(error, "%s of layer %d: the largest magnitude %g is not a finite number >= 0", what,
                       index, (double)magnitude);
    *scale = magnitude / (float)levels;
    if (!(*scale > 0)) *scale = 1;
    return true;
}

static bool scale_node(const hd_network *network, int at, const float *largest, int bits, bool *is_signed,
                       float *scales, hd_error *error) {
    const hd_node *node = &network->nodes[at];
    int signed_levels = hd_signed_levels(bits), unsigned_levels = hd_unsigned_levels(bits);
    is_signed[1 + at] = hd_form_is_signed(node, is_signed);
    scales[1 + network->node_count + at] = 0;
    if (hd_integer_needs_pre_activation(node) &&
        !scale_of(largest[1 + network->node_count + at], signed_levels, "input of the activation",
                  node->index, &scales[1 + network->node_count + at], error))
        return false;
    if (hd_form_inherits(node, is_signed, scales)) {
        scales[1 + at] = scales[1 + node->inputs[0]];
        return true;
    }
    if ((computes(node) || node->type == HD_NODE_ACTIVATION) && node->activation == HD_ACTIVATION_RELU6) {
        scales[1 + at] = 6.0f / (float)unsigned_levels;
        return true;
    }
    return scale_of(largest[1 + at], is_signed[1 + at] ? signed_levels : unsigned_levels, "output",
                    node->index, &scales[1 + at], error);
}

bool hd_integer_activation_scales(const hd_network *network, const float *largest_magnitudes,
                                  int activation_bits, float *activation_scales, hd_error *error) {
    if (activation_bits < 2 || activation_bits > 8)
        return hd_fail(error, "activation bits are %d, not 2..8", activation_bits);
    if (!hd_form_check_graph(network, error)) return false;
    bool *is_signed = calloc((size_t)network->node_count + 1, sizeof *is_signed);
    if (!is_signed) return hd_fail(error, "out of memory for the scales of %d layers", network->node_count);
    is_signed[0] = true;
    bool good = scale_of(largest_magnitudes[0], hd_signed_levels(activation_bits), "input", -1,
                         &activation_scales[0], error);
    for (int i = 0; good && i < network->node_count; i++)
        good =
            scale_node(network, i, largest_magnitudes, activation_bits, is_signed, activation_scales, error);
    free(is_signed);
    return good;
}
