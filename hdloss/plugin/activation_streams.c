/* Activations of the integer network on real images, as each layer with weights reads them: their statistics
 * for the plan level, and one image's bytes for the trace level. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

typedef struct reader {
    network *net;
    weight_streams *streams;
    const network_view *view;
    const hd_integer_network *integer;
    size_t count; /* of streams */
    int *places;  /* whose output each stream reads; -1 the input */
    hd_activation_sums *sums;
    hd_energy_report *traced; /* NULL: no trace, or done */
    size_t images;            /* read so far */
    error *e;
    bool failed;
} reader;

static hd_integer_tensor tensor_of(const reader *r, size_t i) {
    return hd_integer_network_tensor(r->integer, r->places[i]);
}

static size_t image_bytes(const reader *r, size_t i) {
    hd_integer_tensor t = tensor_of(r, i);
    return (size_t)t.height * (size_t)t.width * (size_t)t.channels;
}

/* ---- the trace of an image ---- */
/* A connected layer reads C,H,W order: its inputs become channels of one pixel. */
static bool flatten(uint8_t *values, size_t pixels, size_t channels) {
    uint8_t *copy = malloc(pixels * channels);
    if (!copy) return false;
    memcpy(copy, values, pixels * channels);
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++) values[c * pixels + p] = copy[p * channels + c];
    free(copy);
    return true;
}

static bool describe(const reader *r, size_t i, uint8_t *values, hd_trace_layer *l) {
    const weight_stream *w = &r->streams->items[i];
    const hd_node *node = &r->view->nodes[w->index];
    hd_integer_tensor t = tensor_of(r, i);
    *l = (hd_trace_layer){.plan = &w->plan,
                          .words = w->streamed ? w->streamed : w->words,
                          .activations = values,
                          .height = (size_t)t.height,
                          .width = (size_t)t.width,
                          .stride = (size_t)node->stride,
                          .padding = (size_t)node->padding,
                          .dilation = (size_t)(node->dilation > 0 ? node->dilation : 1),
                          .activation_signed = t.is_signed};
    if (node->type != HD_NODE_CONNECTED) return true;
    l->height = l->width = l->stride = l->dilation = 1;
    l->padding = 0;
    return flatten(values, (size_t)t.height * (size_t)t.width, (size_t)t.channels);
}

static bool trace(reader *r, uint8_t *const *outputs) {
    hd_trace_layer *layers = calloc(r->count + 1, sizeof *layers);
    hd_trace_counts *counts = calloc(r->count + 1, sizeof *counts);
    hd_error h = {0};
    bool good = layers && counts;
    for (size_t i = 0; good && i < r->count; i++) good = describe(r, i, outputs[i], &layers[i]);
    if (!good) error_set(r->e, "out of memory for a trace");
    if (good && !hd_trace_layers(layers, r->count, network_threads(r->net), counts, &h))
        good = from_hd(&h, r->e);
    for (size_t i = 0; good && i < r->count; i++) {
        good =
            hd_energy_trace_level(&r->streams->model.table, layers[i].plan, &counts[i], &r->traced[i], &h) ||
            from_hd(&h, r->e);
        hd_energy_round(&r->traced[i], ENERGY_DECIMALS);
    }
    free(layers);
    free(counts);
    r->traced = NULL;
    return good;
}

/* ---- all images ---- */
static bool read_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    reader *r = user;
    hd_error h = {0};
    uint8_t **outputs = calloc(r->count + 1, sizeof *outputs);
    bool good = outputs != NULL;
    for (size_t i = 0; good && i < r->count; i++)
        good = (outputs[i] = malloc(count * image_bytes(r, i))) != NULL;
    if (!good)
        error_set(r->e, "out of memory for activations");
    else if (!hd_integer_network_activations(r->integer, images, count, r->places, r->count, outputs,
                                             network_threads(r->net), &h))
        good = from_hd(&h, r->e);
    for (size_t i = 0; good && i < r->count; i++) {
        hd_integer_tensor t = tensor_of(r, i);
        hd_activation_sums_add(&r->sums[i], outputs[i], count, (size_t)t.height, (size_t)t.width,
                               (size_t)t.channels);
    }
    if (good && r->traced) good = trace(r, outputs);
    for (size_t i = 0; outputs && i < r->count; i++) free(outputs[i]);
    free(outputs);
    r->images += count;
    r->failed = !good;
    return good;
}

static bool run(reader *r, image_source source, void *user) {
    r->places = calloc(r->count + 1, sizeof *r->places);
    r->sums = calloc(r->count + 1, sizeof *r->sums);
    if (!r->places || !r->sums) return error_set(r->e, "out of memory");
    for (size_t i = 0; i < r->count; i++) {
        darknet_layer_info info;
        layer_get_info(r->streams->items[i].layer, &info);
        r->places[i] = info.inputs[0];
    }
    return source(user, STATISTICS_IMAGES, read_batch, r, r->e) && !r->failed &&
           (r->images > 0 || error_set(r->e, "there are no images to read activations from"));
}

bool measure_activations(network *net, weight_streams *s, image_source source, void *user,
                         hd_energy_report *traced, error *e) {
    network_view view = {0};
    float *scales = NULL;
    hd_integer_network *integer = NULL;
    bool good =
        network_view_create(&view, net, &s->model.accelerator, e) &&
        (scales = calibrate_activations(net, &view, s->model.accelerator.activation_bits, source, user, e)) &&
        (integer = make_integer_network(&view, s, scales, e));
    reader r = {.net = net,
                .streams = s,
                .view = &view,
                .integer = integer,
                .count = s->count,
                .traced = traced,
                .e = e};
    good = good && run(&r, source, user);
    for (size_t i = 0; good && i < s->count; i++) {
        s->items[i].activations = hd_activation_statistics_of(&r.sums[i]);
        s->items[i].activations_measured = true;
    }
    free(r.places);
    free(r.sums);
    hd_integer_network_destroy(integer);
    free(scales);
    network_view_free(&view);
    return good;
}
