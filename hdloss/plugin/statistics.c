/* Batch-norm statistics estimated anew on calibration images, and the power of each layer's input. After
 * words have moved, the statistics of training no longer fit; batches normalised by their own moments give
 * those that do, layer after layer in one pass (Sun et al., "Hybrid 8-bit floating point training and
 * inference", NeurIPS 2019, for the idea). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* ---- batch norm ---- */
/* Moments of one layer's channels over all images so far, pooled from batches (Chan, Golub and LeVeque,
 * 1983). */
typedef struct pooled {
    darknet_parameter mean, variance; /* of the layer; mean.values NULL: it has none */
    size_t pixels;                    /* of one image */
    double *sums;                     /* [2][channels]: means, then sums of squares about them */
} pooled;

typedef struct estimate {
    network *net;
    pooled *layers;
    double images;
} estimate;

static void pool_channel(double *mean, double *squares, double before, double n, double batch_mean,
                         double batch_variance) {
    double all = before + n, apart = batch_mean - *mean;
    *mean += apart * n / all;
    *squares += batch_variance * (n - 1.0) + apart * apart * before * n / all;
}

/* A batch much smaller than the others would be normalised by poor moments: it is left out. */
static bool pool_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    estimate *s = user;
    if (s->images > 0.0 && count < s->net->pass_batch) return true;
    network_forward_batch_statistics(s->net, images, count);
    for (int i = 0; i < s->net->layer_count; i++) {
        pooled *p = &s->layers[i];
        size_t channels = p->mean.count;
        for (size_t k = 0; p->sums && k < channels; k++)
            pool_channel(&p->sums[k], &p->sums[channels + k], s->images * (double)p->pixels,
                         (double)(count * p->pixels), (double)p->mean.values[k],
                         (double)p->variance.values[k]);
    }
    s->images += (double)count;
    return true;
}

static bool estimate_begin(estimate *s, network *net, error *e) {
    *s = (estimate){.net = net, .layers = calloc((size_t)net->layer_count, sizeof *s->layers)};
    if (!s->layers) return error_set(e, "out of memory");
    for (int i = 0; i < net->layer_count; i++) {
        pooled *p = &s->layers[i];
        darknet_layer_info info;
        layer *l = network_layer(net, i);
        layer_get_info(l, &info);
        if (!layer_get_parameter(l, "rolling_mean", &p->mean) ||
            !layer_get_parameter(l, "rolling_variance", &p->variance))
            continue;
        p->pixels = (size_t)info.out_height * (size_t)info.out_width;
        p->sums = calloc(2 * p->mean.count, sizeof *p->sums);
        if (!p->sums) return error_set(e, "out of memory");
    }
    return true;
}

static void estimate_finish(const estimate *s) {
    for (int i = 0; i < s->net->layer_count; i++) {
        const pooled *p = &s->layers[i];
        double n = s->images * (double)p->pixels;
        for (size_t k = 0; p->sums && k < p->mean.count; k++) {
            p->mean.values[k] = (float)p->sums[k];
            p->variance.values[k] = (float)(n > 1.0 ? p->sums[p->mean.count + k] / (n - 1.0) : 0.0);
        }
    }
}

bool estimate_statistics(network *net, image_source source, void *user, size_t images, error *e) {
    estimate s;
    bool good = estimate_begin(&s, net, e) && source(user, images, pool_batch, &s, e) &&
                (s.images > 0.0 || error_set(e, "there are no images to estimate batch-norm statistics on"));
    if (good) estimate_finish(&s);
    for (int i = 0; s.layers && i < net->layer_count; i++) free(s.layers[i].sums);
    free(s.layers);
    return good;
}

/* ---- the network of the words ---- */
bool words_into_network(const weight_streams *s, float **kept, error *e) {
    size_t total = 0, at = 0;
    for (size_t i = 0; i < s->count; i++) total += s->items[i].plan.weights;
    if (kept && !(*kept = malloc((total ? total : 1) * sizeof **kept))) return error_set(e, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        darknet_parameter weights;
        (void)layer_get_parameter(w->layer, "weights", &weights);
        if (kept) memcpy(*kept + at, weights.values, w->plan.weights * sizeof **kept);
        at += w->plan.weights;
        hd_dequantise(w->words, w->shape.filters, hd_layer_filter_weights(&w->shape), w->scales,
                      weights.values);
    }
    return true;
}

void weights_into_network(const weight_streams *s, const float *kept) {
    for (size_t i = 0, at = 0; i < s->count; i++) {
        darknet_parameter weights;
        (void)layer_get_parameter(s->items[i].layer, "weights", &weights);
        memcpy(weights.values, kept + at, weights.count * sizeof *kept);
        at += weights.count;
    }
}

/* ---- input power ---- */
typedef struct power {
    network *net;
    double **sums;   /* [1 + layers]: of the input, then of each layer's output; NULL: nobody asks */
    size_t *lengths; /* values summed one by one: channels, or all values of an image for a connected layer */
    double images;
} power;

static void add_squares(double *sums, size_t length, const float *values, size_t count) {
    for (size_t at = 0; at < count; at += length)
        for (size_t k = 0; k < length; k++) sums[k] += (double)values[at + k] * (double)values[at + k];
}

static void observe(void *user, const layer *l, bool before_activation, const float *values, size_t count) {
    power *s = user;
    size_t place = (size_t)l->index + 1;
    if (!before_activation && s->sums[place]) add_squares(s->sums[place], s->lengths[place], values, count);
}

static bool observe_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    power *s = user;
    if (s->sums[0])
        add_squares(s->sums[0], s->lengths[0], images, count * tensor_size(network_input_shape(s->net)));
    network_forward_observed(s->net, images, count, observe, s);
    s->images += (double)count;
    return true;
}

/* A place that a connected layer reads is summed value by value, which serves convolutions too. */
static bool ask(power *s, const weight_streams *streams, error *e) {
    for (size_t i = 0; i < streams->count; i++) {
        darknet_layer_info info;
        layer_get_info(streams->items[i].layer, &info);
        size_t place = (size_t)(info.inputs[0] + 1), pixels = (size_t)info.in_height * (size_t)info.in_width;
        bool connected = strcmp(info.type, "connected") == 0;
        size_t length = (size_t)info.in_channels * (connected ? pixels : 1);
        if (length <= s->lengths[place]) continue;
        free(s->sums[place]);
        s->lengths[place] = length;
        s->sums[place] = calloc(length, sizeof **s->sums);
        if (!s->sums[place]) return error_set(e, "out of memory");
    }
    return true;
}

/* Means for the weights' input axis: of each channel, or of each input in C,H,W order. */
static float *means_of(const power *s, const weight_stream *w, error *e) {
    darknet_layer_info info;
    layer_get_info(w->layer, &info);
    size_t place = (size_t)(info.inputs[0] + 1), length = s->lengths[place],
           channels = (size_t)info.in_channels;
    size_t pixels = (size_t)info.in_height * (size_t)info.in_width, parts = length / channels;
    float *means = calloc(w->shape.channels, sizeof *means);
    if (!means) {
        error_set(e, "out of memory");
        return NULL;
    }
    bool connected = w->shape.channels == channels * pixels && strcmp(info.type, "connected") == 0;
    double scale = 1.0 / (s->images * (connected ? 1.0 : (double)pixels));
    for (size_t part = 0; part < parts; part++)
        for (size_t c = 0; c < channels; c++) {
            float more = (float)(s->sums[place][part * channels + c] * scale);
            means[connected ? c * pixels + part : c] += more;
        }
    return means;
}

bool measure_input_power(network *net, const weight_streams *streams, image_source source, void *user,
                         size_t images, float **means, error *e) {
    size_t places = (size_t)net->layer_count + 1;
    power s = {
        .net = net, .sums = calloc(places, sizeof *s.sums), .lengths = calloc(places, sizeof *s.lengths)};
    bool good = s.sums && s.lengths ? true : error_set(e, "out of memory");
    good = good && ask(&s, streams, e) && source(user, images, observe_batch, &s, e) &&
           (s.images > 0.0 || error_set(e, "there are no images to measure activations on"));
    for (size_t i = 0; i < streams->count; i++) means[i] = NULL;
    for (size_t i = 0; good && i < streams->count; i++)
        good = (means[i] = means_of(&s, &streams->items[i], e)) != NULL;
    for (size_t i = 0; !good && i < streams->count; i++) {
        free(means[i]);
        means[i] = NULL;
    }
    for (size_t i = 0; s.sums && i < places; i++) free(s.sums[i]);
    free(s.sums);
    free(s.lengths);
    return good;
}
