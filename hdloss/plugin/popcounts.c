/* What the activations' bits are like: the mean number of ones of the bytes that each layer with weights
 * reads, on the integer network. A flip of a weight bit costs the more the more ones the activation has that
 * it meets. */
#include <stdlib.h>

#include "internal.h"

enum { POPCOUNT_IMAGES = 32 };

typedef struct popcounts {
    const hd_integer_network *integer;
    size_t count; /* of streams */
    int *layers;  /* which layer's output each stream reads; -1 the input */
    uint64_t *ones, *bytes;
    int threads;
    error *e;
    bool failed;
} popcounts;

static size_t tensor_bytes(const hd_integer_network *integer, int place, size_t images) {
    hd_integer_tensor t = hd_integer_network_tensor(integer, place);
    return images * (size_t)t.height * (size_t)t.width * (size_t)t.channels;
}

static void add_ones(popcounts *p, size_t i, const uint8_t *values, size_t bytes) {
    for (size_t k = 0; k < bytes; k++) p->ones[i] += (uint64_t)__builtin_popcount(values[k]);
    p->bytes[i] += bytes;
}

static bool count_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    popcounts *p = user;
    hd_error h = {0};
    uint8_t **outputs = calloc(p->count + 1, sizeof *outputs);
    bool good = outputs != NULL;
    for (size_t i = 0; good && i < p->count; i++)
        good = (outputs[i] = malloc(tensor_bytes(p->integer, p->layers[i], count))) != NULL;
    if (!good)
        error_set(p->e, "out of memory for activations");
    else if (!hd_integer_network_activations(p->integer, images, count, p->layers, p->count, outputs,
                                             p->threads, &h))
        good = from_hd(&h, p->e);
    for (size_t i = 0; good && i < p->count; i++)
        add_ones(p, i, outputs[i], tensor_bytes(p->integer, p->layers[i], count));
    for (size_t i = 0; outputs && i < p->count; i++) free(outputs[i]);
    free(outputs);
    p->failed = !good;
    return good;
}

static bool run(popcounts *p, const weight_streams *s, image_source source, void *user, error *e) {
    p->count = s->count;
    p->layers = calloc(s->count + 1, sizeof *p->layers);
    p->ones = calloc(s->count + 1, sizeof *p->ones);
    p->bytes = calloc(s->count + 1, sizeof *p->bytes);
    p->e = e;
    if (!p->layers || !p->ones || !p->bytes) return error_set(e, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        darknet_layer_info info;
        layer_get_info(s->items[i].layer, &info);
        p->layers[i] = info.inputs[0];
    }
    return source(user, POPCOUNT_IMAGES, count_batch, p, e) && !p->failed;
}

bool measure_popcounts(network *net, weight_streams *s, image_source source, void *user, error *e) {
    network_view view = {0};
    float *scales = NULL;
    hd_integer_network *integer = NULL;
    popcounts p = {.threads = network_threads(net)};
    bool good =
        network_view_create(&view, net, &s->model.accelerator, e) &&
        (scales = calibrate_activations(net, &view, s->model.accelerator.activation_bits, source, user, e)) &&
        (integer = make_integer_network(&view, s, scales, e));
    p.integer = integer;
    good = good && run(&p, s, source, user, e);
    for (size_t i = 0; good && i < s->count; i++)
        s->items[i].mean_popcount = p.bytes[i] ? (double)p.ones[i] / (double)p.bytes[i] : 0.0;
    free(p.layers);
    free(p.ones);
    free(p.bytes);
    hd_integer_network_destroy(integer);
    free(scales);
    network_view_free(&view);
    return good;
}
