/* Rounding a network's weight streams, see rounding_job.h. */
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

static size_t all_weights(const weight_streams *s) {
    size_t total = 0;
    for (size_t i = 0; i < s->count; i++) total += s->items[i].plan.weights;
    return total;
}

/* In parts of the mean over the word's bits, so that mu means the same with every table. */
static bool fill_costs(const rounding_job *job, const weight_stream *w, double costs[HD_MAXIMUM_BITS],
                       error *e) {
    hd_error h = {0};
    double sum = 0.0;
    if (!hd_bit_costs(job->by_energy ? &job->streams->model.table : NULL, &w->plan, costs, &h))
        return from_hd(&h, e);
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) sum += costs[bit];
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
        costs[bit] *= (double)w->plan.accelerator.weight_bits / sum;
    return true;
}

bool rounding_job_begin(rounding_job *job, error *e) {
    weight_streams *s = job->streams;
    job->layers = calloc(s->count + 1, sizeof *job->layers);
    job->weights = malloc((all_weights(s) + 1) * sizeof *job->weights);
    if (!job->layers || !job->weights) return error_set(e, "out of memory");
    float *place = job->weights;
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        darknet_parameter weights;
        (void)layer_get_parameter(w->layer, "weights", &weights);
        memcpy(place, weights.values, w->plan.weights * sizeof *place);
        job->layers[i] = (hd_round_layer){.plan = &w->plan,
                                          .weights = place,
                                          .scales = w->scales,
                                          .importance = job->importance ? job->importance->values[i] : NULL,
                                          .emphasis = job->by_passes ? (double)w->plan.image_passes : 1.0,
                                          .words = w->words};
        place += w->plan.weights;
        if (!fill_costs(job, w, job->layers[i].bit_costs, e)) return false;
    }
    return true;
}

void rounding_job_end(rounding_job *job) {
    free(job->layers);
    free(job->weights);
    job->layers = NULL;
    job->weights = NULL;
}

static bool reorders(const rounding_job *job) {
    return job->method == ORDER_SEGMENT || job->method == ORDER_CLUSTER;
}

static hd_reorder_options options_of(const rounding_job *job) {
    hd_reorder_options o = hd_reorder_defaults();
    o.threads = job->threads;
    o.choose_channels = job->method == ORDER_CLUSTER;
    if (job->quick) o.path.kicks_per_point = 0;
    return o;
}

bool rounding_job_round(rounding_job *job, double mu, error *e) {
    hd_error h = {0};
    return hd_round_trellis(job->layers, job->streams->count, mu, job->threads, &h) || from_hd(&h, e);
}

bool rounding_job_solve(rounding_job *job, double mu, error *e) {
    hd_error h = {0};
    hd_reorder_options o = options_of(job);
    if (!reorders(job)) return rounding_job_round(job, mu, e);
    return hd_reorder_and_round(job->layers, job->streams->count, mu, &o, &h) || from_hd(&h, e);
}

bool rounding_job_to_sqnr(rounding_job *job, double sqnr_db, double *mu, error *e) {
    hd_error h = {0};
    hd_reorder_options o = options_of(job);
    return hd_round_to_sqnr(job->layers, job->streams->count, sqnr_db, reorders(job) ? &o : NULL,
                            job->threads, mu, &h) ||
           from_hd(&h, e);
}

bool rounding_job_measure(const rounding_job *job, hd_rounding *each, hd_rounding *total, error *e) {
    *total = (hd_rounding){0};
    for (size_t i = 0; i < job->streams->count; i++) {
        hd_rounding one;
        hd_error h = {0};
        if (!hd_measure_rounding(&job->layers[i], &one, &h)) return from_hd(&h, e);
        hd_rounding_add(total, &one);
        if (each) each[i] = one;
    }
    return true;
}
