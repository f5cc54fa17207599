/* Reordering and rounding in turn, and the price of an error that keeps a given signal-to-noise ratio. */
#include "rounding.h"

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
    double cost = 0;
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
        cost += layer->bit_costs[bit] * (double)flips.operand_flips_by_bit[bit];
    *objective = layer->emphasis * cost + mu * rounding.weighted_noise;
    return true;
}

static bool round_and_recount(const hd_round_layer *layer, double mu, int threads, double *objective,
                              hd_error *error) {
    return hd_round_trellis(layer, 1, mu, threads, error) && recount(layer, mu, threads, objective, error);
}

/* The orders a layer has now, or the natural ones, written out. */
static void present_orders(const hd_plan *plan, uint32_t *orders) {
    for (size_t i = 0; i < plan->order_count * plan->order_length; i++)
        orders[i] = plan->orders ? plan->orders[i] : (uint32_t)(i % plan->order_length);
}

/* Takes the trial orders if rounding in them costs less, else puts the old orders and words back. */
static bool try_orders(const hd_round_layer *layer, double mu, int threads, const uint32_t *trial,
                       uint32_t *kept_orders, int8_t *kept_words, double *objective, bool *gained,
                       hd_error *error) {
    hd_plan *plan = layer->plan;
    double now;
    if (!hd_plan_set_orders(plan, trial, error) || !round_and_recount(layer, mu, threads, &now, error))
        return false;
    *gained = now < *objective * (1 - SMALLEST_GAIN);
    if (now < *objective) {
        *objective = now;
        memcpy(kept_orders, trial, plan->order_count * plan->order_length * sizeof *trial);
        memcpy(kept_words, layer->words, plan->weights);
        return true;
    }
    memcpy(layer->words, kept_words, plan->weights);
    return hd_plan_set_orders(plan, kept_orders, error);
}

static bool alternate(const hd_round_layer *layer, double mu, const hd_reorder_options *options,
                      uint32_t *trial, uint32_t *kept_orders, int8_t *kept_words, hd_error *error) {
    hd_plan *plan = layer->plan;
    hd_reorder_options flips = *options;
    double objective;
    bool gained;
    hd_whole_bit_costs(layer->bit_costs, flips.bit_costs);
    present_orders(plan, kept_orders);
    if (!round_and_recount(layer, mu, options->threads, &objective, error)) return false;
    memcpy(kept_words, layer->words, plan->weights);
    if (!hd_reorder_for_rounding(layer, mu, options, trial, error) ||
        !try_orders(layer, mu, options->threads, trial, kept_orders, kept_words, &objective, &gained, error))
        return false;
    /* From here on the paths start from good ones. */
    flips.path.kicks_per_point /= 4;
    for (int turn = 0; turn < LARGEST_TURNS; turn++) {
        if (!hd_reorder_segments(plan, layer->words, &flips, trial, error) ||
            !try_orders(layer, mu, options->threads, trial, kept_orders, kept_words, &objective, &gained,
                        error))
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
        const hd_plan *plan = layers[i].plan;
        size_t entries = plan->order_count * plan->order_length;
        uint32_t *trial = malloc(entries * sizeof *trial),
                 *kept_orders = malloc(entries * sizeof *kept_orders);
        int8_t *kept_words = malloc(plan->weights);
        done = trial && kept_orders && kept_words;
        if (done)
            done = alternate(&layers[i], mu, options, trial, kept_orders, kept_words, error);
        else
            hd_fail(error, "out of memory for reordering %zu words", plan->weights);
        free(trial);
        free(kept_orders);
        free(kept_words);
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
