/* Arrays in NumPy's .npy format, version 1.0: "\x93NUMPY", a version, and a Python dictionary that says type
 * and shape, padded so that the values start at a multiple of 64 bytes
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

enum { PREFIX_BYTES = 10, ALIGNMENT = 64, LONGEST_HEADER = 512 };

static const char magic[] = "\x93NUMPY\x01";
static const struct {
    const char *name;
    size_t bytes;
} types[] = {{"|i1", 1}, {"|u1", 1}, {"<u2", 2}, {"<i4", 4}, {"<u4", 4}, {"<f4", 4}};
_Static_assert(sizeof types / sizeof *types == HD_ARRAY_TYPE_COUNT, "a name for each type");

size_t hd_array_value_bytes(hd_array_type type) {
    return types[type].bytes;
}

size_t hd_array_count(const hd_array *array) {
    size_t count = 1;
    for (size_t i = 0; i < array->rank; i++) count *= array->shape[i];
    return count;
}

/* Values to little endian bytes and back: the same copy on a little endian machine. */
static void swap_where_big_endian(uint8_t *bytes, size_t count, size_t each) {
    const uint16_t probe = 1;
    if (each == 1 || *(const uint8_t *)&probe) return;
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < each / 2; b++) {
            uint8_t kept = bytes[i * each + b];
            bytes[i * each + b] = bytes[i * each + each - 1 - b];
            bytes[i * each + each - 1 - b] = kept;
        }
}

bool hd_npy_encode(const hd_array *array, uint8_t **bytes, size_t *count, hd_error *error) {
    char shape[128] = "", header[LONGEST_HEADER];
    size_t used = 0;
    for (size_t i = 0; i < array->rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu,%s", array->shape[i],
                                 i + 1 < array->rank ? " " : "");
    if (array->rank > 1) shape[used - 1] = 0;
    size_t length =
        (size_t)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                         types[array->type].name, shape);
    size_t start = (PREFIX_BYTES + length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t values = hd_array_count(array), each = types[array->type].bytes;
    uint8_t *out = malloc(start + values * each);
    if (!out) return hd_fail(error, "no memory for an array of %zu values", values);
    memset(out, ' ', start);
    memcpy(out, magic, sizeof magic); /* its zero is the minor version */
    out[8] = (uint8_t)((start - PREFIX_BYTES) & 255);
    out[9] = (uint8_t)((start - PREFIX_BYTES) >> 8);
    memcpy(out + PREFIX_BYTES, header, length);
    out[start - 1] = '\n';
    if (values) memcpy(out + start, array->values, values * each);
    swap_where_big_endian(out + start, values, each);
    *bytes = out;
    *count = start + values * each;
    return true;
}

/* What follows 'key': in the header, or NULL. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return at;
}

static bool parse_shape(const char *text, hd_array *array) {
    if (!text || *text++ != '(') return false;
    array->rank = 0;
    while (true) {
        while (*text == ' ' || *text == ',') text++;
        if (*text == ')') return true;
        if (*text < '0' || *text > '9' || array->rank == HD_ARRAY_MOST_DIMENSIONS) return false;
        char *end;
        unsigned long long size = strtoull(text, &end, 10);
        if (size > SIZE_MAX / 8) return false;
        array->shape[array->rank++] = (size_t)size;
        text = end;
    }
}

static bool parse_header(const char *header, hd_array *array) {
    const char *type = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    if (!type || !order || strncmp(order, "False", 5) != 0) return false;
    int found = -1;
    for (int i = 0; i < HD_ARRAY_TYPE_COUNT; i++)
        if (strncmp(type + 1, types[i].name, 3) == 0 && type[0] == '\'' && type[4] == '\'') found = i;
    array->type = found < 0 ? HD_ARRAY_INT8 : (hd_array_type)found;
    return found >= 0 && parse_shape(value_of(header, "'shape'"), array);
}

bool hd_npy_decode(const uint8_t *bytes, size_t count, const char *name, hd_array *array, hd_error *error) {
    char header[LONGEST_HEADER + 1];
    *array = (hd_array){0};
    if (count < PREFIX_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return hd_fail(error, "%s: is no .npy file of version 1.0", name);
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (length > LONGEST_HEADER || length > count - PREFIX_BYTES)
        return hd_fail(error, "%s: its header of %zu bytes is too long", name, length);
    memcpy(header, bytes + PREFIX_BYTES, length);
    header[length] = 0;
    if (!parse_header(header, array))
        return hd_fail(error, "%s: its header is not understood: 1 to 4 byte little endian, C order", name);
    size_t total = types[array->type].bytes, start = PREFIX_BYTES + length;
    for (size_t i = 0; i < array->rank; i++)
        if (__builtin_mul_overflow(total, array->shape[i], &total)) total = SIZE_MAX;
    if (total != count - start)
        return hd_fail(error, "%s: has %zu bytes of values, which its shape does not fit", name,
                       count - start);
    array->values = malloc(total ? total : 1);
    if (!array->values) return hd_fail(error, "%s: no memory for %zu bytes", name, total);
    memcpy(array->values, bytes + start, total);
    swap_where_big_endian(array->values, hd_array_count(array), types[array->type].bytes);
    return true;
}
