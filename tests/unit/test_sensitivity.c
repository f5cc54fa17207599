/* What a word's error is said to do to the answers, against what it does: small random errors in one layer's
 * weights, and the divergence of the network's answers. */
#include "rounding_job.h" /* before cmocka.h, whose fail() is another */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "made_cfg.h"

enum { SIDE = 8, CHANNELS = 3, CLASSES = 10, IMAGES = 1024, BATCH = 32, DRAWS = 6 };

static const char cfg_text[] =
    "[net]\nbatch=32\nheight=8\nwidth=8\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=12\ngroups=12\nsize=3\npad=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=24\nsize=1\nactivation=relu6\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=1\ngroups=2\nactivation=linear\n"
    "[avgpool]\n[connected]\noutput=10\nactivation=linear\n[softmax]\n";

static uint64_t random_state = 17;
static float uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(((double)(random_state >> 33) + 0.5) / 2147483648.0);
}

typedef struct pictures {
    float *values; /* [IMAGES][SIDE][SIDE][CHANNELS] */
    int classes[IMAGES];
} pictures;

static bool visit(void *user, size_t most, image_visitor visitor, void *visit_user, error *e) {
    (void)e;
    const pictures *p = user;
    size_t count = most < IMAGES ? most : IMAGES;
    for (size_t at = 0; at + BATCH <= count; at += BATCH)
        if (!visitor(visit_user, p->values + at * SIDE * SIDE * CHANNELS, p->classes + at, BATCH)) break;
    return true;
}

/* Answers with every batch normalised by its own moments: [IMAGES][CLASSES]. */
static void answer(network *net, const pictures *p, float *answers) {
    for (size_t at = 0; at < IMAGES; at += BATCH) {
        network_forward_batch_statistics(net, p->values + at * SIDE * SIDE * CHANNELS, BATCH);
        memcpy(answers + at * CLASSES, network_output_layer(net)->output.data,
               BATCH * CLASSES * sizeof *answers);
    }
}

static double divergence(const float *before, const float *after) {
    double sum = 0;
    for (size_t i = 0; i < IMAGES * CLASSES; i++)
        sum += (double)before[i] * (log((double)before[i]) - log((double)after[i]));
    return sum / IMAGES;
}

/* The mean divergence that errors of +-size words in this layer bring. */
static double tried(network *net, const pictures *p, const weight_stream *w, double size,
                    const float *before) {
    darknet_parameter weights;
    float *after = malloc(IMAGES * CLASSES * sizeof *after);
    double sum = 0;
    assert_true(layer_get_parameter(w->layer, "weights", &weights));
    float *kept = malloc(weights.count * sizeof *kept);
    memcpy(kept, weights.values, weights.count * sizeof *kept);
    for (int draw = 0; draw < DRAWS; draw++) {
        for (size_t i = 0; i < weights.count; i++)
            weights.values[i] = kept[i] + (uniform() < .5f ? -1.0f : 1.0f) * (float)size *
                                              w->scales[i / w->plan.filter_weights];
        answer(net, p, after);
        sum += divergence(before, after) / DRAWS;
    }
    memcpy(weights.values, kept, weights.count * sizeof *kept);
    free(kept);
    free(after);
    return sum;
}

static double sum_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    return sum;
}

/* What compensations say of the same errors: the trace's share of each filter. */
static double sum_of_compensation(const weight_stream *w, const hd_compensation *c) {
    size_t axis = w->plan.lane_axis, group_filters = w->shape.filters / w->plan.groups;
    double sum = 0;
    for (size_t f = 0; f < w->shape.filters; f++)
        for (size_t i = 0; i < axis; i++)
            sum += (double)c->row_importance[f] * (double)w->plan.positions *
                   (double)c->moments[f / group_filters * axis * axis + i * axis + i];
    return sum;
}

static void errors_do_what_is_told(void **state) {
    (void)state;
    error e = {0};
    array_model model = {.accelerator = hd_accelerator_default()};
    pictures *p = malloc(sizeof *p);
    p->values = malloc(IMAGES * SIDE * SIDE * CHANNELS * sizeof *p->values);
    for (size_t i = 0; i < IMAGES * SIDE * SIDE * CHANNELS; i++) p->values[i] = uniform() + .5f * uniform();
    for (size_t i = 0; i < IMAGES; i++) p->classes[i] = 0;
    network *net = made_network_from(cfg_text, true, 1, 3);
    weight_streams streams;
    network_view view;
    importances h;
    float *before = malloc(IMAGES * CLASSES * sizeof *before);
    assert_true(weight_streams_create(&streams, net, &model, &e));
    assert_true(network_view_create(&view, net, &model.accelerator, &e));
    assert_true(estimate_statistics(net, visit, p, IMAGES, &e));
    if (!fisher_information(net, &streams, &view, visit, p, IMAGES, &h, &e)) fail_msg("%s", e.message);
    answer(net, p, before);
    assert_int_equal(streams.count, 5);
    for (size_t i = 0; i < streams.count; i++) {
        const weight_stream *w = &streams.items[i];
        bool compensated = h.compensations[i].moments != NULL;
        assert_true(compensated == !w->plan.depthwise);
        double told =
            compensated ? sum_of_compensation(w, &h.compensations[i]) : sum_of(h.values[i], w->plan.weights);
        double size = sqrt(1e-3 / told), found = tried(net, p, w, size, before);
        if (!(found > .6e-3 && found < 1.7e-3))
            fail_msg("layer %d: 1e-3 nats were told, %g came", w->index, found);
        /* Of a compensated layer's errors only a part is left. */
        if (compensated) assert_true(sum_of(h.values[i], w->plan.weights) < told * 1.02);
    }
    free(before);
    importances_free(&h);
    network_view_free(&view);
    weight_streams_free(&streams);
    network_destroy(net);
    free(p->values);
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors_do_what_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
