/* Batch normalisation as coefficients: see normalization.h. The forms are those of the Darknet lines; the
 * exact one is the derivative of the (n-1)-divisor form. */
#include "layers/normalization.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

enum { ARRAYS = 10 };

void channel_tail_set_up(channel_tail *t, size_t channels, bool normalize, batch_norm_form form,
                         activation_kind activation) {
    *t = (channel_tail){.channels = channels, .normalize = normalize, .form = form, .activation = activation};
}

void channel_tail_add_parameters(const channel_tail *t, layer *l) {
    if (!t->normalize) return;
    layer_add_parameter(l, "scales", t->channels, true, false);
    layer_add_parameter(l, "rolling_mean", t->channels, false, false);
    layer_add_parameter(l, "rolling_variance", t->channels, false, false);
}

void channel_tail_initialize(const channel_tail *t, layer *l) {
    float *scales = layer_values(l, "scales");
    for (size_t k = 0; scales && k < t->channels; k++) scales[k] = 1.0f;
    l->fresh_statistics = t->normalize;
}

static size_t array_stride(const channel_tail *t) {
    return size_round_up(t->channels, MEMORY_ALIGNMENT / sizeof(float));
}

void channel_tail_plan(channel_tail *t, layer *l) {
    t->arrays = layer_request(l, array_stride(t) * ARRAYS * sizeof(float), BUFFER_PERMANENT);
}

/* The memory is the network's, known since it was placed. */
static void bind(channel_tail *t, const layer *l) {
    float **places[ARRAYS] = {&t->scale, &t->shift, &t->mean, &t->m2,     &t->deviation,
                              &t->a,     &t->b,     &t->c,    &t->sum_dz, &t->sum_dz_x};
    for (size_t i = 0; i < ARRAYS; i++)
        *places[i] = (float *)layer_buffer(l, t->arrays) + i * array_stride(t);
}

channel_moments channel_tail_moments(channel_tail *t, const layer *l) {
    bind(t, l);
    return (channel_moments){t->mean, t->m2};
}

channel_map channel_tail_map(channel_tail *t, layer *l, const pass *p, size_t pixels, const float *raw) {
    if (!t->normalize || !(p->training || p->batch_statistics)) return channel_tail_inference_map(t, l);
    channel_moments moments = channel_tail_moments(t, l);
    channel_moments_compute(pixels, t->channels, raw, &moments, p->workspace, p->threads);
    return channel_tail_training_map(t, l, pixels);
}

void batch_norm_epsilons(batch_norm_form form, float *inside, float *outside) {
    *inside = form == BATCH_NORM_ALEXEY ? 1e-5f : 0.0f;
    *outside = form == BATCH_NORM_ALEXEY ? 0.0f : 1e-6f;
}

void channel_tail_describe(const channel_tail *t, darknet_layer_info *info) {
    info->activation = activation_name(t->activation);
    info->activation_function = layer_activation_function(t->activation);
    info->batch_normalize = t->normalize;
    batch_norm_epsilons(t->form, &info->epsilon_inside, &info->epsilon_outside);
}

static channel_map bias_map(const channel_tail *t, const layer *l) {
    return (channel_map){.scale = NULL, .shift = layer_values(l, "biases"), .activation = t->activation};
}

/* scale and shift from t->mean and t->deviation (the whole denominator). */
static channel_map normalized_map(channel_tail *t, const layer *l) {
    const float *scales = layer_values(l, "scales"), *biases = layer_values(l, "biases");
    for (size_t k = 0; k < t->channels; k++) {
        t->scale[k] = scales[k] / t->deviation[k];
        t->shift[k] = (biases ? biases[k] : 0.0f) - t->mean[k] * t->scale[k];
    }
    return (channel_map){.scale = t->scale, .shift = t->shift, .activation = t->activation};
}

channel_map channel_tail_inference_map(channel_tail *t, const layer *l) {
    if (!t->normalize) return bias_map(t, l);
    float inside, outside;
    batch_norm_epsilons(t->form, &inside, &outside);
    const float *mean = layer_values(l, "rolling_mean"), *variance = layer_values(l, "rolling_variance");
    bind(t, l);
    for (size_t k = 0; k < t->channels; k++) {
        t->mean[k] = mean[k];
        t->deviation[k] = sqrtf(fmaxf(variance[k], 0.0f) + inside) + outside;
    }
    return normalized_map(t, l);
}

static float batch_variance(const channel_tail *t, size_t k, size_t pixels) {
    return pixels > 1 ? t->m2[k] / (float)(pixels - 1) : 0.0f;
}

channel_map channel_tail_training_map(channel_tail *t, layer *l, size_t pixels) {
    if (!t->normalize) return bias_map(t, l);
    float inside, outside;
    batch_norm_epsilons(t->form, &inside, &outside);
    layer *owner = l->shared ? l->shared : l;
    float keep = owner->fresh_statistics ? 0.0f : (t->form == BATCH_NORM_ALEXEY ? .9f : .99f);
    float *mean = layer_values(l, "rolling_mean"), *variance = layer_values(l, "rolling_variance");
    for (size_t k = 0; k < t->channels; k++) {
        float v = batch_variance(t, k, pixels);
        t->deviation[k] = sqrtf(v + inside) + outside;
        mean[k] = keep * mean[k] + (1.0f - keep) * t->mean[k];
        variance[k] = keep * variance[k] + (1.0f - keep) * v;
    }
    owner->fresh_statistics = false;
    return normalized_map(t, l);
}

/* dx = a*dz + b*x + c for one channel: A dz - (mean of A dz) - (x - mean) * slope, where slope carries the
 * variance's part. */
static void set_coefficients(channel_tail *t, size_t k, size_t pixels, float gamma) {
    double n = (double)pixels, sum = t->sum_dz[k], centered = t->sum_dz_x[k];
    double variance = batch_variance(t, k, pixels), a, slope, constant;
    if (t->form == BATCH_NORM_EXACT) {
        double root = sqrt(variance), whole = t->deviation[k];
        a = gamma / whole;
        slope = root > 0 && pixels > 1 ? gamma * centered / (whole * whole * root * (n - 1.0)) : 0.0;
        constant = -a * sum / n;
    } else {
        double inverse = 1.0 / sqrt(variance + 1e-5);
        a = gamma * inverse;
        slope = gamma * centered * inverse * inverse * inverse / n;
        constant = -gamma * sum * inverse / n;
    }
    t->a[k] = (float)a;
    t->b[k] = (float)-slope;
    t->c[k] = (float)(constant + slope * (double)t->mean[k]);
}

gradient_sums channel_tail_sums(channel_tail *t, const layer *l) {
    bool wanted = t->normalize || layer_gradient(l, "biases");
    bind(t, l);
    if (!wanted) return (gradient_sums){NULL, NULL, NULL};
    return (gradient_sums){t->normalize ? t->mean : NULL, t->sum_dz, t->sum_dz_x};
}

void channel_tail_backward(channel_tail *t, const layer *l, size_t pixels, lazy_gradient *g, void *workspace,
                           int threads) {
    float *biases = layer_gradient(l, "biases"), *scales = layer_gradient(l, "scales");
    g->a = g->b = g->c = NULL;
    if (!t->normalize && !biases) return;
    bind(t, l);
    if (!l->sums_made)
        lazy_gradient_reduce(pixels, t->channels, g, t->normalize ? t->mean : NULL, t->sum_dz,
                             t->normalize ? t->sum_dz_x : NULL, workspace, threads);
    for (size_t k = 0; k < t->channels && biases; k++) biases[k] += t->sum_dz[k];
    if (!t->normalize) return;
    for (size_t k = 0; k < t->channels && scales; k++) scales[k] += t->sum_dz_x[k] / t->deviation[k];
    const float *gamma = layer_values(l, "scales");
    for (size_t k = 0; k < t->channels; k++) set_coefficients(t, k, pixels, gamma[k]);
    g->a = t->a;
    g->b = t->b;
    g->c = t->c;
}
