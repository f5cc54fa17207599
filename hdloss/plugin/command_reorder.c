/* darknet hd reorder: a checkpoint's weights in an order that flips fewer bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "internal.h"

static const option_spec options[] = {
    {"-method", "direct|segment", "direct: folded into plain weights; segment (default): OUT's .stream"},
    {"-accelerator", "FILE", "the array (default is16x16; a path or a name in cfg/accelerators)"},
    {"-data", "DATA", "also calibrate the integer network's activations, for the .stream"},
    {"-json", "FILE", "also write the report as JSON (\"-\": to standard output)"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd reorder CFG WEIGHTS OUT [options]",
    "Reorders the output channels of each layer. The network computes the same; flips before and after are\n"
    "counted from the words.",
    3, 3, options};

static bool write_segment(loaded_network *loaded, const network_view *view, const float *scales,
                          const char *path, error *e) {
    return weight_streams_reorder(&loaded->streams, false, network_threads(loaded->net), e) &&
           network_save_weights(loaded->net, path, -1, e) &&
           sidecar_write(path, &loaded->streams, view, scales, e);
}

/* The sidecar's activation scales, those of -data, or none (*scales NULL). */
static bool find_scales(const arguments *a, loaded_network *loaded, const network_view *view, float **scales,
                        error *e) {
    const hd_stream *from = &loaded->streams.sidecar;
    *scales = NULL;
    if (option_given(a, "-data"))
        return (*scales = command_calibrate(loaded, view, option_text(a, "-data"), e)) != NULL;
    if (!from->activation_scales || from->node_count != hd_integer_scale_count(&view->description))
        return true;
    *scales = malloc(from->node_count * sizeof **scales);
    if (!*scales) return error_set(e, "out of memory");
    memcpy(*scales, from->activation_scales, from->node_count * sizeof **scales);
    return true;
}

static json_t *report_of(const weight_streams *s, const stream_figures *each, const stream_figures *before,
                         const stream_figures *after, const char *method) {
    json_t *root = report_streams(s, each, after, true);
    if (!root) return NULL;
    double flips = after->flips.flips_per_image
                       ? (double)before->flips.flips_per_image / (double)after->flips.flips_per_image
                       : 1.0;
    double energy =
        after->energy.datapath_pj > 0.0 ? before->energy.datapath_pj / after->energy.datapath_pj : 1.0;
    json_object_set_new(root, "method", json_string(method));
    json_object_set_new(root, "flips_per_image_before",
                        json_integer((json_int_t)before->flips.flips_per_image));
    json_object_set_new(root, "flips_ratio", json_real(flips));
    json_object_set_new(root, "energy_ratio", json_real(energy));
    return root;
}

static bool reorder(const arguments *a, loaded_network *loaded, bool direct, error *e) {
    const char *out = a->positions[2], *json = option_text(a, "-json");
    network_view view = {0};
    weight_streams written = {0};
    stream_figures before, after, *each = calloc(loaded->streams.count + 1, sizeof *each);
    float *scales = NULL;
    int threads = network_threads(loaded->net);
    if (direct && loaded->streams.sidecar.layer_count)
        return error_set(e, "%s: has a .stream beside it; direct reordering takes float weights",
                         a->positions[1]);
    bool good = each && network_view_create(&view, loaded->net, &loaded->model.accelerator, e) &&
                find_scales(a, loaded, &view, &scales, e) &&
                weight_streams_measure(&loaded->streams, threads, NULL, &before, e) &&
                (direct ? write_direct(loaded->net, &view, &loaded->model, scales, false, out, e)
                        : write_segment(loaded, &view, scales, out, e)) &&
                weight_streams_load(&written, loaded->net, out, &loaded->model, e) &&
                weight_streams_measure(&written, threads, each, &after, e);
    if (good && !(json && strcmp(json, "-") == 0))
        printf("%s: %s reordering on %s: flips an image %llu -> %llu (%.3fx fewer), datapath energy %.3f -> "
               "%.3f uJ (%.3fx less)\n",
               out, direct ? "direct" : "segment", loaded->model.accelerator.name,
               (unsigned long long)before.flips.flips_per_image,
               (unsigned long long)after.flips.flips_per_image,
               (double)before.flips.flips_per_image /
                   (double)(after.flips.flips_per_image ? after.flips.flips_per_image : 1),
               before.energy.datapath_pj * 1e-6, after.energy.datapath_pj * 1e-6,
               before.energy.datapath_pj / (after.energy.datapath_pj > 0.0 ? after.energy.datapath_pj : 1.0));
    if (good && json)
        good =
            report_write(report_of(&written, each, &before, &after, direct ? "direct" : "segment"), json, e);
    weight_streams_free(&written);
    network_view_free(&view);
    free(scales);
    free(each);
    return good;
}

int hd_reorder_command(plugin *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    const char *method = option_given(&a, "-method") ? option_text(&a, "-method") : "segment";
    bool direct = strcmp(method, "direct") == 0;
    if (!direct && strcmp(method, "segment") != 0)
        return fail("-method: \"%s\" is not one of direct, segment", method);
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    error e = {0};
    bool good = reorder(&a, &loaded, direct, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
