/* The reference network's activations, as formulas of one value. See reference_network.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reference_internal.h"

static double linear(double z) {
    return z;
}
static double relu(double z) {
    return z > 0 ? z : 0;
}
static double relu6(double z) {
    return z > 6 ? 6 : relu(z);
}
static double leaky(double z) {
    return z > 0 ? z : .1 * z;
}
static double relie(double z) {
    return z > 0 ? z : .01 * z;
}
static double ramp(double z) {
    return relu(z) + .1 * z;
}
static double logistic(double z) {
    return 1 / (1 + exp(-z));
}
static double loggy(double z) {
    return 2 * logistic(z) - 1;
}
static double elu(double z) {
    return z >= 0 ? z : exp(z) - 1;
}
static double selu(double z) {
    return 1.0507 * (z >= 0 ? z : 1.6732 * (exp(z) - 1));
}
static double plse(double z) {
    return z < -4 ? .01 * (z + 4) : z > 4 ? .01 * (z - 4) + 1 : .125 * z + .5;
}
static double hardtan(double z) {
    return fmax(-1, fmin(1, z));
}
static double lhtan(double z) {
    return z < 0 ? .001 * z : z > 1 ? .001 * (z - 1) + 1 : z;
}
static double swish(double z) {
    return z * logistic(z);
}
static double mish(double z) {
    return z * tanh(log(1 + exp(z)));
}
static double hard_mish(double z) {
    return z > 0 ? z : z > -2 ? z * z / 2 + z : 0;
}
static double gelu(double z) {
    return .5 * z * (1 + tanh(.7978845608028654 * (z + .044715 * z * z * z)));
}

static double stair(double z) {
    double n = floor(z);
    return fmod(n, 2) == 0 ? floor(z / 2) : (z - n) + floor(z / 2);
}

static const struct {
    const char *name;
    double (*function)(double z);
} activations[] = {{"linear", linear}, {"relu", relu},   {"relu6", relu6},       {"leaky", leaky},
                   {"relie", relie},   {"ramp", ramp},   {"logistic", logistic}, {"loggy", loggy},
                   {"elu", elu},       {"selu", selu},   {"plse", plse},         {"hardtan", hardtan},
                   {"lhtan", lhtan},   {"swish", swish}, {"mish", mish},         {"hard_mish", hard_mish},
                   {"gelu", gelu},     {"tanh", tanh},   {"stair", stair}};

static double (*find(const char *name))(double z) {
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) return activations[i].function;
    fail_msg("reference: no activation %s", name);
    return NULL;
}

double reference_activation(const char *name, double z) {
    return find(name)(z);
}

/* By differences; at 0, where some have a kink, from the left (Darknet's: on only above 0). */
double reference_slope(const char *name, double z) {
    double (*f)(double) = find(name);
    double h = 1e-6, right = z == 0 ? 0 : h;
    return (f(z + right) - f(z - h)) / (right + h);
}
