/* Direct reordering folded into a network: the same function by a naive forward pass, the same words in every
 * filter, fewer flips, ties obeyed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reordering.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static float uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(random_state >> 40) * 0x1p-24f;
}
static float *randoms(size_t count, float low, float high) {
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = low + (high - low) * uniform();
    return values;
}

/* ------------------------------------------------------------------ a network made by hand */

enum { NODES = 40 };
typedef struct built {
    hd_network network;
    hd_node nodes[NODES];
    int inputs[NODES][3];
} built;

static void begin(built *b, int side, int channels) {
    memset(b, 0, sizeof *b);
    b->network = (hd_network){"test", side, side, channels, b->nodes, 0, 0};
}

static hd_node *add(built *b, hd_node_type type, const char *name, int first, int second) {
    int at = b->network.node_count++;
    hd_node *n = &b->nodes[at];
    int *inputs = b->inputs[at];
    inputs[0] = first;
    inputs[1] = second;
    *n = (hd_node){
        .index = at, .type = type, .type_name = name, .inputs = inputs, .groups = 1, .stride = 1, .size = 1};
    n->input_count = second == -2 ? 1 : 2;
    n->dilation = 1;
    n->alpha = n->beta = 1;
    n->epsilon_inside = 1e-5f;
    n->weight_bits = 8;
    const hd_node *from = first < 0 ? NULL : &b->nodes[first];
    n->in_height = from ? from->out_height : b->network.height;
    n->in_width = from ? from->out_width : b->network.width;
    n->in_channels = from ? from->out_channels : b->network.channels;
    n->out_height = n->in_height;
    n->out_width = n->in_width;
    n->out_channels = n->in_channels;
    if (type == HD_NODE_ROUTE && second != -2) n->out_channels += b->nodes[second].out_channels;
    if (type == HD_NODE_AVERAGE_POOL) n->out_height = n->out_width = 1;
    return n;
}

static void add_norm(hd_node *n) {
    size_t count = (size_t)n->out_channels;
    n->scales = randoms(count, 0.5f, 1.5f);
    n->biases = randoms(count, -0.5f, 0.5f);
    n->rolling_mean = randoms(count, -0.3f, 0.3f);
    n->rolling_variance = randoms(count, 0.3f, 2);
}

static int convolution(built *b, int from, int filters, int size, int stride, int groups, bool norm) {
    hd_node *n = add(b, HD_NODE_CONVOLUTION, "convolutional", from, -2);
    n->size = size;
    n->stride = stride;
    n->padding = size / 2;
    n->groups = groups;
    n->out_channels = filters;
    n->out_height = (n->in_height + 2 * n->padding - size) / stride + 1;
    n->out_width = (n->in_width + 2 * n->padding - size) / stride + 1;
    size_t filter = (size_t)(n->in_channels / groups * size * size);
    n->weights = randoms((size_t)filters * filter, -1, 1);
    for (size_t i = 0; i < (size_t)filters * filter; i++)
        n->weights[i] *= n->weights[i] * n->weights[i] / sqrtf((float)filter) * 2.5f;
    n->batch_normalize = norm;
    n->activation = norm ? HD_ACTIVATION_RELU6 : HD_ACTIVATION_LINEAR;
    add_norm(n);
    if (!norm) {
        free(n->scales);
        free(n->rolling_mean);
        free(n->rolling_variance);
        n->scales = n->rolling_mean = n->rolling_variance = NULL;
    }
    return n->index;
}

static int connected(built *b, int from, int outputs) {
    hd_node *n = add(b, HD_NODE_CONNECTED, "connected", from, -2);
    size_t inputs = (size_t)(n->in_channels * n->in_height * n->in_width);
    n->out_channels = outputs;
    n->out_height = n->out_width = 1;
    n->weights = randoms((size_t)outputs * inputs, -0.3f, 0.3f);
    n->biases = randoms((size_t)outputs, -0.3f, 0.3f);
    n->activation = HD_ACTIVATION_LEAKY;
    return n->index;
}

static int plain(built *b, hd_node_type type, const char *name, int first, int second) {
    hd_node *n = add(b, type, name, first, second);
    if (type == HD_NODE_BATCHNORM) add_norm(n);
    if (type == HD_NODE_ACTIVATION) n->activation = HD_ACTIVATION_RELU;
    return n->index;
}

static int maxpool(built *b, int from) {
    hd_node *n = add(b, HD_NODE_MAXPOOL, "maxpool", from, -2);
    n->size = n->stride = 2;
    n->out_height = n->in_height / 2;
    n->out_width = n->in_width / 2;
    return n->index;
}

static int inverted_residual(built *b, int from, int expansion, int filters, int stride, bool shortcut) {
    int hidden = b->nodes[from].out_channels * expansion;
    int at = convolution(b, from, hidden, 1, 1, 1, true);
    at = convolution(b, at, hidden, 3, stride, hidden, true);
    at = convolution(b, at, filters, 1, 1, 1, true);
    b->nodes[at].activation = HD_ACTIVATION_LINEAR;
    return shortcut ? plain(b, HD_NODE_SHORTCUT, "shortcut", at, from) : at;
}

static void finish(built *b) {
    for (int i = 0; i < b->network.node_count; i++) {
        hd_node *n = &b->nodes[i];
        free(n->weights);
        free(n->biases);
        free(n->scales);
        free(n->rolling_mean);
        free(n->rolling_variance);
    }
}

/* -------------------------------------------------------------------------- naive forward pass */

static float activate(const hd_node *n, float x) {
    switch (n->activation) {
    case HD_ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case HD_ACTIVATION_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case HD_ACTIVATION_LEAKY:
        return x > 0 ? x : 0.1f * x;
    case HD_ACTIVATION_LINEAR:
    case HD_ACTIVATION_OTHER:
        break;
    }
    return x;
}

static float normalise(const hd_node *n, int c, float x) {
    if (!n->scales) return x + n->biases[c];
    return n->scales[c] * (x - n->rolling_mean[c]) / sqrtf(n->rolling_variance[c] + n->epsilon_inside) +
           n->biases[c];
}

static float convolve_at(const hd_node *n, const float *in, int f, int y, int x) {
    int channels = n->in_channels / n->groups, group = f / (n->out_channels / n->groups);
    double sum = 0;
    for (int c = 0; c < channels; c++)
        for (int r = 0; r < n->size; r++)
            for (int s = 0; s < n->size; s++) {
                int iy = y * n->stride + r - n->padding, ix = x * n->stride + s - n->padding;
                if (iy < 0 || ix < 0 || iy >= n->in_height || ix >= n->in_width) continue;
                sum += (double)n->weights[((f * channels + c) * n->size + r) * n->size + s] *
                       (double)in[((group * channels + c) * n->in_height + iy) * n->in_width + ix];
            }
    return (float)sum;
}

static void forward_node(const hd_node *n, const float *in, const float *other, size_t in_count, float *out) {
    int h = n->out_height, w = n->out_width;
    for (int c = 0; c < n->out_channels; c++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                int at = (c * h + y) * w + x;
                float v = 0;
                switch (n->type) {
                case HD_NODE_CONVOLUTION:
                    v = activate(n, normalise(n, c, convolve_at(n, in, c, y, x)));
                    break;
                case HD_NODE_CONNECTED:
                    for (size_t i = 0; i < in_count; i++) v += n->weights[(size_t)c * in_count + i] * in[i];
                    v = activate(n, v + n->biases[c]);
                    break;
                case HD_NODE_SHORTCUT:
                    v = activate(n, in[at] + other[at]);
                    break;
                case HD_NODE_ROUTE:
                    v = (size_t)at < in_count ? in[at] : other[(size_t)at - in_count];
                    break;
                case HD_NODE_BATCHNORM:
                    v = normalise(n, c, in[at]);
                    break;
                case HD_NODE_ACTIVATION:
                    v = activate(n, in[at]);
                    break;
                case HD_NODE_MAXPOOL:
                    v = -INFINITY;
                    for (int i = 0; i < 4; i++)
                        v = fmaxf(v, in[(c * n->in_height + 2 * y + i / 2) * n->in_width + 2 * x + i % 2]);
                    break;
                case HD_NODE_AVERAGE_POOL:
                    for (int i = 0; i < n->in_height * n->in_width; i++)
                        v += in[c * n->in_height * n->in_width + i];
                    v /= (float)(n->in_height * n->in_width);
                    break;
                case HD_NODE_IDENTITY:
                case HD_NODE_SOFTMAX:
                case HD_NODE_UNSUPPORTED:
                    v = in[at];
                    break;
                }
                out[at] = v;
            }
}

/* The last node's outputs, malloc'ed. */
static float *forward(const built *b, const float *image) {
    float *values[NODES] = {0};
    for (int i = 0; i < b->network.node_count; i++) {
        const hd_node *n = &b->nodes[i];
        const float *in = n->inputs[0] < 0 ? image : values[n->inputs[0]];
        const float *other = n->input_count > 1 ? values[n->inputs[1]] : NULL;
        values[i] = malloc((size_t)(n->out_channels * n->out_height * n->out_width) * sizeof(float));
        forward_node(n, in, other, (size_t)(n->in_channels * n->in_height * n->in_width), values[i]);
    }
    for (int i = 0; i + 1 < b->network.node_count; i++) free(values[i]);
    return values[b->network.node_count - 1];
}

/* ------------------------------------------------------------------------------- the networks */

static void build_mobile(built *b) {
    begin(b, 8, 3);
    int at = convolution(b, -1, 16, 3, 1, 1, true);
    at = inverted_residual(b, at, 3, 24, 2, false);
    at = inverted_residual(b, at, 3, 24, 1, true);
    int before = at;
    at = inverted_residual(b, at, 2, 24, 1, true);
    at = plain(b, HD_NODE_ROUTE, "route", at, before);
    at = convolution(b, at, 40, 1, 1, 1, true);
    at = plain(b, HD_NODE_BATCHNORM, "batchnorm", at, -2);
    at = plain(b, HD_NODE_ACTIVATION, "activation", at, -2);
    at = convolution(b, at, 40, 3, 1, 4, true);
    at = plain(b, HD_NODE_AVERAGE_POOL, "avgpool", at, -2);
    at = convolution(b, at, 10, 1, 1, 1, false);
    plain(b, HD_NODE_SOFTMAX, "softmax", at, -2);
}

/* Blocks of different lengths meet: a shortcut adds two routes that are parted at different places. */
static void build_knotted(built *b) {
    begin(b, 6, 2);
    int stem = convolution(b, -1, 12, 3, 1, 1, true);
    int a = convolution(b, stem, 20, 1, 1, 1, true), c = convolution(b, stem, 10, 3, 1, 1, true);
    int left = plain(b, HD_NODE_ROUTE, "route", a, c), right = plain(b, HD_NODE_ROUTE, "route", c, a);
    int sum = plain(b, HD_NODE_SHORTCUT, "shortcut", left, right);
    int twin = convolution(b, sum, 30, 1, 1, 1, true);
    sum = plain(b, HD_NODE_SHORTCUT, "shortcut", twin, sum);
    sum = maxpool(b, sum);
    int hidden = connected(b, sum, 30);
    hidden = plain(b, HD_NODE_IDENTITY, "dropout", hidden, -2);
    connected(b, hidden, 7);
}

static uint64_t flips_per_image(const built *b, const hd_accelerator *accelerator) {
    hd_flips total = {0};
    for (int i = 0; i < b->network.node_count; i++) {
        hd_layer_shape shape;
        hd_plan plan;
        hd_flips flips;
        if (!hd_layer_shape_of_node(&b->nodes[i], &shape)) continue;
        assert_true(hd_plan_init(&plan, accelerator, &shape, NULL));
        int8_t *words = malloc(plan.weights);
        float *scales = malloc(shape.filters * sizeof *scales);
        assert_true(
            hd_quantise(b->nodes[i].weights, shape.filters, plan.filter_weights, 8, words, scales, NULL));
        assert_true(hd_count_flips(&plan, words, 1, &flips, NULL));
        hd_flips_add(&total, &flips);
        free(words);
        free(scales);
        hd_plan_free(&plan);
    }
    return total.flips_per_image;
}

static int compare_words(const void *a, const void *b) {
    return *(const int8_t *)a - *(const int8_t *)b;
}

/* Each filter's words, sorted: [filters][filter_weights]. */
static int8_t *sorted_words(const hd_node *n, hd_layer_shape *shape) {
    assert_true(hd_layer_shape_of_node(n, shape));
    size_t filter = hd_layer_filter_weights(shape);
    int8_t *words = malloc(shape->filters * filter);
    float *scales = malloc(shape->filters * sizeof *scales);
    assert_true(hd_quantise(n->weights, shape->filters, filter, 8, words, scales, NULL));
    for (size_t f = 0; f < shape->filters; f++) qsort(words + f * filter, filter, 1, compare_words);
    free(scales);
    return words;
}

static void assert_same_outputs(const float *a, const float *b, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(a[i]));
    assert_true(largest > 0.1f);
    for (size_t i = 0; i < count; i++) assert_true(fabsf(a[i] - b[i]) <= 1e-4f * largest);
}

static void check_network(void (*build)(built *), hd_dataflow dataflow, size_t *moved) {
    random_state = 21;
    static built b;
    build(&b);
    float *image = randoms((size_t)(b.network.height * b.network.width * b.network.channels), 0, 1);
    float *before = forward(&b, image);
    hd_accelerator accelerator = hd_accelerator_default();
    accelerator.dataflow = dataflow;
    accelerator.cols = 4;
    uint64_t flips_before = flips_per_image(&b, &accelerator);
    int8_t *words[NODES] = {0};
    hd_layer_shape shapes[NODES];
    for (int i = 0; i < b.network.node_count; i++)
        if (b.nodes[i].weights) words[i] = sorted_words(&b.nodes[i], &shapes[i]);

    hd_channel_orders orders, again;
    hd_reorder_options options = hd_reorder_defaults();
    assert_true(hd_reorder_direct(&b.network, &accelerator, NULL, &orders, NULL));
    options.threads = 3;
    assert_true(hd_reorder_direct(&b.network, &accelerator, &options, &again, NULL));
    assert_true(hd_fold_orders(&b.network, &orders, NULL));
    float *after = forward(&b, image);
    const hd_node *last = &b.nodes[b.network.node_count - 1];
    assert_same_outputs(before, after, (size_t)last->out_channels);
    assert_true(flips_per_image(&b, &accelerator) < flips_before);
    *moved = 0;
    for (int i = 0; i < b.network.node_count; i++) {
        const uint32_t *order = orders.orders[i];
        size_t channels = (size_t)b.nodes[i].out_channels;
        if (order) {
            ++*moved;
            uint8_t *scratch = malloc(channels);
            assert_true(hd_is_permutation(order, channels, scratch));
            assert_memory_equal(order, again.orders[i], channels * sizeof *order);
            free(scratch);
        }
        if (!words[i]) continue;
        hd_layer_shape shape;
        int8_t *now = sorted_words(&b.nodes[i], &shape);
        size_t filter = hd_layer_filter_weights(&shape);
        for (size_t f = 0; f < shape.filters; f++)
            assert_memory_equal(now + f * filter, words[i] + (order ? order[f] : f) * filter, filter);
        free(now);
        free(words[i]);
    }
    hd_channel_orders_free(&orders);
    hd_channel_orders_free(&again);
    free(before);
    free(after);
    free(image);
    finish(&b);
}

static void folding_keeps_the_function(void **state) {
    (void)state;
    size_t moved;
    static const hd_dataflow dataflows[] = {HD_INPUT_STATIONARY, HD_OUTPUT_STATIONARY};
    for (size_t i = 0; i < 2; i++) {
        check_network(build_mobile, dataflows[i], &moved);
        assert_int_equal(moved, 18); /* all but the classes and the softmax */
        check_network(build_knotted, dataflows[i], &moved);
        assert_int_equal(moved, 11);
    }
}

static void weight_stationary_networks_fold_too(void **state) {
    (void)state;
    size_t moved;
    check_network(build_mobile, HD_WEIGHT_STATIONARY, &moved);
    assert_true(moved > 0);
}

static void orders_that_do_not_fit_are_refused(void **state) {
    (void)state;
    random_state = 5;
    static built b;
    build_mobile(&b);
    size_t count = (size_t)b.network.node_count;
    uint32_t *rows[NODES] = {0}, order[16];
    hd_channel_orders orders = {.node_count = count, .orders = rows};
    hd_error error;
    float first = b.nodes[0].weights[0];
    for (uint32_t i = 0; i < 16; i++) order[i] = 15 - i;
    rows[0] = order; /* the expansion behind it could follow, but node 0 alone is fine: a 1x1 convolution
                        reads it */
    assert_true(hd_fold_orders(&b.network, &orders, &error));
    assert_true(b.nodes[0].weights[15 * 27] == first);
    order[0] = 14;
    assert_false(hd_fold_orders(&b.network, &orders, &error));
    assert_non_null(strstr(error.message, "layer 0"));
    rows[0] = NULL;
    uint32_t wide[48];
    for (uint32_t i = 0; i < 48; i++) wide[i] = (i + 1) % 48;
    rows[1] = wide; /* without the depthwise layer behind it */
    assert_false(hd_fold_orders(&b.network, &orders, &error));
    assert_non_null(strstr(error.message, "layer 2"));
    rows[1] = NULL;
    uint32_t classes[10];
    for (uint32_t i = 0; i < 10; i++) classes[i] = (i + 1) % 10;
    rows[count - 2] = rows[count - 1] = classes;
    assert_false(hd_fold_orders(&b.network, &orders, &error));
    orders.node_count = 3;
    assert_false(hd_fold_orders(&b.network, &orders, &error));
    finish(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_keeps_the_function),
        cmocka_unit_test(weight_stationary_networks_fold_too),
        cmocka_unit_test(orders_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
