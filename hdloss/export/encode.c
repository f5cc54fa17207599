/* From an export to its files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/internal.h"

typedef struct writer {
    hd_export_files *files;
    json_t *list; /* {name: {bytes, crc32}} */
    hd_error *error;
} writer;

void hd_export_files_free(hd_export_files *files) {
    for (size_t i = 0; i < files->count; i++) free(files->items[i].bytes);
    free(files->items);
    *files = (hd_export_files){0};
}

/* Takes the bytes, after a failure too. */
static bool add_file(writer *w, const char *name, const char *ending, uint8_t *bytes, size_t count) {
    hd_export_file *grown = realloc(w->files->items, (w->files->count + 1) * sizeof *grown);
    if (!grown) {
        free(bytes);
        return hd_fail(w->error, "no memory for %zu files", w->files->count + 1);
    }
    w->files->items = grown;
    hd_export_file *file = &grown[w->files->count++];
    *file = (hd_export_file){.bytes = bytes, .count = count};
    (void)snprintf(file->name, sizeof file->name, "%s%s", name, ending);
    json_t *entry =
        json_pack("{s:I, s:I}", "bytes", (json_int_t)count, "crc32", (json_int_t)hd_crc32(0, bytes, count));
    return json_object_set_new(w->list, file->name, entry) == 0 ||
           hd_fail(w->error, "no memory for an export's manifest");
}

static bool add_npy(writer *w, const char *name, const hd_array *array) {
    uint8_t *bytes;
    size_t count;
    return hd_npy_encode(array, &bytes, &count, w->error) && add_file(w, name, ".npy", bytes, count);
}

/* <part>_<what>.npy, its .hex where it holds integers; its name goes to place[what]. */
static bool add_array(writer *w, json_t *place, const char *part, const char *what, hd_array array) {
    char name[HD_NAME_BYTES];
    uint8_t *bytes;
    size_t count;
    (void)snprintf(name, sizeof name, "%s_%s", part, what);
    if (!add_npy(w, name, &array)) return false;
    if (array.type != HD_ARRAY_FLOAT32 &&
        !(hd_hex_encode(&array, &bytes, &count, w->error) && add_file(w, name, ".hex", bytes, count)))
        return false;
    return json_object_set_new(place, what, json_sprintf("%s.npy", name)) == 0 ||
           hd_fail(w->error, "no memory for an export's manifest");
}

static hd_array vector(hd_array_type type, size_t count, const void *values) {
    return (hd_array){.type = type, .rank = 1, .shape = {count}, .values = (void *)values};
}

/* Permutations in the fewest whole bytes an entry. */
static bool add_permutations(writer *w, json_t *place, const char *part, const char *what,
                             const uint32_t *values, size_t count, size_t length) {
    if (!values) return true;
    size_t total = count * length;
    hd_array array = {.type = length <= 256     ? HD_ARRAY_UINT8
                              : length <= 65536 ? HD_ARRAY_UINT16
                                                : HD_ARRAY_UINT32,
                      .rank = 2,
                      .shape = {count, length}};
    size_t each = hd_array_value_bytes(array.type);
    uint8_t *packed = malloc(total * each);
    if (!packed) return hd_fail(w->error, "no memory for %zu orders", count);
    for (size_t i = 0; i < total; i++) {
        uint8_t byte = (uint8_t)values[i];
        uint16_t half = (uint16_t)values[i];
        memcpy(packed + i * each,
               each == 1   ? (void *)&byte
               : each == 2 ? (void *)&half
                           : (void *)&values[i],
               each);
    }
    array.values = packed;
    bool good = add_array(w, place, part, what, array);
    free(packed);
    return good;
}

/* The words on the lanes, and the flips that a reader will count on them. */
static bool add_words(writer *w, json_t *place, const char *part, const hd_stream_layer *layer,
                      const hd_plan *plan, int8_t *streamed) {
    hd_array array;
    hd_flips flips;
    uint8_t *bytes = NULL;
    size_t count = 0;
    char name[HD_NAME_BYTES];
    hd_stream_array_shape(plan, &array);
    (void)snprintf(name, sizeof name, "%s_words", part);
    array.values = malloc(hd_array_count(&array));
    bool good = array.values || hd_fail(w->error, "no memory for the words of layer %d", layer->index);
    if (good) {
        hd_stream_array_fill(plan, streamed, &array);
        good = hd_count_flips(plan, streamed, 1, &flips, w->error) && add_npy(w, name, &array) &&
               hd_hex_encode_stream(&array, layer->weight_bits, layer->representation, &bytes, &count,
                                    w->error) &&
               add_file(w, name, ".hex", bytes, count);
    }
    free(array.values);
    if (!good) return false;
    json_object_set_new(place, "words", json_sprintf("%s.npy", name));
    json_object_set_new(place, "flips", json_integer((json_int_t)flips.flips));
    json_object_set_new(place, "flips_inside_tiles", json_integer((json_int_t)flips.flips_inside_tiles));
    return true;
}

static bool add_signs(writer *w, json_t *place, const char *part, const hd_stream_layer *layer) {
    if (layer->sign_sets == 0) return true;
    return add_array(w, place, part, "signs",
                     (hd_array){.type = HD_ARRAY_INT8,
                                .rank = 2,
                                .shape = {layer->sign_sets, layer->shape.filters},
                                .values = layer->signs});
}

static json_t *stream_entry(const hd_stream_layer *layer, const hd_plan *plan) {
    const hd_layer_shape *s = &layer->shape;
    hd_array array;
    hd_stream_array_shape(plan, &array);
    return json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dataflow",
                     hd_dataflow_name(plan->dataflow), "weight_bits", layer->weight_bits, "representation",
                     hd_representation_name(layer->representation), "filters", (json_int_t)s->filters,
                     "channels", (json_int_t)s->channels, "groups", (json_int_t)s->groups, "size",
                     (json_int_t)s->size, "output_pixels", (json_int_t)s->output_pixels, "tiles",
                     (json_int_t)array.shape[0], "steps", (json_int_t)array.shape[1], "lanes",
                     (json_int_t)array.shape[2]);
}

static bool add_stream(writer *w, const hd_export *x, const hd_stream_layer *layer, json_t *entry,
                       const char *part) {
    hd_plan plan;
    if (!hd_stream_layer_plan(layer, &x->accelerator, &plan, w->error)) return false;
    json_t *place = stream_entry(layer, &plan);
    int8_t *streamed = malloc(plan.weights);
    bool good = place && streamed;
    if (!good) hd_fail(w->error, "no memory for the words of layer %d", layer->index);
    good =
        good && hd_stream_layer_streamed_words(layer, &plan, streamed, w->error) &&
        add_words(w, place, part, layer, &plan, streamed) &&
        add_array(w, place, part, "scales", vector(HD_ARRAY_FLOAT32, layer->shape.filters, layer->scales)) &&
        add_permutations(w, place, part, "orders", layer->orders, plan.order_count, plan.order_length) &&
        add_permutations(w, place, part, "lane_channels", layer->lane_channels, plan.groups,
                         plan.lane_axis) &&
        add_signs(w, place, part, layer);
    free(streamed);
    hd_plan_free(&plan);
    json_object_set_new(entry, "stream", place);
    return good;
}

/* Channels whose words count as 0 (docs/integer-network.md: held). Any other difference between the model's
 * words and the stream's is an error. */
static json_t *held_channels(const hd_export *x, const hd_integer_layer *layer, const hd_stream_layer *stream,
                             hd_error *error) {
    size_t filter = hd_export_channel_words(x->model, layer);
    json_t *held = json_array();
    for (int k = 0; held && k < layer->output.channels; k++) {
        const int8_t *mine = layer->words + (size_t)k * filter, *its = stream->words + (size_t)k * filter;
        if (memcmp(mine, its, filter) == 0) continue;
        bool zero = true;
        for (size_t i = 0; i < filter; i++) zero = zero && mine[i] == 0;
        json_array_append_new(held, json_integer(k));
        if (zero) continue;
        hd_fail(error, "layer %d (%s): the words of channel %d are not those that stream", layer->index,
                layer->type_name, k);
        json_decref(held);
        return NULL;
    }
    if (!held) hd_fail(error, "no memory for an export's manifest");
    return held;
}

static bool add_words_of(writer *w, const hd_export *x, const hd_integer_layer *layer, json_t *entry,
                         const char *part) {
    const hd_stream_layer *stream = NULL;
    for (size_t i = 0; i < x->layer_count; i++)
        if (x->layers[i].index == layer->index) stream = &x->layers[i];
    hd_layer_shape shape = hd_export_shape(x->model, layer);
    if (!stream)
        return add_array(w, entry, part, "words",
                         (hd_array){.type = HD_ARRAY_INT8,
                                    .rank = 2,
                                    .shape = {shape.filters, hd_layer_filter_weights(&shape)},
                                    .values = layer->words});
    if (memcmp(&shape, &stream->shape, sizeof shape) != 0)
        return hd_fail(w->error, "layer %d (%s): the stream has another shape than the layer", layer->index,
                       layer->type_name);
    json_t *held = held_channels(x, layer, stream, w->error);
    return held && json_object_set_new(entry, "held", held) == 0 && add_stream(w, x, stream, entry, part);
}

static json_t *tensor_entry(const hd_integer_tensor *t) {
    return json_pack("{s:i, s:i, s:i, s:b, s:f}", "height", t->height, "width", t->width, "channels",
                     t->channels, "signed", t->is_signed, "scale", (double)t->scale);
}

static bool add_layer(writer *w, const hd_export *x, const hd_integer_layer *l, json_t *layers) {
    char part[32];
    (void)snprintf(part, sizeof part, "layer_%03d", l->index);
    json_t *inputs = json_array();
    for (int j = 0; j < l->input_count; j++) json_array_append_new(inputs, json_integer(l->inputs[j]));
    json_t *entry =
        json_pack("{s:i, s:s, s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "index", l->index, "type",
                  l->type_name, "operation", hd_operation_name((int)l->operation), "inputs", inputs, "size",
                  l->size, "stride", l->stride, "padding", l->padding, "dilation", l->dilation, "groups",
                  l->groups, "low", l->low, "high", l->high, "output", tensor_entry(&l->output));
    if (!entry || json_array_append_new(layers, entry) != 0)
        return hd_fail(w->error, "no memory for an export's manifest");
    size_t ratios = (size_t)(l->bias ? l->output.channels : l->input_count);
    return (!l->words || add_words_of(w, x, l, entry, part)) &&
           (!l->bias || add_array(w, entry, part, "bias", vector(HD_ARRAY_INT32, ratios, l->bias))) &&
           (!l->multiplier ||
            add_array(w, entry, part, "multiplier", vector(HD_ARRAY_INT32, ratios, l->multiplier))) &&
           (!l->shift || add_array(w, entry, part, "shift", vector(HD_ARRAY_UINT8, ratios, l->shift))) &&
           (!l->table || add_array(w, entry, part, "table", vector(HD_ARRAY_UINT8, 256, l->table)));
}

static bool add_logits(writer *w, const hd_integer_model *m, json_t *root) {
    json_t *entry = json_pack("{s:i, s:f}", "layer", m->logits_layer, "scale", (double)m->logits_scale);
    if (!entry || json_object_set_new(root, "logits", entry) != 0)
        return hd_fail(w->error, "no memory for an export's manifest");
    if (!m->logits_multiplier) return true;
    size_t channels = (size_t)m->layers[m->logits_layer].output.channels;
    return add_array(w, entry, "logits", "multiplier",
                     vector(HD_ARRAY_INT32, channels, m->logits_multiplier)) &&
           add_array(w, entry, "logits", "shift", vector(HD_ARRAY_UINT8, channels, m->logits_shift));
}

static json_t *float_list(const float *values, size_t count) {
    json_t *list = values ? json_array() : json_null();
    for (size_t i = 0; values && i < count; i++) json_array_append_new(list, json_real((double)values[i]));
    return list;
}

static json_t *head_of(const hd_export *x) {
    const hd_accelerator *a = &x->accelerator;
    size_t channels = (size_t)x->model->input.channels;
    json_t *accelerator = json_pack(
        "{s:s, s:i, s:i, s:s, s:i, s:i, s:s, s:s, s:s}", "name", a->name, "rows", a->rows, "cols", a->cols,
        "dataflow", hd_dataflow_name(a->dataflow), "weight_bits", a->weight_bits, "activation_bits",
        a->activation_bits, "representation", hd_representation_name(a->representation), "encoding",
        hd_encoding_name(a->encoding), "kernel_orders", hd_kernel_orders_name(a->kernel_orders));
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:s, s:o, s:{s:o, s:o}}", "format", "hdloss-export",
                     "format_version", HD_EXPORT_FORMAT, "program_version", x->version, "network", x->network,
                     "accelerator", accelerator, "energy_table", x->energy_table, "input",
                     tensor_entry(&x->model->input), "preparation", "mean", float_list(x->mean, channels),
                     "deviation", float_list(x->deviation, channels));
}

static bool encode(writer *w, const hd_export *x) {
    json_t *root = head_of(x), *layers = json_array();
    bool good = root && w->list && json_object_set_new(root, "layers", layers) == 0;
    if (!good) hd_fail(w->error, "no memory for an export's manifest");
    for (int i = 0; good && i < x->model->layer_count; i++)
        good = add_layer(w, x, &x->model->layers[i], layers);
    good = good && add_logits(w, x->model, root);
    if (!good || json_object_set(root, "files", w->list) != 0) {
        json_decref(root);
        return false;
    }
    uint8_t *bytes;
    size_t count;
    return hd_manifest_seal(root, &bytes, &count, w->error) &&
           add_file(w, HD_EXPORT_MANIFEST, "", bytes, count);
}

bool hd_export_encode(const hd_export *exported, hd_export_files *files, hd_error *error) {
    *files = (hd_export_files){0};
    writer w = {.files = files, .list = json_object(), .error = error};
    bool good = encode(&w, exported);
    json_decref(w.list);
    if (!good) hd_export_files_free(files);
    return good;
}
