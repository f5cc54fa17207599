/* darknet hd flips: a table of a network's weight streams, one row a layer. */
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

void print_streams_head(const weight_streams *s, const loaded_network *loaded) {
    const hd_accelerator *a = &s->model.accelerator;
    bool ordered = false;
    for (size_t i = 0; i < s->count; i++) ordered = ordered || s->items[i].plan.orders;
    printf("%s on %s (%dx%d, %s, %s), words %s, %s order\n", network_name(loaded->net), a->name, a->rows,
           a->cols, hd_dataflow_name(a->dataflow), hd_representation_name(a->representation),
           s->sidecar.layer_count ? "from the .stream" : "from the weights",
           ordered ? "the .stream's" : "natural");
}

static void print_row(const char *index, const char *type, const hd_flips *x) {
    double words = x->words ? (double)x->words : 1.0;
    printf("%5s %-14s %8llu %6.2f %14llu %13llu %6.4f\n", index, type, (unsigned long long)x->words,
           100.0 * (double)x->zero_words / words, (unsigned long long)x->flips,
           (unsigned long long)x->flips_per_image, x->nhd);
}

static void print_table(const loaded_network *loaded, const stream_figures *each,
                        const stream_figures *total) {
    const weight_streams *s = &loaded->streams;
    print_streams_head(s, loaded);
    printf("layer type            weights  zero%%          flips   flips/image    nhd\n");
    for (size_t i = 0; i < s->count; i++) {
        char index[16];
        darknet_layer_info info;
        layer_get_info(s->items[i].layer, &info);
        (void)snprintf(index, sizeof index, "%d", s->items[i].index);
        print_row(index, info.type, &each[i].flips);
    }
    print_row("total", "", &total->flips);
}

int hd_flips_command(plugin *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &flips_spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    error e = {0};
    stream_figures *each = calloc(loaded.streams.count + 1, sizeof *each), total;
    const char *json = option_text(&a, "-json");
    bool good = each ? true : error_set(&e, "out of memory");
    good = good && (!option_given(&a, "-natural") || weight_streams_make_natural(&loaded.streams, &e)) &&
           weight_streams_measure(&loaded.streams, network_threads(loaded.net), each, &total, &e);
    if (good && !(json && json[0] == '-' && json[1] == 0)) print_table(&loaded, each, &total);
    if (good && json) good = report_write(report_streams(&loaded.streams, each, &total, false), json, &e);
    free(each);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
