/* Requantisation of sixteen accumulators at a time, for the AVX-512 kernels. The same integers as
 * requantise.h: magnitudes are multiplied in 64 bits, even and odd lanes apart, and shifted one less than
 * they should be; adding 1 and halving then rounds ties away from zero. */
#ifndef HDLOSS_INTEGER_REQUANTISE_AVX512_H
#define HDLOSS_INTEGER_REQUANTISE_AVX512_H

#include <immintrin.h>

#include "integer/kernels.h"

#define HD_INLINE static inline __attribute__((always_inline))

/* sums += four products of unsigned by signed bytes in each lane. As text, since gcc 12 copies the sums to
 * and fro around the intrinsic. */
HD_INLINE __m512i add_products(__m512i sums, __m512i unsigned_bytes, __m512i signed_bytes) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(unsigned_bytes), "v"(signed_bytes));
    return sums;
}

typedef struct scaling16 {
    __m512i multiplier, multiplier_odd, shift_even, shift_odd;
} scaling16;

HD_INLINE scaling16 load_scaling16(const int32_t *multiplier, const int32_t *shift_less_one) {
    __m512i m = _mm512_loadu_si512(multiplier), s = _mm512_loadu_si512(shift_less_one);
    return (scaling16){m, _mm512_srli_epi64(m, 32), _mm512_and_si512(s, _mm512_set1_epi64(0xFFFFFFFF)),
                       _mm512_srli_epi64(s, 32)};
}

/* floor(magnitude * multiplier / 2^shift_less_one), below 2^31 */
HD_INLINE __m512i twice_scaled(__m512i magnitude, const scaling16 *s) {
    __m512i even = _mm512_srlv_epi64(_mm512_mul_epu32(magnitude, s->multiplier), s->shift_even);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(magnitude, 32), s->multiplier_odd);
    odd = _mm512_srlv_epi64(odd, s->shift_odd);
    return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
}

/* Signed accumulators to signed integers. */
HD_INLINE __m512i requantised(__m512i accumulator, const scaling16 *s) {
    __m512i twice = twice_scaled(_mm512_abs_epi32(accumulator), s);
    __m512i magnitude = _mm512_srli_epi32(_mm512_add_epi32(twice, _mm512_set1_epi32(1)), 1);
    return _mm512_mask_sub_epi32(magnitude, _mm512_movepi32_mask(accumulator), _mm512_setzero_si512(),
                                 magnitude);
}

/* What follows requantisation: the stored bytes' zero and range. */
typedef struct byte_range {
    __m512i low, high;
    bool is_signed;
} byte_range;

HD_INLINE byte_range load_range(uint8_t zero, uint8_t low, uint8_t high) {
    return (byte_range){_mm512_set1_epi8((char)low), _mm512_set1_epi8((char)high), zero != 0};
}

/* Prepares sixteen accumulators for pack_bytes: unsigned ranges are left at twice their value. */
HD_INLINE __m512i prepared(__m512i accumulator, const scaling16 *s, bool is_signed) {
    if (is_signed) return requantised(accumulator, s);
    return twice_scaled(_mm512_max_epi32(accumulator, _mm512_setzero_si512()), s);
}

/* Four prepared vectors to 64 stored bytes: byte 16 l + 4 v + j is element 4 l + j of vector v. */
HD_INLINE __m512i pack_bytes(__m512i a, __m512i b, __m512i c, __m512i d, const byte_range *range,
                             bool is_signed) {
    __m512i ab = _mm512_packs_epi32(a, b), cd = _mm512_packs_epi32(c, d), bytes;
    if (is_signed) {
        bytes = _mm512_xor_si512(_mm512_packs_epi16(ab, cd), _mm512_set1_epi8((char)0x80));
    } else {
        ab = _mm512_avg_epu16(ab, _mm512_setzero_si512());
        cd = _mm512_avg_epu16(cd, _mm512_setzero_si512());
        bytes = _mm512_packus_epi16(ab, cd);
    }
    return _mm512_max_epu8(_mm512_min_epu8(bytes, range->high), range->low);
}

/* The order that brings pack_bytes's result to vector after vector. */
HD_INLINE __m512i in_vector_order(__m512i bytes) {
    __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, bytes);
}

/* The first `count` of 64. */
HD_INLINE __mmask64 first_bytes(int count) {
    return count >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1;
}

#endif
