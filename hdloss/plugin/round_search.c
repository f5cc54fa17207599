/* The search of `hd round -drop`: one price of divergence for the whole network, so that every layer gives up
 * answers for flips at the same rate (the Lagrangian of rate and distortion; Shoham and Gersho, "Efficient
 * bit allocation", IEEE Transactions on Acoustics, Speech and Signal Processing 36, 1988). Each price is
 * tried on the integer network with statistics estimated anew. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_round.h"

enum {
    BRACKET_TRIALS = 8,
    TREND_TRIALS = 4,
    FINAL_TRIALS = 6,
    MOST_TRIALS = BRACKET_TRIALS + TREND_TRIALS + FINAL_TRIALS
};

/* The first price is so many times the flips an image for a nat; the others are steps between prices. */
static const double FIRST_PRICE = 4.0, CHEAPER = 2.5, DEARER = 4.0, CLOSE = 1.1, A_LITTLE_DEARER = 1.2;

typedef struct trial {
    double mu, divergence; /* predicted, in nats an image */
    double drop, error;    /* points, and its standard error */
} trial;

/* One measurement is uncertain, and picking the luckiest would deceive: the drop that is believed is a
 * straight line in the divergence through all trials, by least squares in units of their standard errors. */
typedef struct search {
    rounding_run *run;
    trial trials[MOST_TRIALS];
    int count;
    double offset, slope; /* of the line */
} search;

static double least_error(const search *s) {
    return 100.0 / (double)s->run->accuracy.images;
}

static void fit(search *s) {
    double weight = 0.0, x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
    for (int i = 0; i < s->count; i++) {
        const trial *t = &s->trials[i];
        double w = 1.0 / (t->error * t->error + least_error(s) * least_error(s));
        weight += w;
        x += w * t->divergence;
        y += w * t->drop;
    }
    x /= weight;
    y /= weight;
    for (int i = 0; i < s->count; i++) {
        const trial *t = &s->trials[i];
        double w = 1.0 / (t->error * t->error + least_error(s) * least_error(s));
        xx += w * (t->divergence - x) * (t->divergence - x);
        xy += w * (t->divergence - x) * (t->drop - y);
    }
    s->slope = xx > 0.0 && xy > 0.0 ? xy / xx : 0.0;
    s->offset = y - s->slope * x;
}

/* Tells how a price did, unless standard output is the report's. */
static bool tell(const search *s, const trial *t, error *e) {
    const rounding_run *run = s->run;
    const char *json = run->settings->json;
    stream_figures now, before;
    int threads = network_threads(run->loaded->net);
    if (!weight_streams_measure(&run->loaded->streams, threads, NULL, &now, e) ||
        !weight_streams_measure(&run->before, threads, NULL, &before, e))
        return false;
    if (json && strcmp(json, "-") == 0) return true;
    printf(
        "price %.3g: %.3fx fewer flips an image, top-1 drop %.2f points, standard error %.2f; trend %.2f\n",
        t->mu, (double)before.flips.flips_per_image / fmax(1.0, (double)now.flips.flips_per_image), t->drop,
        t->error, s->offset + s->slope * t->divergence);
    (void)fflush(stdout);
    return true;
}

static bool try_price(search *s, double mu, error *e) {
    rounding_run *run = s->run;
    double divergence = 0.0;
    if (!rounding_job_solve(&run->job, mu, e) || !round_settle(run, e)) return false;
    for (size_t i = 0; i < run->job.streams->count; i++) divergence += run->job.divergences[i];
    run->mu = mu;
    trial *t = &s->trials[s->count++];
    *t = (trial){mu, divergence, run->accuracy.drop_points, run->accuracy.standard_error_points};
    fit(s);
    return tell(s, t, e);
}

/* The trial is within the points allowed, its standard error included. */
static bool is_within(const search *s, const trial *t) {
    return t->drop + t->error <= s->run->settings->target;
}

static bool nothing_moves(const rounding_run *run, bool *still, error *e) {
    hd_rounding total;
    if (!rounding_job_measure(&run->job, NULL, &total, e)) return false;
    *still = total.moved == 0;
    return true;
}

/* Flips an image at the costs of the job. */
static bool first_price(const rounding_run *run, double *mu, error *e) {
    double cost = 0.0;
    for (size_t i = 0; i < run->before.count; i++) {
        const hd_round_layer *rounded = &run->job.layers[i];
        hd_flips flips;
        hd_error h = {0};
        if (!hd_count_flips(&run->before.items[i].plan, run->before.items[i].words, run->job.threads, &flips,
                            &h))
            return from_hd(&h, e);
        for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
            cost += rounded->emphasis * rounded->bit_costs[bit] * (double)flips.operand_flips_by_bit[bit];
    }
    *mu = FIRST_PRICE * fmax(cost, 1.0);
    return true;
}

/* Prices that are too cheap and dear enough, each by its own measurement. */
static bool bracket(search *s, error *e) {
    double mu = 0.0;
    bool cheap = false, dear = false;
    if (!first_price(s->run, &mu, e)) return false;
    while (s->count < BRACKET_TRIALS && !(cheap && dear)) {
        bool still;
        if (!try_price(s, mu, e) || !nothing_moves(s->run, &still, e)) return false;
        bool within = is_within(s, &s->trials[s->count - 1]);
        if (!within && still) break;
        cheap = cheap || !within;
        dear = dear || within;
        mu = within ? mu / CHEAPER : mu * DEARER;
    }
    return dear ||
           error_set(
               e,
               "no rounding keeps the accuracy within %g points: at the dearest price tried it falls by %.2f "
               "points, standard error %.2f, on %zu images",
               s->run->settings->target, s->run->accuracy.drop_points, s->run->accuracy.standard_error_points,
               s->run->accuracy.images);
}

/* The price at which the divergence, between those tried, is `wanted`; both follow powers of each other. */
static double price_of(const search *s, double wanted) {
    const trial *below = NULL, *above = NULL; /* in divergence */
    for (int i = 0; i < s->count; i++) {
        const trial *t = &s->trials[i];
        if (t->divergence <= wanted && (!below || t->divergence > below->divergence)) below = t;
        if (t->divergence > wanted && (!above || t->divergence < above->divergence)) above = t;
    }
    if (!above) return below ? below->mu : s->trials[0].mu;
    if (!below || !(below->divergence > 0.0)) return above->mu * (below ? 1.0 : A_LITTLE_DEARER);
    double share = log(wanted / below->divergence) / log(above->divergence / below->divergence);
    return exp(log(below->mu) + share * (log(above->mu) - log(below->mu)));
}

/* Where the trend and a standard error meet the points allowed. */
static double price_by_trend(const search *s) {
    double standard_error = 0.0, dearest = 0.0;
    for (int i = 0; i < s->count; i++) {
        standard_error += s->trials[i].error / s->count;
        dearest = fmax(dearest, s->trials[i].mu);
    }
    double room = s->run->settings->target - standard_error - s->offset;
    if (s->slope <= 0.0) return dearest;
    return room > 0.0 ? price_of(s, room / s->slope) : dearest;
}

static bool follow_trend(search *s, error *e) {
    for (int i = 0; i < TREND_TRIALS; i++) {
        double mu = price_by_trend(s);
        for (int k = 0; k < s->count; k++)
            if (s->trials[k].mu < mu * CLOSE && mu < s->trials[k].mu * CLOSE) return true;
        if (!try_price(s, mu, e)) return false;
    }
    return true;
}

/* With all effort at paths, and no more than the points allowed by its own measurement either. */
static bool finish(search *s, error *e) {
    double mu = price_by_trend(s);
    s->run->job.quick = false;
    for (int i = 0; i < FINAL_TRIALS; i++, mu *= A_LITTLE_DEARER) {
        if (!try_price(s, mu, e)) return false;
        const trial *t = &s->trials[s->count - 1];
        if (t->drop <= s->run->settings->target) return true;
    }
    return error_set(e, "the accuracy does not stay within %g points at the prices that the trend promises",
                     s->run->settings->target);
}

bool round_to_drop(rounding_run *run, error *e) {
    search s = {.run = run};
    run->job.quick = true;
    return bracket(&s, e) && follow_trend(&s, e) && finish(&s, e);
}
