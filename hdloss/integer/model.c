/* From a network in floats to the model in integers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integer/fold.h"
#include "integer/form.h"
#include "integer/requantise.h"

enum { BATCHNORM_WORD = 64 };
static const float batchnorm_word_scale = 1.0f / BATCHNORM_WORD;
static const float logits_steps = 65536; /* of 32-bit logits in one of 8 bits */

typedef struct builder {
    const hd_network *network;
    const hd_integer_weights *weights;
    const float *given_scales;
    int bits;
    hd_integer_model *model;
    bool *is_signed; /* [1 + node_count] */
    float *scales;   /* [1 + node_count] */
    double *steps;   /* [largest out_channels] */
    int logits_node;
    hd_error *error;
} builder;

void hd_integer_model_destroy(hd_integer_model *model) {
    if (!model) return;
    for (int i = 0; model->layers && i < model->layer_count; i++) {
        hd_integer_layer *layer = &model->layers[i];
        free(layer->inputs);
        free(layer->words);
        free(layer->bias);
        free(layer->multiplier);
        free(layer->shift);
        free(layer->table);
    }
    free(model->layers);
    free(model->logits_multiplier);
    free(model->logits_shift);
    free(model);
}

/* Where the logits come from: the last node, or what the softmax and identities at the end read. */
static int find_logits(const hd_network *network) {
    int at = network->node_count - 1;
    while (at >= 0 &&
           (network->nodes[at].type == HD_NODE_SOFTMAX || network->nodes[at].type == HD_NODE_IDENTITY))
        at = network->nodes[at].inputs[0];
    return at;
}

static bool allocate_channels(builder *b, hd_integer_layer *layer, size_t channels) {
    layer->bias = calloc(channels, sizeof *layer->bias);
    layer->multiplier = calloc(channels, sizeof *layer->multiplier);
    layer->shift = calloc(channels, sizeof *layer->shift);
    if (layer->bias && layer->multiplier && layer->shift) return true;
    return hd_fail(b->error, "layer %d (%s): out of memory for %zu channels", layer->index, layer->type_name,
                   channels);
}

static bool positive(builder *b, const hd_integer_layer *layer, float scale, const char *what) {
    if (scale > 0 && isfinite(scale)) return true;
    return hd_fail(b->error, "layer %d (%s): the scale of its %s is %g, not a positive number", layer->index,
                   layer->type_name, what, (double)scale);
}

/* Saturation and table of a computing node; *before receives the scale of what is requantised. */
static bool set_activation(builder *b, int at, hd_integer_layer *layer, float *before) {
    const hd_node *node = &b->network->nodes[at];
    hd_activation_form form = hd_form_of(node);
    layer->high = form == HD_FORM_UNSIGNED ? hd_unsigned_levels(b->bits) : hd_signed_levels(b->bits);
    layer->low = form == HD_FORM_UNSIGNED ? 0 : -layer->high;
    *before = layer->output.scale;
    if (form != HD_FORM_TABLE) return true;
    *before = b->given_scales[1 + b->network->node_count + at];
    if (!positive(b, layer, *before, "activation's input")) return false;
    layer->table = malloc(256);
    if (!layer->table)
        return hd_fail(b->error, "layer %d (%s): out of memory for a table", layer->index, layer->type_name);
    return hd_fold_table(node, true, *before, &layer->output, b->bits, layer->table, b->error);
}

static bool fold_weights(builder *b, int at, hd_integer_layer *layer) {
    const hd_node *node = &b->network->nodes[at];
    size_t channels = (size_t)node->out_channels, filter = 1;
    if (node->type == HD_NODE_CONVOLUTION)
        filter = (size_t)(node->in_channels / node->groups) * (size_t)node->size * (size_t)node->size;
    if (node->type == HD_NODE_CONNECTED)
        filter = (size_t)node->in_channels * (size_t)node->in_height * (size_t)node->in_width;
    layer->words = calloc(channels * filter, 1);
    float *word_scales = calloc(channels, sizeof *word_scales);
    bool good = layer->words && word_scales && allocate_channels(b, layer, channels);
    if (!good) {
        free(word_scales);
        return hd_fail(b->error, "layer %d (%s): out of memory for its words", layer->index,
                       layer->type_name);
    }
    if (node->type == HD_NODE_BATCHNORM) {
        memset(layer->words, BATCHNORM_WORD, channels);
        for (size_t k = 0; k < channels; k++) word_scales[k] = batchnorm_word_scale;
    } else {
        memcpy(layer->words, b->weights[at].words, channels * filter);
        memcpy(word_scales, b->weights[at].scales, channels * sizeof *word_scales);
    }
    hd_fold_scales scales = {b->scales[1 + node->inputs[0]], 0, 0};
    scales.input_levels =
        b->is_signed[1 + node->inputs[0]] ? hd_signed_levels(b->bits) : hd_unsigned_levels(b->bits);
    good = set_activation(b, at, layer, &scales.output) &&
           hd_fold_channels(node, &scales, word_scales, filter, layer, b->steps, b->error);
    free(word_scales);
    return good;
}

static bool fold_logits(builder *b, const hd_integer_layer *layer) {
    hd_integer_model *model = b->model;
    size_t channels = (size_t)layer->output.channels;
    model->logits_scale = layer->output.scale / logits_steps;
    model->logits_multiplier = calloc(channels, sizeof *model->logits_multiplier);
    model->logits_shift = calloc(channels, sizeof *model->logits_shift);
    if (!model->logits_multiplier || !model->logits_shift)
        return hd_fail(b->error, "layer %d (%s): out of memory for the logits", layer->index,
                       layer->type_name);
    return hd_fold_logits(layer, b->steps, model->logits_scale, model->logits_multiplier, model->logits_shift,
                          b->error);
}

static bool build_product(builder *b, int at, hd_integer_layer *layer) {
    const hd_node *node = &b->network->nodes[at];
    layer->operation = node->type == HD_NODE_CONNECTED ? HD_INTEGER_CONNECTED : HD_INTEGER_CONVOLUTION;
    if (node->type == HD_NODE_BATCHNORM) {
        layer->size = layer->stride = layer->dilation = 1;
        layer->padding = 0;
        layer->groups = node->in_channels;
    }
    if (node->type != HD_NODE_BATCHNORM && (!b->weights || !b->weights[at].words || !b->weights[at].scales))
        return hd_fail(b->error, "layer %d (%s): its words or their scales are missing", layer->index,
                       layer->type_name);
    if (!fold_weights(b, at, layer)) return false;
    if (at == b->logits_node && node->type != HD_NODE_BATCHNORM && node->activation == HD_ACTIVATION_LINEAR)
        return fold_logits(b, layer);
    return true;
}

/* Multipliers of a shortcut or route: each input's scale, times its factor, to the scale before the
 * activation. */
static bool build_rescaling(builder *b, int at, hd_integer_layer *layer) {
    const hd_node *node = &b->network->nodes[at];
    bool sum = node->type == HD_NODE_SHORTCUT;
    float before = layer->output.scale;
    layer->operation = sum ? HD_INTEGER_SHORTCUT : HD_INTEGER_ROUTE;
    if (sum && !set_activation(b, at, layer, &before)) return false;
    if (!sum) {
        layer->high = layer->output.is_signed ? hd_signed_levels(b->bits) : hd_unsigned_levels(b->bits);
        layer->low = layer->output.is_signed ? -layer->high : 0;
    }
    layer->multiplier = calloc((size_t)node->input_count, sizeof *layer->multiplier);
    layer->shift = calloc((size_t)node->input_count, sizeof *layer->shift);
    if (!layer->multiplier || !layer->shift)
        return hd_fail(b->error, "layer %d (%s): out of memory", layer->index, layer->type_name);
    for (int j = 0; j < node->input_count; j++) {
        double factor = !sum ? 1 : (double)(j == 0 ? node->alpha : node->beta);
        double ratio = factor * (double)b->scales[1 + node->inputs[j]] / (double)before;
        if (!hd_fixed_point(ratio, &layer->multiplier[j], &layer->shift[j]))
            return hd_fail(b->error, "layer %d (%s): its scale %g is too small for that of input %d, %g",
                           layer->index, layer->type_name, (double)before, j,
                           (double)b->scales[1 + node->inputs[j]]);
    }
    return true;
}

static bool build_table(builder *b, int at, hd_integer_layer *layer) {
    const hd_node *node = &b->network->nodes[at];
    layer->operation = HD_INTEGER_TABLE;
    layer->table = malloc(256);
    if (!layer->table)
        return hd_fail(b->error, "layer %d (%s): out of memory", layer->index, layer->type_name);
    int from = 1 + node->inputs[0];
    return hd_fold_table(node, b->is_signed[from], b->scales[from], &layer->output, b->bits, layer->table,
                         b->error);
}

static bool build_operation(builder *b, int at, hd_integer_layer *layer) {
    const hd_node *node = &b->network->nodes[at];
    switch (node->type) {
    case HD_NODE_CONVOLUTION:
    case HD_NODE_CONNECTED:
    case HD_NODE_BATCHNORM:
        return build_product(b, at, layer);
    case HD_NODE_SHORTCUT:
        return build_rescaling(b, at, layer);
    case HD_NODE_ROUTE:
        if (node->input_count > 1) return build_rescaling(b, at, layer);
        layer->operation = HD_INTEGER_PASS;
        return true;
    case HD_NODE_MAXPOOL:
        layer->operation = HD_INTEGER_MAXPOOL;
        return true;
    case HD_NODE_AVERAGE_POOL:
        layer->operation = HD_INTEGER_AVERAGE_POOL;
        if (at == b->logits_node)
            b->model->logits_scale =
                (float)((double)layer->output.scale / ((double)node->in_height * (double)node->in_width));
        return true;
    case HD_NODE_ACTIVATION:
        if (node->activation != HD_ACTIVATION_LINEAR) return build_table(b, at, layer);
        layer->operation = HD_INTEGER_PASS;
        return true;
    default:
        layer->operation = HD_INTEGER_PASS;
        return true;
    }
}

static bool build_layer(builder *b, int at) {
    const hd_node *node = &b->network->nodes[at];
    hd_integer_layer *layer = &b->model->layers[at];
    layer->index = node->index;
    snprintf(layer->type_name, sizeof layer->type_name, "%s", node->type_name ? node->type_name : "unnamed");
    layer->inputs = calloc((size_t)node->input_count, sizeof *layer->inputs);
    if (!layer->inputs)
        return hd_fail(b->error, "layer %d (%s): out of memory", layer->index, layer->type_name);
    memcpy(layer->inputs, node->inputs, (size_t)node->input_count * sizeof *layer->inputs);
    layer->input_count = node->input_count;
    layer->size = node->size;
    layer->stride = node->stride;
    layer->padding = node->padding;
    layer->dilation = node->dilation > 0 ? node->dilation : 1;
    layer->groups = node->groups > 0 ? node->groups : 1;

    b->is_signed[1 + at] = hd_form_is_signed(node, b->is_signed);
    float scale = b->given_scales[1 + at];
    if (hd_form_inherits(node, b->is_signed, b->scales))
        scale = b->scales[1 + node->inputs[0]];
    else if (node->activation == HD_ACTIVATION_RELU6 && node->type != HD_NODE_ROUTE)
        scale = 6.0f / (float)hd_unsigned_levels(b->bits);
    if (!positive(b, layer, scale, "output")) return false;
    b->scales[1 + at] = scale;
    layer->output = (hd_integer_tensor){node->out_height, node->out_width, node->out_channels,
                                        b->is_signed[1 + at], scale};
    if (at == b->logits_node) b->model->logits_scale = scale;
    return build_operation(b, at, layer);
}

static bool check_sizes(const hd_network *network, hd_error *error) {
    for (int i = 0; i < network->node_count; i++) {
        const hd_node *node = &network->nodes[i];
        if (node->in_height < 1 || node->in_width < 1 || node->in_channels < 1 || node->out_height < 1 ||
            node->out_width < 1 || node->out_channels < 1)
            return hd_fail(error, "layer %d (%s): has no size", node->index,
                           node->type_name ? node->type_name : "unnamed");
        if (node->type == HD_NODE_CONVOLUTION &&
            (node->size < 1 || node->groups < 1 || node->in_channels % node->groups))
            return hd_fail(error, "layer %d (%s): size %d or groups %d do not fit its %d channels",
                           node->index, node->type_name ? node->type_name : "unnamed", node->size,
                           node->groups, node->in_channels);
    }
    return true;
}

static bool build_layers(builder *b) {
    b->is_signed[0] = true;
    b->scales[0] = b->given_scales[0];
    if (!(b->scales[0] > 0) || !isfinite(b->scales[0]))
        return hd_fail(b->error, "the scale of the network's input is %g, not a positive number",
                       (double)b->scales[0]);
    b->model->input =
        (hd_integer_tensor){b->network->height, b->network->width, b->network->channels, true, b->scales[0]};
    b->model->logits_layer = b->logits_node = find_logits(b->network);
    if (b->logits_node < 0) return hd_fail(b->error, "the network has no layer that computes its output");
    for (int i = 0; i < b->network->node_count; i++)
        if (!build_layer(b, i)) return false;
    const hd_integer_tensor *logits = &b->model->layers[b->logits_node].output;
    long long classes = (long long)logits->height * logits->width * logits->channels;
    if (b->network->classes > 0 && classes != b->network->classes)
        return hd_fail(b->error, "layer %d (%s): gives %lld logits, but the network has %d classes",
                       b->model->layers[b->logits_node].index, b->model->layers[b->logits_node].type_name,
                       classes, b->network->classes);
    return true;
}

static size_t most_channels(const hd_network *network) {
    int most = 1;
    for (int i = 0; i < network->node_count; i++)
        if (network->nodes[i].out_channels > most) most = network->nodes[i].out_channels;
    return (size_t)most;
}

hd_integer_model *hd_integer_model_create(const hd_network *network, const hd_integer_weights *weights,
                                          const float *activation_scales, int activation_bits,
                                          hd_error *error) {
    if (activation_bits < 2 || activation_bits > 8) {
        hd_fail(error, "activation bits are %d, not 2..8", activation_bits);
        return NULL;
    }
    if (!hd_form_check_graph(network, error) || !check_sizes(network, error)) return NULL;
    size_t nodes = (size_t)network->node_count;
    hd_integer_model *model = calloc(1, sizeof *model);
    if (model) {
        model->activation_bits = activation_bits;
        model->layer_count = network->node_count;
        model->layers = calloc(nodes, sizeof *model->layers);
    }
    builder b = {network,
                 weights,
                 activation_scales,
                 activation_bits,
                 model,
                 calloc(nodes + 1, sizeof(bool)),
                 calloc(nodes + 1, sizeof(float)),
                 calloc(most_channels(network), sizeof(double)),
                 -1,
                 error};
    bool good = model && model->layers && b.is_signed && b.scales && b.steps;
    if (!good) hd_fail(error, "out of memory for %zu layers", nodes);
    good = good && build_layers(&b);
    free(b.is_signed);
    free(b.scales);
    free(b.steps);
    if (good) return model;
    hd_integer_model_destroy(model);
    return NULL;
}
