/* The integer network against its definition by plain loops: random networks of all layer kinds, at every
 * instruction-set level, any number of threads and images, layer by layer and bit by bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "integer/internal.h"
#include "made_network.h"

static float swish(float z) {
    return z / (1 + expf(-z));
}
static float logistic(float z) {
    return 1 / (1 + expf(-z));
}

static made_activation any_activation(made_network *made) {
    static const made_activation all[] = {{HD_ACTIVATION_LINEAR, NULL}, {HD_ACTIVATION_RELU, NULL},
                                          {HD_ACTIVATION_RELU6, NULL},  {HD_ACTIVATION_LEAKY, NULL},
                                          {HD_ACTIVATION_OTHER, swish}, {HD_ACTIVATION_OTHER, logistic}};
    return all[made_below(made, sizeof all / sizeof *all)];
}

static int any_convolution(made_network *made, int from) {
    const hd_node *source = from < 0 ? NULL : &made->nodes[from];
    int channels = source ? source->out_channels : made->network.channels;
    int height = source ? source->out_height : made->network.height;
    int width = source ? source->out_width : made->network.width;
    made_convolution c = {
        .from = from, .size = 1 + (int)made_below(made, 4), .stride = 1 + (int)made_below(made, 2)};
    if (made_below(made, 3) == 0) c.size = c.stride = 1;
    c.dilation = made_below(made, 4) == 0 ? 2 : 1;
    c.padding = (int)made_below(made, 3);
    int span = c.dilation * (c.size - 1) + 1;
    if (height + 2 * c.padding < span || width + 2 * c.padding < span)
        c = (made_convolution){from, 0, 1, 1, 0, 1, 1, 0, {0}};
    c.groups = 1;
    c.filters = 1 + (int)made_below(made, 90);
    if (made_below(made, 3) == 0)
        c.groups = c.filters = channels;
    else if (channels % 2 == 0 && made_below(made, 3) == 0)
        c.groups = 2, c.filters = 2 * (1 + (int)made_below(made, 40));
    else if (channels <= 8 && made_below(made, 4) == 0)
        c.groups = channels, c.filters = 3 * channels;
    c.batch_normalize = made_below(made, 2);
    c.activation = any_activation(made);
    return made_add_convolution(made, c);
}

static bool same_shape(const made_network *made, int a, int b, bool channels_too) {
    const hd_node *x = &made->nodes[a], *y = &made->nodes[b];
    return x->out_height == y->out_height && x->out_width == y->out_width &&
           (!channels_too || x->out_channels == y->out_channels);
}

/* An earlier node of equal shape, or `at` itself. */
static int companion(made_network *made, int at, bool channels_too) {
    for (int tries = 0; tries < 20; tries++) {
        int other = (int)made_below(made, (uint64_t)at + 1);
        if (same_shape(made, at, other, channels_too)) return other;
    }
    return at;
}

/* An earlier node whose size is a whole multiple or part of the node's, whatever its channels; `at` itself
 * when there is none. */
static int relative_of(made_network *made, int at) {
    const hd_node *x = &made->nodes[at];
    for (int tries = 0; tries < 20; tries++) {
        int other = (int)made_below(made, (uint64_t)at + 1);
        const hd_node *y = &made->nodes[other];
        bool smaller = x->out_height % y->out_height == 0 && x->out_width % y->out_width == 0 &&
                       x->out_height / y->out_height == x->out_width / y->out_width;
        bool larger = y->out_height % x->out_height == 0 && y->out_width % x->out_width == 0 &&
                      y->out_height / x->out_height == y->out_width / x->out_width;
        if (smaller || larger) return other;
    }
    return at;
}

static int any_node(made_network *made, int at) {
    const hd_node *node = &made->nodes[at];
    switch (made_below(made, 13)) {
    case 0:
        if (node->out_height < 3 || node->out_width < 3) return any_convolution(made, at);
        return made_add_maxpool(made, at, 1 + (int)made_below(made, 3), 1 + (int)made_below(made, 2),
                                (int)made_below(made, 3));
    case 1:
        return made_add_shortcut(made, at, companion(made, at, true), made_uniform(made, -1.5f, 1.5f), 1,
                                 any_activation(made));
    case 2:
        return made_add_shortcut(made, at, companion(made, at, true), 1, 1, any_activation(made));
    case 3: {
        int from[3] = {at, companion(made, at, false), companion(made, at, false)};
        return made_add_route(made, from, 1 + (int)made_below(made, 3));
    }
    case 4:
        return made_add_batchnorm(made, at, any_activation(made));
    case 5:
        return made_add_activation(made, at, any_activation(made));
    case 6:
        return made_add_identity(made, at);
    case 7:
    case 8:
        return made_add_shortcut(made, at, relative_of(made, at), 1, made_uniform(made, -1.5f, 1.5f),
                                 any_activation(made));
    default:
        return any_convolution(made, at);
    }
}

static made_network *random_network(uint64_t seed) {
    int bits = seed % 5 == 4 ? 2 + (int)(seed / 5 % 6) : 8;
    made_network *made =
        made_new(seed, 3 + (int)(seed % 9), 3 + (int)(seed / 3 % 11), 1 + (int)(seed % 7), bits);
    int at = any_convolution(made, -1), layers = 3 + (int)made_below(made, 8);
    for (int i = 0; i < layers; i++) at = any_node(made, at);
    switch (made_below(made, 4)) {
    case 0:
        at = made_add_average_pool(made, at);
        break;
    case 1:
        at = made_add_average_pool(made, at);
        at = made_add_connected(made, at, 1 + (int)made_below(made, 70), made_below(made, 2),
                                any_activation(made));
        break;
    case 2:
        at = made_add_connected(made, at, 1 + (int)made_below(made, 70), made_below(made, 2),
                                (made_activation){HD_ACTIVATION_LINEAR, NULL});
        break;
    default:
        break;
    }
    if (made_below(made, 2)) made_add_softmax(made, at);
    return made;
}

/* Everything the definition says of n images. */
typedef struct expected {
    size_t n;
    int ***activations; /* [n][1 + node_count] */
    int32_t **raw_logits;
    float logits_scale;
} expected;

static float *random_images(made_network *made, size_t n) {
    size_t count = n * made_elements(made, -1);
    float *images = malloc(count * sizeof *images);
    assert_non_null(images);
    for (size_t i = 0; i < count; i++) images[i] = made_uniform(made, -1.1f, 1.1f);
    return images;
}

static expected expect(const made_network *made, const float *images, size_t n, size_t classes) {
    expected e = {n, calloc(n, sizeof *e.activations), calloc(n, sizeof *e.raw_logits), 0};
    for (size_t i = 0; i < n; i++) {
        e.activations[i] = calloc((size_t)made->network.node_count + 1, sizeof **e.activations);
        e.raw_logits[i] = calloc(classes, sizeof **e.raw_logits);
        made_reference(made, images + i * made_elements(made, -1), e.activations[i], e.raw_logits[i],
                       &e.logits_scale);
    }
    return e;
}

static void expected_free(const made_network *made, expected e) {
    for (size_t i = 0; i < e.n; i++) {
        for (int t = 0; t <= made->network.node_count; t++) free(e.activations[i][t]);
        free(e.activations[i]);
        free(e.raw_logits[i]);
    }
    free(e.activations);
    free(e.raw_logits);
}

static void check_logits(const made_network *made, const hd_integer_network *network, const float *images,
                         const expected *e, int threads) {
    size_t classes = hd_integer_network_classes(network);
    float *logits = malloc(e->n * classes * sizeof *logits);
    int32_t *raw = malloc(e->n * classes * sizeof *raw);
    hd_error error;
    (void)made;
    assert_true(hd_integer_network_run(network, images, e->n, logits, raw, threads, &error));
    for (size_t i = 0; i < e->n; i++)
        for (size_t k = 0; k < classes; k++) {
            assert_int_equal(raw[i * classes + k], e->raw_logits[i][k]);
            float wanted = (float)((double)e->raw_logits[i][k] * (double)e->logits_scale);
            assert_true(logits[i * classes + k] == wanted);
        }
    free(logits);
    free(raw);
}

static void check_activations(const made_network *made, const hd_integer_network *network,
                              const float *images, const expected *e, int threads, uint64_t seed) {
    int tensors = made->network.node_count + 1;
    int *layers = calloc((size_t)tensors, sizeof *layers);
    uint8_t **outputs = calloc((size_t)tensors, sizeof *outputs);
    hd_error error;
    for (int t = 0; t < tensors; t++) {
        layers[t] = t - 1;
        outputs[t] = malloc(e->n * made_elements(made, t - 1));
    }
    assert_true(hd_integer_network_activations(network, images, e->n, layers, (size_t)tensors, outputs,
                                               threads, &error));
    for (int t = 0; t < tensors; t++) {
        bool is_signed = hd_integer_network_tensor(network, t - 1).is_signed;
        size_t count = made_elements(made, t - 1);
        for (size_t i = 0; i < e->n * count; i++) {
            int got = is_signed ? (int8_t)outputs[t][i] : outputs[t][i];
            int wanted = e->activations[i / count][t][i % count];
            if (got != wanted)
                fail_msg("network %d, node %d (%s), image %zu, element %zu: %d instead of %d", (int)seed,
                         t - 1, t ? made->nodes[t - 1].type_name : "input", i / count, i % count, got,
                         wanted);
        }
        free(outputs[t]);
    }
    free(outputs);
    free(layers);
}

static hd_integer_model *fold(const made_network *made, uint64_t seed) {
    hd_error error = {""};
    hd_integer_model *model = made_model(made, &error);
    if (model) return model;
    fail_msg("network %d: %s", (int)seed, error.message);
    abort();
}

static hd_integer_network *pack(const hd_integer_model *model, int level, uint64_t seed) {
    hd_error error = {""};
    hd_integer_network *network = hd_integer_network_create_for(model, (hd_isa_level)level, &error);
    if (network) return network;
    fail_msg("network %d: %s", (int)seed, error.message);
    abort();
}

static void check_network(made_network *made, size_t n, uint64_t seed) {
    hd_integer_model *model = fold(made, seed);
    size_t classes = made_elements(made, model->logits_layer);
    float *images = random_images(made, n);
    expected e = expect(made, images, n, classes);
    for (int level = HD_ISA_PORTABLE; level <= (int)hd_isa_best(); level++) {
        hd_integer_network *network = pack(model, level, seed);
        assert_int_equal(hd_integer_network_classes(network), classes);
        check_activations(made, network, images, &e, 1, seed);
        check_logits(made, network, images, &e, 2);
        network->chunk = 2;
        check_logits(made, network, images, &e, 3);
        hd_integer_network_destroy(network);
    }
    expected_free(made, e);
    free(images);
    hd_integer_model_destroy(model);
}

static void random_networks_equal_their_definition(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        made_network *made = random_network(seed);
        check_network(made, 3, seed);
        made_free(made);
    }
}

static void small_mobilenet_equals_its_definition(void **state) {
    (void)state;
    made_network *made = made_mobilenet_v2(5, 8, 8, 10);
    check_network(made, 1, 1000);
    made_free(made);
}

/* Sizes at which vectors end: channels around multiples of 16 and 64, both ways. */
static void odd_channel_counts(void **state) {
    (void)state;
    static const int counts[] = {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 127, 128, 129, 144};
    made_activation relu = {HD_ACTIVATION_RELU, NULL}, linear = {HD_ACTIVATION_LINEAR, NULL};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        made_network *made = made_new(i, 5, 7, 3, 8);
        int at = made_add_convolution(made, (made_convolution){-1, counts[i], 3, 1, 1, 1, 1, true, relu});
        at = made_add_convolution(
            made, (made_convolution){at, counts[i], 3, 1 + (int)i % 2, 1, 1, counts[i], true, relu});
        at = made_add_convolution(made, (made_convolution){at, counts[i], 1, 1, 0, 1, 1, false, linear});
        at = made_add_convolution(
            made, (made_convolution){at, counts[i], 3, 2 - (int)i % 2, 1, 1, counts[i], true, linear});
        at = made_add_convolution(made, (made_convolution){at, 19, 1, 1, 0, 1, 1, false, linear});
        made_add_average_pool(made, at);
        check_network(made, 3, i);
        made_free(made);
    }
}

/* Depthwise windows beyond the common ones, signed and unsigned. */
static void depthwise_windows(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 4, 5, 7, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int stride = 1; stride <= 3; stride++)
            for (int dilation = 1; dilation <= 2; dilation++) {
                made_network *made = made_new(i, 9, 10, 67, 8);
                made_activation relu = {HD_ACTIVATION_RELU, NULL}, linear = {HD_ACTIVATION_LINEAR, NULL};
                int padding = sizes[i] / 2, more = padding + dilation;
                int at = made_add_convolution(made, (made_convolution){-1, 67, sizes[i], stride, padding + 7,
                                                                       dilation, 67, true, relu});
                made_add_convolution(
                    made, (made_convolution){at, 67, sizes[i], stride, more + 2, dilation, 67, true, linear});
                check_network(made, 1, 2000 + i);
                made_free(made);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_networks_equal_their_definition),
        cmocka_unit_test(small_mobilenet_equals_its_definition),
        cmocka_unit_test(odd_channel_counts),
        cmocka_unit_test(depthwise_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
