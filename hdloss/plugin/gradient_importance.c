/* See gradient_importance.h. */
#include <math.h>
#include <stdlib.h>

#include "gradient_importance.h"

static const double KEPT = .99, LEAST = .01; /* of an average from update to update; of the mean importance */

bool gradient_importance_create(gradient_importance *g, size_t filters, size_t filter_weights) {
    *g = (gradient_importance){.filters = filters, .filter_weights = filter_weights};
    g->rows = calloc(filters + filter_weights, sizeof *g->rows);
    g->columns = g->rows ? g->rows + filters : NULL;
    return g->rows != NULL;
}

void gradient_importance_free(gradient_importance *g) {
    free(g->rows);
    *g = (gradient_importance){0};
}

void gradient_importance_add(gradient_importance *g, const float *gradient) {
    for (size_t i = 0; i < g->filters + g->filter_weights; i++) g->rows[i] *= KEPT;
    for (size_t f = 0; f < g->filters; f++) {
        const float *row = gradient + f * g->filter_weights;
        double sum = 0.0;
        for (size_t k = 0; k < g->filter_weights; k++) {
            double square = (double)row[k] * (double)row[k];
            sum += square;
            g->columns[k] += (1.0 - KEPT) * square;
        }
        g->rows[f] += (1.0 - KEPT) * sum;
    }
}

bool gradient_importance_of_words(const gradient_importance *g, const float *scales, float *importance) {
    double all = 0.0, mean = 0.0;
    for (size_t f = 0; f < g->filters; f++) {
        all += g->rows[f];
        mean += g->rows[f] * (double)scales[f] * (double)scales[f];
    }
    mean /= (double)(g->filters * g->filter_weights);
    if (!(all > 0.0 && mean > 0.0) || !isfinite(mean)) return false;
    for (size_t f = 0; f < g->filters; f++) {
        double row = g->rows[f] / all * (double)scales[f] * (double)scales[f];
        for (size_t k = 0; k < g->filter_weights; k++)
            importance[f * g->filter_weights + k] = (float)fmax(LEAST * mean, row * g->columns[k]);
    }
    return true;
}

size_t gradient_importance_bytes(const gradient_importance *g) {
    return (g->filters + g->filter_weights) * sizeof *g->rows;
}
