/* darknet hd compare-accelerators: one network on several arrays, one row an array. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "core/file.h"
#include "internal.h"

static const option_spec options[] = {
    {"-data", "DATA", "measure the activations' statistics on DATA's training images"},
    {"-reorder", NULL,
     "solve segment orders for each array (default: natural order, or a .stream's own array's orders)"},
    {"-natural", NULL, "the words in natural order, leaving out a sidecar's orders"},
    {"-csv", "FILE", "also write the rows as CSV (\"-\": to standard output, alone)"},
    {"-json", "FILE", "also write the rows as JSON (\"-\": to standard output, alone)"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd compare-accelerators CFG WEIGHTS ACCELERATOR... [options]",
    "Cycles, flips and plan-level energy of one image on each array (paths, or names in cfg/accelerators).\n"
    "Datapath = compute + propagation; the clock stands beside it.",
    3, MOST_POSITIONS, options};

typedef struct row {
    array_model model;
    stream_figures total;
    const char *order;
} row;

static const char *order_of(const weight_streams *s, bool solved) {
    bool ordered = false;
    for (size_t i = 0; i < s->count; i++) ordered = ordered || s->items[i].plan.orders;
    return !ordered ? "natural" : solved ? "segment" : "stream";
}

static bool measure_on(network *net, weight_streams *s, const char *data_path, error *e) {
    data_images images;
    bool good = data_images_open(&images, net, data_path, e) &&
                measure_activations(net, s, data_images_visit, &images, NULL, e);
    data_images_close(&images);
    return good;
}

static bool fill_row(plugin *p, const arguments *a, const loaded_network *loaded, const char *name, row *r,
                     error *e) {
    weight_streams s = {0};
    bool solve = option_given(a, "-reorder");
    int threads = network_threads(loaded->net);
    if (!array_model_read(p, name, &r->model, e)) return false;
    if (!weight_streams_load(&s, loaded->net, a->positions[1], &r->model, e)) return false;
    bool good = (!option_given(a, "-data") || measure_on(loaded->net, &s, option_text(a, "-data"), e)) &&
                (!(solve || option_given(a, "-natural")) || weight_streams_make_natural(&s, e)) &&
                (!solve || weight_streams_reorder(&s, false, threads, e)) &&
                weight_streams_measure(&s, threads, NULL, &r->total, e);
    if (good) r->order = order_of(&s, solve);
    weight_streams_free(&s);
    return good;
}

static void print_rows(const loaded_network *loaded, const row *rows, size_t count) {
    size_t width = strlen("accelerator"), table_width = strlen("energy table");
    for (size_t i = 0; i < count; i++) {
        size_t name = strlen(rows[i].model.accelerator.name), table = strlen(rows[i].model.table.name);
        width = name > width ? name : width;
        table_width = table > table_width ? table : table_width;
    }
    printf("%s, one image, plan level\n", network_name(loaded->net));
    printf("%-*s %9s %-17s %-15s %-7s %-*s %10s %6s %12s %6s %11s %11s %12s %11s %11s %7s\n", (int)width,
           "accelerator", "array", "dataflow", "representation", "order", (int)table_width, "energy table",
           "kcycles", "util%", "Mflips/image", "nhd", "compute uJ", "propag. uJ", "datapath uJ", "clock uJ",
           "idle uJ", "pJ/MAC");
    for (size_t i = 0; i < count; i++) {
        const hd_accelerator *a = &rows[i].model.accelerator;
        const hd_energy_report *r = &rows[i].total.energy;
        char array[32];
        (void)snprintf(array, sizeof array, "%dx%d", a->rows, a->cols);
        printf("%-*s %9s %-17s %-15s %-7s %-*s %10.1f %6.1f %12.3f %6.4f %11.4f %11.4f %12.4f %11.4f %11.4f "
               "%7.3f\n",
               (int)width, a->name, array, hd_dataflow_name(a->dataflow),
               hd_representation_name(a->representation), rows[i].order, (int)table_width,
               rows[i].model.table.name, (double)r->cycles * 1e-3, 100.0 * r->utilisation,
               (double)r->flips_per_image * 1e-6, rows[i].total.flips.nhd, r->compute_pj * 1e-6,
               r->propagation_pj * 1e-6, r->datapath_pj * 1e-6, r->clock_pj * 1e-6, r->idle_pj * 1e-6,
               r->pj_per_mac);
    }
}

static bool write_csv(const row *rows, size_t count, const char *path, error *e) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f) return error_set(e, "%s: out of memory", path);
    (void)fprintf(f, "accelerator,rows,cols,dataflow,representation,order,energy_table,macs,cycles,"
                     "utilisation,flips_per_image,nhd,"
                     "compute_pj,propagation_pj,datapath_pj,clock_pj,idle_pj,pj_per_mac\n");
    for (size_t i = 0; i < count; i++) {
        const hd_accelerator *a = &rows[i].model.accelerator;
        const hd_energy_report *r = &rows[i].total.energy;
        (void)fprintf(f, "%s,%d,%d,%s,%s,%s,%s,%llu,%llu,%.6f,%llu,%.6f,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n",
                      a->name, a->rows, a->cols, hd_dataflow_name(a->dataflow),
                      hd_representation_name(a->representation), rows[i].order, rows[i].model.table.name,
                      (unsigned long long)r->macs, (unsigned long long)r->cycles, r->utilisation,
                      (unsigned long long)r->flips_per_image, rows[i].total.flips.nhd, r->compute_pj,
                      r->propagation_pj, r->datapath_pj, r->clock_pj, r->idle_pj, r->pj_per_mac);
    }
    bool good = fclose(f) == 0 || error_set(e, "%s: out of memory", path);
    if (good && strcmp(path, "-") == 0)
        good = fputs(text, stdout) >= 0 || error_set(e, "standard output cannot be written");
    else if (good)
        good = file_write_atomic(path, text, bytes, e);
    free(text);
    return good;
}

static json_t *rows_json(const loaded_network *loaded, const row *rows, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        const hd_energy_report *r = &rows[i].total.energy;
        const hd_flips *x = &rows[i].total.flips;
        json_array_append_new(
            list,
            json_pack("{s:o, s:s, s:I, s:I, s:f, s:I, s:f, s:{s:f, s:f, s:f, s:f, s:f}, s:f}", "accelerator",
                      report_accelerator(&rows[i].model), "order", rows[i].order, "macs", (json_int_t)r->macs,
                      "cycles", (json_int_t)r->cycles, "utilisation", r->utilisation, "flips_per_image",
                      (json_int_t)r->flips_per_image, "nhd", x->nhd, "energy_pj", "compute", r->compute_pj,
                      "propagation", r->propagation_pj, "datapath", r->datapath_pj, "clock", r->clock_pj,
                      "idle", r->idle_pj, "pj_per_mac", r->pj_per_mac));
    }
    return json_pack("{s:s, s:s, s:o}", "version", darknet_version(), "network", network_name(loaded->net),
                     "accelerators", list);
}

static bool is_standard_output(const char *path) {
    return path && strcmp(path, "-") == 0;
}

int hd_compare_accelerators_command(plugin *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    const char *csv = option_text(&a, "-csv"), *json = option_text(&a, "-json");
    if (is_standard_output(csv) && is_standard_output(json))
        return fail("-csv and -json cannot both go to standard output");
    loaded_network loaded;
    if (!command_load(p, &a, &loaded)) return 1;
    error e = {0};
    size_t count = (size_t)a.position_count - 2;
    row *rows = calloc(count, sizeof *rows);
    bool good = rows != NULL;
    if (!rows) error_set(&e, "out of memory");
    for (size_t i = 0; good && rows && i < count; i++)
        good = fill_row(p, &a, &loaded, a.positions[i + 2], &rows[i], &e);
    if (good && !is_standard_output(csv) && !is_standard_output(json)) print_rows(&loaded, rows, count);
    if (good && csv) good = write_csv(rows, count, csv, &e);
    if (good && json) good = report_write(rows_json(&loaded, rows, count), json, &e);
    free(rows);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
