/* A network of every layer type against golden files that a plain reference wrote (make_golden.py): answers
 * in inference, losses and weights after SGD steps in Darknet's batch-norm form. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "made_cfg.h"
#include "train/optimizer.h"
#include "train/schedule.h"

#define HERE "tests/golden/"
enum { BATCH = 4, PIXELS = 64, CHANNELS = 3, CLASSES = 5, STEPS = 2 };

typedef struct golden {
    float images[BATCH * CHANNELS * PIXELS], truth[BATCH * CLASSES], answers[BATCH * CLASSES], losses[STEPS];
} golden;

static network *build(bool training) {
    diagnostics *d = diagnostics_create();
    network_settings settings = {.training = training, .pass_batch = BATCH, .threads = 2};
    error e = {0};
    network *net = network_create(HERE "golden.cfg", &settings, d, &e);
    diagnostics_destroy(d);
    if (!net || !network_load_weights(net, HERE "golden.weights", false, NULL, &e)) fail_msg("%s", e.message);
    return net;
}

static golden *read_golden(float *nhwc) {
    error e = {0};
    size_t bytes;
    golden *g = file_read(HERE "golden.bin", 0, &bytes, &e);
    if (!g) fail_msg("%s (run from the repository's root)", e.message);
    assert_int_equal(bytes, sizeof *g);
    nchw_to_nhwc(BATCH, CHANNELS, PIXELS, g->images, nhwc, 1);
    return g;
}

static void inference(void **state) {
    (void)state;
    float images[BATCH * CHANNELS * PIXELS];
    golden *g = read_golden(images);
    network *net = build(false);
    network_forward(net, images, BATCH);
    const float *answers = network_output_layer(net)->output.data;
    for (int i = 0; i < BATCH * CLASSES; i++)
        if (fabsf(answers[i] - g->answers[i]) > 1e-5f)
            fail_msg("answer %d is %g, the reference says %g", i, (double)answers[i], (double)g->answers[i]);
    network_destroy(net);
    free(g);
}

static void training(void **state) {
    (void)state;
    float images[BATCH * CHANNELS * PIXELS];
    golden *g = read_golden(images);
    network *net = build(true);
    optimizer o;
    error e = {0};
    assert_true(optimizer_create(&o, net, &e));
    float *start = malloc(net->parameter_total * sizeof *start);
    memcpy(start, net->values, net->parameter_total * sizeof *start);
    for (int t = 0; t < STEPS; t++) {
        double loss = network_train_pass(net, images, g->truth, BATCH) / BATCH;
        if (fabs(loss - (double)g->losses[t]) > 1e-5)
            fail_msg("step %d: loss %g, the reference says %g", t, loss, (double)g->losses[t]);
        optimizer_step(&o, schedule_rate(&net->options, 0), BATCH);
    }
    network *trained = build(false);
    if (!network_load_weights(trained, HERE "golden_trained.weights", false, NULL, &e))
        fail_msg("%s", e.message);
    assert_int_equal(trained->seen, net->seen);
    double largest = 0.0;
    for (size_t i = 0; i < net->parameter_total; i++)
        largest = fmax(largest, fabs((double)trained->values[i] - (double)start[i]));
    for (int l = 0; l < net->layer_count; l++)
        for (int j = 0; j < net->layers[l].parameter_count; j++) {
            const parameter *p = &net->layers[l].parameters[j], *q = &trained->layers[l].parameters[j];
            for (size_t i = 0; !p->not_in_file && i < p->count; i++)
                if (fabs((double)p->values[i] - (double)q->values[i]) > 1e-4 * largest)
                    fail_msg("layer %d (%s) %s[%zu] is %g, the reference says %g (largest change %g)", l,
                             net->layers[l].type->name, p->name, i, (double)p->values[i],
                             (double)q->values[i], largest);
        }
    free(start);
    optimizer_destroy(&o);
    network_destroy(trained);
    network_destroy(net);
    free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(inference), cmocka_unit_test(training)};
    return cmocka_run_group_tests_name("golden files", tests, NULL, NULL);
}
