/* Words in the forward pass: a network trained through trellis-rounded words. Private to the plug-in.
 *
 * Every few updates each layer's float weights are rounded by the trellis in the order in which they are
 * streamed. Until the next time the forward and backward passes use the floats plus the error that this
 * rounding made: the words themselves at first, then words that move with their floats, so that no step is
 * taken twice on a gradient of the same place. The gradient passes straight through to the floats (Bengio,
 * Leonard and Courville, arXiv 1308.3432). What the trellis minimises is
 *
 *     energy of the flips / energy of random words  +  mu * mean over layers of noise / signal,
 *
 * so mu has no unit and means the same in every network; noise and signal are the sums of (q - w/scale)^2 and
 * (w/scale)^2. By gradients, once sixteen of them were seen and every layer had some, it is mu * noise /
 * signal of the whole network instead, each square times its importance (gradient_importance.h): layers,
 * filters and inputs that the answers hang on keep their words, and flips are saved where errors do little.
 */
#ifndef HDLOSS_PLUGIN_TRAINED_WORDS_H
#define HDLOSS_PLUGIN_TRAINED_WORDS_H

#include "gradient_importance.h"
#include "internal.h"
#include "rounding.h"

typedef struct trained_layer {
    layer *layer;
    hd_plan *plan; /* with the orders that are followed; borrowed */
    double bit_costs[HD_MAXIMUM_BITS], emphasis;
    size_t filters, filter_weights;
    int8_t *words; /* [plan->weights] */
    float *scales; /* [filters] */
    float *errors; /* [plan->weights]: scale * word - the float weight that was rounded */
    gradient_importance gradients;
    float *importance; /* [plan->weights] of the words' errors; in use when the whole's are */
    double signal;     /* sum of (importance) (w / scale)^2 at the last rounding */
} trained_layer;

typedef struct trained_words {
    trained_layer *layers;
    size_t count;
    double sum_cost;    /* of a partial sum that changes */
    double random_cost; /* of all layers for one image, were their words random */
    int64_t age;        /* updates since the words were made; -1: there are none yet */
    bool by_gradients;
    int64_t gradients_seen; /* updates */
} trained_words;

/* For the layers of streams, which must outlive it. by_energy: flips cost what the table says, else 1 each.
 * by_gradients: errors cost by their importance. */
trained_words *trained_words_create(const weight_streams *streams, bool by_energy, bool by_gradients,
                                    double sum_cost, error *e);
void trained_words_destroy(trained_words *t); /* accepts NULL */

/* The network's passes use the words from here on (there must be some). */
bool trained_words_attach(trained_words *t, error *e);
/* New words from the present float weights. reorder: segment orders are solved for them first. */
bool trained_words_solve(trained_words *t, double mu, bool reorder, int threads, error *e);
/* Takes in an update's gradients; nothing where errors are not weighed by them. */
void trained_words_watch(trained_words *t);
/* Adds the negative gradient of pull / 2 * sum of (w - scale * word)^2 for so many images. */
void trained_words_pull(const trained_words *t, double pull, size_t images);

/* Words and scales, or orders, into streams of the same network's layers. */
void trained_words_give(const trained_words *t, weight_streams *streams);
bool trained_words_give_orders(const trained_words *t, weight_streams *streams, error *e);

/* Words, scales, errors, gradients and age, for a run's state. */
size_t trained_words_bytes(const trained_words *t);
void trained_words_save(const trained_words *t, char *to);
void trained_words_load(trained_words *t, const char *from);

#endif
