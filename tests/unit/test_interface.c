/* The C interface beside what its clients test: memory, CHW order of spatial answers, mean and deviation,
 * threads. */
#include "darknet.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "network/network.h"

enum { SIDE = 6, PIXELS = SIDE * SIDE };

static const char head[] =
    "[net]\nbatch=8\nsubdivisions=2\nheight=6\nwidth=6\nchannels=2\nlearning_rate=.1\n";
static const char spatial[] = "[convolutional]\nfilters=3\nsize=1\nactivation=linear\n[cost]\n";
static const char classes[] = "[convolutional]\nfilters=3\nsize=1\nactivation=linear\n[avgpool]\n[softmax]\n";

/* A network of the [net] above, more of its keys and layers. */
static network *load(const char *keys, const char *layers) {
    char path[] = "/tmp/test_interface_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_true(dprintf(file, "%s%s%s", head, keys, layers) > 0);
    close(file);
    network *net = load_network(path, NULL, 0);
    unlink(path);
    if (!net) fail_msg("%s", darknet_last_error());
    return net;
}

static void fill(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = (float)((i * 7 + i / 5) % 11) / 11.0f;
}

static darknet_parameter parameter_of(network *net, const char *name) {
    darknet_parameter p;
    assert_true(layer_get_parameter(network_layer(net, 0), name, &p));
    return p;
}

static void spatial_answers_are_planes(void **state) {
    (void)state;
    network *net = load("", spatial);
    float input[2 * 2 * PIXELS];
    fill(input, 2 * 2 * PIXELS);
    set_batch_network(net, 2);
    const float *answers = network_predict(net, input);
    assert_non_null(answers);
    assert_int_equal(network_outputs(net), 3 * PIXELS);
    darknet_parameter weights = parameter_of(net, "weights");
    for (int n = 0; n < 2; n++)
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < PIXELS; i++) {
                const float *image_planes = input + n * 2 * PIXELS;
                float wanted = weights.values[2 * f] * image_planes[i] +
                               weights.values[2 * f + 1] * image_planes[PIXELS + i];
                assert_true(fabsf(answers[(n * 3 + f) * PIXELS + i] - wanted) < 1e-6f);
            }
    free_network(net);
}

static void mean_and_deviation_are_the_network_s(void **state) {
    (void)state;
    network *plain = load("", classes), *with = load("mean=.5,.25\nstd=.5,2\n", classes);
    float input[2 * PIXELS], normalized[2 * PIXELS];
    fill(input, 2 * PIXELS);
    for (int i = 0; i < PIXELS; i++) {
        normalized[i] = (input[i] - .5f) / .5f;
        normalized[PIXELS + i] = (input[PIXELS + i] - .25f) / 2.0f;
    }
    set_batch_network(plain, 1);
    set_batch_network(with, 1);
    const float *wanted = network_predict(plain, normalized), *got = network_predict(with, input);
    for (int k = 0; k < 3; k++) assert_true(fabsf(wanted[k] - got[k]) < 1e-6f);
    image im = {.w = SIDE, .h = SIDE, .c = 2, .data = input};
    got = network_predict_image(with, im);
    for (int k = 0; k < 3; k++) assert_true(fabsf(wanted[k] - got[k]) < 1e-6f);
    im.c = 1;
    assert_null(network_predict_image(with, im));
    assert_non_null(strstr(darknet_last_error(), "1 channels for a network of 2"));
    free_network(plain);
    free_network(with);
}

/* Inference has no training buffers, and memory for as many images as passes need. */
static void memory_comes_when_it_is_needed(void **state) {
    (void)state;
    network *net = load("", classes);
    assert_int_equal(network_batch(net), 4);
    assert_null(net->gradients);
    assert_int_equal(net->pass_batch, 1);
    size_t one = net->arena_bytes;
    float rows[8][2 * PIXELS], truths[8][3] = {{0}}, *row[8], *truth[8];
    fill(rows[0], 8 * 2 * PIXELS);
    for (int i = 0; i < 8; i++) {
        row[i] = rows[i];
        truth[i] = truths[i];
        truths[i][i % 3] = 1.0f;
    }
    set_batch_network(net, 1);
    assert_non_null(network_predict(net, rows[0]));
    assert_int_equal(net->arena_bytes, one);
    assert_null(net->gradients);
    set_batch_network(net, 4);
    float four[4 * 3];
    const float *answers = network_predict(net, rows[0]);
    memcpy(four, answers, sizeof four);
    assert_true(net->arena_bytes > one);
    for (int i = 0; i < 4; i++) {
        set_batch_network(net, 1);
        answers = network_predict(net, rows[i]);
        for (int k = 0; k < 3; k++) assert_true(fabsf(answers[k] - four[3 * i + k]) < 1e-6f);
    }
    /* Two passes of 4 rows are one update. */
    set_batch_network(net, 4);
    struct data d = {.X = {8, 2 * PIXELS, row}, .y = {8, 3, truth}};
    float before = parameter_of(net, "weights").values[0], first = train_network(net, d);
    assert_true(isfinite(first) && parameter_of(net, "weights").values[0] != before);
    assert_non_null(net->gradients);
    d.X.rows = d.y.rows = 4;
    before = parameter_of(net, "weights").values[0];
    assert_true(isfinite(train_network(net, d)) && parameter_of(net, "weights").values[0] == before);
    assert_true(isfinite(train_network(net, d)) && parameter_of(net, "weights").values[0] != before);
    d.X.cols--;
    assert_true(isnan(train_network(net, d)));
    assert_non_null(strstr(darknet_last_error(), "rows of 71 inputs"));
    set_batch_network(net, 0);
    assert_non_null(strstr(darknet_last_error(), "batch of 0"));
    assert_int_equal(network_batch(net), 4);
    free_network(net);
}

static void *fail_elsewhere(void *unused) {
    (void)unused;
    return load_network("elsewhere.cfg", NULL, 0) || !strstr(darknet_last_error(), "elsewhere.cfg") ? "wrong"
                                                                                                    : NULL;
}

static void each_thread_has_its_error(void **state) {
    (void)state;
    assert_null(load_network("here.cfg", NULL, 0));
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, &result);
    assert_null(result);
    assert_non_null(strstr(darknet_last_error(), "here.cfg"));
    assert_null(strstr(darknet_last_error(), "elsewhere"));
    network *net = load("unknown_thing=1\n", classes);
    assert_string_equal(darknet_last_error(), "");
    assert_non_null(strstr(darknet_last_notes(), "unknown_thing"));
    free_network(net);
}

/* What the bit-flip extension adds to a cfg changes nothing where the extension is not. */
static void sections_of_an_absent_extension_pass_through(void **state) {
    (void)state;
    network *plain = load("", classes);
    network *with =
        load("hdloss=2\n", "[convolutional]\nfilters=3\nsize=1\nactivation=linear\nhd_lambda=2\n[avgpool]\n"
                           "[softmax]\n[hdloss]\nlambda=3\n");
    float input[2 * PIXELS], truth[3] = {0, 1, 0}, *row = input, *truth_row = truth;
    fill(input, 2 * PIXELS);
    struct data d = {.X = {1, 2 * PIXELS, &row}, .y = {1, 3, &truth_row}};
    network *both[2] = {plain, with};
    float answers[2][3], losses[2];
    for (int i = 0; i < 2; i++) {
        set_batch_network(both[i], 1);
        for (int k = 0; k < 4; k++) losses[i] = train_network(both[i], d);
        memcpy(answers[i], network_predict(both[i], input), sizeof answers[i]);
    }
    assert_true(losses[0] == losses[1]);
    assert_memory_equal(answers[0], answers[1], sizeof answers[0]);
    free_network(plain);
    free_network(with);
}

static void nothing_is_an_error_not_a_crash(void **state) {
    (void)state;
    assert_null(load_network(NULL, NULL, 0));
    assert_null(network_predict(NULL, NULL));
    assert_int_equal(network_width(NULL) + network_height(NULL) + network_channels(NULL), 0);
    assert_int_equal(network_batch(NULL), 0);
    assert_string_equal(darknet_last_error(), "network_batch: no network");
    set_batch_network(NULL, 1);
    save_weights(NULL, "/nowhere");
    assert_non_null(strstr(darknet_last_error(), "without a network"));
    top_predictions(NULL, 1, &(int){3});
    assert_non_null(strstr(darknet_last_error(), "no network"));
    assert_null(get_labels(NULL));
    assert_null(load_image_color(NULL, 0, 0).data);
    network *net = load("", classes);
    int index[2] = {7, 7};
    assert_null(network_predict(net, NULL));
    assert_true(darknet_last_error()[0] != 0);
    top_predictions(net, 2, index);
    assert_int_equal(index[0], -1);
    assert_true(darknet_last_error()[0] != 0);
    load_weights(net, NULL);
    assert_true(darknet_last_error()[0] != 0);
    save_weights(net, "/nowhere/at/all.weights");
    assert_non_null(strstr(darknet_last_error(), "/nowhere/at/all.weights"));
    free_network(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(spatial_answers_are_planes),
                                       cmocka_unit_test(mean_and_deviation_are_the_network_s),
                                       cmocka_unit_test(memory_comes_when_it_is_needed),
                                       cmocka_unit_test(each_thread_has_its_error),
                                       cmocka_unit_test(sections_of_an_absent_extension_pass_through),
                                       cmocka_unit_test(nothing_is_an_error_not_a_crash)};
    return cmocka_run_group_tests_name("the C interface", tests, NULL, NULL);
}
