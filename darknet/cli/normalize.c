/* darknet normalize, denormalize, reset: weights with and without batch normalisation that compute the same.
 * Folding as in B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", CVPR 2018: w * s and b - mean * s with s = scale / deviation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

static const option_spec options[] = {OPTION_END};
static const command_spec normalize_spec = {
    "normalize CFG IN OUT",
    "Adds batch normalisation that does nothing (mean 0, variance 1) to the weights of "
    "convolutional,\n"
    "deconvolutional and connected layers without: OUT is for CFG with batch_normalize=1 in all of them.",
    3, 3, options};
static const command_spec denormalize_spec = {"denormalize CFG IN OUT",
                                              "Folds batch normalisation into weights and biases: OUT is for "
                                              "CFG with batch_normalize=0 in every convolutional,\n"
                                              "deconvolutional and connected layer.",
                                              3, 3, options};
static const command_spec reset_spec = {"reset CFG IN OUT",
                                        "Folds batch normalisation into weights and biases and leaves one "
                                        "that does nothing (mean 0, variance 1):\n"
                                        "OUT is for CFG as it is.",
                                        3, 3, options};

static bool has_filters(const layer *l) {
    return layer_parameter(l, "weights") && layer_parameter(l, "scales") && l->parameter_count > 0;
}

static void set_all(float *values, size_t count, float value) {
    for (size_t i = 0; i < count; i++) values[i] = value;
}

/* What batch normalisation divides by where the variance is this. */
static float deviation_of(const layer *l, float variance) {
    darknet_layer_info info;
    layer_get_info(l, &info);
    return sqrtf(variance + info.epsilon_inside) + info.epsilon_outside;
}

/* Statistics of a normalisation that changes nothing: its scale is what it divides by, a millionth or so
 * above 1. */
static void set_neutral(layer *l) {
    size_t filters = layer_parameter(l, "scales")->count;
    set_all(layer_values(l, "scales"), filters, deviation_of(l, 1.0f));
    set_all(layer_values(l, "rolling_mean"), filters, 0.0f);
    set_all(layer_values(l, "rolling_variance"), filters, 1.0f);
}

/* Consecutive weights of one filter: [filters][...], but [inputs][filters][size][size] in deconvolutional
 * layers. */
static size_t run_length(const layer *l, size_t weights, size_t filters) {
    darknet_layer_info info;
    layer_get_info(l, &info);
    bool inner = strcmp(l->type->name, "deconvolutional") == 0;
    return inner ? (size_t)(info.size * info.size) : weights / filters;
}

/* Folds the layer's statistics into its weights and biases; they are then to be neutral. */
static void fold(layer *l) {
    const parameter *weights = layer_parameter(l, "weights");
    size_t filters = layer_parameter(l, "scales")->count;
    if (filters == 0) return;
    size_t run = run_length(l, weights->count, filters);
    float *scales = layer_values(l, "scales"), *biases = layer_values(l, "biases");
    const float *mean = layer_values(l, "rolling_mean"), *variance = layer_values(l, "rolling_variance");
    for (size_t f = 0; f < filters; f++) {
        scales[f] /= deviation_of(l, variance[f]);
        biases[f] -= mean[f] * scales[f];
    }
    for (size_t i = 0; run > 0 && i < weights->count; i++) weights->values[i] *= scales[i / run % filters];
    set_neutral(l);
}

/* The same cfg with batch_normalize set in every layer that knows it. */
static network *build_with(const network *net, const char *path, const char *batch_normalize, error *e) {
    static const char *const keys[] = {"convolutional.batch_normalize",   "conv.batch_normalize",
                                       "deconvolutional.batch_normalize", "deconv.batch_normalize",
                                       "connected.batch_normalize",       "conn.batch_normalize"};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    const char *overrides[KEYS][2];
    for (size_t i = 0; i < KEYS; i++) {
        overrides[i][0] = keys[i];
        overrides[i][1] = batch_normalize;
    }
    network_settings settings = {.pass_batch = 1,
                                 .threads = net->threads,
                                 .extensions = net->extensions,
                                 .extension_count = net->extension_count,
                                 .overrides = overrides,
                                 .override_count = KEYS};
    return network_create(path, &settings, NULL, e);
}

/* What both layers have by that name; the rest of `to` is neutral. */
static void copy_layer(const layer *from, layer *to) {
    if (has_filters(to)) set_neutral(to);
    for (int j = 0; j < to->parameter_count; j++) {
        const parameter *target = &to->parameters[j], *source = layer_parameter(from, target->name);
        if (source && source->count == target->count)
            memcpy(target->values, source->values, source->count * sizeof(float));
    }
}

/* Saves the network's weights in the form of the same cfg with batch_normalize set to that. */
static bool save_as(const network *net, const char *cfg_path_name, const char *batch_normalize,
                    const char *out, error *e) {
    network *other = build_with(net, cfg_path_name, batch_normalize, e);
    if (!other) return false;
    for (int i = 0; i < other->layer_count; i++) copy_layer(&net->layers[i], &other->layers[i]);
    other->seen = net->seen;
    bool good = network_save_weights(other, out, -1, e);
    network_destroy(other);
    return good;
}

/* folds: batch normalisation goes into the weights; form: batch_normalize of OUT's layers, NULL as in the
 * cfg. */
static int convert(program *p, const command_spec *spec, int argc, char **argv, bool folds,
                   const char *form) {
    arguments a;
    parse_result parsed = arguments_parse(&a, spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    network_settings settings = {.pass_batch = 1};
    network *net = command_build(p, a.positions[0], &settings);
    if (!net) return 1;
    error e = {0};
    bool good = network_load_weights(net, a.positions[1], false, NULL, &e);
    for (int i = 0; good && folds && i < net->layer_count; i++)
        if (has_filters(&net->layers[i])) fold(&net->layers[i]);
    good = good && (form ? save_as(net, a.positions[0], form, a.positions[2], &e)
                         : network_save_weights(net, a.positions[2], -1, &e));
    network_destroy(net);
    return good ? 0 : fail("%s", e.message);
}

int command_normalize(program *p, int argc, char **argv) {
    return convert(p, &normalize_spec, argc, argv, false, "1");
}
int command_denormalize(program *p, int argc, char **argv) {
    return convert(p, &denormalize_spec, argc, argv, true, "0");
}
int command_reset(program *p, int argc, char **argv) {
    return convert(p, &reset_spec, argc, argv, true, NULL);
}
