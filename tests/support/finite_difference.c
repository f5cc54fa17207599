/* Gradients by finite differences: see finite_difference.h. */
#include "finite_difference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

void finite_difference_check(const char *cfg_text) {
    finite_difference_check_except(cfg_text, -1);
}

void finite_difference_check_except(const char *cfg_text, int except) {
    sample s = make_sample(cfg_text);
    random_state r = random_seeded(11, 2);
    int checked = 0;
    for (int i = 0; i < s.net->layer_count; i++)
        for (int j = 0; j < s.net->layers[i].parameter_count; j++) {
            const parameter *p = &s.net->layers[i].parameters[j];
            if (!p->gradient || i == except) continue;
            check_parameter(&s, &s.net->layers[i], p, &r);
            checked++;
        }
    assert_true(checked > 0);
    free_sample(&s);
}
