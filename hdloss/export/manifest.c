/* The manifest's checksum, its last key: the CRC-32 of all bytes before the comma in front of it. And what an
 * export takes from the model without storing it twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/internal.h"

static const char seal_head[] = ",\n \"crc32\": \"";
static const char seal_tail[] = "\"\n}\n";
enum { CRC_DIGITS = 8, SEAL_BYTES = sizeof seal_head - 1 + CRC_DIGITS + sizeof seal_tail - 1 };

static const char *const operations[] = {"convolution", "connected", "maxpool", "average_pool",
                                         "shortcut",    "route",     "table",   "pass"};

const char *hd_operation_name(int operation) {
    return operation >= 0 && operation < (int)(sizeof operations / sizeof *operations) ? operations[operation]
                                                                                       : NULL;
}

bool hd_manifest_seal(json_t *root, uint8_t **bytes, size_t *count, hd_error *error) {
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    size_t length = text ? strlen(text) : 0;
    if (length < 2 || strcmp(text + length - 2, "\n}") != 0) {
        free(text);
        return hd_fail(error, "no memory for an export's manifest");
    }
    length -= 2;
    char *sealed = realloc(text, length + SEAL_BYTES + 1);
    if (!sealed) {
        free(text);
        return hd_fail(error, "no memory for an export's manifest");
    }
    (void)snprintf(sealed + length, SEAL_BYTES + 1, "%s%08x%s", seal_head, hd_crc32(0, sealed, length),
                   seal_tail);
    *bytes = (uint8_t *)sealed;
    *count = length + SEAL_BYTES;
    return true;
}

json_t *hd_manifest_open(const uint8_t *bytes, size_t count, const char *name, hd_error *error) {
    const char *text = (const char *)bytes;
    size_t length = count - SEAL_BYTES;
    char *end = NULL, told[CRC_DIGITS + 1] = "";
    bool sealed = count > SEAL_BYTES && memcmp(text + length, seal_head, sizeof seal_head - 1) == 0;
    if (sealed) memcpy(told, text + length + sizeof seal_head - 1, CRC_DIGITS);
    if (!sealed || strtoul(told, &end, 16) != hd_crc32(0, bytes, length) || *end) {
        hd_fail(error, "%s: its checksum is missing or wrong: it is no whole manifest of an export", name);
        return NULL;
    }
    json_error_t problem;
    json_t *root = json_loadb(text, count, JSON_REJECT_DUPLICATES, &problem);
    if (!root) hd_fail(error, "%s:%d: is no JSON: %s", name, problem.line, problem.text);
    return root;
}

static const hd_integer_tensor *input_of(const hd_integer_model *model, const hd_integer_layer *layer) {
    return layer->inputs[0] < 0 ? &model->input : &model->layers[layer->inputs[0]].output;
}

hd_layer_shape hd_export_shape(const hd_integer_model *model, const hd_integer_layer *layer) {
    const hd_integer_tensor *in = input_of(model, layer), *out = &layer->output;
    size_t area = (size_t)in->height * (size_t)in->width;
    if (layer->operation == HD_INTEGER_CONNECTED)
        return (hd_layer_shape){(size_t)out->channels, (size_t)in->channels * area, 1, 1, 1};
    return (hd_layer_shape){(size_t)out->channels, (size_t)in->channels, (size_t)layer->groups,
                            (size_t)layer->size, (size_t)out->height * (size_t)out->width};
}

size_t hd_export_channel_words(const hd_integer_model *model, const hd_integer_layer *layer) {
    hd_layer_shape shape = hd_export_shape(model, layer);
    return hd_layer_filter_weights(&shape);
}
