/* What rounding cost: signal-to-noise ratio and how far words moved. */
#include "rounding.h"

#include <math.h>
#include <stdlib.h>

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
