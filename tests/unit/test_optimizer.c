/* The step against its rule written out in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "made_cfg.h"
#include "train/optimizer.h"

enum { STEPS = 4, IMAGES = 8 };

typedef struct follower {
    double *w, *u, *second;
} follower;

/* Fills gradients with a known series and steps; afterwards every value must be where the rule brings it. */
static void run(const char *keys, void (*rule)(const network *net, const parameter *p, size_t i, double g,
                                               int t, follower *f)) {
    char cfg_text[512];
    (void)snprintf(cfg_text, sizeof cfg_text,
                   "[net]\nheight=4\nwidth=4\nchannels=2\nmomentum=.8\ndecay=.01\n%s\n[convolutional]\nbatch_"
                   "normalize=1\nfilters=3\nsize=3\n"
                   "activation=relu\n[connected]\noutput=4\nactivation=linear\nlearning_rate=.5\n[softmax]\n",
                   keys);
    network *net = made_network_from(cfg_text, true, 1, 5);
    optimizer o;
    error e;
    assert_true(optimizer_create(&o, net, &e));
    size_t n = net->parameter_total;
    follower f = {calloc(n, sizeof(double)), calloc(n, sizeof(double)), calloc(n, sizeof(double))};
    for (size_t i = 0; i < n; i++) f.w[i] = net->values[i];
    random_state r = random_seeded(9, 9);
    for (int t = 1; t <= STEPS; t++) {
        for (int l = 0; l < net->layer_count; l++)
            for (int j = 0; j < net->layers[l].parameter_count; j++) {
                const parameter *p = &net->layers[l].parameters[j];
                for (size_t i = 0; p->gradient && i < p->count; i++) {
                    p->gradient[i] = random_normal(&r);
                    size_t place = (size_t)(p->values - net->values) + i;
                    follower at = {f.w + place, f.u + place, f.second + place};
                    double factor = net->layers[l].learning_rate_factor;
                    double before = *at.w;
                    rule(net, p, i, p->gradient[i], t, &at);
                    *at.w = before + factor * (*at.w - before);
                }
            }
        optimizer_step(&o, .1, IMAGES);
    }
    for (size_t i = 0; i < n; i++) {
        if (fabs(net->values[i] - f.w[i]) > 1e-5 * (1 + fabs(f.w[i])))
            fail_msg("value %zu: %g, the rule says %g", i, net->values[i], f.w[i]);
        assert_true(net->gradients[i] == 0.0f);
    }
    free(f.w);
    free(f.u);
    free(f.second);
    optimizer_destroy(&o);
    network_destroy(net);
}

static double decayed(const network *net, const parameter *p, double g, const follower *f) {
    return g - (strcmp(p->name, "weights") == 0 ? net->options.decay * IMAGES * *f->w : 0.0);
}

static void sgd_rule(const network *net, const parameter *p, size_t i, double g, int t, follower *f) {
    (void)i;
    (void)t;
    *f->u = .8 * *f->u + decayed(net, p, g, f);
    *f->w += .1 / IMAGES * *f->u;
}

static void nesterov_rule(const network *net, const parameter *p, size_t i, double g, int t, follower *f) {
    (void)i;
    (void)t;
    double d = decayed(net, p, g, f);
    *f->u = .8 * *f->u + d;
    *f->w += .1 / IMAGES * (d + .8 * *f->u);
}

static void adam_rule(const network *net, const parameter *p, size_t i, double g, int t, follower *f) {
    (void)i;
    double d = decayed(net, p, g, f) / IMAGES;
    *f->u = .9 * *f->u + .1 * d;
    *f->second = .999 * *f->second + .001 * d * d;
    *f->w += .1 * (*f->u / (1 - pow(.9, t))) / (sqrt(*f->second / (1 - pow(.999, t))) + 1e-7);
}

static void sgd(void **state) {
    (void)state;
    run("", sgd_rule);
}

static void nesterov(void **state) {
    (void)state;
    run("nesterov=1", nesterov_rule);
}

static void adam(void **state) {
    (void)state;
    run("adam=1", adam_rule);
}

static void moving_average(void **state) {
    (void)state;
    network *net = made_network_from(
        "[net]\ninputs=3\nema=.5\n[connected]\noutput=2\nactivation=linear\n[softmax]\n", true, 1, 1);
    optimizer o;
    error e;
    assert_true(optimizer_create(&o, net, &e));
    double average = net->values[2];
    for (int t = 1; t <= 6; t++) {
        for (size_t i = 0; i < net->parameter_total; i++) net->gradients[i] = 1.0f;
        optimizer_step(&o, 1.0, 1);
        double keep = fmin(.5, (1.0 + t) / (10.0 + t));
        average = keep * average + (1 - keep) * net->values[2];
    }
    float own = net->values[2];
    optimizer_swap_average(&o);
    assert_true(fabs(net->values[2] - average) < 1e-5);
    optimizer_swap_average(&o);
    assert_true(net->values[2] == own);
    optimizer_destroy(&o);
    network_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sgd), cmocka_unit_test(nesterov),
                                       cmocka_unit_test(adam), cmocka_unit_test(moving_average)};
    return cmocka_run_group_tests_name("optimiser", tests, NULL, NULL);
}
