/* Gradients of every layer type by finite differences: along a random direction in each parameter array, the
 * loss must change as the backward pass says. Batch norm in its exact form, smooth activations where a kink
 * would blur the difference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "made_cfg.h"

enum { BATCH = 4 };

typedef struct sample {
    network *net;
    float *images, *truth;
} sample;

static sample make_sample(const char *cfg_text) {
    sample s = {.net = made_network_from(cfg_text, true, 2, 7)};
    size_t inputs = tensor_size(network_input_shape(s.net)), outputs = (size_t)network_outputs(s.net);
    s.images = malloc(BATCH * inputs * sizeof(float));
    s.truth = calloc(BATCH * outputs, sizeof(float));
    random_state r = random_seeded(3, 1);
    for (size_t i = 0; i < BATCH * inputs; i++) s.images[i] = random_normal(&r);
    for (size_t n = 0; n < BATCH; n++) s.truth[n * outputs + random_below(&r, outputs)] = 1.0f;
    for (size_t i = 0; i < s.net->parameter_total; i++) s.net->values[i] += .1f * random_normal(&r);
    return s;
}

static void free_sample(sample *s) {
    network_destroy(s->net);
    free(s->images);
    free(s->truth);
}

static double loss_of(sample *s) {
    s->net->seen = 0; /* the same dropout masks */
    return network_train_pass(s->net, s->images, s->truth, BATCH);
}

static void check_parameter(sample *s, const layer *l, const parameter *p, random_state *r) {
    float *kept = malloc(p->count * sizeof(float)), *direction = malloc(p->count * sizeof(float));
    double predicted = 0.0, scale = 0.0;
    memcpy(kept, p->values, p->count * sizeof(float));
    network_clear_gradients(s->net);
    (void)loss_of(s);
    for (size_t i = 0; i < p->count; i++) {
        direction[i] = random_normal(r);
        predicted -= (double)p->gradient[i] * (double)direction[i];
        scale += (double)p->gradient[i] * (double)p->gradient[i];
    }
    double best = INFINITY;
    for (float epsilon = 1e-2f; epsilon > 1e-4f; epsilon *= .5f) {
        for (size_t i = 0; i < p->count; i++) p->values[i] = kept[i] + epsilon * direction[i];
        double above = loss_of(s);
        for (size_t i = 0; i < p->count; i++) p->values[i] = kept[i] - epsilon * direction[i];
        double difference = (above - loss_of(s)) / (2.0 * (double)epsilon);
        best = fmin(best, fabs(difference - predicted));
    }
    memcpy(p->values, kept, p->count * sizeof(float));
    if (best > 2e-3 * sqrt(scale) + 1e-4)
        fail_msg("layer %d (%s) %s: finite difference is %g off, gradient's length %g, predicted %g",
                 l->index, l->type->name, p->name, best, sqrt(scale), predicted);
    free(kept);
    free(direction);
}

static void check(const char *cfg_text) {
    sample s = make_sample(cfg_text);
    random_state r = random_seeded(11, 2);
    int checked = 0;
    for (int i = 0; i < s.net->layer_count; i++)
        for (int j = 0; j < s.net->layers[i].parameter_count; j++) {
            const parameter *p = &s.net->layers[i].parameters[j];
            if (!p->gradient) continue;
            check_parameter(&s, &s.net->layers[i], p, &r);
            checked++;
        }
    assert_true(checked > 0);
    free_sample(&s);
}

#define NET "[net]\nbatch=4\nheight=6\nwidth=5\nchannels=3\nbn=exact\n"
#define CONV "[convolutional]\nfilters=6\nsize=3\npad=1\nactivation=tanh\n"
#define HEAD "[connected]\noutput=5\nactivation=linear\n[softmax]\n"

static void convolution(void **state) {
    (void)state;
    check(NET "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=swish\n" HEAD);
    check(NET "[convolutional]\nfilters=6\nsize=3\npad=1\ngroups=3\nactivation=mish\n" HEAD);
    check(NET "[convolutional]\nfilters=6\nsize=2\ndilation=2\nactivation=logistic\n" HEAD);
    check(NET "[convolutional]\nfilters=7\nsize=1\nactivation=tanh\n" CONV HEAD);
    check(NET CONV "[convolutional]\nfilters=6\ngroups=6\nsize=3\npad=1\nstride=2\nactivation=tanh\n" HEAD);
}

static void normalised_convolution(void **state) {
    (void)state;
    check(NET CONV "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nactivation=swish\n" HEAD);
    check(NET CONV
          "[convolutional]\nbatch_normalize=1\nfilters=6\ngroups=6\nsize=3\npad=1\nactivation=mish\n" HEAD);
    check(NET "[convolutional]\nbatch_normalize=1\nfilters=5\nsize=3\nactivation=tanh\n"
              "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=1\nactivation=linear\n" HEAD);
}

static void connected(void **state) {
    (void)state;
    check(NET "[connected]\noutput=7\nactivation=tanh\n" HEAD);
    check(NET CONV "[connected]\noutput=7\nbatch_normalize=1\nactivation=logistic\n" HEAD);
}

static void pools(void **state) {
    (void)state;
    check(NET CONV "[maxpool]\nsize=2\nstride=2\n" CONV HEAD);
    check(NET CONV "[maxpool]\nsize=3\nstride=1\n" HEAD);
    check(NET CONV "[avgpool]\n" HEAD);
}

static void dropout(void **state) {
    (void)state;
    check(NET CONV "[dropout]\nprobability=.4\n" CONV "[dropout]\nprobability=.2\n" HEAD);
}

static void shortcut(void **state) {
    (void)state;
    check(NET CONV CONV "[shortcut]\nfrom=-2\nactivation=linear\n" CONV "[shortcut]\nfrom=-2\n" HEAD);
    check(NET CONV CONV "[shortcut]\nfrom=-2\nactivation=swish\n" CONV HEAD);
    check(NET CONV CONV "[shortcut]\nfrom=-2\nalpha=.5\nbeta=2\nactivation=tanh\n" HEAD);
    check(NET CONV CONV CONV "[shortcut]\nfrom=-2,-3\n" CONV HEAD);
    /* the input is read by more than the sum, and the sum by two layers */
    check(NET CONV CONV "[shortcut]\nfrom=-2\n" CONV "[shortcut]\nfrom=-3\n[shortcut]\nfrom=-3\n" HEAD);
}

static void shortcut_of_other_shape(void **state) {
    (void)state;
    const char *start = "[net]\nbatch=4\nheight=6\nwidth=6\nchannels=3\n" CONV;
    char text[2048];
    (void)snprintf(
        text, sizeof text, "%s%s", start,
        "[convolutional]\nfilters=9\nsize=3\nstride=2\npad=1\nactivation=tanh\n[shortcut]\nfrom=-2\n" CONV
            HEAD);
    check(text);
    (void)snprintf(text, sizeof text, "%s%s", start,
                   "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=tanh\n"
                   "[route]\nlayers=-2\n[shortcut]\nfrom=-2\nalpha=.5\nactivation=tanh\n" HEAD);
    check(text);
}

static void route(void **state) {
    (void)state;
    check(NET CONV "[convolutional]\nfilters=4\nsize=1\nactivation=tanh\n[route]\nlayers=-1,-2\n" CONV HEAD);
    check(NET CONV "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" CONV "[route]\nlayers=-1,0\n" HEAD);
}

static void separate_batchnorm_and_activation(void **state) {
    (void)state;
    check(NET CONV "[batchnorm]\n[activation]\nactivation=swish\n" CONV HEAD);
    check(NET CONV "[activation]\nactivation=tanh\n[batchnorm]\n" HEAD);
    check(NET CONV "[batchnorm]\n[maxpool]\nsize=2\nstride=2\n" HEAD);
}

static void costs(void **state) {
    (void)state;
    /* Darknet's delta of a squared error is half its gradient: the scale makes it whole */
    check(NET CONV "[connected]\noutput=5\nactivation=logistic\n[cost]\ntype=sse\nscale=2\n");
}

static void inverted_residuals(void **state) {
    (void)state;
    const char *bottleneck =
        "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=1\nactivation=swish\n"
        "[convolutional]\nbatch_normalize=1\nfilters=12\ngroups=12\nsize=3\npad=1\nactivation=swish\n"
        "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nactivation=linear\n[shortcut]\nfrom=-4\n";
    char text[4096];
    (void)snprintf(text, sizeof text,
                   NET
                   "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\npad=1\nactivation=linear\n%s%s%s",
                   bottleneck, bottleneck, "[avgpool]\n" HEAD);
    check(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution),
        cmocka_unit_test(normalised_convolution),
        cmocka_unit_test(connected),
        cmocka_unit_test(pools),
        cmocka_unit_test(dropout),
        cmocka_unit_test(shortcut),
        cmocka_unit_test(shortcut_of_other_shape),
        cmocka_unit_test(route),
        cmocka_unit_test(separate_batchnorm_and_activation),
        cmocka_unit_test(costs),
        cmocka_unit_test(inverted_residuals),
    };
    return cmocka_run_group_tests_name("layers' gradients", tests, NULL, NULL);
}
