/* darknet hd flips, darknet hd energy: tables of a network's weight streams, one row a layer. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "internal.h"

#define OPTION_ACCELERATOR                                                                                   \
    { "-accelerator", "FILE", "the array (default is16x16; a path or a name in cfg/accelerators)" }
#define OPTION_JSON                                                                                          \
    { "-json", "FILE", "also write the report as JSON (\"-\": to standard output)" }
#define OPTION_NATURAL                                                                                       \
    { "-natural", NULL, "the words in natural order, leaving out a sidecar's orders" }

static const option_spec flips_options[] = {OPTION_ACCELERATOR, OPTION_JSON, OPTION_NATURAL, OPTION_THREADS,
                                            OPTION_END};
static const command_spec flips_spec = {
    "hd flips CFG WEIGHTS [options]",
    "Bit flips of each layer's weight stream, counted exactly: one steady-state pass of the stream plan.\n"
    "A .stream beside WEIGHTS gives words and orders.",
    2, 2, flips_options};

static const option_spec energy_options[] = {
    OPTION_ACCELERATOR, {"-data", "DATA", "measure the activations' statistics on DATA's training images"},
    OPTION_JSON,        OPTION_NATURAL,
    OPTION_THREADS,     OPTION_END};
static const command_spec energy_spec = {
    "hd energy CFG WEIGHTS [options]",
    "Energy of each layer for one image at the plan level: weight streams exact, activations by statistics.\n"
    "Datapath = compute + propagation; the clock stands beside it.",
    2, 2, energy_options};

static void print_head(const weight_streams *s, const loaded_network *loaded, bool energy) {
    const hd_accelerator *a = &s->model.accelerator;
    bool ordered = false;
    for (size_t i = 0; i < s->count; i++) ordered = ordered || s->items[i].plan.orders;
    printf("%s on %s (%dx%d, %s, %s), words %s, %s order\n", network_name(loaded->net), a->name, a->rows,
           a->cols, hd_dataflow_name(a->dataflow), hd_representation_name(a->representation),
           s->sidecar.layer_count ? "from the .stream" : "from the weights",
           ordered ? "the .stream's" : "natural");
    bool measured = s->count && s->items[0].mean_popcount >= 0.0;
    if (energy)
        printf("energy table %s%s; activations: %s\n", s->model.table.name,
               s->model.table.provisional ? " (provisional)" : "",
               measured ? "measured on the data's first training images"
                        : s->model.table.assumed_activations);
    printf("layer type            weights  zero%%          flips   flips/image    nhd");
    printf(energy ? "   MMAC  util%%  compute uJ  propag. uJ  datapath uJ   clock uJ pJ/MAC\n" : "\n");
}

static void print_row(const char *index, const char *type, const stream_figures *f, bool energy) {
    const hd_flips *x = &f->flips;
    const hd_energy_report *r = &f->energy;
    double words = x->words ? (double)x->words : 1.0;
    printf("%5s %-14s %8llu %6.2f %14llu %13llu %6.4f", index, type, (unsigned long long)x->words,
           100.0 * (double)x->zero_words / words, (unsigned long long)x->flips,
           (unsigned long long)x->flips_per_image, x->nhd);
    if (energy)
        printf(" %6.2f %6.1f %11.4f %11.4f %12.4f %10.4f %6.3f", (double)r->macs * 1e-6,
               100.0 * r->utilisation, r->compute_pj * 1e-6, r->propagation_pj * 1e-6, r->datapath_pj * 1e-6,
               r->clock_pj * 1e-6, r->pj_per_mac);
    printf("\n");
}

static void print_table(const loaded_network *loaded, const stream_figures *each, const stream_figures *total,
                        bool energy) {
    const weight_streams *s = &loaded->streams;
    print_head(s, loaded, energy);
    for (size_t i = 0; i < s->count; i++) {
        char index[16];
        darknet_layer_info info;
        layer_get_info(s->items[i].layer, &info);
        (void)snprintf(index, sizeof index, "%d", s->items[i].index);
        print_row(index, info.type, &each[i], energy);
    }
    print_row("total", "", total, energy);
}

static bool measure_on(loaded_network *loaded, const char *data_path, error *e) {
    data_images images;
    bool good = data_images_open(&images, loaded->net, data_path, e) &&
                measure_popcounts(loaded->net, &loaded->streams, data_images_visit, &images, e);
    data_images_close(&images);
    return good;
}

static int report(plugin *p, const command_spec *spec, int argc, char **argv, bool energy) {
    arguments a;
    parse_result parsed = arguments_parse(&a, spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    error e = {0};
    stream_figures *each = calloc(loaded.streams.count + 1, sizeof *each), total;
    const char *json = option_text(&a, "-json");
    bool good = each && (!option_given(&a, "-data") || measure_on(&loaded, option_text(&a, "-data"), &e)) &&
                (!option_given(&a, "-natural") || weight_streams_make_natural(&loaded.streams, &e)) &&
                weight_streams_measure(&loaded.streams, network_threads(loaded.net), each, &total, &e);
    if (good && !(json && json[0] == '-' && json[1] == 0)) print_table(&loaded, each, &total, energy);
    if (good && json) good = report_write(report_streams(&loaded.streams, each, &total, energy), json, &e);
    free(each);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}

int hd_flips_command(plugin *p, int argc, char **argv) {
    return report(p, &flips_spec, argc, argv, false);
}
int hd_energy_command(plugin *p, int argc, char **argv) {
    return report(p, &energy_spec, argc, argv, true);
}
