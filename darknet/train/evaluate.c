/* Evaluation: a network's accuracy on a set. */
#include <math.h>
#include <time.h>

#include "train/train.h"

augmentation evaluation_preparation(const network *net) {
    const net_options *o = &net->options;
    return (augmentation){.width = o->width,
                          .height = o->height,
                          .channels = o->channels,
                          .mean = o->mean,
                          .deviation = o->deviation,
                          .aspect = 1.0f,
                          .saturation = 1.0f,
                          .exposure = 1.0f};
}

bool visit_prepared(const dataset *d, const augmentation *a, size_t pass_batch, size_t most,
                    image_visitor visit, void *user, error *e) {
    data_loader_options o = {.batch = pass_batch, .workers = 1, .depth = 3};
    data_loader *loader = data_loader_create(d, a, &o, e);
    if (!loader) return false;
    size_t left = most ? most : SIZE_MAX;
    const data_batch *batch;
    while (left > 0 && (batch = data_loader_next(loader))) {
        size_t count = batch->count < left ? batch->count : left;
        if (!visit(user, batch->images, batch->labels, count)) break;
        left -= count;
    }
    data_loader_destroy(loader);
    return true;
}

bool visit_dataset(const network *net, const dataset *d, size_t most, image_visitor visit, void *user,
                   error *e) {
    augmentation a = evaluation_preparation(net);
    return visit_prepared(d, &a, net->pass_batch, most, visit, user, e);
}

bool visit_sample_of(const network *net, const dataset *d, size_t most, image_visitor visit, void *user,
                     error *e) {
    augmentation a = training_preparation(net, dataset_classes(d));
    data_loader_options o = {.batch = net->pass_batch,
                             .workers = 1,
                             .depth = EVALUATION_PREFETCH,
                             .shuffle = true,
                             .seed = net->options.seed};
    size_t left = dataset_count(d);
    if (most > 0 && most < left) left = most;
    data_loader *loader = data_loader_create(d, &a, &o, e);
    if (!loader) return false;
    const data_batch *batch;
    while (left > 0 && (batch = data_loader_next(loader))) {
        size_t count = batch->count < left ? batch->count : left;
        if (!visit(user, batch->images, batch->labels, count)) break;
        left -= count;
    }
    data_loader_destroy(loader);
    return true;
}

typedef struct tally {
    network *net;
    int top;
    size_t images, first, among, among5;
    double loss;
} tally;

/* How many outputs are above the class's (ties count for the lower index, so that the answer is one). */
static int rank_of(const float *outputs, int count, int class_index) {
    int rank = 0;
    for (int i = 0; i < count; i++)
        rank += outputs[i] > outputs[class_index] || (outputs[i] == outputs[class_index] && i < class_index);
    return rank;
}

static bool tally_batch(void *user, const float *images, const int *classes, size_t count) {
    tally *t = user;
    network_forward(t->net, images, count);
    network_resolve_tree(t->net, count);
    int outputs = network_outputs(t->net);
    const float *answers = network_output_layer(t->net)->output.data;
    for (size_t n = 0; n < count; n++) {
        const float *row = answers + n * (size_t)outputs;
        int rank = rank_of(row, outputs, classes[n]);
        t->first += rank == 0 && !isnan(row[classes[n]]);
        t->among += rank < t->top && !isnan(row[classes[n]]);
        t->among5 += rank < 5 && !isnan(row[classes[n]]);
        t->loss -= log(row[classes[n]] < 1e-30f ? 1e-30 : (double)row[classes[n]]);
    }
    t->images += count;
    return true;
}

bool evaluate_network(network *net, const dataset *d, int top, evaluation *result, error *e) {
    if (dataset_classes(d) > network_outputs(net))
        return error_set(e, "the data has %d classes, but %s has %d outputs", dataset_classes(d), net->name,
                         network_outputs(net));
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    tally t = {.net = net, .top = top};
    (void)network_pack_weights(net);
    bool good = visit_dataset(net, d, 0, tally_batch, &t, e);
    network_unpack_weights(net);
    if (!good) return false;
    clock_gettime(CLOCK_MONOTONIC, &end);
    double images = t.images ? (double)t.images : 1.0;
    *result = (evaluation){.images = t.images,
                           .top1 = (double)t.first / images,
                           .topk = (double)t.among / images,
                           .top5 = (double)t.among5 / images,
                           .loss = t.loss / images,
                           .seconds = (double)(end.tv_sec - start.tv_sec) +
                                      (double)(end.tv_nsec - start.tv_nsec) * 1e-9};
    return true;
}
