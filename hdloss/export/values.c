/* Numbers, texts and arrays out of a manifest and the files it lists, each checked. */
#include "export/reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool hd_reader_wrong(const hd_reader *r, const char *key, const char *what) {
    return hd_fail(r->error, "%s/%s: %s%s%s: %s", r->place, HD_EXPORT_MANIFEST, r->where,
                   *r->where ? "." : "", key, what);
}

bool hd_read_int(const hd_reader *r, const json_t *object, const char *key, int least, int most, int *value) {
    const json_t *v = json_object_get(object, key);
    char what[80];
    if (json_is_integer(v) && json_integer_value(v) >= least && json_integer_value(v) <= most) {
        *value = (int)json_integer_value(v);
        return true;
    }
    (void)snprintf(what, sizeof what, "a whole number from %d to %d is needed", least, most);
    return hd_reader_wrong(r, key, what);
}

bool hd_read_scale(const hd_reader *r, const json_t *object, const char *key, float *value) {
    double v = json_number_value(json_object_get(object, key));
    *value = (float)v;
    return (v > 0 && isfinite(*value) && (double)*value == v) ||
           hd_reader_wrong(r, key, "a positive number of single precision is needed");
}

const char *hd_read_text(const hd_reader *r, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    if (text && strlen(text) < HD_NAME_BYTES) return text;
    hd_reader_wrong(r, key, "a text of less than 64 bytes is needed");
    return NULL;
}

bool hd_copy_text(const hd_reader *r, const json_t *object, const char *key, char out[HD_NAME_BYTES]) {
    const char *text = hd_read_text(r, object, key);
    if (text) memcpy(out, text, strlen(text) + 1);
    return text != NULL;
}

static bool name_is_plain(const char *name) {
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(name) && *name != '.';
}

/* Loads a file and compares it with the manifest's list. */
bool hd_load_file(const hd_reader *r, const char *name, uint8_t **bytes, size_t *count) {
    const json_t *entry = json_object_get(r->files, name);
    const json_t *told_bytes = json_object_get(entry, "bytes"), *crc = json_object_get(entry, "crc32");
    if (!name_is_plain(name) || !json_is_integer(told_bytes) || !json_is_integer(crc))
        return hd_fail(r->error, "%s/%s: files: \"%.60s\" is not listed with its bytes and crc32", r->place,
                       HD_EXPORT_MANIFEST, name);
    *bytes = NULL;
    if (!r->load(r->user, name, bytes, count, r->error)) return false;
    if ((uint64_t)json_integer_value(told_bytes) == *count &&
        json_integer_value(crc) == hd_crc32(0, *bytes, *count))
        return true;
    free(*bytes);
    *bytes = NULL;
    hd_fail(r->error, "%s/%s: is damaged: its length or checksum is not the manifest's", r->place, name);
    return false;
}

/* The array that object[key] names, its type and shape as wanted. */
bool hd_load_array(const hd_reader *r, const json_t *object, const char *key, const hd_array *wanted,
                   void **values) {
    const char *name = json_string_value(json_object_get(object, key));
    if (!name || strlen(name) >= HD_NAME_BYTES)
        return hd_reader_wrong(r, key, "the name of a file is needed");
    uint8_t *bytes = NULL;
    size_t count = 0;
    hd_array array;
    char full[192];
    (void)snprintf(full, sizeof full, "%.120s/%s", r->place, name);
    if (!hd_load_file(r, name, &bytes, &count)) return false;
    bool good = hd_npy_decode(bytes, count, full, &array, r->error);
    free(bytes);
    if (!good) return false;
    good = array.type == wanted->type && array.rank == wanted->rank;
    for (size_t i = 0; good && i < array.rank; i++) good = array.shape[i] == wanted->shape[i];
    if (good) {
        *values = array.values;
        return true;
    }
    free(array.values);
    hd_fail(r->error, "%s: has not the type and shape that the layer needs", full);
    return false;
}

bool hd_read_permutations(const hd_reader *r, const json_t *object, const char *key, size_t count,
                          size_t length, uint32_t **out) {
    if (!json_object_get(object, key)) return true;
    hd_array wanted = {.type = length <= 256     ? HD_ARRAY_UINT8
                               : length <= 65536 ? HD_ARRAY_UINT16
                                                 : HD_ARRAY_UINT32,
                       .rank = 2,
                       .shape = {count, length}};
    void *packed = NULL;
    if (!hd_load_array(r, object, key, &wanted, &packed) || !packed) return false;
    *out = malloc(count * length * sizeof **out);
    for (size_t i = 0; *out && i < count * length; i++)
        (*out)[i] = wanted.type == HD_ARRAY_UINT8    ? ((uint8_t *)packed)[i]
                    : wanted.type == HD_ARRAY_UINT16 ? ((uint16_t *)packed)[i]
                                                     : ((uint32_t *)packed)[i];
    free(packed);
    return *out || hd_reader_wrong(r, key, "no memory");
}

bool hd_read_ratios(const hd_reader *r, const json_t *entry, size_t count, int32_t **multiplier,
                    uint8_t **shift) {
    hd_array wanted = hd_vector(HD_ARRAY_INT32, count);
    void *values = NULL;
    if (!hd_load_array(r, entry, "multiplier", &wanted, &values)) return false;
    *multiplier = values;
    wanted.type = HD_ARRAY_UINT8;
    if (!hd_load_array(r, entry, "shift", &wanted, &values)) return false;
    *shift = values;
    return true;
}
