/* darknet hd energy's figures as a table, as JSON and as CSV: see energy_figures.h. */
#include "energy_figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

const char *const energy_group_names[ENERGY_GROUPS] = {"multiplier", "accumulator", "registers", "wires",
                                                       "other"};

static int group_of(hd_energy_part part) {
    switch (part) {
    case HD_PART_MULTIPLIER:
        return 0;
    case HD_PART_ACCUMULATOR:
        return 1;
    case HD_PART_WEIGHT_REGISTER:
    case HD_PART_ACTIVATION_REGISTER:
    case HD_PART_CONTROL:
        return 2;
    case HD_PART_WIRES:
    case HD_PART_WEIGHT_LINK:
    case HD_PART_ACTIVATION_LINK:
    case HD_PART_PSUM_LINK:
        return 3;
    default:
        return 4;
    }
}

void energy_groups(const hd_energy_report *r, double groups_pj[ENERGY_GROUPS]) {
    memset(groups_pj, 0, ENERGY_GROUPS * sizeof *groups_pj);
    for (int i = 0; i < HD_ENERGY_PART_COUNT; i++) groups_pj[group_of((hd_energy_part)i)] += r->parts_pj[i];
}

static size_t count_of(const energy_figures *f) {
    return f->loaded->streams.count;
}

const hd_energy_report *energy_of(const energy_figures *f, size_t i) {
    if (i == count_of(f)) return f->traced ? &f->traced_total : &f->total.energy;
    return f->traced ? &f->traced[i] : &f->each[i].energy;
}

double energy_plan_over_trace(const energy_figures *f, size_t i) {
    const hd_energy_report *plan = i == count_of(f) ? &f->total.energy : &f->each[i].energy;
    double traced = f->traced ? energy_of(f, i)->datapath_pj : 0;
    return traced > 0 ? plan->datapath_pj / traced : 0;
}

/* ---- the table ---- */
/* Decimals of a microjoule that give the total some seven digits. */
static int decimals_for(double total_pj) {
    int decimals = total_pj > 0 ? 6 - (int)ceil(log10(total_pj * 1e-6)) : 6;
    return decimals < 1 ? 1 : decimals > 9 ? 9 : decimals;
}

static void print_head(const energy_figures *f, bool other) {
    const weight_streams *s = &f->loaded->streams;
    const hd_energy_table *t = &s->model.table;
    print_streams_head(s, f->loaded);
    const char *activations = f->traced ? "one training image of the data"
                              : s->count && s->items[0].activations_measured
                                  ? "statistics of the data's first training images"
                                  : t->assumed_activations;
    printf("darknet %s, %s level; energy table %s%s; activations: %s\n", darknet_version(),
           f->traced ? "trace" : "plan", t->name, t->provisional ? " (provisional)" : "", activations);
    printf("microjoules an image, but the last column%s\n", f->traced ? "s" : "");
    printf("layer type             MMAC  kcycles util%% weight flips activ. flips");
    if (f->traced) printf("    sum flips");
    for (int g = 0; g < ENERGY_GROUPS - !other; g++) printf(" %11s", energy_group_names[g]);
    printf("    datapath |       clock        idle  pJ/MAC%s\n", f->traced ? "  plan/trace" : "");
}

static void print_row(const energy_figures *f, size_t i, int decimals, bool other,
                      const hd_energy_report *r) {
    char index[16] = "total";
    darknet_layer_info info = {.type = ""};
    if (i < count_of(f)) {
        layer_get_info(f->loaded->streams.items[i].layer, &info);
        (void)snprintf(index, sizeof index, "%d", f->loaded->streams.items[i].index);
    }
    double groups[ENERGY_GROUPS];
    energy_groups(r, groups);
    printf("%5s %-14s %7.3f %8.3f %5.1f %12llu %12llu", index, info.type, (double)r->macs * 1e-6,
           (double)r->cycles * 1e-3, 100.0 * r->utilisation, (unsigned long long)r->weight_flips,
           (unsigned long long)r->activation_flips);
    if (f->traced) printf(" %12llu", (unsigned long long)r->sum_flips);
    for (int g = 0; g < ENERGY_GROUPS - !other; g++) printf(" %11.*f", decimals, groups[g] * 1e-6);
    printf(" %11.*f | %11.*f %11.*f %7.3f", decimals, r->datapath_pj * 1e-6, decimals, r->clock_pj * 1e-6,
           decimals, r->idle_pj * 1e-6, r->pj_per_mac);
    if (f->traced) printf(" %11.3f", energy_plan_over_trace(f, i));
    printf("\n");
}

static void print_memory(const energy_figures *f) {
    const array_model *model = &f->loaded->streams.model;
    const hd_memory_bytes *m = &energy_of(f, count_of(f))->memory;
    printf("memory, in no figure above: %.3f MB of weights, %.3f of activations, %.3f of partial sums, %.3f "
           "of orders\n",
           (double)m->weights * 1e-6, (double)m->activations * 1e-6, (double)m->partial_sums * 1e-6,
           (double)m->orders * 1e-6);
    if (!model->has_memory) return;
    hd_memory_energy e = hd_memory_energy_of(m, &model->memory, 2);
    printf("memory, by the accelerator's [memory]: %.8f uJ = %.8f of weights + %.8f of activations + %.8f of "
           "partial sums + "
           "%.8f of orders\n",
           e.total_pj * 1e-6, e.weights_pj * 1e-6, e.activations_pj * 1e-6, e.partial_sums_pj * 1e-6,
           e.orders_pj * 1e-6);
}

static void print_below(const energy_figures *f) {
    printf("datapath = multiplier + accumulator + registers + wires%s; clock: of elements that take a step; "
           "idle: of the others\n",
           energy_of(f, count_of(f))->parts_pj[HD_PART_OTHER] > 0 ? " + other" : "");
    print_memory(f);
    for (size_t i = 0; i < count_of(f); i++) {
        const weight_stream *w = &f->loaded->streams.items[i];
        int bits = hd_accumulator_bits(w->plan.dataflow);
        if (f->accumulator_bits[i] > bits)
            printf("layer %d: a sum may need %d bits, an accumulator of the array has %d\n", w->index,
                   f->accumulator_bits[i], bits);
    }
}

void energy_print(const energy_figures *f) {
    bool other = energy_of(f, count_of(f))->parts_pj[HD_PART_OTHER] > 0;
    int decimals = decimals_for(energy_of(f, count_of(f))->datapath_pj);
    hd_energy_report total = {0};
    print_head(f, other);
    for (size_t i = 0; i < count_of(f); i++) {
        hd_energy_report r = *energy_of(f, i);
        hd_energy_round(&r, decimals - 6);
        hd_energy_add(&total, &r);
        hd_energy_round(&total, decimals - 6);
        print_row(f, i, decimals, other, &r);
    }
    print_row(f, count_of(f), decimals, other, &total);
    print_below(f);
}

/* ---- JSON ---- */
static void add_memory(const energy_figures *f, size_t i, json_t *entry) {
    const array_model *model = &f->loaded->streams.model;
    hd_memory_energy e = hd_memory_energy_of(&energy_of(f, i)->memory, &model->memory, ENERGY_DECIMALS);
    if (model->has_memory && entry)
        json_object_set_new(entry, "memory_pj",
                            json_pack("{s:f, s:f, s:f, s:f, s:f}", "weights", e.weights_pj, "activations",
                                      e.activations_pj, "partial_sums", e.partial_sums_pj, "orders",
                                      e.orders_pj, "total", e.total_pj));
}

static void add_trace(const energy_figures *f, size_t i, json_t *entry) {
    if (!f->traced || !entry) return;
    const hd_energy_report *r = energy_of(f, i);
    json_t *trace = json_pack(
        "{s:o, s:I, s:I, s:f, s:f, s:I, s:I, s:I}", "energy_pj", report_energy_parts(r), "macs",
        (json_int_t)r->macs, "cycles", (json_int_t)r->cycles, "utilisation", r->utilisation, "pj_per_mac",
        r->pj_per_mac, "weight_register_flips", (json_int_t)r->weight_flips, "activation_register_flips",
        (json_int_t)r->activation_flips, "sum_register_flips", (json_int_t)r->sum_flips);
    json_object_set_new(entry, "trace", trace);
    json_object_set_new(entry, "plan_over_trace", json_real(energy_plan_over_trace(f, i)));
}

json_t *energy_json(const energy_figures *f) {
    const weight_streams *s = &f->loaded->streams;
    json_t *root = report_streams(s, f->each, &f->total, true);
    if (!root) return NULL;
    json_t *layers = json_object_get(root, "layers");
    for (size_t i = 0; i < s->count; i++) {
        json_t *entry = json_array_get(layers, i);
        json_object_set_new(entry, "accumulator_bits_needed", json_integer(f->accumulator_bits[i]));
        json_object_set_new(entry, "accumulator_bits",
                            json_integer(hd_accumulator_bits(s->items[i].plan.dataflow)));
        add_memory(f, i, entry);
        add_trace(f, i, entry);
    }
    add_memory(f, s->count, json_object_get(root, "total"));
    add_trace(f, s->count, json_object_get(root, "total"));
    return root;
}

/* ---- CSV ---- */
static void write_row(FILE *out, const energy_figures *f, size_t i) {
    const hd_energy_report *r = energy_of(f, i);
    darknet_layer_info info = {.type = ""};
    if (i < count_of(f)) {
        layer_get_info(f->loaded->streams.items[i].layer, &info);
        (void)fprintf(out, "%d,%s", f->loaded->streams.items[i].index, info.type);
    } else {
        (void)fprintf(out, "total,");
    }
    (void)fprintf(out, ",%llu,%llu,%.6f,%llu,%llu,%llu", (unsigned long long)r->macs,
                  (unsigned long long)r->cycles, r->utilisation, (unsigned long long)r->weight_flips,
                  (unsigned long long)r->activation_flips, (unsigned long long)r->sum_flips);
    for (int p = 0; p < HD_ENERGY_PART_COUNT; p++) (void)fprintf(out, ",%.3f", r->parts_pj[p]);
    (void)fprintf(out, ",%.3f,%.3f,%.3f,%.3f,%.3f,%.6g", r->compute_pj, r->propagation_pj, r->datapath_pj,
                  r->clock_pj, r->idle_pj, r->pj_per_mac);
    const hd_memory_bytes *m = &r->memory;
    (void)fprintf(out, ",%llu,%llu,%llu,%llu,", (unsigned long long)m->weights,
                  (unsigned long long)m->activations, (unsigned long long)m->partial_sums,
                  (unsigned long long)m->orders);
    if (f->traced) (void)fprintf(out, "%.6f", energy_plan_over_trace(f, i));
    (void)fprintf(out, "\n");
}

static void write_csv(FILE *out, const energy_figures *f) {
    const array_model *model = &f->loaded->streams.model;
    (void)fprintf(out, "# darknet %s\n# accelerator: %s\n# energy_table: %s\n# level: %s\n",
                  darknet_version(), model->accelerator.name, model->table.name,
                  f->traced ? "trace" : "plan");
    (void)fprintf(out, "layer,type,macs,cycles,utilisation,weight_register_flips,activation_register_flips,"
                       "sum_register_flips");
    for (int p = 0; p < HD_ENERGY_PART_COUNT; p++)
        (void)fprintf(out, ",%s_pj", hd_energy_part_name((hd_energy_part)p));
    (void)fprintf(out,
                  ",compute_pj,propagation_pj,datapath_pj,clock_pj,idle_pj,pj_per_mac,memory_weight_bytes,"
                  "memory_activation_bytes,memory_partial_sum_bytes,memory_order_bytes,plan_over_trace\n");
    for (size_t i = 0; i <= count_of(f); i++) write_row(out, f, i);
}

bool energy_write_csv(const energy_figures *f, const char *path, error *e) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return error_set(e, "%s: out of memory", path);
    write_csv(out, f);
    bool good =
        fclose(out) == 0 ? file_write_atomic(path, text, bytes, e) : error_set(e, "%s: out of memory", path);
    free(text);
    return good;
}
