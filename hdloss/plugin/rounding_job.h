/* Rounding a network's weight streams: what `hd round` and the checkpoint hook share. Private to the plug-in.
 */
#ifndef HDLOSS_PLUGIN_ROUNDING_JOB_H
#define HDLOSS_PLUGIN_ROUNDING_JOB_H

#include "internal.h"
#include "rounding.h"

/* ---- order_method.c: which orders a network's streams get ---- */
typedef enum order_method {
    ORDER_NATURAL,
    ORDER_DIRECT, /* folded into the weights: the streams stay natural */
    ORDER_SEGMENT,
    ORDER_CLUSTER,
    ORDER_METHOD_COUNT
} order_method;
const char *order_method_name(order_method method);
/* The sentence lists the names. */
bool order_method_parse(const char *name, order_method *method, error *e);

/* Permutes the network's parameters by direct reordering. quick leaves out the perturbation. */
bool fold_direct(network *net, const network_view *view, const array_model *model, bool quick, error *e);

/* ---- importance.c: what an error of each word does to the network ---- */
typedef struct importances {
    float **values; /* a stream: [plan.weights], malloc'ed */
    hd_compensation
        *compensations; /* a stream: its arrays malloc'ed, NULL where errors are not compensated; or NULL */
    size_t count;
} importances;
void importances_free(importances *h);
/* The squared effect of a word's error on its layer's output: (scale x batch-norm factor)^2 x mean square of
 * the lane's activations, normalised to mean 1 over each layer. The network must hold the statistics that
 * belong to its weights. */
bool squared_effects(network *net, const weight_streams *s, const network_view *view, image_source source,
                     void *user, size_t images, importances *h, error *e);

/* ---- input_moments.c ---- */
/* moments[i] for hd_compensation, malloc'ed; NULL for streams that cannot be compensated. What is allocated
 * is the caller's after a failure too. */
bool measure_input_moments(network *net, const weight_streams *s, const network_view *view,
                           image_source source, void *user, size_t images, float **moments, error *e);

/* ---- fisher.c ---- */
/* The divergence in nats of the network's answers for one image that a word's squared error brings, about.
 * The last layer must be a softmax with a loss. */
bool fisher_information(network *net, const weight_streams *s, const network_view *view, image_source source,
                        void *user, size_t images, importances *h, error *e);

/* ---- rounding_job.c ---- */
typedef struct rounding_job {
    weight_streams *streams;       /* words, and the plans' orders, are written */
    const importances *importance; /* NULL: ones */
    order_method method;
    bool by_energy; /* flips cost what the energy table says, in parts of their mean; else ones */
    bool by_passes; /* a layer's flips count as often as an image streams them */
    int threads;
    bool quick; /* no perturbation in the path solver */

    hd_round_layer *layers; /* [streams->count] */
    double *divergences;    /* [streams->count]: of the words, in the importance's units */
    float *weights;         /* copies of the network's weights that are rounded, layer after layer */
} rounding_job;

/* The caller has set all above `layers`. Copies the network's present weights. */
bool rounding_job_begin(rounding_job *job, error *e);
void rounding_job_end(rounding_job *job);
/* Rounds every layer at this price of an error, in new orders where the method has any. */
bool rounding_job_solve(rounding_job *job, double mu, error *e);
/* The price that keeps this SQNR, and the words and orders of it. */
bool rounding_job_to_sqnr(rounding_job *job, double sqnr_db, double *mu, error *e);
/* The errors of the words as they are; each: [count] or NULL. */
bool rounding_job_measure(const rounding_job *job, hd_rounding *each, hd_rounding *total, error *e);

#endif
