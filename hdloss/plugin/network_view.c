/* A darknet network as libhdloss's plain description: borrowed arrays, one node a layer. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const struct {
    const char *name;
    hd_node_type type;
} types[] = {{"convolutional", HD_NODE_CONVOLUTION}, {"connected", HD_NODE_CONNECTED},
             {"maxpool", HD_NODE_MAXPOOL},           {"avgpool", HD_NODE_AVERAGE_POOL},
             {"shortcut", HD_NODE_SHORTCUT},         {"route", HD_NODE_ROUTE},
             {"batchnorm", HD_NODE_BATCHNORM},       {"activation", HD_NODE_ACTIVATION},
             {"dropout", HD_NODE_IDENTITY},          {"cost", HD_NODE_IDENTITY},
             {"hdloss", HD_NODE_IDENTITY},           {"softmax", HD_NODE_SOFTMAX}};

static hd_node_type type_of(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) return types[i].type;
    return HD_NODE_UNSUPPORTED;
}

static hd_activation activation_of(const char *name) {
    if (strcmp(name, "linear") == 0) return HD_ACTIVATION_LINEAR;
    if (strcmp(name, "relu") == 0) return HD_ACTIVATION_RELU;
    if (strcmp(name, "relu6") == 0) return HD_ACTIVATION_RELU6;
    if (strcmp(name, "leaky") == 0) return HD_ACTIVATION_LEAKY;
    return HD_ACTIVATION_OTHER;
}

bool layer_weight_bits(const layer *l, const hd_accelerator *accelerator, int *bits, error *e) {
    const char *text = layer_option(l, "weight_bits");
    *bits = accelerator->weight_bits;
    if (!text) return true;
    char *end;
    long value = strtol(text, &end, 10);
    darknet_layer_info info;
    layer_get_info(l, &info);
    if (end == text || *end || value < HD_MINIMUM_BITS || value > HD_MAXIMUM_BITS)
        return error_set(e, "layer %d (%s, line %d): weight_bits: \"%s\" is not a whole number from %d to %d",
                         info.index, info.type, info.line, text, HD_MINIMUM_BITS, HD_MAXIMUM_BITS);
    *bits = (int)value;
    return true;
}

static float *values_of(const layer *l, const char *name) {
    darknet_parameter p;
    return layer_get_parameter(l, name, &p) ? p.values : NULL;
}

static bool fill_node(hd_node *n, const layer *l, const hd_accelerator *accelerator, error *e) {
    darknet_layer_info info;
    layer_get_info(l, &info);
    *n = (hd_node){.index = info.index,
                   .type_name = info.type,
                   .type = type_of(info.type),
                   .inputs = info.inputs,
                   .input_count = info.input_count,
                   .in_height = info.in_height,
                   .in_width = info.in_width,
                   .in_channels = info.in_channels,
                   .out_height = info.out_height,
                   .out_width = info.out_width,
                   .out_channels = info.out_channels,
                   .size = info.size,
                   .stride = info.stride,
                   .padding = info.padding,
                   .dilation = info.dilation,
                   .groups = info.groups,
                   .alpha = info.alpha,
                   .beta = info.beta,
                   .activation = activation_of(info.activation),
                   .activation_function = info.activation_function,
                   .batch_normalize = info.batch_normalize,
                   .weights = values_of(l, "weights"),
                   .biases = values_of(l, "biases"),
                   .scales = values_of(l, "scales"),
                   .rolling_mean = values_of(l, "rolling_mean"),
                   .rolling_variance = values_of(l, "rolling_variance"),
                   .epsilon_inside = info.epsilon_inside,
                   .epsilon_outside = info.epsilon_outside};
    return layer_weight_bits(l, accelerator, &n->weight_bits, e);
}

bool network_view_create(network_view *v, network *net, const hd_accelerator *accelerator, error *e) {
    int count = network_layer_count(net);
    *v = (network_view){.nodes = calloc((size_t)count, sizeof *v->nodes)};
    if (!v->nodes) return error_set(e, "out of memory");
    for (int i = 0; i < count; i++)
        if (!fill_node(&v->nodes[i], network_layer(net, i), accelerator, e)) {
            network_view_free(v);
            return false;
        }
    tensor_shape input = network_input_shape(net);
    v->description = (hd_network){.name = network_name(net),
                                  .height = input.height,
                                  .width = input.width,
                                  .channels = input.channels,
                                  .nodes = v->nodes,
                                  .node_count = count,
                                  .classes = network_outputs(net)};
    return true;
}

void network_view_free(network_view *v) {
    free(v->nodes);
    *v = (network_view){0};
}
