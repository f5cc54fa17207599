/* Seeded random numbers. Two forms: a small generator with its state in the open (saved in checkpoints), and
 * a stateless hash, so that the number drawn for (seed, stream, position) is the same whoever asks and in
 * whatever order: results then do not depend on the number of threads or on a resume.
 * SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
#ifndef DARKNET_CORE_RANDOM_H
#define DARKNET_CORE_RANDOM_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct random_state {
    uint64_t state;
} random_state;

static inline uint64_t random_mix(uint64_t x) {
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* The stateless form: one 64-bit number for a seed, a stream and a position. */
static inline uint64_t random_hash(uint64_t seed, uint64_t stream, uint64_t position) {
    return random_mix(random_mix(random_mix(seed) ^ stream) ^ position);
}

static inline random_state random_seeded(uint64_t seed, uint64_t stream) {
    return (random_state){random_hash(seed, stream, 0)};
}

static inline uint64_t random_next(random_state *r) {
    uint64_t value = random_mix(r->state);
    r->state += UINT64_C(0x9E3779B97F4A7C15);
    return value;
}

/* In [0, 1), 24 bits of it. */
static inline float random_to_unit(uint64_t bits) {
    return (float)(bits >> 40) * 0x1p-24f;
}

static inline float random_uniform(random_state *r, float low, float high) {
    return low + (high - low) * random_to_unit(random_next(r));
}

/* A whole number in [0, n); n >= 1. The bias of the multiply-shift is below n / 2^64. */
static inline uint64_t random_below(random_state *r, uint64_t n) {
    return (uint64_t)(((unsigned __int128)random_next(r) * n) >> 64);
}

/* Standard normal, Box and Muller. */
static inline float random_normal(random_state *r) {
    double u = ((double)(random_next(r) >> 11) + 1.0) * 0x1p-53;
    double v = (double)(random_next(r) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

#endif
