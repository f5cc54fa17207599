/* From files, which may be hostile, back to an export. Whatever this lets through is sound enough for
 * hd_integer_network_create to check the rest. */
#include "export/reader.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = 1 << 16, MOST_SIDE = 1 << 20, MOST_CHANNELS = 1 << 26, MOST_INPUTS = 1 << 12 };

void hd_export_free(hd_export *exported) {
    hd_integer_model_destroy(exported->model);
    for (size_t i = 0; exported->layers && i < exported->layer_count; i++)
        hd_stream_layer_free(&exported->layers[i]);
    free(exported->layers);
    free(exported->mean);
    free(exported->deviation);
    *exported = (hd_export){0};
}

static bool read_filters(const hd_reader *r, const json_t *entry, hd_integer_layer *l) {
    hd_layer_shape shape = hd_export_shape(r->out->model, l);
    hd_error h = {0};
    void *bias = NULL, *words = NULL;
    hd_array wanted = hd_vector(HD_ARRAY_INT32, shape.filters);
    if (!hd_layer_shape_validate(&shape, &h)) return hd_reader_wrong(r, "output", h.message);
    if (!hd_load_array(r, entry, "bias", &wanted, &bias)) return false;
    l->bias = bias;
    if (json_object_get(entry, "stream")) return hd_read_stream(r, entry, &shape, l);
    wanted = (hd_array){
        .type = HD_ARRAY_INT8, .rank = 2, .shape = {shape.filters, hd_layer_filter_weights(&shape)}};
    if (!hd_load_array(r, entry, "words", &wanted, &words)) return false;
    l->words = words;
    return true;
}

static bool read_tensor(const hd_reader *r, const json_t *object, hd_integer_tensor *t) {
    const json_t *sign = json_object_get(object, "signed");
    if (!json_is_boolean(sign)) return hd_reader_wrong(r, "signed", "true or false is needed");
    t->is_signed = json_is_true(sign);
    return hd_read_int(r, object, "height", 1, MOST_SIDE, &t->height) &&
           hd_read_int(r, object, "width", 1, MOST_SIDE, &t->width) &&
           hd_read_int(r, object, "channels", 1, MOST_CHANNELS, &t->channels) &&
           hd_read_scale(r, object, "scale", &t->scale);
}

static bool read_inputs(const hd_reader *r, const json_t *entry, int at, hd_integer_layer *l) {
    const json_t *list = json_object_get(entry, "inputs");
    size_t count = json_array_size(list);
    if (count < 1 || count > MOST_INPUTS) return hd_reader_wrong(r, "inputs", "a list of layers is needed");
    l->inputs = malloc(count * sizeof *l->inputs);
    if (!l->inputs) return hd_reader_wrong(r, "inputs", "no memory");
    l->input_count = (int)count;
    for (size_t j = 0; j < count; j++) {
        const json_t *v = json_array_get(list, j);
        if (!json_is_integer(v) || json_integer_value(v) < -1 || json_integer_value(v) >= at)
            return hd_reader_wrong(r, "inputs", "each of them is a layer before this one, or -1");
        l->inputs[j] = (int)json_integer_value(v);
    }
    return true;
}

static bool read_operation(const hd_reader *r, const json_t *entry, hd_integer_layer *l) {
    const char *name = hd_read_text(r, entry, "operation");
    for (int i = 0; name && hd_operation_name(i); i++)
        if (strcmp(name, hd_operation_name(i)) == 0) {
            l->operation = (hd_integer_operation)i;
            return true;
        }
    return name && hd_reader_wrong(r, "operation", "is none of this format");
}

static bool read_layer(hd_reader *r, const json_t *entry, int at) {
    hd_integer_layer *l = &r->out->model->layers[at];
    char type[HD_NAME_BYTES];
    (void)snprintf(r->where, sizeof r->where, "layers[%d]", at);
    if (!hd_read_int(r, entry, "index", 0, INT_MAX, &l->index) || !hd_copy_text(r, entry, "type", type) ||
        !read_operation(r, entry, l) || !read_inputs(r, entry, at, l) ||
        !hd_read_int(r, entry, "size", 0, MOST_SIDE, &l->size) ||
        !hd_read_int(r, entry, "stride", 0, MOST_SIDE, &l->stride) ||
        !hd_read_int(r, entry, "padding", 0, MOST_SIDE, &l->padding) ||
        !hd_read_int(r, entry, "dilation", 0, MOST_SIDE, &l->dilation) ||
        !hd_read_int(r, entry, "groups", 0, MOST_CHANNELS, &l->groups) ||
        !hd_read_int(r, entry, "low", -255, 255, &l->low) ||
        !hd_read_int(r, entry, "high", -255, 255, &l->high) ||
        !read_tensor(r, json_object_get(entry, "output"), &l->output))
        return false;
    (void)snprintf(l->type_name, sizeof l->type_name, "%.31s", type);
    bool filters = l->operation == HD_INTEGER_CONVOLUTION || l->operation == HD_INTEGER_CONNECTED;
    bool ratios = filters || l->operation == HD_INTEGER_SHORTCUT || l->operation == HD_INTEGER_ROUTE;
    size_t count = (size_t)(filters ? l->output.channels : l->input_count);
    void *table = NULL;
    hd_array wanted = hd_vector(HD_ARRAY_UINT8, 256);
    if ((filters && !read_filters(r, entry, l)) ||
        (ratios && !hd_read_ratios(r, entry, count, &l->multiplier, &l->shift)))
        return false;
    if (!json_object_get(entry, "table")) return true;
    if (!hd_load_array(r, entry, "table", &wanted, &table)) return false;
    l->table = table;
    return true;
}

static bool read_layers(hd_reader *r, const json_t *root) {
    const json_t *list = json_object_get(root, "layers");
    size_t count = json_array_size(list);
    if (count < 1 || count > MOST_LAYERS) return hd_reader_wrong(r, "layers", "a list of layers is needed");
    r->out->model->layers = calloc(count, sizeof *r->out->model->layers);
    r->out->layers = calloc(count, sizeof *r->out->layers);
    if (!r->out->model->layers || !r->out->layers) return hd_reader_wrong(r, "layers", "no memory");
    r->out->model->layer_count = (int)count;
    for (size_t i = 0; i < count; i++)
        if (!read_layer(r, json_array_get(list, i), (int)i)) return false;
    r->where[0] = 0;
    return true;
}

static bool read_logits(hd_reader *r, const json_t *root) {
    hd_integer_model *m = r->out->model;
    const json_t *entry = json_object_get(root, "logits");
    (void)snprintf(r->where, sizeof r->where, "logits");
    if (!hd_read_int(r, entry, "layer", 0, m->layer_count - 1, &m->logits_layer) ||
        !hd_read_scale(r, entry, "scale", &m->logits_scale))
        return false;
    if (!json_object_get(entry, "multiplier")) return true;
    return hd_read_ratios(r, entry, (size_t)m->layers[m->logits_layer].output.channels, &m->logits_multiplier,
                          &m->logits_shift);
}

static bool read_named(const hd_reader *r, const json_t *object, hd_accelerator *a) {
    const char *dataflow = hd_read_text(r, object, "dataflow"),
               *representation = dataflow ? hd_read_text(r, object, "representation") : NULL,
               *encoding = representation ? hd_read_text(r, object, "encoding") : NULL,
               *orders = encoding ? hd_read_text(r, object, "kernel_orders") : NULL;
    hd_error h = {0};
    if (!orders) return false;
    return (hd_dataflow_parse(dataflow, &a->dataflow, &h) &&
            hd_representation_parse(representation, &a->representation, &h) &&
            hd_encoding_parse(encoding, &a->encoding, &h) &&
            hd_kernel_orders_parse(orders, &a->kernel_orders, &h)) ||
           hd_reader_wrong(r, "accelerator", h.message);
}

static bool read_accelerator(hd_reader *r, const json_t *root) {
    const json_t *object = json_object_get(root, "accelerator");
    hd_accelerator *a = &r->out->accelerator;
    (void)snprintf(r->where, sizeof r->where, "accelerator");
    bool good = hd_copy_text(r, object, "name", a->name) &&
                hd_read_int(r, object, "rows", 1, HD_MAXIMUM_ARRAY_SIDE, &a->rows) &&
                hd_read_int(r, object, "cols", 1, HD_MAXIMUM_ARRAY_SIDE, &a->cols) &&
                hd_read_int(r, object, "weight_bits", HD_MINIMUM_BITS, HD_MAXIMUM_BITS, &a->weight_bits) &&
                hd_read_int(r, object, "activation_bits", 2, 8, &a->activation_bits) &&
                read_named(r, object, a);
    r->out->model->activation_bits = a->activation_bits;
    r->where[0] = 0;
    return good;
}

/* The numbers of preparation[key], or NULL for null. */
static bool read_floats(const hd_reader *r, const json_t *root, const char *key, bool positive,
                        float **values) {
    const json_t *list = json_object_get(json_object_get(root, "preparation"), key);
    size_t channels = (size_t)r->out->model->input.channels;
    if (json_is_null(list)) return true;
    if (json_array_size(list) != channels)
        return hd_reader_wrong(r, key, "a number for each channel is needed");
    *values = malloc(channels * sizeof **values);
    if (!*values) return hd_reader_wrong(r, key, "no memory");
    for (size_t i = 0; i < channels; i++) {
        (*values)[i] = (float)json_number_value(json_array_get(list, i));
        if (!json_is_number(json_array_get(list, i)) || !isfinite((*values)[i]) ||
            (positive && !((*values)[i] > 0)))
            return hd_reader_wrong(r, key, "finite numbers are needed");
    }
    return true;
}

/* Files that the reader needs not, the .hex ones, must be whole too. */
static bool check_other_files(const hd_reader *r) {
    const char *name;
    json_t *entry;
    json_object_foreach(r->files, name, entry) {
        uint8_t *bytes;
        size_t count, length = strlen(name);
        if (length < 4 || strcmp(name + length - 4, ".hex") != 0) continue;
        if (!hd_load_file(r, name, &bytes, &count)) return false;
        free(bytes);
    }
    return true;
}

static bool read_all(hd_reader *r, const json_t *root) {
    const char *format = json_string_value(json_object_get(root, "format"));
    int version;
    if (!format || strcmp(format, "hdloss-export") != 0)
        return hd_reader_wrong(r, "format", "is not hdloss-export");
    if (!hd_read_int(r, root, "format_version", HD_EXPORT_FORMAT, HD_EXPORT_FORMAT, &version)) return false;
    r->files = json_object_get(root, "files");
    r->out->model = calloc(1, sizeof *r->out->model);
    if (!r->out->model) return hd_reader_wrong(r, "layers", "no memory");
    return hd_copy_text(r, root, "program_version", r->out->version) &&
           hd_copy_text(r, root, "network", r->out->network) &&
           hd_copy_text(r, root, "energy_table", r->out->energy_table) && read_accelerator(r, root) &&
           read_tensor(r, json_object_get(root, "input"), &r->out->model->input) &&
           read_floats(r, root, "mean", false, &r->out->mean) &&
           read_floats(r, root, "deviation", true, &r->out->deviation) && read_layers(r, root) &&
           read_logits(r, root) && check_other_files(r);
}

bool hd_export_decode(hd_export_loader *load, void *user, const char *place, hd_export *exported,
                      hd_error *error) {
    uint8_t *bytes;
    size_t count;
    char name[192];
    *exported = (hd_export){0};
    (void)snprintf(name, sizeof name, "%.150s/%s", place, HD_EXPORT_MANIFEST);
    if (!load(user, HD_EXPORT_MANIFEST, &bytes, &count, error)) return false;
    json_t *root = hd_manifest_open(bytes, count, name, error);
    free(bytes);
    if (!root) return false;
    hd_reader r = {.load = load, .user = user, .place = place, .out = exported, .error = error};
    bool good = read_all(&r, root);
    json_decref(root);
    if (!good) hd_export_free(exported);
    return good;
}
