/* Networks: thread independence, inference against training, clones, weight files and their errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/random.h"
#include "made_cfg.h"

static const char TEXT[] =
    "[net]\nbatch=8\nheight=9\nwidth=8\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nstride=2\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\ngroups=24\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=1\nactivation=linear\n"
    "[shortcut]\nfrom=-4\nactivation=linear\n"
    "[dropout]\nprobability=.3\n[maxpool]\nsize=2\nstride=2\n"
    "[connected]\noutput=10\nactivation=linear\n[softmax]\n";
enum { BATCH = 8 };

static float *random_images(const network *net) {
    size_t count = BATCH * tensor_size(network_input_shape(net));
    float *images = malloc(count * sizeof *images);
    random_state r = random_seeded(4, 4);
    for (size_t i = 0; i < count; i++) images[i] = random_uniform(&r, 0, 1);
    return images;
}

static void train_some(network *net, int passes) {
    float *images = random_images(net);
    float truth[BATCH * 10] = {0};
    for (int n = 0; n < BATCH; n++) truth[n * 10 + n % 10] = 1.0f;
    for (int i = 0; i < passes; i++) assert_true(isfinite(network_train_pass(net, images, truth, BATCH)));
    free(images);
}

static void threads_do_not_matter(void **state) {
    (void)state;
    network *one = made_network_from(TEXT, true, 1, 3), *four = made_network_from(TEXT, true, 4, 3);
    train_some(one, 2);
    train_some(four, 2);
    assert_memory_equal(one->gradients, four->gradients, one->parameter_total * sizeof(float));
    assert_memory_equal(one->values, four->values, one->parameter_total * sizeof(float));
    network_destroy(one);
    network_destroy(four);
}

static void a_clone_answers_the_same(void **state) {
    (void)state;
    network *net = made_network_from(TEXT, true, 2, 3);
    train_some(net, 3);
    error e;
    network *copy = network_clone(net, &e);
    assert_non_null(copy);
    assert_true(copy->arena_bytes < net->arena_bytes);
    float *images = random_images(net);
    network_forward(net, images, BATCH);
    network_forward(copy, images, BATCH);
    assert_memory_equal(network_output_layer(net)->output.data, network_output_layer(copy)->output.data,
                        BATCH * 10 * sizeof(float));
    free(images);
    network_destroy(copy);
    network_destroy(net);
}

static void weights_come_back(void **state) {
    (void)state;
    error e = {0};
    load_report report;
    network *net = made_network_from(TEXT, true, 1, 3), *other = made_network_from(TEXT, false, 1, 99);
    train_some(net, 2);
    const char *path = made_path("a.weights");
    assert_true(network_save_weights(net, path, -1, &e));
    assert_true(network_load_weights(other, path, false, &report, &e));
    assert_memory_equal(net->values, other->values, net->parameter_total * sizeof(float));
    assert_true(report.loaded == 5 && report.kept == 0);
    assert_true(other->seen == 2 * BATCH);
    network_destroy(net);
    network_destroy(other);
}

/* Writes the first `bytes` of the network's weight file, then `extra` zero bytes. */
static void write_cut(const network *net, size_t bytes, size_t extra) {
    error e;
    size_t size;
    assert_true(network_save_weights(net, made_path("whole.weights"), -1, &e));
    char *data = file_read(made_path("whole.weights"), 0, &size, &e);
    assert_non_null(data);
    data = realloc(data, size + extra + 1);
    memset(data + size, 0, extra);
    assert_true(file_write_atomic(made_path("cut.weights"), data, (bytes < size ? bytes : size) + extra, &e));
    free(data);
}

static void refuse(network *net, bool partial, const char *word) {
    error e = {0};
    float *before = malloc(net->parameter_total * sizeof(float));
    memcpy(before, net->values, net->parameter_total * sizeof(float));
    assert_false(network_load_weights(net, made_path("cut.weights"), partial, NULL, &e));
    if (!strstr(e.message, word) || !strstr(e.message, "cut.weights"))
        fail_msg("\"%s\" lacks \"%s\"", e.message, word);
    assert_memory_equal(before, net->values, net->parameter_total * sizeof(float));
    free(before);
}

static void bad_weight_files(void **state) {
    (void)state;
    network *net = made_network_from(TEXT, false, 1, 3);
    write_cut(net, 3, 0);
    refuse(net, false, "too short");
    write_cut(net, 1000, 0);
    refuse(net, false, "layer 0");
    refuse(net, true, "layer 0"); /* inside a layer */
    write_cut(net, SIZE_MAX, 8);
    refuse(net, false, "8 bytes more");
    error e;
    float nan_value = NAN;
    size_t size;
    write_cut(net, SIZE_MAX, 0);
    char *data = file_read(made_path("cut.weights"), 0, &size, &e);
    memcpy(data + 20 + 4 * 20, &nan_value, 4);
    assert_true(file_write_atomic(made_path("cut.weights"), data, size, &e));
    free(data);
    refuse(net, false, "not a finite number");
    network_destroy(net);
}

static void partial_files(void **state) {
    (void)state;
    error e = {0};
    load_report report;
    network *net = made_network_from(TEXT, false, 1, 3);
    assert_true(network_save_weights(net, made_path("cut.weights"), 2, &e));
    refuse(net, false, "layer 2");
    assert_true(network_load_weights(net, made_path("cut.weights"), true, &report, &e));
    assert_int_equal(report.loaded, 2);
    assert_int_equal(report.kept, 3);
    assert_string_equal(report.kept_names, "2, 3, 7");
    network_destroy(net);
}

static void mistakes_are_named(void **state) {
    (void)state;
    char message[1024];
    made_cfg_error("[net]\nheight=4\nwidth=4\nchannels=1\n[convolutonal]\nfilters=3\n", message);
    assert_non_null(strstr(message, ":5: [convolutonal] is no layer type; did you mean [convolutional]?"));
    made_cfg_error("[net]\nheight=4\nwidth=4\nchannels=1\n[convolutional]\nfilters=3\nactivation=rleu\n",
                   message);
    assert_non_null(strstr(message, ":7: activation: \"rleu\""));
    made_cfg_error("[net]\nheight=4\nwidth=4\nchannels=1\n[convolutional]\nsize=9\nactivation=relu\n",
                   message);
    assert_non_null(strstr(message, "does not fit the 4x4 input"));
    made_cfg_error("[net]\nheight=4\nwidth=4\nchannels=1\n[route]\nlayers=3\n", message);
    assert_non_null(strstr(message, ":6: layers: 3 names another layer, but no layer stands before layer 0"));
    made_cfg_error("[convolutional]\nsize=1\n", message);
    assert_non_null(strstr(message, "the first section must be [net]"));
    made_cfg_error("[net]\nheight=4\nwidth=4\nchannels=1\n[yolo]\n", message);
    assert_non_null(strstr(message, "layer type yolo is not supported: this build trains classifiers"));
}

static void memory_limit(void **state) {
    (void)state;
    error e = {0};
    const char *path = made_path("large.cfg");
    assert_true(file_write_atomic(path, TEXT, strlen(TEXT), &e));
    diagnostics *d = diagnostics_create();
    network_settings settings = {.training = true, .max_memory_bytes = 100000};
    assert_null(network_create(path, &settings, d, &e));
    assert_non_null(strstr(e.message, "more than the 0.1 MB allowed"));
    diagnostics_destroy(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(a_clone_answers_the_same),
        cmocka_unit_test(weights_come_back),     cmocka_unit_test(bad_weight_files),
        cmocka_unit_test(partial_files),         cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(memory_limit),
    };
    return cmocka_run_group_tests_name("networks", tests, NULL, NULL);
}
