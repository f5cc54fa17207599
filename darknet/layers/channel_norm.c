/* Normalisation over a pixel's channels: see channel_norm.h. */
#include "layers/channel_norm.h"

#include <string.h>

static const float EPSILON = 1e-4f;

bool channel_norm_wanted(const cfg_section *s) {
    const char *name = section_string(s, "activation", "");
    return strcmp(name, CHANNEL_NORM_NAME) == 0;
}

void channel_norm_plan(channel_norm *n, layer *l, tensor_shape shape, size_t batch, bool training) {
    if (!n->used) return;
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    n->output = layer_request(l, batch * tensor_size(shape) * sizeof(float), life);
    n->sums = layer_request(l, batch * tensor_pixels(shape) * sizeof(float), life);
}

void channel_norm_forward(const channel_norm *n, layer *l, const lazy_tensor *in, tensor_shape shape,
                          const pass *p) {
    float *out = layer_buffer(l, n->output), *sums = layer_buffer(l, n->sums);
    size_t pixels = p->batch * tensor_pixels(shape), channels = (size_t)shape.channels;
    lazy_tensor_store(pixels, channels, in, out, p->threads);
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < pixels; i++) {
        float *y = out + i * channels, sum = EPSILON;
        for (size_t c = 0; c < channels; c++) sum += y[c] > 0.0f ? y[c] : 0.0f;
        for (size_t c = 0; c < channels; c++) y[c] = y[c] > 0.0f ? y[c] / sum : 0.0f;
        sums[i] = sum;
    }
    l->output = (lazy_tensor){.data = out};
}

/* dx[c] = (dy[c] - the sum of dy y) / sum where y[c] > 0 */
void channel_norm_backward(const channel_norm *n, const layer *l, float *delta, tensor_shape shape,
                           const pass *p) {
    const float *out = layer_buffer(l, n->output), *sums = layer_buffer(l, n->sums);
    size_t pixels = p->batch * tensor_pixels(shape), channels = (size_t)shape.channels;
#pragma omp parallel for num_threads(p->threads) schedule(static)
    for (size_t i = 0; i < pixels; i++) {
        const float *y = out + i * channels;
        float *d = delta + i * channels, along = 0.0f;
        for (size_t c = 0; c < channels; c++) along += d[c] * y[c];
        for (size_t c = 0; c < channels; c++) d[c] = y[c] > 0.0f ? (d[c] - along) / sums[i] : 0.0f;
    }
}
