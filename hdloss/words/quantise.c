/* Symmetric quantisation of weights to words of 2..8 bits, one float32 scale per filter. All arithmetic is
 * float32 with the default rounding mode, so that words are the same on every machine. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "hdloss.h"

/* Adding and taking away 1.5 * 2^23 rounds a float of magnitude below 2^22 to the nearest integer, ties to
 * even. */
static const float rounding_constant = 12582912.0f;

int hd_largest_word(int bits) {
    return (1 << (bits - 1)) - 1;
}

static bool check_bits(int bits, hd_error *error) {
    if (bits >= HD_MINIMUM_BITS && bits <= HD_MAXIMUM_BITS) return true;
    return hd_fail(error, "words of %d bits: weights take %d to %d bits", bits, HD_MINIMUM_BITS,
                   HD_MAXIMUM_BITS);
}

/* The largest magnitude, or infinity when a weight is not finite: magnitudes order as their bit patterns do.
 */
static float largest_magnitude(const float *weights, size_t count) {
    int32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t magnitude;
        memcpy(&magnitude, weights + i, sizeof magnitude);
        magnitude &= INT32_MAX;
        largest = magnitude > largest ? magnitude : largest;
    }
    float value;
    memcpy(&value, &largest, sizeof value);
    return value <= FLT_MAX ? value : INFINITY;
}

static void round_to_words(const float *weights, size_t count, float scale, float limit, int8_t *words) {
    for (size_t i = 0; i < count; i++) {
        float quotient = weights[i] / scale;
        quotient = quotient > limit ? limit : quotient;
        quotient = quotient < -limit ? -limit : quotient;
        quotient = (quotient + rounding_constant) - rounding_constant;
        words[i] = (int8_t)(int)quotient;
    }
}

bool hd_quantise(const float *weights, size_t filters, size_t filter_weights, int bits, int8_t *words,
                 float *scales, hd_error *error) {
    if (!check_bits(bits, error)) return false;
    float limit = (float)hd_largest_word(bits);
    for (size_t f = 0; f < filters; f++) {
        float largest = largest_magnitude(weights + f * filter_weights, filter_weights);
        if (isinf(largest))
            return hd_fail(error,
                           "filter %zu has a weight that is not a finite number: it cannot be quantised", f);
        float scale = largest / limit;
        scales[f] = scale > 0 ? scale : 1.0f;
        round_to_words(weights + f * filter_weights, filter_weights, scales[f], limit,
                       words + f * filter_weights);
    }
    return true;
}

bool hd_quantise_with_scales(const float *weights, size_t filters, size_t filter_weights, int bits,
                             const float *scales, int8_t *words, hd_error *error) {
    if (!check_bits(bits, error)) return false;
    float limit = (float)hd_largest_word(bits);
    for (size_t f = 0; f < filters; f++) {
        if (!(scales[f] > 0 && scales[f] <= FLT_MAX))
            return hd_fail(error, "filter %zu has the scale %g: a scale is positive and finite", f,
                           (double)scales[f]);
        if (isinf(largest_magnitude(weights + f * filter_weights, filter_weights)))
            return hd_fail(error,
                           "filter %zu has a weight that is not a finite number: it cannot be quantised", f);
        round_to_words(weights + f * filter_weights, filter_weights, scales[f], limit,
                       words + f * filter_weights);
    }
    return true;
}

void hd_dequantise(const int8_t *words, size_t filters, size_t filter_weights, const float *scales,
                   float *weights) {
    for (size_t f = 0; f < filters; f++)
        for (size_t i = f * filter_weights; i < (f + 1) * filter_weights; i++)
            weights[i] = scales[f] * (float)words[i];
}
