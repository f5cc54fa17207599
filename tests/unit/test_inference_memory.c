/* What inference costs in memory, and that large networks build and run: whole networks at batch 1. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "families.h"
#include "made_cfg.h"

#ifdef __SANITIZE_ADDRESS__
enum { DIVISOR = 4, SANITIZED = 1 };
#else
enum { DIVISOR = 1, SANITIZED = 0 };
#endif

static network *build(const char *family, int size) {
    family_options o = {.size = size, .divisor = DIVISOR, .batch = 128, .subdivisions = 16, .classes = 1000};
    char *text = family_text(family_find(family), &o);
    network *net = made_network_from(text, false, 2, 1);
    free(text);
    for (int i = 0; i < net->layer_count; i++) { /* fresh statistics are 0 */
        const parameter *variance = layer_parameter(&net->layers[i], "rolling_variance");
        for (size_t k = 0; variance && k < variance->count; k++) variance->values[k] = 1.0f;
    }
    return net;
}

static void run(network *net) {
    size_t inputs = tensor_size(network_input_shape(net));
    float *image = malloc(inputs * sizeof *image), sum = 0;
    assert_non_null(image);
    for (size_t i = 0; i < inputs; i++) image[i] = (float)(i % 97) / 97.0f;
    network_forward(net, image, 1);
    const layer *l = network_output_layer(net);
    for (size_t i = 0; i < tensor_size(l->out); i++) sum += l->output.data[i];
    assert_true(fabsf(sum - 1.0f) < 1e-3f);
    free(image);
}

static size_t peak_bytes(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Loads the weights and answers; the exit status says whether memory stayed near parameters and activations.
 */
static int load_and_run(const char *weights) {
    size_t before = peak_bytes();
    error e = {0};
    network *net = build("darknet53", 256);
    if (!network_load_weights(net, weights, false, NULL, &e)) return 2;
    run(net);
    size_t parameters = net->parameter_total * sizeof(float), used = peak_bytes() - before,
           allowed = parameters + net->arena_bytes + parameters / 8 + ((size_t)24 << 20);
    if (used > allowed) (void)fprintf(stderr, "%zu bytes used, %zu allowed\n", used, allowed);
    network_destroy(net);
    return used > allowed;
}

static void darknet53_keeps_no_training_buffers(void **state) {
    (void)state;
    network *net = build("darknet53", 256);
    error e = {0};
    size_t activations = 0;
    assert_null(net->gradients);
    for (int i = 0; i < net->layer_count; i++) {
        assert_null(net->layers[i].delta);
        for (int j = 0; j < net->layers[i].parameter_count; j++)
            assert_null(net->layers[i].parameters[j].gradient);
        activations += tensor_size(net->layers[i].out) * sizeof(float);
    }
    /* layers share their outputs' places: less than one copy of each, the kernels' scratch included */
    assert_true(SANITIZED || net->arena_bytes < activations * 2 / 3);
    char weights[256];
    (void)snprintf(weights, sizeof weights, "%s", made_path("darknet53.weights"));
    assert_true(network_save_weights(net, weights, -1, &e));
    network_destroy(net);
    if (SANITIZED) return; /* its shadow is memory, too */
    pid_t child = fork();
    if (child == 0) _exit(load_and_run(weights));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(unlink(weights), 0);
}

static void large_networks_run(void **state) {
    (void)state;
    static const char *const families[] = {"resnet50", "densenet201", "efficientnet-b0"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        network *net = build(families[i], 224);
        run(net);
        network_destroy(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(darknet53_keeps_no_training_buffers),
                                       cmocka_unit_test(large_networks_run)};
    return cmocka_run_group_tests_name("memory of inference", tests, NULL, NULL);
}
