/* Rows of a matrix of Hamming distances by exclusive or and population count, along the points so that
 * vectors fill whatever the number of words in one. Without a vector instruction for it bits are counted in
 * parallel, as in Warren, "Hacker's Delight" (2002), chapter 5. */
#include "reorder/distances.h"
#include "words/isa.h"

static inline uint32_t ones(uint32_t x) {
#if defined(__AVX512VPOPCNTDQ__)
    return (uint32_t)__builtin_popcount(x);
#else
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    x += x >> 8;
    return (x + (x >> 16)) & 0x3fu;
#endif
}

/* Wires that flip for four words, each sent as it is or inverted, whichever flips fewer of `lines`. */
static inline uint32_t least_flips(uint32_t x, uint32_t lines) {
    const uint32_t bytes = 0x01010101u;
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    uint32_t other = lines * bytes - x,
             more = (((x | 128u * bytes) - other) >> 7) & bytes; /* 1: x >= other */
    return ((x ^ ((x ^ other) & more * 255u)) * bytes) >> 24;
}

void HD_ISA_NAME(hd_distance_row)(const uint32_t *restrict words, size_t count, uint32_t own,
                                  const hd_cost_groups *restrict groups, uint32_t *restrict row) {
    if (groups->invert_lines) {
        for (size_t j = 0; j < count; j++)
            row[j] += groups->invert_cost * least_flips(words[j] ^ own, groups->invert_lines);
        return;
    }
    if (groups->count == 1 && groups->masks[0] == UINT32_MAX && groups->costs[0] == 1) {
        for (size_t j = 0; j < count; j++) row[j] += ones(words[j] ^ own);
        return;
    }
    for (unsigned g = 0; g < groups->count; g++) {
        uint32_t mask = groups->masks[g], cost = groups->costs[g];
        for (size_t j = 0; j < count; j++) row[j] += cost * ones((words[j] ^ own) & mask);
    }
}
