/* See against_reference.h. */
#include "against_reference.h"

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
#include "reference_network.h"
#include "train/optimizer.h"
#include "train/schedule.h"

static const double TOLERANCE = 1e-4;
enum { STEPS = 2 };

typedef struct pair {
    network *net;
    reference_network *reference;
    size_t batch;
    float *planes, *images; /* the same images: [batch][c][h][w] for the reference, [batch][h][w][c] */
    random_state random;
} pair;

static network *build(const char *text, bool training, size_t batch) {
    error e = {0};
    const char *path = made_path("compared.cfg");
    assert_true(file_write_atomic(path, text, strlen(text), &e));
    diagnostics *d = diagnostics_create();
    network_settings settings = {.training = training, .pass_batch = (int)batch, .threads = 1};
    network *net = network_create(path, &settings, d, &e);
    if (!net) fail_msg("%s", e.message);
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        const char *sentence = diagnostics_get(d, i, NULL);
        if (strstr(sentence, "is not a key")) fail_msg("%s", sentence);
    }
    diagnostics_destroy(d);
    return net;
}

static void load_reference_file(const pair *p) {
    error e = {0};
    size_t bytes;
    unsigned char *file = reference_weight_file(p->reference, &bytes);
    assert_true(file_write_atomic(made_path("compared.weights"), file, bytes, &e));
    free(file);
    if (!network_load_weights(p->net, made_path("compared.weights"), false, NULL, &e))
        fail_msg("%s", e.message);
}

static pair make_pair(const char *text, bool training, size_t batch, unsigned seed) {
    pair p = {
        .net = build(text, training, batch), .reference = reference_create(text, (int)batch), .batch = batch};
    assert_int_equal(p.net->layer_count, reference_layer_count(p.reference));
    reference_randomize(p.reference, seed);
    load_reference_file(&p);
    size_t values = batch * reference_inputs(p.reference);
    p.planes = malloc(values * sizeof(float));
    p.images = malloc(values * sizeof(float));
    assert_true(p.planes && p.images);
    p.random = random_seeded(seed, 77);
    return p;
}

static void draw_images(pair *p) {
    tensor_shape in = network_input_shape(p->net);
    for (size_t i = 0; i < p->batch * tensor_size(in); i++) p->planes[i] = random_uniform(&p->random, 0, 1);
    nchw_to_nhwc(p->batch, (size_t)in.channels, tensor_pixels(in), p->planes, p->images, 1);
}

static void free_pair(pair *p) {
    network_destroy(p->net);
    reference_destroy(p->reference);
    free(p->planes);
    free(p->images);
}

/* ---- inference ---- */

static void compare_layer(const pair *p, const layer *l, const float *values, const char *how) {
    size_t size = tensor_size(l->out), pixels = tensor_pixels(l->out), channels = (size_t)l->out.channels;
    const double *expected = reference_output(p->reference, l->index);
    double largest = 1e-30;
    assert_int_equal(size, reference_outputs(p->reference, l->index));
    for (size_t i = 0; i < p->batch * size; i++) largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < p->batch * size; i++) {
        size_t n = i / size, c = i % size / pixels, at = i % pixels;
        double value = (double)values[n * size + at * channels + c];
        if (!(fabs(value - expected[i]) <= TOLERANCE * largest))
            fail_msg("%s: layer %d (%s, %s) value %zu is %g, the reference says %g (largest %g)", how,
                     l->index, section_name(l->section), p->net->name, i, value, expected[i], largest);
    }
}

static void observe(void *user, const layer *l, bool before_activation, const float *values, size_t count) {
    const pair *p = user;
    (void)count;
    if (!before_activation) compare_layer(p, l, values, "observed");
}

void compare_inference(const char *cfg_text, int batch, unsigned seed) {
    pair p = make_pair(cfg_text, false, (size_t)batch, seed);
    draw_images(&p);
    (void)reference_pass(p.reference, p.planes, NULL);
    network_forward_observed(p.net, p.images, p.batch, observe, &p);
    const layer *last = network_output_layer(p.net);
    network_forward(p.net, p.images, p.batch);
    compare_layer(&p, last, last->output.data, "plain");
    assert_true(network_pack_weights(p.net));
    network_forward(p.net, p.images, p.batch);
    compare_layer(&p, last, last->output.data, "packed");
    free_pair(&p);
}

/* ---- training ---- */

/* One class an image for probabilities; values with some 0 for a [cost] that stands alone. */
static float *draw_truth(pair *p) {
    size_t outputs = (size_t)network_outputs(p->net), count = p->batch * outputs;
    float *truth = calloc(count, sizeof *truth);
    assert_non_null(truth);
    const layer *l = network_output_layer(p->net);
    bool classes = l->type == layer_type_find("softmax") && tensor_pixels(l->out) == 1;
    for (size_t i = 0; i < count && !classes; i++)
        truth[i] = fmaxf(0.0f, random_uniform(&p->random, -.5f, 1.5f));
    for (size_t n = 0; n < p->batch && classes; n++)
        truth[n * outputs + random_below(&p->random, outputs)] = 1.0f;
    return truth;
}

/* The loss of one update. */
static void update(pair *p, optimizer *o, int step) {
    const net_options *options = &p->net->options;
    double loss = 0, expected = 0;
    for (int i = 0; i < options->subdivisions; i++) {
        float *truth = draw_truth(p),
              *turned = malloc(p->batch * (size_t)network_outputs(p->net) * sizeof *truth);
        tensor_shape out = network_output_layer(p->net)->out;
        assert_non_null(turned);
        draw_images(p);
        nchw_to_nhwc(p->batch, (size_t)out.channels, tensor_pixels(out), truth, turned, 1);
        loss += network_train_pass(p->net, p->images, turned, p->batch);
        expected += reference_pass(p->reference, p->planes, truth);
        free(truth);
        free(turned);
    }
    if (!(fabs(loss - expected) <= TOLERANCE * fabs(expected)))
        fail_msg("update %d: the loss is %g, the reference says %g", step, loss, expected);
    double rate = schedule_rate(options, (uint64_t)step + 1);
    optimizer_step(o, rate, (size_t)options->batch);
    reference_step(p->reference, rate, options->batch);
}

/* Parameters of both as the weight file has them. */
static float *saved_values(const pair *p, size_t *count) {
    error e = {0};
    size_t bytes;
    if (!network_save_weights(p->net, made_path("saved.weights"), -1, &e)) fail_msg("%s", e.message);
    float *file = file_read(made_path("saved.weights"), 0, &bytes, &e);
    assert_non_null(file);
    *count = bytes / sizeof *file;
    return file;
}

static void compare_changes(const pair *p, const float *start) {
    enum { HEADER = 5 };
    size_t count, bytes;
    float *values = saved_values(p, &count),
          *expected = (float *)(void *)reference_weight_file(p->reference, &bytes);
    double largest = 1e-30;
    assert_int_equal(bytes, count * sizeof(float));
    for (size_t i = HEADER; i < count; i++)
        largest = fmax(largest, fabs((double)expected[i] - (double)start[i]));
    for (size_t i = HEADER; i < count; i++)
        if (!(fabs((double)values[i] - (double)expected[i]) <= TOLERANCE * largest))
            fail_msg(
                "float %zu of the weight file is %g, the reference says %g (before %g, largest change %g)",
                i - HEADER, (double)values[i], (double)expected[i], (double)start[i], largest);
    free(values);
    free(expected);
}

void compare_training(const char *cfg_text, unsigned seed) {
    network *probe = build(cfg_text, false, 1);
    size_t batch = (size_t)(probe->options.batch / probe->options.subdivisions), count;
    network_destroy(probe);
    pair p = make_pair(cfg_text, true, batch, seed);
    optimizer o;
    error e = {0};
    float *start = saved_values(&p, &count);
    assert_true(optimizer_create(&o, p.net, &e));
    for (int step = 0; step < STEPS; step++) update(&p, &o, step);
    compare_changes(&p, start);
    free(start);
    optimizer_destroy(&o);
    free_pair(&p);
}

void compare_all(const char *cfg_text, unsigned seed) {
    static const char *const forms[] = {"darknet", "exact", "alexey"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t bytes = strlen(cfg_text) + 32;
        char *text = malloc(bytes);
        assert_non_null(text);
        (void)snprintf(text, bytes, "[net]\nbn=%s\n%s", forms[i], cfg_text + strlen("[net]\n"));
        compare_inference(text, 3, seed);
        compare_training(text, seed);
        free(text);
    }
}
