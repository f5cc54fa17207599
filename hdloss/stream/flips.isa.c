/* Flips by bit between two runs of bit patterns: XOR, then one count a bit.
 * Bus-invert: M. R. Stan, W. P. Burleson, "Bus-invert coding for low-power I/O", IEEE TVLSI 1995. The wires
 * hold the word or, with the invert line raised, its complement; the next word is sent in the form that flips
 * fewer of the bits + 1 lines. Both forms of the present word are complements of one another, so a
 * transition's flips depend on the two words alone: d, or bits + 1 - d with the line flipping. On a tie,
 * which only odd widths know, the line stays. */
#include <string.h>

#include "stream/flips_kernel.h"
#include "words/isa.h"

#if defined(__AVX512BW__) || defined(__AVX2__)
#include <immintrin.h>
#endif

static void add_pattern(unsigned flipped, uint64_t *counts) {
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) counts[b] += flipped >> b & 1u;
}

/* One transition after the other: the tails of the vector forms, and the plain form of bus-invert. */
static void count_one_by_one(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                             bool bus_invert, hd_bit_counts *counts) {
    unsigned mask = (1u << bits) - 1u;
    for (size_t i = 0; i < count; i++) {
        unsigned flipped = (unsigned)(before[i] ^ after[i]);
        add_pattern(flipped, counts->operand);
        if (!bus_invert) continue;
        bool inverts = 2 * __builtin_popcount(flipped) > bits + 1;
        add_pattern(inverts ? flipped ^ mask : flipped, counts->wire);
        counts->invert_line += inverts;
    }
}

#if defined(__AVX512BW__)

static inline void add_vector(__m512i flipped, int bits, uint64_t *counts) {
    for (int b = 0; b < bits; b++)
        counts[b] +=
            (uint64_t)__builtin_popcountll(_mm512_test_epi8_mask(flipped, _mm512_set1_epi8((char)(1 << b))));
}

static size_t count_vectors(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                            bool bus_invert, hd_bit_counts *counts) {
    __m512i mask = _mm512_set1_epi8((char)((1 << bits) - 1)), half = _mm512_set1_epi8((char)((bits + 1) / 2));
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        __m512i flipped = _mm512_xor_si512(_mm512_loadu_si512(before + i), _mm512_loadu_si512(after + i));
        add_vector(flipped, bits, counts->operand);
        if (!bus_invert) continue;
        __mmask64 inverts = _mm512_cmpgt_epi8_mask(_mm512_popcnt_epi8(flipped), half);
        add_vector(_mm512_mask_xor_epi32(flipped, 0xffff, flipped, _mm512_maskz_mov_epi8(inverts, mask)),
                   bits, counts->wire);
        counts->invert_line += (uint64_t)__builtin_popcountll(inverts);
    }
    return i;
}

#elif defined(__AVX2__)

static inline void add_vector(__m256i flipped, int bits, uint64_t *counts) {
    for (int b = 0; b < bits; b++) {
        __m256i bit_on_top = _mm256_sll_epi16(flipped, _mm_cvtsi32_si128(7 - b));
        counts[b] += (uint64_t)__builtin_popcount((unsigned)_mm256_movemask_epi8(bit_on_top));
    }
}

static inline __m256i popcount_bytes(__m256i x) {
    const __m256i nibble_counts =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    __m256i low = _mm256_set1_epi8(15);
    return _mm256_add_epi8(
        _mm256_shuffle_epi8(nibble_counts, _mm256_and_si256(x, low)),
        _mm256_shuffle_epi8(nibble_counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}

static size_t count_vectors(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                            bool bus_invert, hd_bit_counts *counts) {
    __m256i mask = _mm256_set1_epi8((char)((1 << bits) - 1)), half = _mm256_set1_epi8((char)((bits + 1) / 2));
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i flipped = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(before + i)),
                                           _mm256_loadu_si256((const __m256i *)(after + i)));
        add_vector(flipped, bits, counts->operand);
        if (!bus_invert) continue;
        __m256i inverts = _mm256_cmpgt_epi8(popcount_bytes(flipped), half);
        add_vector(_mm256_xor_si256(flipped, _mm256_and_si256(inverts, mask)), bits, counts->wire);
        counts->invert_line += (uint64_t)__builtin_popcount((unsigned)_mm256_movemask_epi8(inverts));
    }
    return i;
}

#else

/* Eight words in a 64-bit integer; a multiplication adds a bit's eight ones up into the top byte. */
static size_t count_vectors(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                            bool bus_invert, hd_bit_counts *counts) {
    const uint64_t ones = 0x0101010101010101u;
    size_t i = 0;
    if (bus_invert) return 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t a, b;
        memcpy(&a, before + i, 8);
        memcpy(&b, after + i, 8);
        a ^= b;
        for (int bit = 0; bit < bits; bit++) counts->operand[bit] += ((a >> bit & ones) * ones) >> 56;
    }
    return i;
}

#endif

void HD_ISA_NAME(hd_count_bits)(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                                bool bus_invert, hd_bit_counts *counts) {
    size_t done = count_vectors(before, after, count, bits, bus_invert, counts);
    count_one_by_one(before + done, after + done, count - done, bits, bus_invert, counts);
}
