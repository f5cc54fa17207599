/* Draws and costs that the tests of trellis rounding share; each file has its own sequence. */
#ifndef TESTS_TRELLIS_DRAWS_H
#define TESTS_TRELLIS_DRAWS_H

#include "hdloss.h"

#include <math.h>
#include <stdint.h>

static uint64_t random_state;
static inline double uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 33) + 0.5) / 2147483648.0;
}
static inline uint32_t draw(uint32_t below) {
    return (uint32_t)(uniform() * below);
}
static inline float laplacian(double scale) {
    double u = uniform() - 0.5;
    return (float)((u < 0 ? scale : -scale) * log(1 - 2 * fabs(u)));
}

static const double ones[HD_MAXIMUM_BITS] = {1, 1, 1, 1, 1, 1, 1, 1};
static const double table[HD_MAXIMUM_BITS] = {7.8, 7.3, 7.2, 7.4, 8.5, 9.0, 10.1, 21.6};

#endif
