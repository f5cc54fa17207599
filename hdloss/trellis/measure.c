/* What is rounded, checked, and what rounding cost: signal-to-noise ratio and how far words moved. */
#include "rounding.h"

#include <math.h>
#include <stdlib.h>

/* Of the cost of all bits' flips: what all sums of a step may cost. */
static const double MOST_SUMS = 1000;

bool hd_round_layer_validate(const hd_round_layer *layer, hd_error *error) {
    const hd_plan *plan = layer->plan;
    if (!(layer->emphasis > 0) || !isfinite(layer->emphasis))
        return hd_fail(error, "a layer's emphasis is %g: it must be a positive number", layer->emphasis);
    if (!(layer->sum_cost >= 0) || !isfinite(layer->sum_cost))
        return hd_fail(error, "a changed sum costs %g: it must be a number of at least 0", layer->sum_cost);
    double all = 0;
    for (int b = 0; b < plan->accelerator.weight_bits; b++) {
        if (!(layer->bit_costs[b] >= 0) || !isfinite(layer->bit_costs[b]))
            return hd_fail(error, "a flip of bit %d costs %g: it must be a number of at least 0", b,
                           layer->bit_costs[b]);
        all += layer->bit_costs[b];
    }
    if (!(all > 0) || !isfinite(all))
        return hd_fail(error, "flips cost nothing: at least one bit's cost must be positive");
    if (layer->sum_cost * plan->accelerator.rows > MOST_SUMS * all)
        return hd_fail(error, "a changed sum costs %g: on %d rows at most %g, so that flips still count",
                       layer->sum_cost, plan->accelerator.rows, MOST_SUMS * all / plan->accelerator.rows);
    for (size_t f = 0; f < plan->shape.filters; f++)
        if (!(layer->scales[f] > 0) || !isfinite(layer->scales[f]))
            return hd_fail(error, "the scale of filter %zu is %g: it must be a positive number", f,
                           (double)layer->scales[f]);
    for (size_t i = 0; i < plan->weights; i++) {
        if (!isfinite(layer->weights[i] / layer->scales[i / plan->filter_weights]))
            return hd_fail(error, "weight %zu is %g: it must be finite", i, (double)layer->weights[i]);
        if (layer->importance && (!(layer->importance[i] >= 0) || !isfinite(layer->importance[i])))
            return hd_fail(error, "the importance of weight %zu is %g: it must be finite and at least 0", i,
                           (double)layer->importance[i]);
    }
    return true;
}

static void derive(hd_rounding *r) {
    r->sqnr_db = 10 * log10(r->signal / r->noise);
}

bool hd_measure_rounding(const hd_round_layer *layer, hd_rounding *rounding, hd_error *error) {
    const hd_plan *plan = layer->plan;
    int largest = hd_largest_word(plan->accelerator.weight_bits);
    *rounding = (hd_rounding){.words = plan->weights};
    for (size_t i = 0; i < plan->weights; i++) {
        float x = layer->weights[i] / layer->scales[i / plan->filter_weights];
        if (!isfinite(x))
            return hd_fail(error, "weight %zu is %g: it must be finite", i, (double)layer->weights[i]);
        double nearest = fmax(-largest, fmin(largest, rint((double)x))), off = layer->words[i] - (double)x;
        unsigned move = (unsigned)fabs(nearest - layer->words[i]);
        rounding->signal += (double)x * (double)x;
        rounding->noise += off * off;
        rounding->weighted_noise += off * off * (double)(layer->importance ? layer->importance[i] : 1.0f);
        rounding->moved += move > 0;
        if (move > rounding->largest_move) rounding->largest_move = move;
    }
    derive(rounding);
    return true;
}

void hd_rounding_add(hd_rounding *total, const hd_rounding *layer) {
    total->signal += layer->signal;
    total->noise += layer->noise;
    total->weighted_noise += layer->weighted_noise;
    total->words += layer->words;
    total->moved += layer->moved;
    if (layer->largest_move > total->largest_move) total->largest_move = layer->largest_move;
    derive(total);
}
