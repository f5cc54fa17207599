/* After every epoch: flips and energy of the weights in natural order and as exported, accuracy of the
 * integer network, one row a layer in <log>.layers.csv. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum {
    INT8_TOP1,
    FLIPS,
    NHD,
    ENERGY_UJ,
    ENERGY_RATIO,
    EXPORTED_FLIPS,
    EXPORTED_NHD,
    EXPORTED_ENERGY_UJ,
    CLOCK_UJ,
    HELD_OUT_INT8
};
const char *const plugin_columns[] = {[INT8_TOP1] = "int8_top1",
                                      [FLIPS] = "flips",
                                      [NHD] = "nhd",
                                      [ENERGY_UJ] = "energy_uj",
                                      [ENERGY_RATIO] = "energy_ratio",
                                      [EXPORTED_FLIPS] = "exported_flips",
                                      [EXPORTED_NHD] = "exported_nhd",
                                      [EXPORTED_ENERGY_UJ] = "exported_energy_uj",
                                      [CLOCK_UJ] = "clock_uj",
                                      [HELD_OUT_INT8] = "held_out_int8_top1",
                                      NULL};

void epoch_report_free(epoch_report *r) {
    if (!r) return;
    weight_streams_free(&r->streams);
    free(r->activation_scales);
    free(r);
}

/* ---- accuracy ---- */
bool visit_epoch_images(void *user, size_t most, image_visitor visitor, void *visit_user, error *e) {
    const epoch_images *s = user;
    return s->epoch->visit_images(s->epoch, s->which, most, visitor, visit_user, e);
}

static bool measure_accuracy(network *net, const darknet_epoch *epoch, epoch_report *r, double *columns,
                             error *e) {
    network_view view;
    if (!network_view_create(&view, net, &r->streams.model.accelerator, e)) return false;
    epoch_images calibration = {epoch, "calibration"}, valid = {epoch, "valid"},
                 held_out = {epoch, "held_out"};
    evaluation result;
    r->activation_scales = calibrate_activations(net, &view, r->streams.model.accelerator.activation_bits,
                                                 visit_epoch_images, &calibration, e);
    hd_integer_network *integer =
        r->activation_scales ? make_integer_network(&view, &r->streams, r->activation_scales, e) : NULL;
    bool good = integer != NULL;
    if (good && !isnan(epoch->valid_top1)) {
        good = evaluate_integer(integer, net, visit_epoch_images, &valid, 5, &result, e);
        columns[INT8_TOP1] = good ? result.top1 : NAN;
    }
    if (good && !isnan(epoch->held_out_top1)) {
        good = evaluate_integer(integer, net, visit_epoch_images, &held_out, 5, &result, e);
        columns[HELD_OUT_INT8] = good ? result.top1 : NAN;
    }
    hd_integer_network_destroy(integer);
    network_view_free(&view);
    return good;
}

/* ---- the log of layers ---- */
static char *layers_log_path(const char *log_path) {
    size_t length = strlen(log_path);
    if (length > 4 && strcmp(log_path + length - 4, ".csv") == 0) length -= 4;
    char *path = malloc(length + sizeof ".layers.csv");
    if (!path) return NULL;
    memcpy(path, log_path, length);
    memcpy(path + length, ".layers.csv", sizeof ".layers.csv");
    return path;
}

static void print_rows(FILE *out, const network *net, int epoch, const weight_streams *s,
                       const stream_figures *natural, const stream_figures *exported) {
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        darknet_layer_info info;
        layer_get_info(w->layer, &info);
        double value = hdloss_layer_value(net, w->index);
        (void)fprintf(out, "%d,%d,%s,%llu,%llu,%.6f,%.6f,", epoch, w->index, info.type,
                      (unsigned long long)natural[i].flips.flips,
                      (unsigned long long)natural[i].flips.flips_per_image, natural[i].flips.nhd,
                      natural[i].energy.datapath_pj * 1e-6);
        if (!isnan(value)) (void)fprintf(out, "%.6g", value);
        (void)fprintf(out, ",%llu,%llu,%.6f,%.6f\n", (unsigned long long)natural[i].flips.zero_words,
                      (unsigned long long)exported[i].flips.flips_per_image, exported[i].flips.nhd,
                      exported[i].energy.datapath_pj * 1e-6);
    }
}

static bool write_layers(const plugin *p, const network *net, const darknet_epoch *epoch,
                         const char *log_path, const weight_streams *s, const stream_figures *natural,
                         const stream_figures *exported, error *e) {
    char *rows = NULL, *path = layers_log_path(log_path), head[1024];
    size_t bytes = 0;
    FILE *out = open_memstream(&rows, &bytes);
    if (out) {
        print_rows(out, net, epoch->epoch, s, natural, exported);
        (void)fclose(out);
    }
    (void)snprintf(head, sizeof head,
                   "# darknet "
                   "%s\n%sepoch,layer,type,flips_one_pass,flips,nhd,energy_uj,hd_loss,zero_words,exported_"
                   "flips,exported_nhd,"
                   "exported_energy_uj\n",
                   darknet_version(), p->header);
    bool good = path && rows ? log_write_epoch(path, head, epoch->epoch, rows, epoch->log_is_fresh, e)
                             : error_set(e, "out of memory");
    free(rows);
    free(path);
    return good;
}

/* ---- the hook ---- */
static bool measure_streams(plugin *p, network *net, const darknet_epoch *epoch, const char *log_path,
                            epoch_report *r, double *columns, error *e) {
    weight_streams *s = &r->streams;
    stream_figures *natural = calloc(s->count + 1, sizeof *natural),
                   *exported = calloc(s->count + 1, sizeof *exported);
    stream_figures before, after;
    int threads = network_threads(net);
    bool good = natural && exported && weight_streams_measure(s, threads, natural, &before, e) &&
                (r->trained_words ? hdloss_layer_give_orders(net, s, e)
                                  : weight_streams_reorder(s, true, threads, e)) &&
                weight_streams_measure(s, threads, exported, &after, e) &&
                write_layers(p, net, epoch, log_path, s, natural, exported, e);
    free(natural);
    free(exported);
    if (!good) return false;
    columns[FLIPS] = (double)before.flips.flips_per_image;
    columns[NHD] = before.flips.nhd;
    columns[ENERGY_UJ] = before.energy.datapath_pj * 1e-6;
    columns[ENERGY_RATIO] =
        after.energy.datapath_pj > 0.0 ? before.energy.datapath_pj / after.energy.datapath_pj : NAN;
    columns[EXPORTED_FLIPS] = (double)after.flips.flips_per_image;
    columns[EXPORTED_NHD] = after.flips.nhd;
    columns[EXPORTED_ENERGY_UJ] = after.energy.datapath_pj * 1e-6;
    columns[CLOCK_UJ] = (after.energy.clock_pj + after.energy.idle_pj) * 1e-6;
    return true;
}

bool plugin_on_epoch(void *user, network *net, const darknet_epoch *epoch, const char *log_path,
                     double *columns, error *e) {
    plugin *p = user;
    array_model model;
    epoch_report_free(p->epoch);
    p->epoch = calloc(1, sizeof *p->epoch);
    if (!p->epoch) return error_set(e, "out of memory");
    p->epoch->epoch = epoch->epoch;
    return array_model_of(p, net, &model, e) && weight_streams_create(&p->epoch->streams, net, &model, e) &&
           hdloss_layer_give_words(net, &p->epoch->streams, &p->epoch->trained_words, e) &&
           measure_accuracy(net, epoch, p->epoch, columns, e) &&
           measure_streams(p, net, epoch, log_path, p->epoch, columns, e);
}
