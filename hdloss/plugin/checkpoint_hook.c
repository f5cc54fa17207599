/* After a checkpoint is on disk: <stem>.stream beside it (words, segment orders, activation scales), and the
 * direct reordering folded into a plain <stem>.direct.weights with a sidecar of its own; trained words stand
 * in the .weights themselves, in the orders that they were made for, and are not reordered. The network here
 * is a copy. */
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

/* x.weights -> x.direct.weights; malloc'ed. */
static char *direct_path(const char *weights_path) {
    static const char ending[] = ".weights";
    size_t length = strlen(weights_path), tail = sizeof ending - 1;
    if (length > tail && strcmp(weights_path + length - tail, ending) == 0) length -= tail;
    char *path = malloc(length + sizeof ".direct.weights");
    if (!path) return NULL;
    memcpy(path, weights_path, length);
    memcpy(path + length, ".direct.weights", sizeof ".direct.weights");
    return path;
}

/* Folds, writes the weights, then a sidecar of their natural streams. */
bool write_direct(network *net, const network_view *view, const array_model *model,
                  const float *activation_scales, bool quick, const char *path, error *e) {
    weight_streams streams = {0};
    bool good = fold_direct(net, view, model, quick, e) && network_save_weights(net, path, -1, e) &&
                weight_streams_create(&streams, net, model, e) &&
                sidecar_write(path, &streams, view, activation_scales, e);
    weight_streams_free(&streams);
    return good;
}

/* Trained words: the checkpoint's weights become scale * word, as they were evaluated; the floats behind them
 * stay in the run's state. */
static bool write_words(network *copy, const weight_streams *streams, const char *path, error *e) {
    for (size_t i = 0; i < streams->count; i++) {
        const weight_stream *w = &streams->items[i];
        darknet_parameter weights;
        (void)layer_get_parameter(network_layer(copy, w->index), "weights", &weights);
        hd_dequantise(w->words, w->shape.filters, hd_layer_filter_weights(&w->shape), w->scales,
                      weights.values);
    }
    return network_save_weights(copy, path, -1, e);
}

bool plugin_on_checkpoint(void *user, network *net, const darknet_checkpoint *checkpoint, error *e) {
    plugin *p = user;
    epoch_report *r = p->epoch;
    if (!r || r->epoch != checkpoint->epoch) return error_set(e, "the epoch's report is missing");
    const hdloss_settings *settings = hdloss_settings_of(net);
    reorder_method wanted = settings ? settings->reorder : REORDER_BOTH;
    bool segment = wanted == REORDER_SEGMENT || wanted == REORDER_BOTH || r->trained_words;
    bool direct = (wanted == REORDER_DIRECT || wanted == REORDER_BOTH) && !r->trained_words;
    network_view view = {0};
    char *path = direct_path(checkpoint->path);
    bool good = path && (!r->trained_words || write_words(net, &r->streams, checkpoint->path, e)) &&
                network_view_create(&view, net, &r->streams.model.accelerator, e) &&
                (!segment || sidecar_write(checkpoint->path, &r->streams, &view, r->activation_scales, e)) &&
                (!direct || write_direct(net, &view, &r->streams.model, r->activation_scales, true, path, e));
    network_view_free(&view);
    free(path);
    return good;
}
