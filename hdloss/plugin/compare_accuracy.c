/* Accuracy of the integer network of some words, without changing the network. */
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "integer_tally.h"

static bool visit_valid(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const comparison *c = user;
    return visit_dataset(c->loaded->net, c->valid, most, visit, visit_user, e);
}

/* The sidecar's scales, which go with its words; else from the first training images. */
static float *scales_of(comparison *c, error *e) {
    const hd_stream *from = &c->loaded->streams.sidecar;
    size_t count = hd_integer_scale_count(&c->view.description);
    if (!from->activation_scales || from->node_count != count)
        return calibrate_activations(c->loaded->net, &c->view, c->loaded->model.accelerator.activation_bits,
                                     visit_train, &c->data, e);
    float *copy = malloc(count * sizeof *copy);
    if (copy)
        memcpy(copy, from->activation_scales, count * sizeof *copy);
    else
        error_set(e, "out of memory");
    return copy;
}

bool compare_accuracy(comparison *c, const weight_streams *s, bool refit, double *top1, error *e) {
    network *net = c->loaded->net;
    size_t bytes = net->parameter_total * sizeof *net->values;
    float *kept = malloc(bytes), *scales = NULL;
    hd_integer_network *integer = NULL;
    evaluation result;
    if (!kept) return error_set(e, "out of memory");
    memcpy(kept, net->values, bytes);
    bool good = refit ? words_into_network(s, NULL, e) &&
                            fit_statistics(c->loaded, &c->view, &c->data, c->settings->images, &scales, e)
                      : (scales = scales_of(c, e)) != NULL;
    good = good && (integer = make_integer_network(&c->view, s, scales, e)) &&
           tally_integer(integer, network_threads(net), visit_valid, c, 1, NULL, &result, e);
    if (good) *top1 = result.top1;
    memcpy(net->values, kept, bytes);
    hd_integer_network_destroy(integer);
    free(scales);
    free(kept);
    return good;
}
