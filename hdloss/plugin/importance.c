/* What an error of each word does to the network: how rounding weighs them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

/* Of the layer's mean power: a channel that was silent on the images seen may not be so on others. */
static const double FAINTEST = 1e-3;

void importances_free(importances *h) {
    for (size_t i = 0; h->values && i < h->count; i++) free(h->values[i]);
    for (size_t i = 0; h->compensations && i < h->count; i++) {
        free((void *)h->compensations[i].row_importance);
        free((void *)h->compensations[i].moments);
    }
    free(h->values);
    free(h->compensations);
    *h = (importances){0};
}

/* The filter's factor from accumulator to output. */
static double normalisation_factor(const hd_node *node, size_t filter) {
    if (!node->batch_normalize) return 1.0;
    double root = sqrt((double)node->rolling_variance[filter] + (double)node->epsilon_inside);
    return (double)node->scales[filter] / (root + (double)node->epsilon_outside);
}

static double mean_of(const float *values, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    return sum / (double)count;
}

/* power: [shape.channels], raised to the faintest. */
static void raise_power(float *power, size_t channels) {
    float least = (float)(FAINTEST * mean_of(power, channels));
    for (size_t c = 0; c < channels; c++) power[c] = fmaxf(power[c], least);
}

static void fill(const weight_stream *w, const hd_node *node, const float *power, float *h) {
    const hd_layer_shape *shape = &w->shape;
    size_t kernel = shape->size * shape->size, group_channels = shape->channels / shape->groups;
    size_t group_filters = shape->filters / shape->groups;
    for (size_t f = 0; f < shape->filters; f++) {
        double effect = (double)w->scales[f] * normalisation_factor(node, f);
        const float *lanes = power + f / group_filters * group_channels;
        for (size_t c = 0; c < group_channels; c++)
            for (size_t position = 0; position < kernel; position++)
                *h++ = (float)(effect * effect * (double)lanes[c]);
    }
}

/* To mean 1; a layer without any effect weighs all errors alike. */
static void normalise(float *h, size_t count) {
    double mean = mean_of(h, count);
    for (size_t i = 0; i < count; i++)
        h[i] = mean > 0.0 && isfinite(mean) ? (float)((double)h[i] / mean) : 1.0f;
}

bool squared_effects(network *net, const weight_streams *s, const network_view *view, image_source source,
                     void *user, size_t images, importances *h, error *e) {
    float **power = calloc(s->count + 1, sizeof *power);
    *h = (importances){.values = calloc(s->count + 1, sizeof *h->values), .count = s->count};
    if (!power || !h->values) {
        free(power);
        importances_free(h);
        return error_set(e, "out of memory");
    }
    bool good = measure_input_power(net, s, source, user, images, power, e);
    for (size_t i = 0; good && i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        h->values[i] = malloc(w->plan.weights * sizeof **h->values);
        if (!h->values[i]) {
            good = error_set(e, "out of memory");
            break;
        }
        raise_power(power[i], w->shape.channels);
        fill(w, &view->description.nodes[w->index], power[i], h->values[i]);
        normalise(h->values[i], w->plan.weights);
    }
    for (size_t i = 0; i < s->count; i++) free(power[i]);
    free(power);
    if (!good) importances_free(h);
    return good;
}
