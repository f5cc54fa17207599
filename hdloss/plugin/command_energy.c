/* darknet hd energy: energy of each layer for one image, at the plan level or the trace level. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "energy_figures.h"

static const option_spec options[] = {
    {"-accelerator", "FILE", "the array (default is16x16; a path or a name in cfg/accelerators)"},
    {"-data", "DATA", "measure the activations' statistics on DATA's training images"},
    {"-trace", NULL, "simulate every register in every cycle for DATA's first training image"},
    {"-json", "FILE", "also write the report as JSON (\"-\": to standard output)"},
    {"-csv", "FILE", "also write it as CSV"},
    {"-figure", "FILE.svg", "also draw it: a bar a layer, stacked by part"},
    {"-natural", NULL, "the words in natural order, leaving out a sidecar's orders"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd energy CFG WEIGHTS [options]",
    "Energy of each layer for one image, by part; a .stream beside WEIGHTS gives words and orders.\n"
    "Plan level: weight streams exact, activations by statistics. -trace: every register, real activations.\n"
    "Datapath = multiplier + accumulator + registers + wires; clock, idle elements and memory stand beside "
    "it.",
    2, 2, options};

static bool measure(const arguments *a, loaded_network *loaded, energy_figures *f, error *e) {
    weight_streams *s = &loaded->streams;
    data_images images;
    const char *data = option_text(a, "-data");
    if (option_given(a, "-natural") && !weight_streams_make_natural(s, e)) return false;
    if (data) {
        bool good = data_images_open(&images, loaded->net, data, e) &&
                    measure_activations(loaded->net, s, data_images_visit, &images, f->traced, e);
        data_images_close(&images);
        if (!good) return false;
    }
    if (!weight_streams_measure(s, network_threads(loaded->net), f->each, &f->total, e)) return false;
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        const int8_t *words = w->streamed ? w->streamed : w->words;
        int of_unsigned = hd_accumulator_bits_needed(&w->plan, words, false);
        int of_signed = hd_accumulator_bits_needed(&w->plan, words, true);
        f->accumulator_bits[i] = of_unsigned > of_signed ? of_unsigned : of_signed;
        if (!f->traced) continue;
        hd_energy_add(&f->traced_total, &f->traced[i]);
        hd_energy_round(&f->traced_total, ENERGY_DECIMALS);
    }
    return true;
}

static bool write_all(const arguments *a, const energy_figures *f, error *e) {
    const char *json = option_text(a, "-json"), *csv = option_text(a, "-csv"),
               *figure = option_text(a, "-figure");
    if (!json || strcmp(json, "-") != 0) energy_print(f);
    return (!json || report_write(energy_json(f), json, e)) && (!csv || energy_write_csv(f, csv, e)) &&
           (!figure || energy_write_svg(f, figure, e));
}

static bool check(const arguments *a, error *e) {
    const char *figure = option_text(a, "-figure");
    size_t length = figure ? strlen(figure) : 0;
    if (option_given(a, "-trace") && !option_given(a, "-data"))
        return error_set(e, "-trace: needs -data, whose first training image it simulates");
    if (figure && (length < 4 || strcmp(figure + length - 4, ".svg") != 0))
        return error_set(e, "-figure: \"%s\" does not end with .svg, the form that is written", figure);
    return true;
}

int hd_energy_command(plugin *p, int argc, char **argv) {
    arguments a;
    error e = {0};
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    if (!check(&a, &e)) return fail("%s", e.message);
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    size_t count = loaded.streams.count;
    energy_figures f = {.loaded = &loaded,
                        .each = calloc(count + 1, sizeof *f.each),
                        .traced = option_given(&a, "-trace") ? calloc(count + 1, sizeof *f.traced) : NULL,
                        .accumulator_bits = calloc(count + 1, sizeof *f.accumulator_bits)};
    bool good = f.each && f.accumulator_bits && (f.traced || !option_given(&a, "-trace"));
    if (!good) error_set(&e, "out of memory");
    good = good && measure(&a, &loaded, &f, &e) && write_all(&a, &f, &e);
    free(f.each);
    free(f.traced);
    free(f.accumulator_bits);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
