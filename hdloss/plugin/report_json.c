/* Reports as JSON: the accelerator, one entry a layer with weights, and the total of the same figures. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "internal.h"

json_t *report_accelerator(const array_model *model) {
    const hd_accelerator *a = &model->accelerator;
    return json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:s, s:s, s:s, s:s}", "name", a->name, "rows", a->rows,
                     "cols", a->cols, "dataflow", hd_dataflow_name(a->dataflow), "weight_bits",
                     a->weight_bits, "activation_bits", a->activation_bits, "representation",
                     hd_representation_name(a->representation), "encoding", hd_encoding_name(a->encoding),
                     "kernel_orders", hd_kernel_orders_name(a->kernel_orders), "energy_table",
                     model->table.name);
}

json_t *report_energy_parts(const hd_energy_report *r) {
    json_t *parts =
        json_pack("{s:f, s:f, s:f, s:f, s:f}", "compute", r->compute_pj, "propagation", r->propagation_pj,
                  "datapath", r->datapath_pj, "clock", r->clock_pj, "idle", r->idle_pj);
    for (int i = 0; parts && i < HD_ENERGY_PART_COUNT; i++)
        json_object_set_new(parts, hd_energy_part_name((hd_energy_part)i), json_real(r->parts_pj[i]));
    return parts;
}

static json_t *memory_bytes(const hd_memory_bytes *m) {
    return json_pack("{s:I, s:I, s:I, s:I}", "weights", (json_int_t)m->weights, "activations",
                     (json_int_t)m->activations, "partial_sums", (json_int_t)m->partial_sums, "orders",
                     (json_int_t)m->orders);
}

static json_t *figures(const stream_figures *f, bool energy) {
    const hd_flips *x = &f->flips;
    json_t *entry = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "tiles", (json_int_t)x->tiles, "steps",
        (json_int_t)x->steps, "lanes", (json_int_t)x->lanes, "repeats", (json_int_t)x->repeats, "words",
        (json_int_t)x->words, "zero_words", (json_int_t)x->zero_words, "transitions",
        (json_int_t)x->transitions, "flips", (json_int_t)x->flips, "flips_inside_tiles",
        (json_int_t)x->flips_inside_tiles, "flips_per_image", (json_int_t)x->flips_per_image, "nhd", x->nhd);
    json_t *bits = entry ? json_array() : NULL;
    for (int b = 0; bits && b < HD_MAXIMUM_BITS; b++)
        json_array_append_new(bits, json_integer((json_int_t)x->flips_by_bit[b]));
    if (bits) json_object_set_new(entry, "flips_by_bit", bits);
    if (!entry || !energy) return entry;
    const hd_energy_report *r = &f->energy;
    json_t *more = json_pack("{s:o, s:I, s:I, s:f, s:f, s:I, s:I, s:o}", "energy_pj", report_energy_parts(r),
                             "macs", (json_int_t)r->macs, "cycles", (json_int_t)r->cycles, "utilisation",
                             r->utilisation, "pj_per_mac", r->pj_per_mac, "weight_register_flips",
                             (json_int_t)r->weight_flips, "activation_register_flips",
                             (json_int_t)r->activation_flips, "memory_bytes", memory_bytes(&r->memory));
    if (more) json_object_update(entry, more);
    json_decref(more);
    return entry;
}

static json_t *layer_entry(const weight_stream *w, const stream_figures *f, bool energy) {
    darknet_layer_info info;
    layer_get_info(w->layer, &info);
    json_t *entry = json_pack("{s:i, s:s, s:i}", "index", w->index, "type", info.type, "weight_bits",
                              w->plan.accelerator.weight_bits);
    json_t *rest = figures(f, energy);
    if (entry && rest) json_object_update(entry, rest);
    if (entry) json_object_set_new(entry, "ordered", json_boolean(w->plan.orders != NULL));
    const hd_activation_statistics *x = &w->activations;
    if (entry && energy && w->activations_measured)
        json_object_set_new(entry, "activations",
                            json_pack("{s:f, s:f, s:f, s:f, s:f}", "mean_popcount", x->ones, "zero_fraction",
                                      x->zero_fraction, "flips_between_pixels", x->flips_between_pixels,
                                      "flips_between_channels", x->flips_between_channels, "flips_apart",
                                      x->flips_apart));
    json_decref(rest);
    return entry;
}

json_t *report_streams(const weight_streams *s, const stream_figures *each, const stream_figures *total,
                       bool energy) {
    json_t *layers = json_array();
    for (size_t i = 0; layers && i < s->count; i++)
        json_array_append_new(layers, layer_entry(&s->items[i], &each[i], energy));
    return json_pack("{s:s, s:o, s:o, s:o}", "version", darknet_version(), "accelerator",
                     report_accelerator(&s->model), "layers", layers, "total", figures(total, energy));
}

bool report_write(json_t *report, const char *path, error *e) {
    char *text = report ? json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(report);
    if (!text) return error_set(e, "%s: out of memory", path);
    bool good;
    if (strcmp(path, "-") == 0)
        good = puts(text) >= 0 || error_set(e, "standard output cannot be written");
    else
        good = file_write_atomic(path, text, strlen(text), e);
    free(text);
    return good;
}
