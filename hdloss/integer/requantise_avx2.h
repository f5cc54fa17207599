/* Requantisation of eight accumulators at a time, for the AVX2 kernels; the same as requantise_avx512.h in
 * narrower steps. */
#ifndef HDLOSS_INTEGER_REQUANTISE_AVX2_H
#define HDLOSS_INTEGER_REQUANTISE_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "integer/kernels.h"

#define HD_INLINE static inline __attribute__((always_inline))

typedef struct scaling8 {
    __m256i multiplier, multiplier_odd, shift_even, shift_odd;
} scaling8;

HD_INLINE __m256i load_8(const int32_t *values) {
    return _mm256_loadu_si256((const __m256i *)(const void *)values);
}

HD_INLINE scaling8 load_scaling8(const int32_t *multiplier, const int32_t *shift_less_one) {
    __m256i m = load_8(multiplier), s = load_8(shift_less_one);
    return (scaling8){m, _mm256_srli_epi64(m, 32), _mm256_and_si256(s, _mm256_set1_epi64x(0xFFFFFFFF)),
                      _mm256_srli_epi64(s, 32)};
}

HD_INLINE __m256i requantised(__m256i accumulator, const scaling8 *s) {
    __m256i magnitude = _mm256_abs_epi32(accumulator);
    __m256i even = _mm256_srlv_epi64(_mm256_mul_epu32(magnitude, s->multiplier), s->shift_even);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(magnitude, 32), s->multiplier_odd);
    odd = _mm256_slli_epi64(_mm256_srlv_epi64(odd, s->shift_odd), 32);
    __m256i twice = _mm256_blend_epi32(even, odd, 0xAA);
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(twice, _mm256_set1_epi32(1)), 1);
    return _mm256_sign_epi32(rounded, accumulator);
}

/* Sixteen 16-bit integers to stored bytes, of which `count` are written. */
HD_INLINE void store_sixteen(__m256i integers, const hd_integer_scaling *s, int count, uint8_t *output) {
    __m128i low = _mm256_castsi256_si128(integers), high = _mm256_extracti128_si256(integers, 1);
    __m128i bytes = s->zero ? _mm_xor_si128(_mm_packs_epi16(low, high), _mm_set1_epi8((char)0x80))
                            : _mm_packus_epi16(low, high);
    bytes = _mm_max_epu8(_mm_min_epu8(bytes, _mm_set1_epi8((char)s->high)), _mm_set1_epi8((char)s->low));
    if (count >= 16) {
        _mm_storeu_si128((__m128i *)(void *)output, bytes);
        return;
    }
    uint8_t whole[16];
    _mm_storeu_si128((__m128i *)(void *)whole, bytes);
    memcpy(output, whole, (size_t)count);
}

#endif
