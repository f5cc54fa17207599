/* Binary weights and inputs: see binary.h. */
#include "layers/binary.h"

#include <math.h>

void binary_parse(binary *b, size_t filters, size_t weights_per_filter, const cfg_section *s,
                  diagnostics *d) {
    bool weights = section_flag(s, "binary", false, d);
    b->input_used = section_flag(s, "xnor", false, d);
    b->weights_used = weights || b->input_used;
    b->filters = filters;
    b->weights_per_filter = weights_per_filter;
}

void binary_plan(binary *b, layer *l, size_t batch, bool training) {
    size_t bytes = batch * tensor_size(l->in) * sizeof(float);
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    if (b->weights_used)
        b->weights = layer_request(l, b->filters * b->weights_per_filter * sizeof(float), life);
    if (!b->input_used) return;
    b->signs = layer_request(l, bytes, life);
    b->input = training ? layer_request(l, bytes, life) : b->signs;
    if (training) b->delta = layer_request(l, bytes, life);
}

const float *binary_weights(const binary *b, const layer *l, const float *weights) {
    if (!b->weights_used) return weights;
    float *binarised = layer_buffer(l, b->weights);
    size_t count = b->weights_per_filter;
    for (size_t k = 0; k < b->filters; k++) {
        double sum = 0.0;
        for (size_t i = 0; i < count; i++) sum += fabs((double)weights[k * count + i]);
        float mean = (float)(sum / (double)count);
        for (size_t i = 0; i < count; i++)
            binarised[k * count + i] = weights[k * count + i] > 0.0f ? mean : -mean;
    }
    return binarised;
}

lazy_tensor binary_input(const binary *b, const layer *l, lazy_tensor in, const pass *p) {
    if (!b->input_used) return in;
    float *input = layer_buffer(l, b->input), *signs = layer_buffer(l, b->signs);
    lazy_tensor_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &in, input, p->threads);
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_size(l->in); i++) signs[i] = input[i] > 0.0f ? 1.0f : -1.0f;
    return (lazy_tensor){.data = signs};
}

lazy_tensor binary_signs(const binary *b, const layer *l, lazy_tensor in) {
    return b->input_used ? (lazy_tensor){.data = layer_buffer(l, b->signs)} : in;
}

void binary_backward(const binary *b, const layer *l, float *in_delta, bool adds, const pass *p) {
    const float *input = layer_buffer(l, b->input), *delta = layer_buffer(l, b->delta);
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < p->batch * tensor_size(l->in); i++)
        in_delta[i] = (adds ? in_delta[i] : 0.0f) + (input[i] > -1.0f && input[i] < 1.0f ? delta[i] : 0.0f);
}
