/* How much each word's error changes the network's answers: the diagonal of the Fisher information, from
 * gradients for labels that the network itself draws (Martens, "New insights and perspectives on the natural
 * gradient method", JMLR 21, 2020). A small change d of the weights moves the answers by a divergence of
 * about 1/2 sum F d^2. Batch norms work on the batch's moments meanwhile, so that what new statistics will
 * take back does not count. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

enum { FISHER_BATCH = 32 };

/* Of a layer's mean: no error is free because it did nothing on the images seen. */
static const double LEAST = 1e-3;

typedef struct fisher {
    network *twin; /* the same network with gradients */
    const weight_streams *streams;
    double **squares; /* [count][plan.weights] */
    float *truth;     /* [FISHER_BATCH][outputs] */
    uint64_t random;
    double images;
    size_t batch;
} fisher;

static double uniform(fisher *f) {
    f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(f->random >> 33) + 0.5) / 2147483648.0;
}

/* One label an image, drawn from the answers of the pass before. */
static void draw_labels(fisher *f, size_t count) {
    size_t outputs = (size_t)network_outputs(f->twin);
    const float *answers = network_output_layer(f->twin)->output.data;
    memset(f->truth, 0, count * outputs * sizeof *f->truth);
    for (size_t n = 0; n < count; n++) {
        double left = uniform(f);
        size_t label = 0;
        while (label + 1 < outputs && (left -= (double)answers[n * outputs + label]) >= 0.0) label++;
        f->truth[n * outputs + label] = 1.0f;
    }
}

static void add_squares(const fisher *f) {
    for (size_t i = 0; i < f->streams->count; i++) {
        const weight_stream *w = &f->streams->items[i];
        darknet_parameter weights;
        (void)layer_get_parameter(network_layer(f->twin, w->index), "weights", &weights);
        for (size_t k = 0; weights.gradient && k < w->plan.weights; k++)
            f->squares[i][k] += (double)weights.gradient[k] * (double)weights.gradient[k];
    }
}

/* Labels drawn from the answers have gradients of mean 0, so a batch's squared gradient is the sum of its
 * images'. */
static bool add_images(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    fisher *f = user;
    size_t image = tensor_size(network_input_shape(f->twin));
    if (f->batch == 0) f->batch = count < FISHER_BATCH ? count : FISHER_BATCH;
    for (size_t at = 0; at + f->batch <= count; at += f->batch) {
        network_forward(f->twin, images + at * image, f->batch);
        draw_labels(f, f->batch);
        network_clear_gradients(f->twin);
        (void)network_train_pass(f->twin, images + at * image, f->truth, f->batch);
        add_squares(f);
        f->images += (double)f->batch;
    }
    return true;
}

static network *make_twin(const network *net, error *e) {
    network_settings settings = {.training = true,
                                 .pass_batch = FISHER_BATCH,
                                 .threads = net->threads,
                                 .extensions = net->extensions,
                                 .extension_count = net->extension_count};
    diagnostics *d = diagnostics_create();
    network *twin = d ? network_create(cfg_path(net->source), &settings, d, e) : NULL;
    diagnostics_destroy(d);
    if (!twin) return NULL;
    if (network_has_loss(twin) && strcmp(network_output_layer(twin)->type->name, "softmax") == 0) {
        memcpy(twin->values, net->values, net->parameter_total * sizeof *net->values);
        return twin;
    }
    error_set(e, "%s: its last layer is no softmax with a loss, which -drop needs", cfg_path(net->source));
    network_destroy(twin);
    return NULL;
}

/* squares[filters][places] -> h of the same shape, made of two factors, one a filter and one a place in the
 * filter: single gradients are few, their sums many. scales[filters] */
static void factorise(const double *squares, size_t filters, size_t places, const float *scales,
                      double factor, float *h) {
    double all = 0.0;
    for (size_t i = 0; i < filters * places; i++) all += squares[i];
    for (size_t f = 0; f < filters; f++) {
        double own = 0.0, word = (double)scales[f];
        for (size_t p = 0; p < places; p++) own += squares[f * places + p];
        own = fmax(own, LEAST * all / (double)filters);
        for (size_t p = 0; p < places; p++) h[f * places + p] = (float)(factor * word * word * own);
    }
    for (size_t p = 0; p < places; p++) {
        double column = 0.0;
        for (size_t f = 0; f < filters; f++) column += squares[f * places + p];
        double share = fmax(all > 0.0 ? column / all : 0.0, LEAST / (double)places);
        for (size_t f = 0; f < filters; f++) h[f * places + p] *= (float)share;
    }
}

/* A depthwise layer is one group: its places are alike in all filters. */
static void factorise_layer(const weight_stream *w, const double *squares, double factor, float *h) {
    size_t groups = w->plan.groups, filters = w->shape.filters / groups, places = w->plan.filter_weights;
    for (size_t g = 0; g < groups; g++)
        factorise(squares + g * filters * places, filters, places, w->scales + g * filters, factor,
                  h + g * filters * places);
}

/* A filter's share of the squares over the moments' traces: what row_importance e' M e takes for a word's
 * error. */
static bool fill_rows(const weight_stream *w, const double *squares, double factor, hd_compensation *c,
                      error *e) {
    size_t axis = w->plan.lane_axis, group_filters = w->shape.filters / w->plan.groups,
           places = w->plan.filter_weights;
    float *rows = malloc(w->shape.filters * sizeof *rows);
    c->row_importance = rows;
    if (!rows) return error_set(e, "out of memory");
    for (size_t f = 0; f < w->shape.filters; f++) {
        const float *moments = c->moments + f / group_filters * axis * axis;
        double trace = 0.0, own = 0.0, group = 0.0, word = (double)w->scales[f];
        for (size_t i = 0; i < axis; i++) trace += (double)moments[i * axis + i];
        for (size_t p = 0; p < places; p++) own += squares[f * places + p];
        const double *first = squares + f / group_filters * group_filters * places;
        for (size_t p = 0; p < group_filters * places; p++) group += first[p];
        own = fmax(own, LEAST * group / (double)group_filters);
        rows[f] =
            trace > 0.0 ? (float)(factor * word * word * own / (trace * (double)w->plan.positions)) : 0.0f;
    }
    return true;
}

static bool finish(const fisher *f, importances *h, error *e) {
    if (f->images <= 0.0) return error_set(e, "there are no images to measure sensitivities on");
    for (size_t i = 0; i < f->streams->count; i++) {
        const weight_stream *w = &f->streams->items[i];
        hd_compensation *c = &h->compensations[i];
        hd_error why = {0};
        h->values[i] = malloc(w->plan.weights * sizeof **h->values);
        if (!h->values[i]) return error_set(e, "out of memory");
        factorise_layer(w, f->squares[i], 0.5 / f->images, h->values[i]);
        if (!c->moments) continue;
        if (!fill_rows(w, f->squares[i], 0.5 / f->images, c, e)) return false;
        if (!hd_compensated_importance(&w->plan, c, h->values[i], &why)) return from_hd(&why, e);
    }
    return true;
}

/* Moments of the streams that can be compensated. */
static bool find_moments(network *net, const weight_streams *s, const network_view *view, image_source source,
                         void *user, size_t images, importances *h, error *e) {
    float **moments = calloc(s->count + 1, sizeof *moments);
    if (!moments) return error_set(e, "out of memory");
    bool good = measure_input_moments(net, s, view, source, user, images, moments, e);
    for (size_t i = 0; i < s->count; i++) h->compensations[i].moments = moments[i];
    free(moments);
    return good;
}

bool fisher_information(network *net, const weight_streams *s, const network_view *view, image_source source,
                        void *user, size_t images, importances *h, error *e) {
    fisher f = {
        .streams = s, .random = net->options.seed, .squares = calloc(s->count + 1, sizeof *f.squares)};
    *h = (importances){.values = calloc(s->count + 1, sizeof *h->values),
                       .compensations = calloc(s->count + 1, sizeof *h->compensations),
                       .count = s->count};
    if (!f.squares || !h->values || !h->compensations) {
        free(f.squares);
        importances_free(h);
        return error_set(e, "out of memory");
    }
    bool good = true;
    for (size_t i = 0; good && i < s->count; i++) {
        f.squares[i] = calloc(s->items[i].plan.weights, sizeof **f.squares);
        good = f.squares[i] || error_set(e, "out of memory");
    }
    good = good && (f.twin = make_twin(net, e));
    if (good) f.truth = malloc(FISHER_BATCH * (size_t)network_outputs(f.twin) * sizeof *f.truth);
    good = good && (f.truth || error_set(e, "out of memory")) && source(user, images, add_images, &f, e) &&
           find_moments(net, s, view, source, user, images, h, e) && finish(&f, h, e);
    for (size_t i = 0; i < s->count; i++) free(f.squares[i]);
    free(f.squares);
    free(f.truth);
    network_destroy(f.twin);
    if (!good) importances_free(h);
    return good;
}
