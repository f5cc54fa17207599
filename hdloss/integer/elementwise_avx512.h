/* Tables of 256 bytes as byte permutations (VBMI), 64 look-ups at a time. Included by elementwise.isa.c. */
#include "integer/requantise_avx512.h"

typedef struct byte_table {
    __m512i quarter[4];
} byte_table;

HD_INLINE byte_table load_table(const uint8_t table[256]) {
    return (byte_table){{_mm512_loadu_si512(table), _mm512_loadu_si512(table + 64),
                         _mm512_loadu_si512(table + 128), _mm512_loadu_si512(table + 192)}};
}

HD_INLINE __m512i look_up_64(const byte_table *t, __m512i bytes) {
    __m512i lower = _mm512_permutex2var_epi8(t->quarter[0], bytes, t->quarter[1]);
    __m512i upper = _mm512_permutex2var_epi8(t->quarter[2], bytes, t->quarter[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), lower, upper);
}

HD_INLINE __mmask64 bytes_left(size_t left) {
    return first_bytes(left > 64 ? 64 : (int)left);
}

static void look_up(const uint8_t table[256], const uint8_t *input, size_t count, uint8_t *output) {
    byte_table t = load_table(table);
    for (size_t i = 0; i < count; i += 64) {
        __mmask64 mask = bytes_left(count - i);
        __m512i bytes = _mm512_maskz_loadu_epi8(mask, input + i);
        _mm512_mask_storeu_epi8(output + i, mask, look_up_64(&t, bytes));
    }
}

/* Terms of 16 bits, looked up in halves; unpacking and packing keep the order. */
static void sum_bytes(const hd_integer_sum *s, const uint8_t *a, const uint8_t *b, size_t count,
                      uint8_t *output) {
    if (!s->narrow) {
        sum_one_by_one(s, a, b, count, output);
        return;
    }
    byte_table a_low = load_table(s->halves[0][0]), a_high = load_table(s->halves[0][1]);
    byte_table b_low = load_table(s->halves[1][0]), b_high = load_table(s->halves[1][1]);
    byte_range range = load_range(s->zero, s->low, s->high);
    for (size_t i = 0; i < count; i += 64) {
        __mmask64 mask = bytes_left(count - i);
        __m512i x = _mm512_maskz_loadu_epi8(mask, a + i), y = _mm512_maskz_loadu_epi8(mask, b + i);
        __m512i x_low = look_up_64(&a_low, x), x_high = look_up_64(&a_high, x);
        __m512i y_low = look_up_64(&b_low, y), y_high = look_up_64(&b_high, y);
        __m512i first =
            _mm512_adds_epi16(_mm512_unpacklo_epi8(x_low, x_high), _mm512_unpacklo_epi8(y_low, y_high));
        __m512i second =
            _mm512_adds_epi16(_mm512_unpackhi_epi8(x_low, x_high), _mm512_unpackhi_epi8(y_low, y_high));
        __m512i bytes = range.is_signed ? _mm512_xor_si512(_mm512_packs_epi16(first, second),
                                                           _mm512_set1_epi8((char)0x80))
                                        : _mm512_packus_epi16(first, second);
        _mm512_mask_storeu_epi8(output + i, mask,
                                _mm512_max_epu8(_mm512_min_epu8(bytes, range.high), range.low));
    }
}
