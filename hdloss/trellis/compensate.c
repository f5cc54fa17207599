/* Trellis rounding in which the lanes still to come make up for the errors of those before: the targets of a
 * filter's later weights move by what best cancels its errors so far in the output. Optimal brain surgeon's
 * update, taken column by column as by Frantar et al., "GPTQ", ICLR 2023 (arXiv 2210.17323); here a column is
 * a lane's stream through a tile and is rounded at once by Viterbi's algorithm. */
#include "rounding.h"

#include "trellis/chain.h"
#include "trellis/factor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DEAREST_ERROR = 1e20;

enum { LARGEST_AXIS = 4096 };

bool hd_can_compensate(const hd_plan *plan) {
    return plan->dataflow == HD_INPUT_STATIONARY && plan->lane_axis > 1 && plan->lane_axis <= LARGEST_AXIS;
}

/* One group's columns, in the order in which they are rounded. */
typedef struct columns {
    size_t *channels; /* [axis] */
    float *left, *combination, *work;
} columns;

typedef struct compensated {
    const hd_round_layer *layer;
    const hd_compensation *compensation;
    hd_chain_costs costs;
    columns columns;
    float *targets; /* [filters][positions][axis]: x, in the columns' order */
    int *held,
        *first;   /* [rows]: the pattern a lane holds, and its first one; HD_CHAIN_FREE before it has any */
    size_t *uses; /* [rows]: tiles that are still to stream on the lane */
    float *x, *errors; /* [steps] */
    uint8_t *patterns; /* [steps] */
    uint8_t *work;     /* [steps][HD_CHAIN_STATES] */
    double factor;     /* of an error, in the chain's units */
    double divergence;
} compensated;

static void columns_free(columns *c) {
    free(c->channels);
    free(c->left);
    free(c->combination);
    free(c->work);
}

static bool columns_create(columns *c, size_t axis) {
    c->channels = malloc(axis * sizeof *c->channels);
    c->left = calloc(axis, sizeof *c->left);
    c->combination = malloc(axis * axis * sizeof *c->combination);
    c->work = malloc(axis * axis * sizeof *c->work);
    return c->channels && c->left && c->combination && c->work;
}

static bool columns_set(columns *c, const hd_plan *plan, const hd_compensation *compensation, size_t group,
                        hd_error *error) {
    size_t axis = plan->lane_axis;
    for (size_t i = 0; i < axis; i++)
        c->channels[i] = plan->lane_channels ? plan->lane_channels[group * axis + i] : i;
    return hd_factor_moments(compensation->moments + group * axis * axis, c->channels, axis, c->left,
                             c->combination, c->work) ||
           hd_fail(error,
                   "the inputs' moments are not those of any activations: they must be finite and positive");
}

bool hd_compensated_importance(const hd_plan *plan, const hd_compensation *compensation, float *importance,
                               hd_error *error) {
    columns c = {0};
    size_t axis = plan->lane_axis, group_filters = plan->shape.filters / plan->groups;
    bool done =
        columns_create(&c, axis) || hd_fail(error, "out of memory for the moments of %zu channels", axis);
    for (size_t g = 0; done && g < plan->groups; g++) {
        done = columns_set(&c, plan, compensation, g, error);
        for (size_t f = g * group_filters; done && f < (g + 1) * group_filters; f++)
            for (size_t i = 0; i < axis; i++)
                for (size_t p = 0; p < plan->positions; p++)
                    importance[f * plan->filter_weights + c.channels[i] * plan->positions + p] =
                        compensation->row_importance[f] * c.left[i];
    }
    columns_free(&c);
    return done;
}

static void compensated_free(compensated *c) {
    columns_free(&c->columns);
    free(c->targets);
    free(c->held);
    free(c->first);
    free(c->uses);
    free(c->x);
    free(c->errors);
    free(c->patterns);
    free(c->work);
}

static bool compensated_create(compensated *c, hd_error *error) {
    const hd_plan *plan = c->layer->plan;
    size_t rows = hd_plan_array_lanes(plan), steps = plan->tile_steps;
    c->targets = malloc(plan->weights * sizeof *c->targets);
    c->held = malloc(rows * sizeof *c->held);
    c->first = malloc(rows * sizeof *c->first);
    c->uses = calloc(rows, sizeof *c->uses);
    c->x = calloc(steps, sizeof *c->x);
    c->errors = calloc(steps, sizeof *c->errors);
    c->patterns = calloc(steps, 1);
    c->work = malloc(steps * HD_CHAIN_STATES);
    if (!columns_create(&c->columns, plan->lane_axis) || !c->targets || !c->held || !c->first || !c->uses ||
        !c->x || !c->errors || !c->patterns || !c->work)
        return hd_fail(error, "out of memory for rounding %zu weights", plan->weights);
    for (size_t lane = 0; lane < rows; lane++) c->held[lane] = c->first[lane] = HD_CHAIN_FREE;
    for (size_t t = 0; t < plan->tiles; t++) {
        hd_tile tile = hd_plan_tile(plan, t);
        for (size_t row = 0; row < tile.rows; row++) c->uses[row]++;
    }
    return true;
}

static void fill_targets(compensated *c, size_t group) {
    const hd_round_layer *l = c->layer;
    const hd_plan *plan = l->plan;
    size_t axis = plan->lane_axis, group_filters = plan->shape.filters / plan->groups;
    for (size_t f = group * group_filters; f < (group + 1) * group_filters; f++)
        for (size_t p = 0; p < plan->positions; p++) {
            float *row = c->targets + (f * plan->positions + p) * axis;
            const float *weights = l->weights + f * plan->filter_weights + p;
            for (size_t i = 0; i < axis; i++)
                row[i] = weights[c->columns.channels[i] * plan->positions] / l->scales[f];
        }
}

/* Rounds the stream of one lane through a tile and moves the targets of the columns after it. */
static void round_column(compensated *c, hd_chain_function *solve, const hd_tile *tile, size_t row) {
    const hd_plan *plan = c->layer->plan;
    const hd_accelerator *a = &plan->accelerator;
    size_t column = tile->first_channel + row, axis = plan->lane_axis;
    const float *combination = c->columns.combination + column * axis;
    double left = (double)c->columns.left[column];
    for (size_t t = 0; t < tile->steps; t++) {
        size_t f = hd_plan_weight(plan, tile, t, row) / plan->filter_weights;
        double price = c->factor * (double)c->compensation->row_importance[f] * left;
        c->x[t] = c->targets[(f * plan->positions + tile->position) * axis + column];
        c->errors[t] = (float)(price < DEAREST_ERROR ? price : DEAREST_ERROR);
    }
    int after = --c->uses[row] == 0 ? c->first[row] : HD_CHAIN_FREE;
    solve(&c->costs, c->x, c->errors, NULL, tile->steps, c->held[row], after, c->work, c->patterns);
    c->held[row] = c->patterns[tile->steps - 1];
    if (c->first[row] == HD_CHAIN_FREE) c->first[row] = c->patterns[0];
    for (size_t t = 0; t < tile->steps; t++) {
        size_t weight = hd_plan_weight(plan, tile, t, row), f = weight / plan->filter_weights;
        int word = hd_decode_word(c->patterns[t], a->weight_bits, a->representation);
        float off = c->x[t] - (float)word,
              *targets = c->targets + (f * plan->positions + tile->position) * axis;
        c->layer->words[weight] = (int8_t)word;
        c->divergence += (double)c->compensation->row_importance[f] * left * (double)off * (double)off;
        for (size_t i = column + 1; i < axis; i++) targets[i] += off * combination[i];
    }
}

static bool check(const hd_round_layer *layer, const hd_compensation *compensation, double mu,
                  hd_error *error) {
    const hd_plan *plan = layer->plan;
    if (!hd_can_compensate(plan))
        return hd_fail(error, "compensated rounding is for input-stationary plans of 2 to %d channels",
                       LARGEST_AXIS);
    if (!(mu >= 0) || !isfinite(mu)) return hd_fail(error, "mu is %g: it must be a number of at least 0", mu);
    for (size_t f = 0; f < plan->shape.filters; f++)
        if (!(compensation->row_importance[f] >= 0) || !isfinite(compensation->row_importance[f]))
            return hd_fail(error, "the importance of filter %zu is %g: it must be finite and at least 0", f,
                           (double)compensation->row_importance[f]);
    return hd_round_layer_validate(layer, error);
}

bool hd_round_compensated(const hd_round_layer *layer, const hd_compensation *compensation, double mu,
                          double *divergence, hd_error *error) {
    const hd_plan *plan = layer->plan;
    compensated c = {.layer = layer, .compensation = compensation};
    if (!check(layer, compensation, mu, error)) return false;
    hd_chain_costs_init(&c.costs, &plan->accelerator, layer->bit_costs, 0);
    c.factor = mu / layer->emphasis * c.costs.unit;
    hd_chain_function *solve = hd_chain_best();
    bool done = compensated_create(&c, error);
    for (size_t t = 0; done && t < plan->tiles; t++) {
        hd_tile tile = hd_plan_tile(plan, t);
        if (tile.segment == 0 && tile.position == 0) {
            done = columns_set(&c.columns, plan, compensation, tile.group, error);
            if (done) fill_targets(&c, tile.group);
        }
        for (size_t row = 0; done && row < tile.rows; row++) round_column(&c, solve, &tile, row);
    }
    if (divergence) *divergence = c.divergence;
    compensated_free(&c);
    return done;
}
