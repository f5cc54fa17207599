/* Calibration and accuracy of the integer network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "internal.h"

enum { CALIBRATION_IMAGES = 512 };

/* ---- calibration: the largest magnitude of each node over the first training images ---- */
typedef struct magnitudes {
    network *net;
    float *largest;
    int node_count;
} magnitudes;

static float largest_of(const float *values, size_t count) {
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(values[i]));
    return largest;
}

static void observe(void *user, const layer *l, bool before_activation, const float *values, size_t count) {
    magnitudes *m = user;
    darknet_layer_info info;
    layer_get_info(l, &info);
    float *place = &m->largest[1 + info.index + (before_activation ? m->node_count : 0)];
    *place = fmaxf(*place, largest_of(values, count));
}

static bool observe_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    magnitudes *m = user;
    m->largest[0] =
        fmaxf(m->largest[0], largest_of(images, count * tensor_size(network_input_shape(m->net))));
    network_forward_observed(m->net, images, count, observe, m);
    return true;
}

/* Up to the next number of 8 significant bits: a scale then does not hang on the rounding of float sums, and
 * a network whose filters were permuted calibrates to the same integers. */
static float round_up_magnitude(float value) {
    if (!(value > 0.0f)) return 0.0f;
    int exponent;
    float mantissa = frexpf(value, &exponent);
    return ldexpf(ceilf(ldexpf(mantissa, 8)), exponent - 8);
}

float *calibrate_activations(network *net, const network_view *v, int activation_bits, image_source source,
                             void *user, error *e) {
    size_t count = hd_integer_scale_count(&v->description);
    hd_error h = {0};
    float *largest = calloc(count, sizeof *largest), *scales = calloc(count, sizeof *scales);
    magnitudes m = {.net = net, .largest = largest, .node_count = v->description.node_count};
    bool good = largest && scales && source(user, CALIBRATION_IMAGES, observe_batch, &m, e);
    for (size_t i = 0; good && i < count; i++) largest[i] = round_up_magnitude(largest[i]);
    good = good && (hd_integer_activation_scales(&v->description, largest, activation_bits, scales, &h) ||
                    from_hd(&h, e));
    free(largest);
    if (good) return scales;
    free(scales);
    return NULL;
}

/* ---- the network ---- */
hd_integer_network *make_integer_network(const network_view *v, const weight_streams *s,
                                         const float *activation_scales, error *e) {
    hd_error h = {0};
    hd_integer_weights *weights = calloc((size_t)v->description.node_count, sizeof *weights);
    if (!weights) {
        error_set(e, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < s->count; i++)
        weights[s->items[i].index] =
            (hd_integer_weights){.words = s->items[i].words, .scales = s->items[i].scales};
    hd_integer_model *model = hd_integer_model_create(&v->description, weights, activation_scales,
                                                      s->model.accelerator.activation_bits, &h);
    hd_integer_network *network_made = model ? hd_integer_network_create(model, &h) : NULL;
    if (!network_made) from_hd(&h, e);
    hd_integer_model_destroy(model);
    free(weights);
    return network_made;
}

typedef struct integer_tally {
    const hd_integer_network *net;
    float *logits;
    size_t classes, images, first, among, capacity;
    int top, threads;
    double loss, seconds;
    error *e;
    bool failed;
} integer_tally;

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void tally_row(integer_tally *t, const float *row, int class_index) {
    int rank = 0;
    double sum = 0.0, largest = row[0];
    for (size_t i = 1; i < t->classes; i++) largest = fmax(largest, (double)row[i]);
    for (size_t i = 0; i < t->classes; i++) {
        rank += row[i] > row[class_index] || (row[i] == row[class_index] && (int)i < class_index);
        sum += exp((double)row[i] - largest);
    }
    t->first += rank == 0;
    t->among += rank < t->top;
    t->loss += log(sum) + largest - (double)row[class_index];
}

static bool tally_batch(void *user, const float *images, const int *classes, size_t count) {
    integer_tally *t = user;
    hd_error h = {0};
    double start = now_seconds();
    if (count > t->capacity) {
        free(t->logits);
        t->logits = malloc(count * t->classes * sizeof *t->logits);
        t->capacity = count;
    }
    if (!t->logits || !hd_integer_network_run(t->net, images, count, t->logits, NULL, t->threads, &h)) {
        t->failed = true;
        return error_set(t->e, "%s", t->logits ? h.message : "out of memory");
    }
    t->seconds += now_seconds() - start;
    for (size_t n = 0; n < count; n++) tally_row(t, t->logits + n * t->classes, classes[n]);
    t->images += count;
    return true;
}

bool evaluate_integer(const hd_integer_network *n, const network *net, image_source source, void *user,
                      int top, evaluation *result, error *e) {
    integer_tally t = {.net = n,
                       .classes = hd_integer_network_classes(n),
                       .top = top,
                       .threads = network_threads(net),
                       .e = e};
    bool good = source(user, 0, tally_batch, &t, e) && !t.failed;
    free(t.logits);
    double images = t.images ? (double)t.images : 1.0;
    *result = (evaluation){.images = t.images,
                           .top1 = (double)t.first / images,
                           .topk = (double)t.among / images,
                           .loss = t.loss / images,
                           .seconds = t.seconds};
    return good;
}

/* ---- from a data file ---- */
typedef struct set_source {
    const network *net;
    const dataset *set;
} set_source;

static bool visit_set(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const set_source *s = user;
    return visit_dataset(s->net, s->set, most, visit, visit_user, e);
}

static float *scales_of(network *net, const network_view *v, const weight_streams *s,
                        const data_options *data, error *e) {
    if (s->sidecar.activation_scales && s->sidecar.node_count == hd_integer_scale_count(&v->description)) {
        float *copy = malloc(s->sidecar.node_count * sizeof *copy);
        if (copy) memcpy(copy, s->sidecar.activation_scales, s->sidecar.node_count * sizeof *copy);
        return copy;
    }
    dataset *d = dataset_open(data, DATA_TRAIN, network_input_shape(net).channels, net->options.seed, e);
    if (!d) return NULL;
    set_source source = {.net = net, .set = d};
    float *scales =
        calibrate_activations(net, v, s->model.accelerator.activation_bits, visit_set, &source, e);
    dataset_close(d);
    return scales;
}

bool plugin_evaluate_int8(plugin *p, network *net, const char *weights_path, const data_options *calibration,
                          const dataset *d, int top, evaluation *result, error *e) {
    array_model model;
    weight_streams streams = {0};
    network_view view = {0};
    float *scales = NULL;
    hd_integer_network *integer = NULL;
    set_source source = {.net = net, .set = d};
    bool good = array_model_of(p, net, &model, e) &&
                weight_streams_load(&streams, net, weights_path, &model, e) &&
                network_view_create(&view, net, &model.accelerator, e) &&
                (scales = scales_of(net, &view, &streams, calibration, e)) &&
                (integer = make_integer_network(&view, &streams, scales, e)) &&
                evaluate_integer(integer, net, visit_set, &source, top, result, e);
    hd_integer_network_destroy(integer);
    free(scales);
    network_view_free(&view);
    weight_streams_free(&streams);
    return good;
}
