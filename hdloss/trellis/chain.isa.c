/* Viterbi's algorithm over all patterns of a word. The step "cheapest predecessor p of w by cost(p) +
 * flips(p, w)" is a min-plus product over the hypercube of the bits: one pass a bit, c(w) = min(c(w), c(w ^
 * bit) + cost of the bit). The lowest byte of a cost gathers the bits that were flipped, so the way back
 * needs one byte a state and step. Viterbi, IEEE Transactions on Information Theory 13 (1967); Forney, "The
 * Viterbi algorithm", Proc. IEEE 61 (1973). */
#include "trellis/chain.h"

#include "words/isa.h"

#include <math.h>
#include <string.h>

#if defined(ISA_avx512)
#include <immintrin.h>
typedef __m512i block;
typedef __m512 floats;
enum { LANES = 16 };
#define BLOCK_LOAD(p) _mm512_loadu_si512(p)
#define BLOCK_STORE(p, v) _mm512_storeu_si512(p, v)
#define BLOCK_SET(v) _mm512_set1_epi32((int)(v))
#define BLOCK_ADD _mm512_add_epi32
#define BLOCK_MIN _mm512_min_epu32
#define BLOCK_MAX _mm512_max_epu32
#define BLOCK_AND _mm512_and_si512
#define BLOCK_XOR _mm512_xor_si512
#define BLOCK_SHIFT(v) _mm512_slli_epi32(v, 8)
#define BLOCK_TRUNCATE _mm512_cvttps_epi32
#define FLOATS_LOAD _mm512_loadu_ps
#define FLOATS_SET _mm512_set1_ps
#define FLOATS_SUB _mm512_sub_ps
#define FLOATS_MUL _mm512_mul_ps
#define FLOATS_MIN _mm512_min_ps
#define STORE_LOW_BYTES(p, v) _mm_storeu_si128((__m128i *)(p), _mm512_cvtepi32_epi8(v))
static inline block swap(block v, int bit) {
    switch (bit) {
    case 0:
        return _mm512_shuffle_epi32(v, _MM_PERM_CDAB);
    case 1:
        return _mm512_shuffle_epi32(v, _MM_PERM_BADC);
    case 2:
        return _mm512_shuffle_i32x4(v, v, _MM_SHUFFLE(2, 3, 0, 1));
    default:
        return _mm512_shuffle_i32x4(v, v, _MM_SHUFFLE(1, 0, 3, 2));
    }
}
#elif defined(ISA_avx2)
#include <immintrin.h>
typedef __m256i block;
typedef __m256 floats;
enum { LANES = 8 };
#define BLOCK_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define BLOCK_STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define BLOCK_SET(v) _mm256_set1_epi32((int)(v))
#define BLOCK_ADD _mm256_add_epi32
#define BLOCK_MIN _mm256_min_epu32
#define BLOCK_MAX _mm256_max_epu32
#define BLOCK_AND _mm256_and_si256
#define BLOCK_XOR _mm256_xor_si256
#define BLOCK_SHIFT(v) _mm256_slli_epi32(v, 8)
#define BLOCK_TRUNCATE _mm256_cvttps_epi32
#define FLOATS_LOAD _mm256_loadu_ps
#define FLOATS_SET _mm256_set1_ps
#define FLOATS_SUB _mm256_sub_ps
#define FLOATS_MUL _mm256_mul_ps
#define FLOATS_MIN _mm256_min_ps
static inline void STORE_LOW_BYTES(uint8_t *p, block v) {
    const block low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                                       12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    block packed = _mm256_shuffle_epi8(v, low);
    _mm_storeu_si32(p, _mm256_castsi256_si128(packed));
    _mm_storeu_si32(p + 4, _mm256_extracti128_si256(packed, 1));
}
static inline block swap(block v, int bit) {
    switch (bit) {
    case 0:
        return _mm256_shuffle_epi32(v, _MM_SHUFFLE(2, 3, 0, 1));
    case 1:
        return _mm256_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 3, 2));
    default:
        return _mm256_permute2x128_si256(v, v, 1);
    }
}
#else
enum { LANES = 1 };
#endif

/* The error charged to the nearest word, which all are charged relative to. */
static inline float nearest_error(const hd_chain_costs *costs, float x, float error) {
    float nearest = rintf(x);
    nearest = nearest > costs->largest_word ? costs->largest_word : nearest;
    nearest = nearest < -costs->largest_word ? -costs->largest_word : nearest;
    float distance = nearest - x;
    return error * (distance * distance);
}

#if !defined(ISA_avx512) && !defined(ISA_avx2)

/* c += the errors of a step's words. */
static void add_errors(const hd_chain_costs *costs, float x, float error, uint32_t states, uint32_t *c) {
    float least = nearest_error(costs, x, error);
    for (uint32_t w = 0; w < states; w++) {
        float distance = costs->values[w] - x;
        float more = error * (distance * distance) - least;
        more = more < (float)HD_CHAIN_ERROR_LIMIT ? more : (float)HD_CHAIN_ERROR_LIMIT;
        uint32_t charged = (uint32_t)(int32_t)more << 8;
        c[w] += charged > costs->barriers[w] ? charged : costs->barriers[w];
    }
}

static void spread(const hd_chain_costs *costs, uint32_t states, uint32_t *c) {
    for (int b = 0; b < costs->bits; b++) {
        uint32_t flip = costs->flips[b], bit = UINT32_C(1) << b;
        for (uint32_t first = 0; first < states; first += 2 * bit)
            for (uint32_t i = first; i < first + bit; i++) {
                uint32_t low = c[i], high = c[i + bit];
                c[i] = low < high + flip ? low : high + flip;
                c[i + bit] = high < low + flip ? high : low + flip;
            }
    }
}

/* Bus-invert: d flipped bits, or the invert line and the bits - d others, which are those to the complement.
 */
static void spread_inverted(const hd_chain_costs *costs, uint32_t states, uint32_t *c) {
    if (!costs->invert) return;
    for (uint32_t w = 0; w < states / 2; w++) {
        uint32_t other = states - 1 - w, low = c[w], high = c[other];
        uint32_t from_high = (high ^ (states - 1)) + costs->invert,
                 from_low = (low ^ (states - 1)) + costs->invert;
        c[w] = low < from_high ? low : from_high;
        c[other] = high < from_low ? high : from_low;
    }
}

static void forward(const hd_chain_costs *costs, const float *x, const float *errors, const uint32_t *changes,
                    size_t steps, uint32_t *c, uint8_t *work) {
    uint32_t states = UINT32_C(1) << costs->bits, held[HD_CHAIN_STATES];
    add_errors(costs, x[0], errors[0], states, c);
    for (size_t t = 1; t < steps; t++) {
        memcpy(held, c, states * sizeof *c);
        spread(costs, states, c);
        spread_inverted(costs, states, c);
        for (uint32_t w = 0; changes && w < states; w++) {
            uint32_t changed = c[w] + changes[t];
            c[w] = held[w] <= changed ? held[w] : changed;
        }
        uint32_t back = costs->all_flips + costs->largest_change - (c[0] & ~UINT32_C(0xff));
        for (uint32_t w = 0; w < states; w++) {
            work[t * HD_CHAIN_STATES + w] = (uint8_t)c[w];
            c[w] = (c[w] & ~UINT32_C(0xff)) + back;
        }
        add_errors(costs, x[t], errors[t], states, c);
    }
}

#else

/* `blocks` is a constant wherever this is inlined, so that the states stay in registers. */
static inline __attribute__((always_inline)) void add_errors(const hd_chain_costs *costs, float x,
                                                             float error, int blocks, block *c) {
    floats place = FLOATS_SET(x), factor = FLOATS_SET(error),
           least = FLOATS_SET(nearest_error(costs, x, error));
    floats limit = FLOATS_SET((float)HD_CHAIN_ERROR_LIMIT);
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) {
        floats distance = FLOATS_SUB(FLOATS_LOAD(costs->values + i * LANES), place);
        floats more = FLOATS_SUB(FLOATS_MUL(factor, FLOATS_MUL(distance, distance)), least);
        block charged = BLOCK_SHIFT(BLOCK_TRUNCATE(FLOATS_MIN(more, limit)));
        c[i] = BLOCK_ADD(c[i], BLOCK_MAX(charged, BLOCK_LOAD(costs->barriers + i * LANES)));
    }
}

/* The pass of a bit that tells apart lanes of the same block, and of one that tells apart blocks `stride`
 * from each other; bits beyond the words' width are left out. */
static inline __attribute__((always_inline)) void spread_lanes(const hd_chain_costs *costs, int bit,
                                                               int blocks, block *c) {
    if (bit >= costs->bits) return;
    block flip = BLOCK_SET(costs->flips[bit]);
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) c[i] = BLOCK_MIN(c[i], BLOCK_ADD(swap(c[i], bit), flip));
}

static inline __attribute__((always_inline)) void spread_blocks(const hd_chain_costs *costs, int bit,
                                                                int stride, int blocks, block *c) {
    if (stride >= blocks) return;
    block flip = BLOCK_SET(costs->flips[bit]);
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) {
        if (i & stride) continue;
        block low = c[i], high = c[i + stride];
        c[i] = BLOCK_MIN(low, BLOCK_ADD(high, flip));
        c[i + stride] = BLOCK_MIN(high, BLOCK_ADD(low, flip));
    }
}

static inline __attribute__((always_inline)) void spread(const hd_chain_costs *costs, int blocks, block *c) {
    spread_lanes(costs, 0, blocks, c);
    spread_lanes(costs, 1, blocks, c);
    spread_lanes(costs, 2, blocks, c);
    if (LANES == 16) spread_lanes(costs, 3, blocks, c);
    const int first = LANES == 16 ? 4 : 3;
    spread_blocks(costs, first, 1, blocks, c);
    spread_blocks(costs, first + 1, 2, blocks, c);
    spread_blocks(costs, first + 2, 4, blocks, c);
    spread_blocks(costs, first + 3, 8, blocks, c);
    if (LANES == 8) spread_blocks(costs, first + 4, 16, blocks, c);
}

/* Bus-invert: d flipped bits, or the invert line and the bits - d others, which are those to the complement.
 */
static inline __attribute__((always_inline)) void spread_inverted(const hd_chain_costs *costs, int blocks,
                                                                  block *c) {
    if (!costs->invert) return;
    const int lane_bits = LANES == 16 ? 4 : 3;
    block invert = BLOCK_SET(costs->invert), all = BLOCK_SET((1 << costs->bits) - 1),
          other[HD_CHAIN_STATES / LANES];
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) {
        block v = c[blocks - 1 - i];
        for (int bit = 0; bit < lane_bits; bit++)
            if (bit < costs->bits) v = swap(v, bit);
        other[i] = BLOCK_ADD(BLOCK_XOR(v, all), invert);
    }
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) c[i] = BLOCK_MIN(c[i], other[i]);
}

/* A step whose change of word costs more: `held` are the costs of staying. Where both cost the same the lower
 * mask decides, which is 0 for staying. */
static inline __attribute__((always_inline)) void stay_or_change(const block *held, uint32_t change,
                                                                 int blocks, block *c) {
    block more = BLOCK_SET(change);
#pragma GCC unroll 32
    for (int i = 0; i < blocks; i++) c[i] = BLOCK_MIN(held[i], BLOCK_ADD(c[i], more));
}

static inline __attribute__((always_inline)) void forward_blocks(const hd_chain_costs *costs, const float *x,
                                                                 const float *errors, const uint32_t *changes,
                                                                 size_t steps, uint32_t *states,
                                                                 uint8_t *work, int blocks) {
    block c[HD_CHAIN_STATES / LANES], held[HD_CHAIN_STATES / LANES];
    const block high = BLOCK_SET(~UINT32_C(0xff));
    for (int i = 0; i < blocks; i++) c[i] = BLOCK_LOAD(states + i * LANES);
    add_errors(costs, x[0], errors[0], blocks, c);
    for (size_t t = 1; t < steps; t++) {
#pragma GCC unroll 32
        for (int i = 0; i < blocks; i++) held[i] = c[i];
        spread(costs, blocks, c);
        spread_inverted(costs, blocks, c);
        if (changes) stay_or_change(held, changes[t], blocks, c);
        uint32_t first[LANES];
        BLOCK_STORE(first, c[0]);
        block back = BLOCK_SET(costs->all_flips + costs->largest_change - (first[0] & ~UINT32_C(0xff)));
#pragma GCC unroll 32
        for (int i = 0; i < blocks; i++) {
            STORE_LOW_BYTES(work + t * HD_CHAIN_STATES + (size_t)(i * LANES), c[i]);
            c[i] = BLOCK_ADD(BLOCK_AND(c[i], high), back);
        }
        add_errors(costs, x[t], errors[t], blocks, c);
    }
    for (int i = 0; i < blocks; i++) BLOCK_STORE(states + i * LANES, c[i]);
}

static void forward(const hd_chain_costs *costs, const float *x, const float *errors, const uint32_t *changes,
                    size_t steps, uint32_t *c, uint8_t *work) {
    int blocks = (1 << costs->bits) / LANES;
#define FORWARD(n)                                                                                           \
    (changes ? forward_blocks(costs, x, errors, changes, steps, c, work, n)                                  \
             : forward_blocks(costs, x, errors, NULL, steps, c, work, n))
    if (blocks <= 1) FORWARD(1);
    if (blocks == 2) FORWARD(2);
    if (blocks == 4) FORWARD(4);
    if (blocks == 8) FORWARD(8);
    if (blocks == 16) FORWARD(16);
    if (blocks == 32) FORWARD(32);
#undef FORWARD
}

#endif

/* `change`: on top of the flips where there is a difference. */
static uint32_t flips_cost(const hd_chain_costs *costs, unsigned difference, uint32_t change) {
    if (difference == 0) return 0;
    uint32_t cost = 0;
    for (int b = 0; b < costs->bits; b++)
        if (difference >> b & 1) cost += costs->flips[b] & ~UINT32_C(0xff);
    uint32_t inverted = costs->all_flips - cost + costs->invert;
    return change + (costs->invert && inverted < cost ? inverted : cost);
}

void HD_ISA_NAME(hd_chain)(const hd_chain_costs *costs, const float *x, const float *errors,
                           const uint32_t *changes, size_t steps, int before, int after, uint8_t *work,
                           uint8_t *patterns) {
    uint32_t c[HD_CHAIN_STATES] = {0};
    uint32_t states = UINT32_C(1) << costs->bits, best = 0;
    for (uint32_t w = 0; w < states; w++)
        if (before != HD_CHAIN_FREE) c[w] = flips_cost(costs, w ^ (unsigned)before, changes ? changes[0] : 0);
    forward(costs, x, errors, changes, steps, c, work);
    for (uint32_t w = 0; w < states; w++) {
        if (after != HD_CHAIN_FREE)
            c[w] += flips_cost(costs, w ^ (unsigned)after, changes ? changes[steps] : 0);
        if (c[w] < c[best]) best = w;
    }
    for (size_t t = steps - 1; t > 0; t--) {
        patterns[t] = (uint8_t)best;
        best ^= work[t * HD_CHAIN_STATES + best];
    }
    patterns[0] = (uint8_t)best;
}
