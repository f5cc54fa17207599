/* Random networks, layer by layer. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "made_network.h"

static uint64_t next(made_network *made) {
    uint64_t x = made->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t made_below(made_network *made, uint64_t n) {
    return next(made) % n;
}

float made_uniform(made_network *made, float low, float high) {
    return low + (high - low) * ((float)(next(made) >> 40) * 0x1p-24f);
}

made_network *made_new(uint64_t seed, int height, int width, int channels, int activation_bits) {
    made_network *made = calloc(1, sizeof *made);
    assert(made);
    made->network = (hd_network){"made", height, width, channels, made->nodes, 0, 0};
    made->activation_bits = activation_bits;
    made->state = seed * 77 + 1;
    made->input_scale = 1.0f / (float)((1 << (activation_bits - 1)) - 1);
    return made;
}

void made_free(made_network *made) {
    for (int i = 0; i < made->network.node_count; i++) {
        hd_node *node = &made->nodes[i];
        free((void *)(uintptr_t)node->inputs);
        free(node->weights);
        free(node->biases);
        free(node->scales);
        free(node->rolling_mean);
        free(node->rolling_variance);
        free((void *)(uintptr_t)made->weights[i].words);
        free((void *)(uintptr_t)made->weights[i].scales);
    }
    free(made);
}

size_t made_elements(const made_network *made, int at) {
    const hd_network *n = &made->network;
    if (at < 0) return (size_t)n->height * (size_t)n->width * (size_t)n->channels;
    const hd_node *node = &made->nodes[at];
    return (size_t)node->out_height * (size_t)node->out_width * (size_t)node->out_channels;
}

float *made_scales(const made_network *made) {
    size_t count = (size_t)made->network.node_count;
    float *scales = malloc((1 + 2 * count) * sizeof *scales);
    assert(scales);
    scales[0] = made->input_scale;
    memcpy(scales + 1, made->output_scales, count * sizeof *scales);
    memcpy(scales + 1 + count, made->pre_activation_scales, count * sizeof *scales);
    return scales;
}

hd_integer_model *made_model(const made_network *made, hd_error *error) {
    float *scales = made_scales(made);
    hd_integer_model *model =
        hd_integer_model_create(&made->network, made->weights, scales, made->activation_bits, error);
    free(scales);
    return model;
}

static hd_node *append(made_network *made, hd_node_type type, const char *type_name, const int *from,
                       int count) {
    int at = made->network.node_count++;
    assert(at < MADE_MOST_NODES);
    hd_node *node = &made->nodes[at];
    int *inputs = malloc((size_t)count * sizeof *inputs);
    assert(inputs);
    memcpy(inputs, from, (size_t)count * sizeof *inputs);
    *node =
        (hd_node){.index = at, .type_name = type_name, .type = type, .inputs = inputs, .input_count = count};
    const hd_node *source = from[0] < 0 ? NULL : &made->nodes[from[0]];
    node->in_height = node->out_height = source ? source->out_height : made->network.height;
    node->in_width = node->out_width = source ? source->out_width : made->network.width;
    node->in_channels = node->out_channels = source ? source->out_channels : made->network.channels;
    node->size = node->stride = node->dilation = node->groups = 1;
    node->weight_bits = 8;
    made->output_scales[at] = made_uniform(made, 0.01f, 0.03f);
    return node;
}

static int number(const made_network *made, const hd_node *node) {
    return (int)(node - made->nodes);
}

static void set_activation(hd_node *node, made_activation activation) {
    node->activation = activation.kind;
    node->activation_function = activation.function;
}

static float *random_floats(made_network *made, int count, float low, float high) {
    float *values = malloc((size_t)count * sizeof *values);
    assert(values);
    for (int i = 0; i < count; i++) values[i] = made_uniform(made, low, high);
    return values;
}

static void add_batchnorm_parameters(made_network *made, hd_node *node, float spread) {
    int channels = node->out_channels;
    node->batch_normalize = true;
    node->scales = random_floats(made, channels, -0.3f, 1.5f);
    node->rolling_mean = random_floats(made, channels, -spread, spread);
    node->rolling_variance = random_floats(made, channels, 0.3f * spread * spread, 2 * spread * spread);
    node->epsilon_inside = made_below(made, 2) ? 1e-5f : 0;
    node->epsilon_outside = node->epsilon_inside > 0 ? 0 : 1e-6f;
}

/* Words (a few filters all at their extreme) and scales, so that sums mostly fit the output's range. */
static void add_words(made_network *made, hd_node *node, size_t filter) {
    int channels = node->out_channels, at = number(made, node);
    int8_t *words = malloc((size_t)channels * filter);
    float *scales = malloc((size_t)channels * sizeof *scales);
    assert(words && scales);
    float spread = 1.5f / sqrtf((float)filter);
    for (int k = 0; k < channels; k++) {
        int extreme = made_below(made, 40) == 0 ? (made_below(made, 2) ? 127 : -127) : 0;
        for (size_t i = 0; i < filter; i++)
            words[(size_t)k * filter + i] = (int8_t)(extreme ? extreme : (int)made_below(made, 255) - 127);
        scales[k] = made_uniform(made, 0.3f, 1) * spread / 127;
    }
    made->weights[at] = (hd_integer_weights){words, scales};
    node->biases = random_floats(made, channels, -0.4f, 0.4f);
    int levels = (1 << (made->activation_bits - 1)) - 1;
    made->output_scales[at] = made_uniform(made, 1, 5) / (float)levels;
    made->pre_activation_scales[at] = made_uniform(made, 1, 5) / (float)levels;
}

int made_add_convolution(made_network *made, made_convolution c) {
    hd_node *node = append(made, HD_NODE_CONVOLUTION, "convolutional", &c.from, 1);
    int dilation = c.dilation ? c.dilation : 1, groups = c.groups ? c.groups : 1,
        span = dilation * (c.size - 1) + 1;
    node->out_height = (node->in_height + 2 * c.padding - span) / c.stride + 1;
    node->out_width = (node->in_width + 2 * c.padding - span) / c.stride + 1;
    node->out_channels = c.filters;
    node->size = c.size;
    node->stride = c.stride;
    node->padding = c.padding;
    node->dilation = dilation;
    node->groups = groups;
    set_activation(node, c.activation);
    add_words(made, node, (size_t)(node->in_channels / groups) * (size_t)c.size * (size_t)c.size);
    if (c.batch_normalize) add_batchnorm_parameters(made, node, 1);
    return number(made, node);
}

int made_add_connected(made_network *made, int from, int outputs, bool batch_normalize,
                       made_activation activation) {
    hd_node *node = append(made, HD_NODE_CONNECTED, "connected", &from, 1);
    node->out_height = node->out_width = 1;
    node->out_channels = outputs;
    set_activation(node, activation);
    add_words(made, node, (size_t)node->in_channels * (size_t)node->in_height * (size_t)node->in_width);
    if (batch_normalize) add_batchnorm_parameters(made, node, 1);
    return number(made, node);
}

int made_add_maxpool(made_network *made, int from, int size, int stride, int padding) {
    hd_node *node = append(made, HD_NODE_MAXPOOL, "maxpool", &from, 1);
    node->size = size;
    node->stride = stride;
    node->padding = padding;
    node->out_height = (node->in_height + padding - size) / stride + 1;
    node->out_width = (node->in_width + padding - size) / stride + 1;
    return number(made, node);
}

int made_add_average_pool(made_network *made, int from) {
    hd_node *node = append(made, HD_NODE_AVERAGE_POOL, "avgpool", &from, 1);
    node->out_height = node->out_width = 1;
    return number(made, node);
}

int made_add_shortcut(made_network *made, int a, int b, float alpha, float beta, made_activation activation) {
    hd_node *node = append(made, HD_NODE_SHORTCUT, "shortcut", (int[]){a, b}, 2);
    node->alpha = alpha;
    node->beta = beta;
    set_activation(node, activation);
    made->pre_activation_scales[number(made, node)] = made_uniform(made, 0.01f, 0.03f);
    return number(made, node);
}

int made_add_route(made_network *made, const int *from, int count) {
    hd_node *node = append(made, HD_NODE_ROUTE, "route", from, count);
    node->out_channels = 0;
    for (int j = 0; j < count; j++)
        node->out_channels += from[j] < 0 ? made->network.channels : made->nodes[from[j]].out_channels;
    return number(made, node);
}

int made_add_batchnorm(made_network *made, int from, made_activation activation) {
    hd_node *node = append(made, HD_NODE_BATCHNORM, "batchnorm", &from, 1);
    set_activation(node, activation);
    node->biases = random_floats(made, node->out_channels, -0.4f, 0.4f);
    add_batchnorm_parameters(made, node, 1);
    made->pre_activation_scales[number(made, node)] = made_uniform(made, 0.01f, 0.03f);
    return number(made, node);
}

int made_add_activation(made_network *made, int from, made_activation activation) {
    hd_node *node = append(made, HD_NODE_ACTIVATION, "activation", &from, 1);
    set_activation(node, activation);
    return number(made, node);
}

int made_add_identity(made_network *made, int from) {
    return number(made, append(made, HD_NODE_IDENTITY, "dropout", &from, 1));
}

int made_add_softmax(made_network *made, int from) {
    return number(made, append(made, HD_NODE_SOFTMAX, "softmax", &from, 1));
}

static int add_bottleneck(made_network *made, int from, int expansion, int filters, int stride) {
    made_activation linear = {HD_ACTIVATION_LINEAR, NULL}, relu6 = {HD_ACTIVATION_RELU6, NULL};
    int inputs = made->nodes[from].out_channels, hidden = inputs * expansion, at = from;
    if (expansion > 1)
        at = made_add_convolution(made, (made_convolution){at, hidden, 1, 1, 0, 1, 1, true, relu6});
    at = made_add_convolution(made, (made_convolution){at, hidden, 3, stride, 1, 1, hidden, true, relu6});
    at = made_add_convolution(made, (made_convolution){at, filters, 1, 1, 0, 1, 1, true, linear});
    return stride == 1 && inputs == filters ? made_add_shortcut(made, at, from, 1, 1, linear) : at;
}

made_network *made_mobilenet_v2(uint64_t seed, int height, int width, int classes) {
    static const int stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 1},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                    {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    made_activation linear = {HD_ACTIVATION_LINEAR, NULL}, relu6 = {HD_ACTIVATION_RELU6, NULL};
    made_network *made = made_new(seed, height, width, 3, 8);
    int at = made_add_convolution(made, (made_convolution){-1, 32, 3, 1, 1, 1, 1, true, relu6});
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
        for (int i = 0; i < stages[s][2]; i++)
            at = add_bottleneck(made, at, stages[s][0], stages[s][1], i == 0 ? stages[s][3] : 1);
    at = made_add_convolution(made, (made_convolution){at, 1280, 1, 1, 0, 1, 1, true, relu6});
    at = made_add_average_pool(made, at);
    at = made_add_connected(made, at, classes, false, linear);
    made_add_softmax(made, at);
    return made;
}
