/* Activations: names and scalar definitions. The vector forms in activation_vector.h are tested against
 * these. Definitions: Darknet's set; swish (Ramachandran 2017), mish (Misra 2019), gelu (Hendrycks and Gimpel
 * 2016, the tanh form), selu (Klambauer 2017). */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

static const char *const names[ACTIVATION_COUNT] = {
    [ACTIVATION_LINEAR] = "linear", [ACTIVATION_RELU] = "relu",         [ACTIVATION_RELU6] = "relu6",
    [ACTIVATION_LEAKY] = "leaky",   [ACTIVATION_LOGISTIC] = "logistic", [ACTIVATION_TANH] = "tanh",
    [ACTIVATION_SWISH] = "swish",   [ACTIVATION_MISH] = "mish",         [ACTIVATION_ELU] = "elu",
    [ACTIVATION_SELU] = "selu",     [ACTIVATION_RELIE] = "relie",       [ACTIVATION_RAMP] = "ramp",
    [ACTIVATION_PLSE] = "plse",     [ACTIVATION_STAIR] = "stair",       [ACTIVATION_HARDTAN] = "hardtan",
    [ACTIVATION_LHTAN] = "lhtan",   [ACTIVATION_LOGGY] = "loggy",       [ACTIVATION_HARD_MISH] = "hard_mish",
    [ACTIVATION_GELU] = "gelu"};

const char *activation_name(activation_kind kind) {
    return (unsigned)kind < ACTIVATION_COUNT ? names[kind] : "unknown";
}

activation_kind activation_from_name(const char *name) {
    for (unsigned i = 0; i < ACTIVATION_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (activation_kind)i;
    return ACTIVATION_COUNT;
}

static double logistic(double z) {
    return 1 / (1 + exp(-z));
}
static double softplus(double z) {
    return z > 30 ? z : log1p(exp(z));
}
static double gelu_inner(double z) {
    return 0.7978845608028654 * (z + 0.044715 * z * z * z);
}

static double stair(double z) {
    double n = floor(z), half = floor(n / 2);
    return n == 2 * half ? half : z - n + half;
}

static double value(activation_kind kind, double z) {
    switch (kind) {
    case ACTIVATION_RELU:
        return z < 0 ? 0 : z;
    case ACTIVATION_RELU6:
        return z < 0 ? 0 : z > 6 ? 6 : z;
    case ACTIVATION_LEAKY:
        return z > 0 ? z : .1 * z;
    case ACTIVATION_LOGISTIC:
        return logistic(z);
    case ACTIVATION_TANH:
        return tanh(z);
    case ACTIVATION_SWISH:
        return z * logistic(z);
    case ACTIVATION_MISH:
        return z * tanh(softplus(z));
    case ACTIVATION_ELU:
        return z < 0 ? expm1(z) : z;
    case ACTIVATION_SELU:
        return 1.0507 * (z < 0 ? 1.6732 * expm1(z) : z);
    case ACTIVATION_RELIE:
        return z > 0 ? z : .01 * z;
    case ACTIVATION_RAMP:
        return (z < 0 ? 0 : z) + .1 * z;
    case ACTIVATION_PLSE:
        return z < -4 ? .01 * (z + 4) : z > 4 ? .01 * (z - 4) + 1 : .125 * z + .5;
    case ACTIVATION_STAIR:
        return stair(z);
    case ACTIVATION_HARDTAN:
        return z < -1 ? -1 : z > 1 ? 1 : z;
    case ACTIVATION_LHTAN:
        return z < 0 ? .001 * z : z > 1 ? .001 * (z - 1) + 1 : z;
    case ACTIVATION_LOGGY:
        return tanh(z / 2);
    case ACTIVATION_HARD_MISH:
        return z > 0 ? z : z < -2 ? 0 : z * z / 2 + z;
    case ACTIVATION_GELU:
        return z * logistic(2 * gelu_inner(z));
    case ACTIVATION_LINEAR:
    case ACTIVATION_COUNT:
        break;
    }
    return z;
}

static double mish_derivative(double z) {
    double w = tanh(softplus(z));
    return w + z * (1 - w * w) * logistic(z);
}

static double gelu_derivative(double z) {
    double u = 2 * gelu_inner(z), slope = 2 * 0.7978845608028654 * (1 + 3 * 0.044715 * z * z);
    return logistic(u) + z * logistic(u) * logistic(-u) * slope;
}

static double derivative(activation_kind kind, double z) {
    switch (kind) {
    case ACTIVATION_RELU:
        return z > 0;
    case ACTIVATION_RELU6:
        return z > 0 && z < 6;
    case ACTIVATION_LEAKY:
        return z > 0 ? 1 : .1;
    case ACTIVATION_LOGISTIC:
        return logistic(z) * logistic(-z);
    case ACTIVATION_TANH:
        return 4 * logistic(2 * z) * logistic(-2 * z);
    case ACTIVATION_SWISH:
        return logistic(z) + z * logistic(z) * logistic(-z);
    case ACTIVATION_MISH:
        return mish_derivative(z);
    case ACTIVATION_ELU:
        return z < 0 ? exp(z) : 1;
    case ACTIVATION_SELU:
        return 1.0507 * (z < 0 ? 1.6732 * exp(z) : 1);
    case ACTIVATION_RELIE:
        return z > 0 ? 1 : .01;
    case ACTIVATION_RAMP:
        return z > 0 ? 1.1 : .1;
    case ACTIVATION_PLSE:
        return z < -4 || z > 4 ? .01 : .125;
    case ACTIVATION_STAIR:
        return z != floor(z) && floor(z) != 2 * floor(floor(z) / 2);
    case ACTIVATION_HARDTAN:
        return z > -1 && z < 1;
    case ACTIVATION_LHTAN:
        return z > 0 && z < 1 ? 1 : .001;
    case ACTIVATION_LOGGY:
        return 2 * logistic(z) * logistic(-z);
    case ACTIVATION_HARD_MISH:
        return z > 0 ? 1 : z > -2 ? z + 1 : 0;
    case ACTIVATION_GELU:
        return gelu_derivative(z);
    case ACTIVATION_LINEAR:
    case ACTIVATION_COUNT:
        break;
    }
    return 1;
}

float activation_value(activation_kind kind, float z) {
    return (float)value(kind, (double)z);
}
float activation_derivative(activation_kind kind, float z) {
    return (float)derivative(kind, (double)z);
}
