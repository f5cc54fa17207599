/* A small MobileNet with the fast kernels and with the naive convolutions of the reference run
 * (DARKNET_KERNELS=reference): ten steps give the same losses and weights within 1e-3, and a longer run's
 * curve differs by less than those of two seeds do. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/random.h"
#include "kernels/convolution.h"
#include "made_cfg.h"
#include "train/optimizer.h"

static const char TEXT[] =
    "[net]\nbatch=8\nheight=12\nwidth=12\nchannels=3\nbn=alexey\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\ngroups=24\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=1\nactivation=linear\n"
    "[shortcut]\nfrom=-4\nactivation=linear\n"
    "[convolutional]\nbatch_normalize=1\nfilters=40\nsize=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=40\ngroups=40\nsize=3\nstride=2\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=1\nactivation=linear\n"
    "[avgpool]\n[connected]\noutput=10\nactivation=linear\n[softmax]\n";
enum { BATCH = 8, STEPS = 10, LONG = 120, WINDOW = 12, CLASSES = 10 };

/* A class is a stripe pattern under noise. */
static void make_batch(random_state *r, size_t inputs, float *images, float *truth) {
    for (size_t i = 0; i < BATCH * CLASSES; i++) truth[i] = 0.0f;
    for (size_t n = 0; n < BATCH; n++) {
        size_t class = random_below(r, CLASSES);
        truth[n * CLASSES + class] = 1.0f;
        for (size_t i = 0; i < inputs; i++)
            images[n * inputs + i] = random_uniform(r, -1, 1) + (i % (class + 3) == 0 ? 1.0f : 0.0f);
    }
}

/* Losses of the steps; the network they leave. */
static network *train_steps(int steps, uint64_t seed, double *losses) {
    network *net = made_network_from(TEXT, true, 2, seed);
    optimizer o;
    error e = {0};
    size_t inputs = tensor_size(network_input_shape(net));
    float *images = malloc(BATCH * inputs * sizeof *images), *truth = malloc(BATCH * CLASSES * sizeof *truth);
    random_state r = random_seeded(seed, 5);
    assert_true(optimizer_create(&o, net, &e));
    for (int step = 0; step < steps; step++) {
        make_batch(&r, inputs, images, truth);
        losses[step] = network_train_pass(net, images, truth, BATCH) / BATCH;
        optimizer_step(&o, 1e-2, BATCH);
    }
    optimizer_destroy(&o);
    free(images);
    free(truth);
    return net;
}

static network *reference_steps(int steps, uint64_t seed, double *losses) {
    assert_int_equal(setenv("DARKNET_KERNELS", "reference", 1), 0);
    assert_ptr_equal(convolution_form_of(&(convolution_shape){.groups = 1, .stride_y = 1, .stride_x = 1}),
                     &convolution_reference);
    network *net = train_steps(steps, seed, losses);
    assert_int_equal(unsetenv("DARKNET_KERNELS"), 0);
    return net;
}

static void ten_steps_match_the_reference(void **state) {
    (void)state;
    double fast_losses[STEPS], reference_losses[STEPS], difference = 0.0, size = 0.0;
    network *fast = train_steps(STEPS, 3, fast_losses),
            *reference = reference_steps(STEPS, 3, reference_losses);
    for (int i = 0; i < STEPS; i++)
        if (!(fabs(fast_losses[i] - reference_losses[i]) <= 1e-3 * reference_losses[i]))
            fail_msg("step %d: loss %.6f, reference %.6f", i + 1, fast_losses[i], reference_losses[i]);
    for (size_t i = 0; i < fast->parameter_total; i++) {
        difference += pow((double)fast->values[i] - (double)reference->values[i], 2);
        size += pow((double)reference->values[i], 2);
    }
    assert_true(difference > 0.0); /* two different ways of computing it */
    assert_true(sqrt(difference / size) <= 1e-3);
    assert_true(fabs(fast_losses[STEPS - 1] - fast_losses[0]) > 1e-3);
    network_destroy(fast);
    network_destroy(reference);
}

/* The mean over windows of the difference of two smoothed curves. */
static double distance(const double *a, const double *b) {
    double sum = 0.0;
    for (int first = 0; first < LONG; first += WINDOW) {
        double off = 0.0;
        for (int i = first; i < first + WINDOW; i++) off += a[i] - b[i];
        sum += fabs(off) / WINDOW;
    }
    return sum * WINDOW / LONG;
}

static void curves_differ_less_than_seeds_do(void **state) {
    (void)state;
    double fast[3][LONG], reference[LONG], least = INFINITY;
    for (uint64_t seed = 0; seed < 3; seed++) network_destroy(train_steps(LONG, seed + 3, fast[seed]));
    network_destroy(reference_steps(LONG, 3, reference));
    assert_true(fast[0][LONG - 1] < .8 * fast[0][0]); /* there is something to learn */
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < i; j++) least = fmin(least, distance(fast[i], fast[j]));
    if (!(distance(fast[0], reference) < .1 * least))
        fail_msg("kernels differ by %g, seeds by %g", distance(fast[0], reference), least);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_steps_match_the_reference),
                                       cmocka_unit_test(curves_differ_less_than_seeds_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
