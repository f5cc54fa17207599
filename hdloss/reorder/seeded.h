/* Seeded random numbers for the solvers: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014). Each solve owns its state, so answers do not depend on the number of threads. */
#ifndef HDLOSS_REORDER_SEEDED_H
#define HDLOSS_REORDER_SEEDED_H

#include <stdint.h>

typedef struct hd_seeded {
    uint64_t state;
} hd_seeded;

static inline uint64_t hd_seeded_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* A seed of its own for the n-th of several independent solves. */
static inline uint64_t hd_seeded_derive(uint64_t seed, uint64_t n) {
    return hd_seeded_mix(hd_seeded_mix(seed + UINT64_C(0x9E3779B97F4A7C15)) +
                         (n + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

static inline uint64_t hd_seeded_next(hd_seeded *r) {
    r->state += UINT64_C(0x9E3779B97F4A7C15);
    return hd_seeded_mix(r->state);
}

/* In [0, n), n >= 1. */
static inline uint32_t hd_seeded_below(hd_seeded *r, uint32_t n) {
    return (uint32_t)(((hd_seeded_next(r) >> 32) * n) >> 32);
}

#endif
