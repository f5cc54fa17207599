/* How much an error of each weight matters, from the gradients that training computes anyway. Private to the
 * plug-in.
 *
 * An error e of a weight costs the loss about F e^2 / 2, where F, the diagonal of the Fisher information, is
 * the mean of the squared gradient over images (empirical Fisher information; a batch's summed gradient
 * squared is an estimate of it but for a factor that is the same everywhere). Squares are averaged over the
 * last hundred updates or so, and kept as sums over the rows and the columns of [filters][filter weights]
 * alone: F[f][k] ~ row[f] column[k] / all, which smooths their noise (Shazeer and Stern, "Adafactor", arXiv
 * 1804.04235). */
#ifndef HDLOSS_PLUGIN_GRADIENT_IMPORTANCE_H
#define HDLOSS_PLUGIN_GRADIENT_IMPORTANCE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gradient_importance {
    size_t filters, filter_weights;
    double *rows;    /* [filters] */
    double *columns; /* [filter_weights], in the same block */
} gradient_importance;

/* False without memory. */
bool gradient_importance_create(gradient_importance *g, size_t filters, size_t filter_weights);
void gradient_importance_free(gradient_importance *g); /* accepts a zeroed one */

/* Takes in one update's summed gradient, [filters][filter_weights]. */
void gradient_importance_add(gradient_importance *g, const float *gradient);

/* importance[filters][filter_weights] of a word's squared error, in words: F scale^2, none below a hundredth
 * of the layer's mean. False when there are no gradients yet. */
bool gradient_importance_of_words(const gradient_importance *g, const float *scales, float *importance);

/* The state in bytes, at g->rows. */
size_t gradient_importance_bytes(const gradient_importance *g);

#endif
