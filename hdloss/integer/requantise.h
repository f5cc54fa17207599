/* The arithmetic of the integer network for one number: fixed-point multipliers, rounding and saturation, as
 * docs/integer-network.md defines them. The kernels do the same for whole vectors. */
#ifndef HDLOSS_INTEGER_REQUANTISE_H
#define HDLOSS_INTEGER_REQUANTISE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum { HD_SMALLEST_SHIFT = 1, HD_LARGEST_SHIFT = 62 };

/* value * multiplier / 2^shift, rounded to nearest, ties away from zero, saturated to +-(2^31 - 1). shift
 * is 1..62. */
static inline int32_t hd_requantise(int32_t value, int32_t multiplier, int shift) {
    int64_t product = (int64_t)value * multiplier;
    uint64_t sign = product < 0 ? UINT64_MAX : 0; /* without branches, which random signs would mispredict */
    uint64_t magnitude = ((uint64_t)product ^ sign) - sign;
    uint64_t rounded = ((magnitude >> (shift - 1)) + 1) >> 1;
    int32_t result = rounded > INT32_MAX ? INT32_MAX : (int32_t)rounded;
    return product < 0 ? -result : result;
}

/* The multiplier (magnitude 2^30..2^31-1, or 0 where the ratio is below 2^-32) and shift whose quotient is
 * nearest to a ratio. False when the ratio is 2^30 or more, or not finite. */
static inline bool hd_fixed_point(double ratio, int32_t *multiplier, uint8_t *shift) {
    if (!isfinite(ratio)) return false;
    int exponent;
    double fraction = frexp(fabs(ratio), &exponent);
    int64_t mantissa = llround(fraction * 0x1p31);
    if (mantissa == INT64_C(1) << 31) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent > 31 - HD_SMALLEST_SHIFT) return false;
    if (mantissa == 0 || exponent < 31 - HD_LARGEST_SHIFT) {
        *multiplier = 0;
        *shift = HD_SMALLEST_SHIFT;
        return true;
    }
    *multiplier = (int32_t)(ratio < 0 ? -mantissa : mantissa);
    *shift = (uint8_t)(31 - exponent);
    return true;
}

static inline int hd_saturate(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

/* Largest integers of an activation of `bits` bits. */
static inline int hd_unsigned_levels(int bits) {
    return (1 << bits) - 1;
}
static inline int hd_signed_levels(int bits) {
    return (1 << (bits - 1)) - 1;
}

#endif
