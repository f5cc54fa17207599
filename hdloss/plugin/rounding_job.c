/* Rounding a network's weight streams, see rounding_job.h. */
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

enum { COMPENSATED_TURNS = 3 };

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
    job->divergences = calloc(s->count + 1, sizeof *job->divergences);
    if (!job->layers || !job->weights || !job->divergences) return error_set(e, "out of memory");
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
    free(job->divergences);
    job->divergences = NULL;
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

static const hd_compensation *compensation_of(const rounding_job *job, size_t i) {
    const importances *h = job->importance;
    return h && h->compensations && h->compensations[i].moments ? &h->compensations[i] : NULL;
}

static bool recount(const hd_round_layer *rounded, double mu, double divergence, double *objective,
                    hd_error *h) {
    hd_flips flips;
    if (!hd_count_flips(rounded->plan, rounded->words, 1, &flips, h)) return false;
    *objective = mu * divergence;
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
        *objective += rounded->emphasis * rounded->bit_costs[bit] * (double)flips.operand_flips_by_bit[bit];
    return true;
}

/* Room for one layer's orders before and after a turn, and its words before. */
typedef struct turn_space {
    uint32_t *orders, *kept;
    int8_t *words;
} turn_space;

/* Compensated words in the present orders, then in orders for these words, as long as that gains. */
static bool take_turns(const rounding_job *job, size_t i, double mu, const turn_space *space, hd_error *h) {
    const hd_round_layer *rounded = &job->layers[i];
    const hd_compensation *compensation = compensation_of(job, i);
    hd_plan *plan = rounded->plan;
    hd_reorder_options o = options_of(job);
    double best = 0.0, now = 0.0, divergence = 0.0;
    o.threads = 1;
    hd_whole_bit_costs(rounded->bit_costs, o.bit_costs);
    if (!hd_round_compensated(rounded, compensation, mu, &job->divergences[i], h) ||
        !recount(rounded, mu, job->divergences[i], &best, h))
        return false;
    for (int turn = 0; reorders(job) && turn < COMPENSATED_TURNS; turn++) {
        memcpy(space->words, rounded->words, plan->weights);
        memcpy(space->kept, plan->orders, plan->order_count * plan->order_length * sizeof *space->kept);
        if (!hd_reorder_segments(plan, rounded->words, &o, space->orders, h) ||
            !hd_plan_set_orders(plan, space->orders, h) ||
            !hd_round_compensated(rounded, compensation, mu, &divergence, h) ||
            !recount(rounded, mu, divergence, &now, h))
            return false;
        if (now >= best) {
            memcpy(rounded->words, space->words, plan->weights);
            return hd_plan_set_orders(plan, space->kept, h);
        }
        best = now;
        job->divergences[i] = divergence;
    }
    return true;
}

static bool compensate(const rounding_job *job, size_t i, double mu, hd_error *h) {
    const hd_plan *plan = job->layers[i].plan;
    size_t entries = plan->order_count * plan->order_length;
    turn_space space = {.orders = malloc(entries * sizeof *space.orders),
                        .kept = malloc(entries * sizeof *space.kept),
                        .words = malloc(plan->weights)};
    bool good = space.orders && space.kept && space.words ? take_turns(job, i, mu, &space, h)
                                                          : hd_fail(h, "out of memory");
    free(space.orders);
    free(space.kept);
    free(space.words);
    return good;
}

/* Of the words as rounded one by one. */
static bool plain_divergence(const rounding_job *job, size_t i, hd_error *h) {
    hd_rounding rounding;
    if (!hd_measure_rounding(&job->layers[i], &rounding, h)) return false;
    job->divergences[i] = rounding.weighted_noise;
    return true;
}

bool rounding_job_solve(rounding_job *job, double mu, error *e) {
    hd_error h = {0};
    hd_reorder_options o = options_of(job);
    size_t count = job->streams->count;
    bool good = reorders(job) ? hd_reorder_and_round(job->layers, count, mu, &o, &h)
                              : hd_round_trellis(job->layers, count, mu, job->threads, &h);
#pragma omp parallel for num_threads(job->threads) schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        hd_error own = {0};
        bool stop;
#pragma omp atomic read
        stop = good;
        if (!stop) continue;
        if (compensation_of(job, i) ? compensate(job, i, mu, &own) : plain_divergence(job, i, &own)) continue;
#pragma omp critical
        {
            good = false;
            h = own;
        }
    }
    return good || from_hd(&h, e);
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
