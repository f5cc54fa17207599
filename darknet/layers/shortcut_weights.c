/* Learned factors of a sum: see shortcut_weights.h. */
#include "layers/shortcut_weights.h"

#include <math.h>
#include <string.h>

static const float SMALLEST_FACTOR = 1e-3f, EPSILON = 1e-4f; /* of the normalised forms */

static fusion_norm read_norm(const cfg_section *s, diagnostics *d) {
    const char *name =
        section_string(s, "weights_normalization", section_string(s, "weights_normalizion", "none"));
    if (strcmp(name, "none") == 0) return FUSION_PLAIN;
    if (strcmp(name, "relu") == 0 || strcmp(name, "avg_relu") == 0) return FUSION_RELU;
    if (strcmp(name, "softmax") == 0) return FUSION_SOFTMAX;
    diagnostics_error(d, LAYER_AT "weights_normalization: \"%s\" is not one of none, relu, softmax",
                      section_path(s), section_key_line(s, "weights_normalization"), name);
    return FUSION_PLAIN;
}

void shortcut_weights_parse(shortcut_weights *w, layer *l, const cfg_section *s, diagnostics *d) {
    const char *type = section_string(s, "weights_type", "none");
    w->norm = read_norm(s, d);
    if (strcmp(type, "none") == 0) return;
    w->used = true;
    w->channels = strcmp(type, "per_channel") == 0 ? (size_t)l->out.channels : 1;
    if (w->channels == 1 && strcmp(type, "per_layer") != 0 && strcmp(type, "per_feature") != 0 &&
        strcmp(type, "per_channel") != 0)
        diagnostics_error(
            d, LAYER_AT "weights_type: \"%s\" is not one of none, per_layer, per_feature, per_channel",
            section_path(s), section_key_line(s, "weights_type"), type);
    for (int k = 1; k < l->input_count; k++) {
        tensor_shape shape = layer_input_shape(l, k);
        if (shape.height != l->in.height || shape.width != l->in.width)
            diagnostics_error(
                d,
                LAYER_AT
                "from: layer %d gives %dx%d, layer %d %dx%d: with weights_type both must be the same",
                section_path(s), section_key_line(s, "from"), l->inputs[k], shape.width, shape.height,
                l->inputs[0], l->in.width, l->in.height);
    }
    layer_add_parameter(l, "weights", layer_product((size_t)l->input_count, w->channels), true, true);
}

static size_t factor_count(const shortcut_weights *w, const layer *l) {
    return (size_t)l->input_count * w->channels;
}

void shortcut_weights_initialize(const shortcut_weights *w, layer *l) {
    float *weights = layer_values(l, "weights");
    for (size_t i = 0; w->used && i < factor_count(w, l); i++) weights[i] = 1.0f;
}

void shortcut_weights_plan(shortcut_weights *w, layer *l, size_t batch) {
    if (!w->used) return;
    w->factors = layer_request(l, factor_count(w, l) * sizeof(float), BUFFER_PERMANENT);
    w->gradients = layer_request(l, factor_count(w, l) * sizeof(float), BUFFER_PERMANENT);
    for (int k = 0; k < l->input_count; k++)
        layer_want_workspace(l, batch * tensor_size(layer_input_shape(l, k)) * sizeof(float));
}

static float positive_part(float weight) {
    return weight > SMALLEST_FACTOR ? weight : SMALLEST_FACTOR;
}

/* The factors of one channel over the layers, from its weights; stride between layers is w->channels. */
static void normalise(const shortcut_weights *w, int layers, const float *weights, float *factors) {
    float largest = -INFINITY, sum = EPSILON;
    for (int k = 0; k < layers; k++) largest = fmaxf(largest, weights[(size_t)k * w->channels]);
    for (int k = 0; k < layers; k++) {
        size_t i = (size_t)k * w->channels;
        factors[i] = w->norm == FUSION_RELU      ? positive_part(weights[i])
                     : w->norm == FUSION_SOFTMAX ? expf(weights[i] - largest)
                                                 : weights[i];
        sum += factors[i];
    }
    for (int k = 0; k < layers && w->norm != FUSION_PLAIN; k++) factors[(size_t)k * w->channels] /= sum;
}

/* From the factors' gradients to the weights', added. */
static void denormalise(const shortcut_weights *w, int layers, const float *weights, const float *factors,
                        const float *gradients, float *out) {
    float along = 0.0f, sum = EPSILON;
    for (int k = 0; k < layers; k++) {
        size_t i = (size_t)k * w->channels;
        along += gradients[i] * factors[i];
        sum += positive_part(weights[i]);
    }
    for (int k = 0; k < layers; k++) {
        size_t i = (size_t)k * w->channels;
        if (w->norm == FUSION_PLAIN)
            out[i] += gradients[i];
        else if (w->norm == FUSION_SOFTMAX)
            out[i] += factors[i] * (gradients[i] - along);
        else if (weights[i] > SMALLEST_FACTOR)
            out[i] += (gradients[i] - along) / sum;
    }
}

static size_t common_channels(const layer *l, int k) {
    int own = l->out.channels, other = layer_input_shape(l, k).channels;
    return (size_t)(other < own ? other : own);
}

/* Input k as plain values, in the workspace. */
static const float *stored_input(const layer *l, const pass *p, int k) {
    tensor_shape shape = layer_input_shape(l, k);
    lazy_tensor in = layer_input(l, p, k);
    lazy_tensor_store(p->batch * tensor_pixels(shape), (size_t)shape.channels, &in, p->workspace, p->threads);
    return p->workspace;
}

void shortcut_weights_forward(const shortcut_weights *w, layer *l, float *sum, const pass *p) {
    float *factors = layer_buffer(l, w->factors);
    const float *weights = layer_values(l, "weights");
    size_t pixels = p->batch * tensor_pixels(l->out), channels = (size_t)l->out.channels,
           step = w->channels > 1 ? 1 : 0;
    for (size_t c = 0; c < w->channels; c++) normalise(w, l->input_count, weights + c, factors + c);
    for (int k = 0; k < l->input_count; k++) {
        const float *in = stored_input(l, p, k), *factor = factors + (size_t)k * w->channels;
        size_t stride = (size_t)layer_input_shape(l, k).channels, common = common_channels(l, k);
#pragma omp parallel for num_threads(p->threads) schedule(static)
        for (size_t i = 0; i < pixels; i++)
            for (size_t c = 0; c < common; c++)
                sum[i * channels + c] =
                    (k ? sum[i * channels + c] : 0.0f) + factor[c * step] * in[i * stride + c];
    }
}

/* Sums over all pixels of delta * input, channel by channel or over the channels too. */
static void factor_gradients(const shortcut_weights *w, layer *l, const pass *p, int k, float *gradients) {
    const float *in = stored_input(l, p, k);
    size_t pixels = p->batch * tensor_pixels(l->out), channels = (size_t)l->out.channels;
    size_t stride = (size_t)layer_input_shape(l, k).channels, common = common_channels(l, k);
    double whole = 0.0;
    for (size_t c = 0; c < common; c++) {
        double sum = 0.0;
        for (size_t i = 0; i < pixels; i++)
            sum += (double)l->delta[i * channels + c] * (double)in[i * stride + c];
        if (w->channels > 1) gradients[c] = (float)sum;
        whole += sum;
    }
    for (size_t c = common; c < w->channels; c++) gradients[c] = 0.0f;
    if (w->channels == 1) gradients[0] = (float)whole;
}

static void push_delta(const shortcut_weights *w, const layer *l, const pass *p, int k) {
    float *target = layer_input_delta(l, k);
    if (!target) return;
    bool adds = layer_adds_delta(l, k);
    const float *factor = (const float *)layer_buffer(l, w->factors) + (size_t)k * w->channels;
    size_t pixels = p->batch * tensor_pixels(l->out), channels = (size_t)l->out.channels,
           step = w->channels > 1 ? 1 : 0;
    size_t stride = (size_t)layer_input_shape(l, k).channels, common = common_channels(l, k);
    if (!adds) memset(target, 0, pixels * stride * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < common; c++)
            target[i * stride + c] += factor[c * step] * l->delta[i * channels + c];
}

void shortcut_weights_backward(const shortcut_weights *w, layer *l, const pass *p) {
    float *factors = layer_buffer(l, w->factors), *gradients = layer_buffer(l, w->gradients),
          *out = layer_gradient(l, "weights");
    const float *weights = layer_values(l, "weights");
    for (int k = 0; k < l->input_count; k++) {
        if (out) factor_gradients(w, l, p, k, gradients + (size_t)k * w->channels);
        push_delta(w, l, p, k);
    }
    for (size_t c = 0; out && c < w->channels; c++)
        denormalise(w, l->input_count, weights + c, factors + c, gradients + c, out + c);
}
