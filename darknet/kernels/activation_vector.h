/* Activations and their derivatives on vectors, for the *.isa.c files. The scalar definitions are in
 * activation.c. Called with a constant kind they fold to straight code. */
#ifndef DARKNET_KERNELS_ACTIVATION_VECTOR_H
#define DARKNET_KERNELS_ACTIVATION_VECTOR_H

#include "kernels/kernels.h"
#include "kernels/vector.h"

#include <math.h>

#define SELU_SCALE 1.0507f
#define SELU_ALPHA 1.6732f
#define GELU_A 0.7978845608f /* sqrt(2 / pi) */
#define GELU_B 0.044715f

/* tanh(softplus(z)) = n / (n + 2), n = e^z (e^z + 2) */
ALWAYS_INLINE vec mish_n(vec z) {
    vec e = vec_exp(vec_at_most(z, vec_set(20.0f)));
    return e * (e + 2.0f);
}

ALWAYS_INLINE vec stair_value(vec z) {
    vec n = vec_floor(z), half = vec_floor(n * 0.5f);
    vec odd = n - (half + half); /* 0 or 1 */
    return vec_if_greater(odd, vec_set(0.5f), z - (n - half), vec_if_nan(z, z, half));
}

ALWAYS_INLINE vec stair_derivative(vec z) {
    vec n = vec_floor(z), half = vec_floor(n * 0.5f), zero = vec_set(0);
    vec odd = n - (half + half);
    return vec_if_greater(z, n, odd, zero);
}

ALWAYS_INLINE vec activation_vec(activation_kind kind, vec z) {
    const vec zero = {0};
    switch (kind) {
    case ACTIVATION_RELU:
        return vec_at_least(z, zero);
    case ACTIVATION_RELU6:
        return vec_clamp(z, zero, vec_set(6));
    case ACTIVATION_LEAKY:
        return vec_if_greater(z, zero, z, z * 0.1f);
    case ACTIVATION_LOGISTIC:
        return vec_logistic(z);
    case ACTIVATION_TANH:
        return vec_tanh(z);
    case ACTIVATION_SWISH:
        return z * vec_logistic(z);
    case ACTIVATION_MISH: {
        vec n = mish_n(z);
        return z * (n / (n + 2.0f));
    }
    case ACTIVATION_ELU:
        return vec_if_greater(zero, z, vec_expm1_negative(vec_at_most(z, zero)), z);
    case ACTIVATION_SELU:
        return SELU_SCALE * vec_if_greater(zero, z, SELU_ALPHA * vec_expm1_negative(vec_at_most(z, zero)), z);
    case ACTIVATION_RELIE:
        return vec_if_greater(z, zero, z, z * 0.01f);
    case ACTIVATION_RAMP:
        return vec_at_least(z, zero) + z * 0.1f;
    case ACTIVATION_PLSE: {
        vec four = vec_set(4), y = z * 0.125f + 0.5f;
        y = vec_if_greater(z, four, (z - 4.0f) * 0.01f + 1.0f, y);
        return vec_if_greater(-four, z, (z + 4.0f) * 0.01f, y);
    }
    case ACTIVATION_STAIR:
        return stair_value(z);
    case ACTIVATION_HARDTAN:
        return vec_clamp(z, vec_set(-1), vec_set(1));
    case ACTIVATION_LHTAN: {
        vec y = vec_if_greater(zero, z, z * 0.001f, z);
        return vec_if_greater(z, vec_set(1), (z - 1.0f) * 0.001f + 1.0f, y);
    }
    case ACTIVATION_LOGGY:
        return vec_tanh(z * 0.5f);
    case ACTIVATION_HARD_MISH: {
        vec y = vec_if_greater(z, zero, z, z * (z * 0.5f + 1.0f));
        return vec_if_greater(vec_set(-2), z, zero, y);
    }
    case ACTIVATION_GELU:
        return z * vec_logistic(2.0f * GELU_A * (z + GELU_B * z * z * z));
    case ACTIVATION_LINEAR:
    case ACTIVATION_COUNT:
        break;
    }
    return z;
}

/* logistic(x) * (1 - logistic(x)) without cancellation */
ALWAYS_INLINE vec logistic_slope(vec x) {
    vec e = vec_exp(-vec_abs(x));
    return e / ((1.0f + e) * (1.0f + e));
}

ALWAYS_INLINE vec smooth_derivative_vec(activation_kind kind, vec z) {
    const vec one = vec_set(1), zero = {0};
    switch (kind) {
    case ACTIVATION_LOGISTIC:
        return logistic_slope(z);
    case ACTIVATION_TANH:
        return 4.0f * logistic_slope(z + z);
    case ACTIVATION_SWISH:
        return vec_logistic(z) + z * logistic_slope(z);
    case ACTIVATION_MISH: {
        vec n = mish_n(z), r = 1.0f / (n + 2.0f);
        return n * r + z * (4.0f * (n + 1.0f) * r * r) * vec_logistic(z);
    }
    case ACTIVATION_ELU:
        return vec_if_greater(zero, z, vec_exp(vec_at_most(z, zero)), one);
    case ACTIVATION_SELU:
        return SELU_SCALE * vec_if_greater(zero, z, SELU_ALPHA * vec_exp(vec_at_most(z, zero)), one);
    case ACTIVATION_LOGGY:
        return 2.0f * logistic_slope(z);
    case ACTIVATION_GELU: {
        vec u = 2.0f * GELU_A * (z + GELU_B * z * z * z);
        return vec_logistic(u) + z * logistic_slope(u) * (2.0f * GELU_A * (1.0f + 3.0f * GELU_B * z * z));
    }
    default:
        return one;
    }
}

ALWAYS_INLINE vec derivative_vec(activation_kind kind, vec z) {
    const vec one = vec_set(1), zero = {0};
    switch (kind) {
    case ACTIVATION_LINEAR:
        return one;
    case ACTIVATION_RELU:
        return vec_if_greater(z, zero, one, zero);
    case ACTIVATION_RELU6:
        return vec_if_greater(vec_set(6), z, vec_if_greater(z, zero, one, zero), zero);
    case ACTIVATION_LEAKY:
        return vec_if_greater(z, zero, one, vec_set(0.1f));
    case ACTIVATION_RELIE:
        return vec_if_greater(z, zero, one, vec_set(0.01f));
    case ACTIVATION_RAMP:
        return vec_if_greater(z, zero, vec_set(1.1f), vec_set(0.1f));
    case ACTIVATION_PLSE:
        return vec_if_greater(vec_abs(z), vec_set(4), vec_set(0.01f), vec_set(0.125f));
    case ACTIVATION_STAIR:
        return stair_derivative(z);
    case ACTIVATION_HARDTAN:
        return vec_if_greater(one, vec_abs(z), one, zero);
    case ACTIVATION_LHTAN:
        return vec_if_greater(one, z, vec_if_greater(z, zero, one, vec_set(0.001f)), vec_set(0.001f));
    case ACTIVATION_HARD_MISH: {
        vec d = vec_if_greater(z, zero, one, z + 1.0f);
        return vec_if_greater(z, vec_set(-2), d, zero);
    }
    default:
        return smooth_derivative_vec(kind, z);
    }
}

/* The activations that are vec_clamp(z, clamp_low, clamp_high). */
ALWAYS_INLINE bool is_clamp(activation_kind kind) {
    return kind == ACTIVATION_LINEAR || kind == ACTIVATION_RELU || kind == ACTIVATION_RELU6;
}
ALWAYS_INLINE vec clamp_low(activation_kind kind) {
    return vec_set(kind == ACTIVATION_LINEAR ? -INFINITY : 0);
}
ALWAYS_INLINE vec clamp_high(activation_kind kind) {
    return vec_set(kind == ACTIVATION_RELU6 ? 6 : INFINITY);
}

/* delta * activation'(z). A relu or relu6 that is off passes nothing back, whatever delta is. */
ALWAYS_INLINE vec activation_pass_back(activation_kind kind, vec delta, vec z) {
    const vec zero = {0};
    switch (kind) {
    case ACTIVATION_LINEAR:
        return delta;
    case ACTIVATION_RELU:
        return vec_if_greater(z, zero, delta, zero);
    case ACTIVATION_RELU6:
        return vec_if_greater(vec_set(6), z, vec_if_greater(z, zero, delta, zero), zero);
    default:
        return delta * derivative_vec(kind, z);
    }
}

/* Calls body(kind, ...) with the common kinds as constants. */
#define WITH_KIND(kind, body, ...)                                                                           \
    do {                                                                                                     \
        switch (kind) {                                                                                      \
        case ACTIVATION_LINEAR:                                                                              \
            body(ACTIVATION_LINEAR, __VA_ARGS__);                                                            \
            break;                                                                                           \
        case ACTIVATION_RELU:                                                                                \
            body(ACTIVATION_RELU, __VA_ARGS__);                                                              \
            break;                                                                                           \
        case ACTIVATION_RELU6:                                                                               \
            body(ACTIVATION_RELU6, __VA_ARGS__);                                                             \
            break;                                                                                           \
        case ACTIVATION_LEAKY:                                                                               \
            body(ACTIVATION_LEAKY, __VA_ARGS__);                                                             \
            break;                                                                                           \
        case ACTIVATION_SWISH:                                                                               \
            body(ACTIVATION_SWISH, __VA_ARGS__);                                                             \
            break;                                                                                           \
        default:                                                                                             \
            body(kind, __VA_ARGS__);                                                                         \
            break;                                                                                           \
        }                                                                                                    \
    } while (0)

#endif
