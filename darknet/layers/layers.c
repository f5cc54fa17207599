/* The table of layer types, and the helpers they share. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "layers/layer.h"
#include "layers/types.h"
#include "network/network.h"

static const struct {
    const char *name;
    const layer_type *type;
} table[] = {
    {"convolutional", &layer_convolutional},
    {"conv", &layer_convolutional},
    {"deconvolutional", &layer_deconvolutional},
    {"deconv", &layer_deconvolutional},
    {"connected", &layer_connected},
    {"conn", &layer_connected},
    {"local", &layer_local},
    {"maxpool", &layer_maxpool},
    {"max", &layer_maxpool},
    {"avgpool", &layer_avgpool},
    {"avg", &layer_avgpool},
    {"local_avgpool", &layer_local_avgpool},
    {"dropout", &layer_dropout},
    {"shortcut", &layer_shortcut},
    {"route", &layer_route},
    {"upsample", &layer_upsample},
    {"reorg", &layer_reorg},
    {"reorg3d", &layer_reorg},
    {"crop", &layer_crop},
    {"scale_channels", &layer_scale_channels},
    {"sam", &layer_sam},
    {"batchnorm", &layer_batchnorm},
    {"normalization", &layer_response_normalization},
    {"lrn", &layer_response_normalization},
    {"l2norm", &layer_l2norm},
    {"activation", &layer_activation},
    {"logistic", &layer_logistic},
    {"softmax", &layer_softmax},
    {"soft", &layer_softmax},
    {"cost", &layer_cost},
};

static const char *const foreign[] = {"region", "yolo",      "gaussian_yolo", "detection",
                                      "rnn",    "gru",       "lstm",          "crnn",
                                      "iseg",   "conv_lstm", "history",       "contrastive"};

enum { TABLE_COUNT = sizeof table / sizeof table[0], FOREIGN_COUNT = sizeof foreign / sizeof foreign[0] };

const layer_type *layer_type_find(const char *name) {
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table[i].name, name) == 0) return table[i].type;
    return NULL;
}

bool layer_type_is_foreign(const char *name) {
    for (size_t i = 0; i < FOREIGN_COUNT; i++)
        if (strcmp(foreign[i], name) == 0) return true;
    return false;
}

size_t layer_type_names(const char **names, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < TABLE_COUNT && count < most; i++) names[count++] = table[i].name;
    return count;
}

parameter *layer_add_parameter(layer *l, const char *name, size_t count, bool trained, bool decays) {
    parameter *p = &l->parameters[l->parameter_count++];
    *p = (parameter){.name = name, .count = count, .trained = trained, .decays = decays};
    return p;
}

const parameter *layer_parameter(const layer *l, const char *name) {
    if (l->shared) l = l->shared;
    for (int i = 0; i < l->parameter_count; i++)
        if (strcmp(l->parameters[i].name, name) == 0) return &l->parameters[i];
    return NULL;
}

float *layer_values(const layer *l, const char *name) {
    const parameter *p = layer_parameter(l, name);
    return p ? p->values : NULL;
}

float *layer_gradient(const layer *l, const char *name) {
    const parameter *p = layer_parameter(l, name);
    return p && !l->only_forward ? p->gradient : NULL;
}

size_t layer_product(size_t a, size_t b) {
    size_t product;
    return size_multiply(a, b, &product) ? product : SIZE_MAX;
}

int layer_length(int64_t length) {
    return length > INT_MAX ? INT_MAX : (int)length;
}

const float *layer_weights_for_pass(layer *l) {
    const parameter *weights = layer_parameter(l, "weights");
    if (!l->transform) return weights->values;
    l->transform(l->transform_user, l, weights->values, l->transformed_weights, weights->count);
    return l->transformed_weights;
}

bool layer_set_weight_transform(layer *l, darknet_weight_transform function, void *user) {
    const parameter *weights = layer_parameter(l, "weights");
    if (!weights) return false;
    network_unpack_weights(l->net);
    if (function && !l->transformed_weights)
        l->transformed_weights = memory_allocate(weights->count, sizeof(float));
    if (function && !l->transformed_weights) return false;
    l->transform = function;
    l->transform_user = user;
    return true;
}

int layer_request(layer *l, size_t bytes, buffer_life life) {
    l->buffers[l->buffer_count] = (buffer_request){.bytes = bytes, .life = life};
    return l->buffer_count++;
}

void layer_want_workspace(layer *l, size_t bytes) {
    if (bytes > l->workspace_bytes) l->workspace_bytes = bytes;
}

/* Darknet's dropout changes its input in place: whoever comes later and reads that input reads what the
 * dropout left of it. */
static int behind_dropouts(const layer *l, int source) {
    while (source >= 0 && source + 1 < l->index && l->net->layers[source + 1].type == &layer_dropout)
        source++;
    return source;
}

bool layer_set_inputs(layer *l, const int *references, size_t count, const char *key,
                      layer_context *context) {
    int *inputs = malloc((count ? count : 1) * sizeof *inputs);
    if (!inputs) return false;
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        int wanted = references[i] < 0 ? l->index + references[i] : references[i];
        if (l->index == 0) {
            diagnostics_error(context->diagnostics,
                              LAYER_AT "%s: %d names another layer, but no layer stands before layer 0",
                              section_path(l->section), section_key_line(l->section, key), key,
                              references[i]);
            good = false;
        } else if (wanted < 0 || wanted >= l->index) {
            diagnostics_error(context->diagnostics,
                              LAYER_AT "%s: %d names layer %d, but layer %d can only read layers 0 to %d",
                              section_path(l->section), section_key_line(l->section, key), key, references[i],
                              wanted, l->index, l->index - 1);
            good = false;
            wanted = l->index - 1;
        }
        inputs[i] = behind_dropouts(l, wanted);
    }
    if (!good && l->index == 0) {
        free(inputs);
        return false;
    }
    free(l->inputs);
    l->inputs = inputs;
    l->input_count = (int)count;
    l->in = layer_input_shape(l, 0);
    return good;
}

bool layer_set_from(layer *l, const cfg_section *s, layer_context *context) {
    int *from = NULL;
    size_t count = section_int_list(s, "from", &from, context->diagnostics);
    int *references = malloc((count + 1) * sizeof *references);
    bool good = count && references;
    if (!section_has(s, "from"))
        diagnostics_error(context->diagnostics,
                          LAYER_AT "from: is missing: it names the other layer that [%s] reads",
                          section_path(s), section_line(s), section_name(s));
    if (good) {
        references[0] = -1;
        for (size_t i = 0; i < count; i++) references[i + 1] = from[i];
        good = layer_set_inputs(l, references, count + 1, "from", context);
    }
    free(references);
    free(from);
    return good;
}

void layer_shape_error(const layer *l, const cfg_section *s, const char *key, diagnostics *d,
                       const char *format, ...) {
    char source[32] = "the network's input", sentence[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (l->inputs[0] >= 0) (void)snprintf(source, sizeof source, "layer %d", l->inputs[0]);
    diagnostics_error(d, LAYER_AT "%s: %s (layer %d reads %s)", section_path(s), section_key_line(s, key),
                      key, sentence, l->index, source);
}

void layer_window_error(const layer *l, const cfg_section *s, int size, int padding, diagnostics *d) {
    layer_shape_error(l, s, "size", d, "a window of %dx%d does not fit the %dx%d input with padding %d", size,
                      size, l->in.width, l->in.height, padding);
}

tensor_shape layer_input_shape(const layer *l, int k) {
    int source = l->inputs[k];
    return source < 0 ? network_input_shape(l->net) : l->net->layers[source].out;
}

lazy_tensor layer_input(const layer *l, const pass *p, int k) {
    int source = l->inputs[k];
    if (source < 0) return (lazy_tensor){.data = p->input};
    return l->net->layers[source].output;
}

float *layer_input_delta(const layer *l, int k) {
    int source = l->inputs[k];
    if (source < 0) return NULL;
    float *delta = l->net->layers[source].delta;
    return delta == l->delta ? NULL : delta;
}

/* The backward pass visits layers from the last to the first: the last one to read a layer is the first to
 * write its delta. */
bool layer_adds_delta(const layer *l, int k) {
    int source = l->inputs[k];
    for (int i = l->net->layer_count - 1; i > l->index; i--) {
        const layer *other = &l->net->layers[i];
        if (!layer_writes_deltas(other)) continue;
        for (int j = 0; j < other->input_count; j++)
            if (other->inputs[j] == source) return true;
    }
    for (int j = 0; j < k; j++)
        if (l->inputs[j] == source) return true;
    return false;
}

bool layer_writes_deltas(const layer *l) {
    return l->propagates;
}

const gradient_sums *layer_input_sums(const layer *l, int k) {
    int source = l->inputs[k];
    layer *input = source < 0 ? NULL : &l->net->layers[source];
    if (!input || !input->sums.sum_dz || !input->owns_delta) return NULL;
    for (int i = source + 1; i <= l->index; i++) {
        const layer *other = &l->net->layers[i];
        if (!layer_writes_deltas(other)) continue;
        for (int j = 0; j < other->input_count; j++)
            if (other->inputs[j] == source && !(i == l->index && j == k)) return NULL;
    }
    input->sums_made = true;
    return &input->sums;
}

activation_kind layer_parse_activation(const cfg_section *s, const char *key, const char *fallback,
                                       diagnostics *d) {
    const char *name = section_string(s, key, fallback);
    activation_kind kind = activation_from_name(name);
    if (kind < ACTIVATION_COUNT) return kind;
    const char *names[ACTIVATION_COUNT];
    for (int i = 0; i < ACTIVATION_COUNT; i++) names[i] = activation_name((activation_kind)i);
    const char *closest = closest_name(name, names, ACTIVATION_COUNT);
    diagnostics_error(d, LAYER_AT "%s: \"%s\" is no activation%s%s%s", section_path(s),
                      section_key_line(s, key), key, name, closest ? "; did you mean \"" : "",
                      closest ? closest : "", closest ? "\"?" : "");
    return ACTIVATION_LINEAR;
}

#define SCALAR(kind, name)                                                                                   \
    static float name(float z) {                                                                             \
        return activation_value(kind, z);                                                                    \
    }
SCALAR(ACTIVATION_LINEAR, linear)
SCALAR(ACTIVATION_RELU, relu)
SCALAR(ACTIVATION_RELU6, relu6)
SCALAR(ACTIVATION_LEAKY, leaky)
SCALAR(ACTIVATION_LOGISTIC, logistic)
SCALAR(ACTIVATION_TANH, tangent)
SCALAR(ACTIVATION_SWISH, swish)
SCALAR(ACTIVATION_MISH, mish)
SCALAR(ACTIVATION_ELU, elu)
SCALAR(ACTIVATION_SELU, selu)
SCALAR(ACTIVATION_RELIE, relie)
SCALAR(ACTIVATION_RAMP, ramp)
SCALAR(ACTIVATION_PLSE, plse)
SCALAR(ACTIVATION_STAIR, stair)
SCALAR(ACTIVATION_HARDTAN, hardtan)
SCALAR(ACTIVATION_LHTAN, lhtan)
SCALAR(ACTIVATION_LOGGY, loggy)
SCALAR(ACTIVATION_HARD_MISH, hard_mish)
SCALAR(ACTIVATION_GELU, gelu)

float (*layer_activation_function(activation_kind kind))(float) {
    static float (*const functions[ACTIVATION_COUNT])(float) = {
        [ACTIVATION_LINEAR] = linear, [ACTIVATION_RELU] = relu,         [ACTIVATION_RELU6] = relu6,
        [ACTIVATION_LEAKY] = leaky,   [ACTIVATION_LOGISTIC] = logistic, [ACTIVATION_TANH] = tangent,
        [ACTIVATION_SWISH] = swish,   [ACTIVATION_MISH] = mish,         [ACTIVATION_ELU] = elu,
        [ACTIVATION_SELU] = selu,     [ACTIVATION_RELIE] = relie,       [ACTIVATION_RAMP] = ramp,
        [ACTIVATION_PLSE] = plse,     [ACTIVATION_STAIR] = stair,       [ACTIVATION_HARDTAN] = hardtan,
        [ACTIVATION_LHTAN] = lhtan,   [ACTIVATION_LOGGY] = loggy,       [ACTIVATION_HARD_MISH] = hard_mish,
        [ACTIVATION_GELU] = gelu,
    };
    return kind < ACTIVATION_COUNT ? functions[kind] : NULL;
}
