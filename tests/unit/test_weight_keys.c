/* Keys and versions that decide what a weight file holds and where it goes: dontload, dontsave,
 * dontloadscales, numload, the headers of old versions; and what [cost]'s ratio and thresh leave of the
 * gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "made_cfg.h"

#include <cmocka.h> /* after headers that use its words */

/* A convolution of FILTERS filters with FAN weights each, then a connected layer of OUT outputs, each with
 * batch normalisation. */
enum { FILTERS = 4, FAN = 2 * 9, IN = FILTERS * 16, OUT = 3 };
enum {
    CONV_FLOATS = FILTERS * (4 + FAN),
    CONNECTED_FLOATS = OUT * (4 + IN),
    ALL = CONV_FLOATS + CONNECTED_FLOATS
};

static network *made(const char *conv_keys, const char *connected_keys) {
    char text[512];
    (void)snprintf(text, sizeof text,
                   "[net]\nheight=4\nwidth=4\nchannels=2\n"
                   "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=leaky\n%s"
                   "[connected]\nbatch_normalize=1\noutput=3\nactivation=linear\n%s[softmax]\n",
                   conv_keys, connected_keys);
    network *net = made_network_from(text, false, 1, 3);
    assert_int_equal(net->parameter_total, ALL);
    return net;
}

/* Float i of the files that these tests write: all differ, none is an initial value. */
static float file_value(size_t i) {
    return 10.5f + (float)i;
}

static const char *write_file(const int32_t version[3], const void *seen, size_t seen_bytes, size_t floats) {
    static unsigned char bytes[20 + ALL * sizeof(float)];
    error e = {{0}};
    const char *path = made_path("keys.weights");
    size_t size = 0;
    memcpy(bytes, version, 12), size += 12;
    memcpy(bytes + size, seen, seen_bytes), size += seen_bytes;
    for (size_t i = 0; i < floats; i++, size += sizeof(float)) {
        float value = file_value(i);
        memcpy(bytes + size, &value, sizeof value);
    }
    assert_true(file_write_atomic(path, bytes, size, &e));
    return path;
}

/* Loads a file of today's version with so many floats. */
static load_report load(network *net, size_t floats) {
    static const int32_t version[3] = {0, 2, 0};
    const uint64_t seen = 77;
    load_report report;
    error e = {{0}};
    if (!network_load_weights(net, write_file(version, &seen, sizeof seen, floats), false, &report, &e))
        fail_msg("%s", e.message);
    assert_true(report.seen == 77);
    return report;
}

static float *copy_values(const network *net) {
    float *copy = malloc(net->parameter_total * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, net->values, net->parameter_total * sizeof *copy);
    return copy;
}

/* `count` values from `at` on are the file's from `from` on. */
static void expect_file(const float *at, size_t count, size_t from) {
    for (size_t i = 0; i < count; i++)
        if (at[i] != file_value(from + i)) fail_msg("value %zu is %g", i, (double)at[i]);
}

static void dontload_leaves_a_layer_out_of_the_file(void **state) {
    (void)state;
    network *net = made("dontload=1\n", "");
    float *before = copy_values(net);
    load_report report = load(net, CONNECTED_FLOATS);
    assert_int_equal(report.loaded, 1);
    assert_int_equal(report.kept, 1);
    assert_string_equal(report.kept_names, "0");
    assert_memory_equal(net->values, before, CONV_FLOATS * sizeof(float));
    expect_file(net->values + CONV_FLOATS, CONNECTED_FLOATS, 0);
    free(before);
    network_destroy(net);
}

static void dontsave_leaves_a_layer_out_of_the_file(void **state) {
    (void)state;
    network *net = made("dontsave=1\n", "");
    error e = {{0}};
    size_t size;
    const char *path = made_path("saved.weights");
    assert_true(network_save_weights(net, path, -1, &e));
    char *bytes = file_read(path, 0, &size, &e);
    assert_non_null(bytes);
    assert_int_equal(size, 20 + CONNECTED_FLOATS * sizeof(float));
    assert_memory_equal(bytes + 20, net->values + CONV_FLOATS, CONNECTED_FLOATS * sizeof(float));
    free(bytes);
    network_destroy(net);
}

static void dontloadscales_keeps_the_normalisation(void **state) {
    (void)state;
    network *net = made("dontloadscales=1\n", "");
    float *before = copy_values(net);
    (void)load(net, ALL - 3 * FILTERS);
    expect_file(layer_values(&net->layers[0], "biases"), FILTERS, 0);
    expect_file(layer_values(&net->layers[0], "weights"), FILTERS * FAN, FILTERS);
    assert_memory_equal(net->values + FILTERS, before + FILTERS, 3 * FILTERS * sizeof(float));
    expect_file(net->values + CONV_FLOATS, CONNECTED_FLOATS, CONV_FLOATS - 3 * FILTERS);
    assert_true(net->layers[0].fresh_statistics);
    assert_false(net->layers[1].fresh_statistics);
    free(before);
    network_destroy(net);
}

static void numload_takes_the_first_filters(void **state) {
    (void)state;
    enum { TAKEN = 3, TAKEN_FLOATS = TAKEN * (4 + FAN) };
    network *net = made("numload=3\n", "");
    float *before = copy_values(net);
    (void)load(net, TAKEN_FLOATS + CONNECTED_FLOATS);
    static const char *const vectors[] = {"biases", "scales", "rolling_mean", "rolling_variance"};
    for (size_t v = 0; v < 4; v++) {
        expect_file(layer_values(&net->layers[0], vectors[v]), TAKEN, v * TAKEN);
        assert_true(net->values[v * FILTERS + TAKEN] == before[v * FILTERS + TAKEN]);
    }
    expect_file(layer_values(&net->layers[0], "weights"), TAKEN * FAN, 4 * TAKEN);
    assert_memory_equal(net->values + CONV_FLOATS - FAN, before + CONV_FLOATS - FAN, FAN * sizeof(float));
    expect_file(net->values + CONV_FLOATS, CONNECTED_FLOATS, TAKEN_FLOATS);
    free(before);
    network_destroy(net);
}

/* major * 10 + minor below 2: four bytes of images seen. From 2 on: eight. */
static void old_headers_have_a_short_count(void **state) {
    (void)state;
    static const int32_t versions[][3] = {{0, 0, 0}, {0, 1, 9}, {0, 2, 0}, {0, 2, 5}, {1, 0, 0}};
    for (size_t v = 0; v < 5; v++) {
        const int32_t short_seen = 123456;
        const uint64_t long_seen = 5000000000u;
        bool is_short = v < 2;
        network *net = made("", "");
        load_report report;
        error e = {{0}};
        const char *path = is_short ? write_file(versions[v], &short_seen, sizeof short_seen, ALL)
                                    : write_file(versions[v], &long_seen, sizeof long_seen, ALL);
        if (!network_load_weights(net, path, false, &report, &e)) fail_msg("%s", e.message);
        assert_true(net->seen == (is_short ? 123456 : 5000000000u));
        expect_file(net->values, ALL, 0);
        network_destroy(net);
    }
}

/* major or minor above 1000: connected weights are [in][out], the rest as ever. */
static void oldest_connected_weights_are_transposed(void **state) {
    (void)state;
    static const int32_t versions[][3] = {{1001, 0, 0}, {0, 1001, 0}};
    for (size_t v = 0; v < 2; v++) {
        const int32_t seen = 4;
        network *net = made("", "");
        load_report report;
        error e = {{0}};
        if (!network_load_weights(net, write_file(versions[v], &seen, sizeof seen, ALL), false, &report, &e))
            fail_msg("%s", e.message);
        assert_true(net->seen == 4);
        expect_file(net->values, CONV_FLOATS + OUT, 0);
        const float *weights = layer_values(&net->layers[1], "weights");
        for (size_t o = 0; o < OUT; o++)
            for (size_t i = 0; i < IN; i++)
                assert_true(weights[o * IN + i] == file_value(CONV_FLOATS + OUT + i * OUT + o));
        expect_file(weights + OUT * IN, 3 * OUT, CONV_FLOATS + OUT + OUT * IN);
        network_destroy(net);
    }
}

/* The gradient of the biases of a connected layer that passes its input on: the deltas' sums over the images.
 */
static void expect_deltas(const char *cost_keys, const float wanted[4]) {
    char text[256];
    (void)snprintf(text, sizeof text,
                   "[net]\ninputs=4\nbatch=2\n[connected]\noutput=4\nactivation=linear\n[cost]\n%s",
                   cost_keys);
    static const float images[] = {1, 2, 3, 4, -1, -2, -3, -4};
    static const float deltas[] = {.1f, -.3f, .5f, -.7f, -.2f, .4f, -.6f, .8f};
    float truth[8];
    network *net = made_network_from(text, true, 1, 1);
    float *weights = layer_values(&net->layers[0], "weights");
    for (int i = 0; i < 16; i++) weights[i] = i % 5 == 0;
    for (int i = 0; i < 8; i++) truth[i] = images[i] + deltas[i];
    (void)network_train_pass(net, images, truth, 2);
    const float *gradient = layer_gradient(&net->layers[0], "biases");
    for (int i = 0; i < 4; i++) assert_float_equal(gradient[i], wanted[i], 1e-5f);
    network_destroy(net);
}

static void ratio_and_thresh_drop_small_deltas(void **state) {
    (void)state;
    expect_deltas("", (const float[]){-.1f, .1f, -.1f, .1f});
    expect_deltas("ratio=.5\n", (const float[]){0, 0, -.1f, .1f});                 /* the 4 largest of 8 */
    expect_deltas("ratio=.25\n", (const float[]){0, 0, 0, .1f});                   /* .7 and .8 */
    expect_deltas("thresh=1\n", (const float[]){0, .1f, -.1f, .1f});               /* 1 / 4 inputs */
    expect_deltas("thresh=2.2\n", (const float[]){0, 0, -.6f, .1f});               /* .55: the .5 goes */
    expect_deltas("ratio=.875\nthresh=1.4\n", (const float[]){0, .4f, -.1f, .1f}); /* the stricter one */
    expect_deltas("ratio=.5\nscale=3\n", (const float[]){0, 0, -.3f, .3f});        /* scaled afterwards */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dontload_leaves_a_layer_out_of_the_file),
                                       cmocka_unit_test(dontsave_leaves_a_layer_out_of_the_file),
                                       cmocka_unit_test(dontloadscales_keeps_the_normalisation),
                                       cmocka_unit_test(numload_takes_the_first_filters),
                                       cmocka_unit_test(old_headers_have_a_short_count),
                                       cmocka_unit_test(oldest_connected_weights_are_transposed),
                                       cmocka_unit_test(ratio_and_thresh_drop_small_deltas)};
    return cmocka_run_group_tests_name("weight keys", tests, NULL, NULL);
}
