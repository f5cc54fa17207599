/* darknet hd export: the integer network as files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "export_files.h"

static const option_spec options[] = {
    {"-data", "DATA",
     "calibrate the activations on DATA's training images, where WEIGHTS' .stream has no scales"},
    {"-accelerator", "FILE", "the array (default: WEIGHTS' .stream's, or is16x16)"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd export CFG WEIGHTS DIR [options]",
    "Writes the integer network to the directory DIR: a manifest, and every array as .npy and $readmemh "
    ".hex,\n"
    "the words in the order in which they stream. `darknet hd run DIR` runs it.",
    3, 3, options};

/* The activation scales of the .stream, or else of -data; as `classifier valid -int8` takes them. */
static float *scales_for(const arguments *a, loaded_network *loaded, const network_view *view, error *e) {
    const hd_stream *from = &loaded->streams.sidecar;
    size_t count = hd_integer_scale_count(&view->description);
    if (!from->activation_scales || from->node_count != count) {
        if (option_given(a, "-data")) return command_calibrate(loaded, view, option_text(a, "-data"), e);
        error_set(e, "%s: no .stream beside it has activation scales: -data DATA calibrates them",
                  a->positions[1]);
        return NULL;
    }
    float *scales = malloc(count * sizeof *scales);
    if (scales)
        memcpy(scales, from->activation_scales, count * sizeof *scales);
    else
        error_set(e, "out of memory");
    return scales;
}

static bool copy_signs(hd_stream_layer *to, const hd_stream_layer *from, error *e) {
    size_t count = from->sign_sets * from->shape.filters;
    to->signs = malloc(count);
    if (!to->signs) return error_set(e, "out of memory");
    memcpy(to->signs, from->signs, count);
    to->sign_sets = from->sign_sets;
    return true;
}

static bool fill_streams(hd_export *x, const weight_streams *s, error *e) {
    hd_error h = {0};
    x->layers = calloc(s->count + 1, sizeof *x->layers);
    if (!x->layers) return error_set(e, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        hd_stream_layer *to = &x->layers[i];
        if (!hd_stream_layer_set(to, w->index, &w->plan, w->words, w->scales, &h)) return from_hd(&h, e);
        x->layer_count = i + 1;
        if (w->streamed && !copy_signs(to, hd_stream_find(&s->sidecar, w->index), e)) return false;
    }
    return true;
}

/* Folded, and checked that it runs. */
static bool fill_model(hd_export *x, const network_view *view, const weight_streams *s, const float *scales,
                       error *e) {
    hd_error h = {0};
    x->model = make_integer_model(view, s, scales, e);
    if (!x->model) return false;
    hd_integer_network *checked = hd_integer_network_create(x->model, &h);
    hd_integer_network_destroy(checked);
    return checked || from_hd(&h, e);
}

static float *copy_floats(const float *from, int count) {
    float *copy = from ? malloc((size_t)count * sizeof *copy) : NULL;
    if (copy) memcpy(copy, from, (size_t)count * sizeof *copy);
    return copy;
}

static bool fill_head(hd_export *x, const loaded_network *loaded, error *e) {
    const net_options *o = &loaded->net->options;
    (void)snprintf(x->version, sizeof x->version, "%s", hd_version());
    (void)snprintf(x->network, sizeof x->network, "%s", network_name(loaded->net));
    (void)snprintf(x->energy_table, sizeof x->energy_table, "%s", loaded->model.table.name);
    x->accelerator = loaded->model.accelerator;
    x->mean = copy_floats(o->mean, o->channels);
    x->deviation = copy_floats(o->deviation, o->channels);
    return (!o->mean || x->mean) && (!o->deviation || x->deviation) ? true : error_set(e, "out of memory");
}

static bool export_network(const arguments *a, loaded_network *loaded, error *e) {
    const char *directory = a->positions[2];
    hd_export x = {0};
    hd_export_files files = {0};
    hd_error h = {0};
    network_view view = {0};
    stream_figures total;
    float *scales = NULL;
    bool good = network_view_create(&view, loaded->net, &loaded->model.accelerator, e) &&
                (scales = scales_for(a, loaded, &view, e)) && fill_head(&x, loaded, e) &&
                fill_streams(&x, &loaded->streams, e) && fill_model(&x, &view, &loaded->streams, scales, e) &&
                weight_streams_measure(&loaded->streams, network_threads(loaded->net), NULL, &total, e) &&
                (hd_export_encode(&x, &files, &h) || from_hd(&h, e)) &&
                export_directory_write(directory, &files, e);
    if (good)
        printf("%s: %zu layers, %zu with weights, in %zu files; %llu flips a pass on %s\n", directory,
               (size_t)x.model->layer_count, x.layer_count, files.count,
               (unsigned long long)total.flips.flips, x.accelerator.name);
    hd_export_files_free(&files);
    hd_export_free(&x);
    network_view_free(&view);
    free(scales);
    return good;
}

int hd_export_command(plugin *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    error e = {0};
    bool good = export_network(&a, &loaded, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
