/* Calibration and accuracy of the integer network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "integer_tally.h"
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
hd_integer_model *make_integer_model(const network_view *v, const weight_streams *s,
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
    if (!model) from_hd(&h, e);
    free(weights);
    return model;
}

hd_integer_network *make_integer_network(const network_view *v, const weight_streams *s,
                                         const float *activation_scales, error *e) {
    hd_error h = {0};
    hd_integer_model *model = make_integer_model(v, s, activation_scales, e);
    hd_integer_network *network_made = model ? hd_integer_network_create(model, &h) : NULL;
    if (model && !network_made) from_hd(&h, e);
    hd_integer_model_destroy(model);
    return network_made;
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

/* `taken`: bytes of memory in use beside the network. */
static float *scales_of(network *net, const network_view *v, const weight_streams *s,
                        const data_options *data, uint64_t taken, error *e) {
    if (s->sidecar.activation_scales && s->sidecar.node_count == hd_integer_scale_count(&v->description)) {
        float *copy = malloc(s->sidecar.node_count * sizeof *copy);
        if (copy) memcpy(copy, s->sidecar.activation_scales, s->sidecar.node_count * sizeof *copy);
        return copy;
    }
    dataset *d = dataset_open(data, DATA_TRAIN, network_input_shape(net).channels, net->options.seed,
                              network_memory_left(net, taken), e);
    if (!d) return NULL;
    set_source source = {.net = net, .set = d};
    float *scales =
        calibrate_activations(net, v, s->model.accelerator.activation_bits, visit_set, &source, e);
    dataset_close(d);
    return scales;
}

bool plugin_evaluate_int8(plugin *p, network *net, const char *weights_path, const data_options *calibration,
                          const dataset *d, int top, const char *logits_path, evaluation *result, error *e) {
    array_model model;
    weight_streams streams = {0};
    network_view view = {0};
    float *scales = NULL;
    hd_integer_network *integer = NULL;
    set_source source = {.net = net, .set = d};
    integer_records records = {.keep_logits = logits_path != NULL};
    bool good = array_model_beside(p, net, weights_path, &model, e) &&
                weight_streams_load(&streams, net, weights_path, &model, e) &&
                network_view_create(&view, net, &model.accelerator, e) &&
                (scales = scales_of(net, &view, &streams, calibration, dataset_bytes(d), e)) &&
                (integer = make_integer_network(&view, &streams, scales, e)) &&
                tally_integer(integer, network_threads(net), visit_set, &source, top, &records, result, e) &&
                (!logits_path || integer_records_write_logits(&records, logits_path, e));
    integer_records_free(&records);
    hd_integer_network_destroy(integer);
    free(scales);
    network_view_free(&view);
    weight_streams_free(&streams);
    return good;
}
