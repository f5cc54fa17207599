/* Arrays as $readmemh text (IEEE 1364): hexadecimal numbers, one memory word a line. */
#include <stdlib.h>
#include <string.h>

#include "export/internal.h"

static const char digits[] = "0123456789abcdef";

static bool allocate(size_t lines, size_t line_bytes, uint8_t **bytes, hd_error *error) {
    size_t total;
    *bytes = __builtin_mul_overflow(lines, line_bytes, &total) ? NULL : malloc(total ? total : 1);
    if (*bytes) return true;
    hd_fail(error, "no memory for %zu lines of %zu digits", lines, line_bytes);
    return false;
}

bool hd_hex_encode(const hd_array *array, uint8_t **bytes, size_t *count, hd_error *error) {
    size_t each = hd_array_value_bytes(array->type), values = hd_array_count(array), width = 2 * each;
    if (!allocate(values, width + 1, bytes, error)) return false;
    uint8_t *out = *bytes;
    const uint8_t *from = array->values;
    for (size_t i = 0; i < values; i++, from += each) {
        uint8_t byte = 0;
        uint16_t half = 0;
        uint32_t word = 0;
        if (each == 1) memcpy(&byte, from, 1);
        if (each == 2) memcpy(&half, from, 2);
        if (each == 4) memcpy(&word, from, 4);
        word |= (uint32_t)half | byte;
        for (size_t d = width; d-- > 0;) *out++ = (uint8_t)digits[word >> (4 * d) & 15];
        *out++ = '\n';
    }
    *count = values * (width + 1);
    return true;
}

/* Digit d of a row's number; a digit may lie across two lanes when the words' bits are no multiple of 4. */
static unsigned digit_of(const uint8_t *patterns, size_t lanes, size_t bits, size_t d) {
    unsigned digit = 0;
    for (size_t b = 0; b < 4; b++) {
        size_t at = 4 * d + b, lane = at / bits;
        if (lane < lanes) digit |= (unsigned)(patterns[lane] >> at % bits & 1) << b;
    }
    return digit;
}

bool hd_hex_encode_stream(const hd_array *array, int bits, hd_representation representation, uint8_t **bytes,
                          size_t *count, hd_error *error) {
    size_t rows = array->shape[0] * array->shape[1], lanes = array->shape[2];
    size_t width = (lanes * (size_t)bits + 3) / 4;
    uint8_t *patterns = malloc(lanes ? lanes : 1);
    if (!patterns || !allocate(rows, width + 1, bytes, error)) {
        free(patterns);
        hd_fail(error, "no memory for %zu lines of %zu digits", rows, width);
        return false;
    }
    uint8_t *out = *bytes;
    const int8_t *words = array->values;
    for (size_t row = 0; row < rows; row++) {
        hd_encode_words(words + row * lanes, lanes, bits, representation, patterns);
        for (size_t d = width; d-- > 0;) *out++ = (uint8_t)digits[digit_of(patterns, lanes, (size_t)bits, d)];
        *out++ = '\n';
    }
    free(patterns);
    *count = rows * (width + 1);
    return true;
}
