/* After a checkpoint is on disk: <stem>.stream beside it (words, segment orders, activation scales), and the
 * direct reordering folded into a plain <stem>.direct.weights with a sidecar of its own; trained words stand
 * in the .weights themselves, in the orders that they were made for, and are not reordered. With round_mu
 * also <stem>.rounded.weights and its sidecar. The network here is a copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

enum { ROUND_IMAGES = 4096 }; /* for activations and statistics */

/* x.weights -> x.KIND.weights; malloc'ed. */
static char *path_beside(const char *weights_path, const char *kind) {
    static const char ending[] = ".weights";
    size_t length = strlen(weights_path), tail = sizeof ending - 1;
    if (length > tail && strcmp(weights_path + length - tail, ending) == 0) length -= tail;
    size_t bytes = length + strlen(kind) + sizeof ending + 1;
    char *path = malloc(bytes);
    if (path) (void)snprintf(path, bytes, "%.*s.%s%s", (int)length, weights_path, kind, ending);
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

/* <stem>.rounded.weights and its sidecar: words at the price of round_mu, with statistics estimated anew on
 * training images. */
static bool write_rounded(network *copy, const network_view *view, const array_model *model,
                          const hdloss_settings *settings, const darknet_epoch *epoch, const char *path,
                          error *e) {
    weight_streams streams = {0};
    importances effects = {0};
    epoch_images sample = {epoch, "sample"}, first = {epoch, "calibration"};
    float *scales = NULL;
    if (!weight_streams_create(&streams, copy, model, e)) return false;
    rounding_job job = {.streams = &streams,
                        .importance = &effects,
                        .method = ORDER_SEGMENT,
                        .by_energy = settings->by_energy,
                        .threads = network_threads(copy),
                        .quick = true};
    bool good =
        squared_effects(copy, &streams, view, visit_epoch_images, &sample, ROUND_IMAGES, &effects, e) &&
        rounding_job_begin(&job, e) && rounding_job_solve(&job, settings->round_mu, e) &&
        words_into_network(&streams, NULL, e) &&
        estimate_statistics(copy, visit_epoch_images, &sample, ROUND_IMAGES, e) &&
        (scales = calibrate_activations(copy, view, model->accelerator.activation_bits, visit_epoch_images,
                                        &first, e)) &&
        network_save_weights(copy, path, -1, e) && sidecar_write(path, &streams, view, scales, e);
    free(scales);
    rounding_job_end(&job);
    importances_free(&effects);
    weight_streams_free(&streams);
    return good;
}

static bool wants_rounded(const hdloss_settings *settings, const epoch_report *r,
                          const darknet_checkpoint *checkpoint) {
    return settings && settings->round_mu > 0.0 && !r->trained_words &&
           (checkpoint->final || checkpoint->epoch % settings->round_every == 0);
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
    char *path = path_beside(checkpoint->path, "direct"), *rounded = path_beside(checkpoint->path, "rounded");
    bool good = path && rounded &&
                (!r->trained_words || write_words(net, &r->streams, checkpoint->path, e)) &&
                network_view_create(&view, net, &r->streams.model.accelerator, e) &&
                (!segment || sidecar_write(checkpoint->path, &r->streams, &view, r->activation_scales, e));
    /* The copy changes from here on: rounding works on the checkpoint's own weights, in memory again
     * afterwards. */
    if (good && wants_rounded(settings, r, checkpoint))
        good = write_rounded(net, &view, &r->streams.model, settings, checkpoint->evaluation, rounded, e) &&
               network_load_weights(net, checkpoint->path, false, NULL, e);
    good =
        good && (!direct || write_direct(net, &view, &r->streams.model, r->activation_scales, true, path, e));
    network_view_free(&view);
    free(rounded);
    free(path);
    return good;
}
