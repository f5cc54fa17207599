/* Reordering and rounding in turn, and the price of an error that keeps a given signal-to-noise ratio. */
#include "rounding.h"

#include "trellis/chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_TURNS = 6, LARGEST_BISECTIONS = 40 };

static const double SMALLEST_GAIN = 1e-4, CHEAPEST = 1e-9, DEAREST = 1e9, SQNR_SLACK_DB = 0.05, NEAR = 1.2;

/* What hd_round_trellis minimises, recounted from the words. */
static bool recount(const hd_round_layer *layer, double mu, int threads, double *objective, hd_error *error) {
    hd_flips flips;
    hd_rounding rounding;
    if (!hd_count_flips(layer->plan, layer->words, threads, &flips, error) ||
        !hd_measure_rounding(layer, &rounding, error))
        return false;
    hd_chain_costs costs;
    double cost = 0;
    hd_chain_costs_init(&costs, &layer->plan->accelerator, layer->bit_costs, 0);
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
        cost += layer->bit_costs[bit] * (double)flips.operand_flips_by_bit[bit];
    if (costs.invert) cost = layer->bit_costs[0] * (double)flips.flips; /* on the wires */
    uint64_t sums = 0;
    if (layer->sum_cost > 0 && hd_sums_flow(layer->plan) &&
        !hd_count_sum_changes(layer->plan, layer->words, &sums, error))
        return false;
    cost += layer->sum_cost * (double)sums;
    *objective = layer->emphasis * cost + mu * rounding.weighted_noise;
    return true;
}

static bool round_and_recount(const hd_round_layer *layer, double mu, int threads, double *objective,
                              hd_error *error) {
    return hd_round_trellis(layer, 1, mu, threads, error) && recount(layer, mu, threads, objective, error);
}

/* A layer on its way: the best orders, lane channels (NULL while natural) and words so far, and room for
 * trials. */
typedef struct turns {
    const hd_round_layer *layer;
    double mu, objective;
    int threads;
    uint32_t *orders, *trial_orders;
    uint32_t *channels, *trial_channels;
    bool natural_channels;
    int8_t *words;
} turns;

static bool turns_create(turns *t, const hd_plan *plan, hd_error *error) {
    size_t entries = plan->order_count * plan->order_length, channels = plan->groups * plan->lane_axis;
    t->orders = malloc(entries * sizeof *t->orders);
    t->trial_orders = malloc(entries * sizeof *t->trial_orders);
    t->channels = malloc(channels * sizeof *t->channels);
    t->trial_channels = malloc(channels * sizeof *t->trial_channels);
    t->words = malloc(plan->weights);
    return (t->orders && t->trial_orders && t->channels && t->trial_channels && t->words) ||
           hd_fail(error, "out of memory for reordering %zu words", plan->weights);
}

static void turns_free(turns *t) {
    free(t->orders);
    free(t->trial_orders);
    free(t->channels);
    free(t->trial_channels);
    free(t->words);
}

/* Makes the plan's present state and words the best. */
static void keep(turns *t) {
    const hd_plan *plan = t->layer->plan;
    for (size_t i = 0; i < plan->order_count * plan->order_length; i++)
        t->orders[i] = plan->orders ? plan->orders[i] : (uint32_t)(i % plan->order_length);
    t->natural_channels = !plan->lane_channels;
    if (plan->lane_channels)
        memcpy(t->channels, plan->lane_channels, plan->groups * plan->lane_axis * sizeof *t->channels);
    memcpy(t->words, t->layer->words, plan->weights);
}

/* Rounds in the trial orders, and the trial lane channels if `cluster`; puts the best state back if that
 * costs more. gained: whether it cost less by more than a trifle. */
static bool try_turn(turns *t, bool cluster, bool *gained, hd_error *error) {
    hd_plan *plan = t->layer->plan;
    double now;
    if ((cluster && !hd_plan_set_lane_channels(plan, t->trial_channels, error)) ||
        !hd_plan_set_orders(plan, t->trial_orders, error) ||
        !round_and_recount(t->layer, t->mu, t->threads, &now, error))
        return false;
    *gained = now < t->objective * (1 - SMALLEST_GAIN);
    if (now < t->objective) {
        t->objective = now;
        keep(t);
        return true;
    }
    memcpy(t->layer->words, t->words, plan->weights);
    return hd_plan_set_lane_channels(plan, t->natural_channels ? NULL : t->channels, error) &&
           hd_plan_set_orders(plan, t->orders, error);
}

static bool alternate(turns *t, const hd_reorder_options *options, hd_error *error) {
    const hd_round_layer *layer = t->layer;
    hd_reorder_options flips = *options;
    bool gained;
    hd_whole_bit_costs(layer->bit_costs, flips.bit_costs);
    if (!round_and_recount(layer, t->mu, t->threads, &t->objective, error)) return false;
    keep(t);
    if (!hd_reorder_for_rounding(layer, t->mu, options, t->trial_orders, error) ||
        !try_turn(t, false, &gained, error))
        return false;
    if (options->choose_channels &&
        (!hd_cluster_for_rounding(layer, t->mu, options, t->trial_channels, t->trial_orders, error) ||
         !try_turn(t, true, &gained, error)))
        return false;
    /* From here on the paths start from good ones. */
    flips.path.kicks_per_point /= 4;
    for (int turn = 0; turn < LARGEST_TURNS; turn++) {
        if (!hd_reorder_segments(layer->plan, layer->words, &flips, t->trial_orders, error) ||
            !try_turn(t, false, &gained, error))
            return false;
        if (!gained) break;
    }
    return true;
}

bool hd_reorder_and_round(const hd_round_layer *layers, size_t count, double mu,
                          const hd_reorder_options *options, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    bool done = true;
    for (size_t i = 0; done && i < count; i++) {
        turns t = {.layer = &layers[i], .mu = mu, .threads = options->threads};
        done = turns_create(&t, layers[i].plan, error) && alternate(&t, options, error);
        turns_free(&t);
    }
    return done;
}

static bool sqnr_at(const hd_round_layer *layers, size_t count, double mu, int threads, double *sqnr_db,
                    hd_error *error) {
    hd_rounding total = {0};
    if (!hd_round_trellis(layers, count, mu, threads, error)) return false;
    for (size_t i = 0; i < count; i++) {
        hd_rounding one;
        if (!hd_measure_rounding(&layers[i], &one, error)) return false;
        hd_rounding_add(&total, &one);
    }
    *sqnr_db = total.sqnr_db;
    return true;
}

/* Halves the interval of log mu until the ratio is met closely; leaves the words of *mu. `guess` > 0 narrows
 * it first. */
static bool search(const hd_round_layer *layers, size_t count, double target, double guess, int threads,
                   double *mu, hd_error *error) {
    double low = log(CHEAPEST), high = log(DEAREST), sqnr = 0, words_of = NAN;
    if (guess > 0) {
        if (!sqnr_at(layers, count, guess * 2, threads, &sqnr, error)) return false;
        if (sqnr >= target) high = log(guess * 2);
        if (!sqnr_at(layers, count, guess / 2, threads, &sqnr, error)) return false;
        if (sqnr < target) low = log(guess / 2);
    }
    for (int i = 0; i < LARGEST_BISECTIONS && high - low > 1e-4; i++) {
        double middle = words_of = (low + high) / 2;
        if (!sqnr_at(layers, count, exp(middle), threads, &sqnr, error)) return false;
        if (sqnr >= target)
            high = middle;
        else
            low = middle;
        if (sqnr >= target && sqnr < target + SQNR_SLACK_DB) break;
    }
    *mu = exp(high);
    if (words_of != high && !sqnr_at(layers, count, *mu, threads, &sqnr, error)) return false;
    return sqnr >= target ||
           hd_fail(error, "an SQNR of %g dB cannot be kept: rounding to the nearest words gives %.2f dB",
                   target, sqnr);
}

bool hd_round_to_sqnr(const hd_round_layer *layers, size_t count, double sqnr_db,
                      const hd_reorder_options *options, int threads, double *mu, hd_error *error) {
    if (!isfinite(sqnr_db)) return hd_fail(error, "an SQNR of %g dB: it must be a number", sqnr_db);
    if (!search(layers, count, sqnr_db, 0, threads, mu, error)) return false;
    if (!options) return true;
    /* Better orders keep the ratio at another price, which again wants other orders. */
    for (int turn = 0; turn < 2; turn++) {
        double before = *mu;
        if (!hd_reorder_and_round(layers, count, before, options, error) ||
            !search(layers, count, sqnr_db, before, threads, mu, error))
            return false;
        if (*mu<before * NEAR && * mu * NEAR> before) break;
    }
    return true;
}
