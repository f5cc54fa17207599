/* Vectors of float32 for the *.isa.c files: 16 lanes with AVX-512, 8 with AVX2, 4 elsewhere, by the
 * compiler's vector extensions. NaN always comes through: vec_clamp(x, low, high) of a NaN is that NaN. */
#ifndef DARKNET_KERNELS_VECTOR_H
#define DARKNET_KERNELS_VECTOR_H

#include "core/isa.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(ISA_avx512)
#define VECTOR_LANES 16
#elif defined(ISA_avx2)
#define VECTOR_LANES 8
#else
#define VECTOR_LANES 4
#endif
#if defined(ISA_avx512) || defined(ISA_avx2)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(VECTOR_LANES * 4)));
typedef int32_t vec_int __attribute__((vector_size(VECTOR_LANES * 4)));
typedef float vec_in_memory __attribute__((vector_size(VECTOR_LANES * 4), aligned(4), may_alias));

ALWAYS_INLINE vec vec_load(const float *p) {
    return *(const vec_in_memory *)p;
}
ALWAYS_INLINE void vec_store(float *p, vec v) {
    *(vec_in_memory *)p = v;
}
ALWAYS_INLINE vec vec_set(float x) {
    return x - (vec){0};
}

/* Half a vector: only with 16 lanes is it narrower than a vec and worth having. */
#if VECTOR_LANES == 16
typedef float half_vec __attribute__((vector_size(32)));
typedef float half_vec_in_memory __attribute__((vector_size(32), aligned(4), may_alias));

ALWAYS_INLINE half_vec half_vec_load(const float *p) {
    return *(const half_vec_in_memory *)p;
}
ALWAYS_INLINE half_vec half_vec_of(vec v) {
    return (half_vec)_mm512_castps512_ps256((__m512)v);
}
/* Zeros above. */
ALWAYS_INLINE vec half_vec_widen(half_vec v) {
    return (vec)_mm512_zextps256_ps512((__m256)v);
}
#else
typedef vec half_vec;
ALWAYS_INLINE half_vec half_vec_load(const float *p) {
    return vec_load(p);
}
ALWAYS_INLINE half_vec half_vec_of(vec v) {
    return v;
}
ALWAYS_INLINE vec half_vec_widen(half_vec v) {
    return v;
}
#endif

/* The first n lanes (n < VECTOR_LANES), zeros above. */
ALWAYS_INLINE vec vec_load_part(const float *p, size_t n) {
#if defined(ISA_avx512)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vec v = {0};
    for (size_t i = 0; i < VECTOR_LANES; i++)
        if (i < n) v[i] = p[i];
    return v;
#endif
}

ALWAYS_INLINE void vec_store_part(float *p, vec v, size_t n) {
#if defined(ISA_avx512)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    for (size_t i = 0; i < VECTOR_LANES; i++)
        if (i < n) p[i] = v[i];
#endif
}

/* Writes around the caches, which spares reading what is overwritten; p is on a multiple of the vector's
 * size. Only where a vector is a whole cache line: elsewhere it is a plain store. */
ALWAYS_INLINE void vec_stream(float *p, vec v) {
#if defined(ISA_avx512)
    _mm512_stream_ps(p, (__m512)v);
#else
    vec_store(p, v);
#endif
}

/* After the last vec_stream, before others read. */
ALWAYS_INLINE void vec_stream_end(void) {
#if defined(ISA_avx512)
    _mm_sfence();
#endif
}

/* Holds v in a register from here on: the compiler otherwise likes to load it again at each use. */
ALWAYS_INLINE vec vec_keep(vec v) {
#if defined(ISA_avx512)
    __asm__("" : "+v"(v));
#elif defined(ISA_avx2)
    __asm__("" : "+x"(v));
#endif
    return v;
}

/* Asks for the cache line at p, into the second-level cache. Any address will do. */
ALWAYS_INLINE void prefetch(const void *p) {
    __builtin_prefetch(p, 0, 2);
}

ALWAYS_INLINE vec vec_load_some(const float *p, size_t n) {
    return n >= VECTOR_LANES ? vec_load(p) : vec_load_part(p, n);
}

ALWAYS_INLINE void vec_store_some(float *p, vec v, size_t n) {
    if (n >= VECTOR_LANES)
        vec_store(p, v);
    else
        vec_store_part(p, v, n);
}

/* a > b ? yes : no; false for NaN. */
ALWAYS_INLINE vec vec_if_greater(vec a, vec b, vec yes, vec no) {
#if defined(ISA_avx512)
    return (vec)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ), (__m512)no,
                                     (__m512)yes);
#elif defined(ISA_avx2)
    return (vec)_mm256_blendv_ps((__m256)no, (__m256)yes, _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ));
#else
    vec_int mask = (vec_int)(a > b);
    return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
#endif
}

ALWAYS_INLINE vec vec_if_nan(vec x, vec yes, vec no) {
#if defined(ISA_avx512)
    return (vec)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q), (__m512)no,
                                     (__m512)yes);
#elif defined(ISA_avx2)
    return (vec)_mm256_blendv_ps((__m256)no, (__m256)yes, _mm256_cmp_ps((__m256)x, (__m256)x, _CMP_UNORD_Q));
#else
    vec_int mask = (vec_int)(x != x);
    return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
#endif
}

/* The larger of bound and x, the smaller of bound and x; x when x is NaN. */
ALWAYS_INLINE vec vec_at_least(vec x, vec bound) {
#if defined(ISA_avx512)
    return (vec)_mm512_max_ps((__m512)bound, (__m512)x);
#elif defined(ISA_avx2)
    return (vec)_mm256_max_ps((__m256)bound, (__m256)x);
#else
    return vec_if_greater(bound, x, bound, x);
#endif
}

ALWAYS_INLINE vec vec_at_most(vec x, vec bound) {
#if defined(ISA_avx512)
    return (vec)_mm512_min_ps((__m512)bound, (__m512)x);
#elif defined(ISA_avx2)
    return (vec)_mm256_min_ps((__m256)bound, (__m256)x);
#else
    return vec_if_greater(x, bound, bound, x);
#endif
}

ALWAYS_INLINE vec vec_clamp(vec x, vec low, vec high) {
    return vec_at_most(vec_at_least(x, low), high);
}

ALWAYS_INLINE vec vec_abs(vec x) {
    return (vec)((vec_int)x & INT32_C(0x7fffffff));
}

/* |x| with the sign of s. */
ALWAYS_INLINE vec vec_copy_sign(vec x, vec s) {
    return (vec)(((vec_int)x & INT32_C(0x7fffffff)) | ((vec_int)s & (vec_int)(-(vec){0})));
}

/* Largest whole number not above x, for |x| < 2^31; larger values are whole already. */
ALWAYS_INLINE vec vec_floor(vec x) {
    vec inside = vec_clamp(x, vec_set(-8388608.0f), vec_set(8388608.0f));
    vec whole = __builtin_convertvector(__builtin_convertvector(inside, vec_int), vec);
    whole -= vec_if_greater(whole, inside, vec_set(1), vec_set(0));
    return vec_if_greater(vec_abs(x), vec_set(8388607.0f), x, whole);
}

/* e^x to 1e-7 relative; held at e^-87.3 and e^88.3 outside. Reduction to +-ln 2 / 2 in two parts, then the
 * power series. */
ALWAYS_INLINE vec vec_exp(vec x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    x = vec_clamp(x, vec_set(-87.3f), vec_set(88.3f));
    vec n = (x * 1.44269504088896341f + magic) - magic;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440054690583e-4f;
    vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    vec_int exponent = (__builtin_convertvector(n, vec_int) + 127) << 23;
    return p * (vec)exponent;
}

ALWAYS_INLINE vec vec_logistic(vec x) {
    return 1.0f / (1.0f + vec_exp(-x));
}

/* tanh: Lambert's continued fraction near zero, the exponential elsewhere. */
ALWAYS_INLINE vec vec_tanh(vec x) {
    vec magnitude = vec_abs(x), s = x * x;
    vec near_zero = x * (135135.0f + s * (17325.0f + s * (378.0f + s))) /
                    (135135.0f + s * (62370.0f + s * (3150.0f + s * 28.0f)));
    vec far = vec_copy_sign(1.0f - 2.0f / (vec_exp(magnitude + magnitude) + 1.0f), x);
    return vec_if_greater(magnitude, vec_set(0.625f), far, near_zero);
}

/* e^x - 1, exact to rounding near zero: with t = tanh(x / 2) it is 2 t / (1 - t). For x <= 0. */
ALWAYS_INLINE vec vec_expm1_negative(vec x) {
    vec t = vec_tanh(x * 0.5f);
    return (t + t) / (1.0f - t);
}

#endif
