/* Trellis rounding of layers: the chains of words that lanes see, tile after tile, and their seams. */
#include "rounding.h"

#include "trellis/chain.h"
#include "trellis/sums.h"
#include "words/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Beyond any price for flips, and its products with squared errors stay finite. */
static const double DEAREST_ERROR = 1e20;

/* SWEEPS: over a layer's lanes while they share partial sums. */
enum { LONGEST_PIECE = 65536, SEAM = 64, SWEEPS = 3 };

/* The weights that one layer's lanes see, lane after lane, in the order in which they stream. */
typedef struct lanes {
    size_t count;
    size_t *first;   /* [count + 1] */
    size_t *weights; /* [plan->weights] */
    size_t *steps;   /* [plan->weights]: of the pass */
    hd_chain_costs costs;
} lanes;

typedef struct chain {
    const hd_round_layer *layer;
    const hd_chain_costs *costs;
    const size_t *weights, *steps;
    size_t length;
    double mu;
    float *x, *errors; /* [length] */
    uint32_t *changes; /* [length + 1] */
    bool with_changes; /* whether changes of words are charged */
    uint8_t *patterns; /* [length] */
    uint8_t *work;
} chain;

hd_chain_function *hd_chain_best(void) {
#if defined(__x86_64__)
    switch (hd_isa_best()) {
    case HD_ISA_AVX512:
        return hd_chain_avx512;
    case HD_ISA_AVX2:
        return hd_chain_avx2;
    case HD_ISA_PORTABLE:
        break;
    }
#endif
    return hd_chain_portable;
}

void hd_chain_costs_init(hd_chain_costs *costs, const hd_accelerator *accelerator,
                         const double bit_costs[HD_MAXIMUM_BITS], double largest_change) {
    *costs = (hd_chain_costs){.bits = accelerator->weight_bits};
    double sum = 0;
    for (int b = 0; b < costs->bits; b++) sum += bit_costs[b];
    costs->unit = HD_CHAIN_FLIPS_LIMIT / (sum + largest_change);
    costs->largest_change = (uint32_t)floor(largest_change * costs->unit) << 8;
    costs->largest_word = (float)hd_largest_word(costs->bits);
    for (int b = 0; b < costs->bits; b++) {
        uint32_t whole = (uint32_t)floor(bit_costs[b] * costs->unit);
        costs->flips[b] = whole << 8 | UINT32_C(1) << b;
        costs->all_flips += whole << 8;
    }
    bool equal = accelerator->encoding == HD_BUS_INVERT;
    for (int b = 1; b < costs->bits; b++) equal = equal && bit_costs[b] == bit_costs[0];
    if (equal) costs->invert = costs->flips[0] & ~UINT32_C(0xff);
    for (unsigned pattern = 0; pattern < 1u << costs->bits; pattern++)
        costs->values[pattern] =
            (float)hd_decode_word((uint8_t)pattern, costs->bits, accelerator->representation);
    /* The sign bit alone is -2^(bits - 1) in two's complement and the negative zero in sign-magnitude. No
     * weight is anywhere near its stand-in. */
    costs->values[1u << (costs->bits - 1)] = 1e6f;
    costs->barriers[1u << (costs->bits - 1)] = (uint32_t)HD_CHAIN_FORBIDDEN << 8;
}

static void lanes_free(lanes *l) {
    free(l->first);
    free(l->weights);
    free(l->steps);
    *l = (lanes){0};
}

static bool lanes_find(const hd_plan *plan, lanes *l, hd_error *error) {
    l->count = hd_plan_array_lanes(plan);
    l->first = calloc(l->count + 1, sizeof *l->first);
    l->weights = malloc(plan->weights * sizeof *l->weights);
    l->steps = malloc(plan->weights * sizeof *l->steps);
    size_t *at = malloc((l->count + 1) * sizeof *at);
    if (!l->first || !l->weights || !l->steps || !at) {
        free(at);
        lanes_free(l);
        return hd_fail(error, "out of memory for the lanes of %zu weights", plan->weights);
    }
    for (size_t i = 0; i < plan->tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        for (size_t used = 0; used < tile.lanes; used++)
            l->first[hd_plan_lane(plan, &tile, used) + 1] += tile.steps;
    }
    for (size_t lane = 0; lane < l->count; lane++) l->first[lane + 1] += l->first[lane];
    memcpy(at, l->first, (l->count + 1) * sizeof *at);
    for (size_t i = 0; i < plan->tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        for (size_t used = 0; used < tile.lanes; used++) {
            size_t lane = hd_plan_lane(plan, &tile, used);
            for (size_t t = 0; t < tile.steps; t++) {
                l->steps[at[lane]] = i * plan->tile_steps + t;
                l->weights[at[lane]++] = hd_plan_weight(plan, &tile, t, used);
            }
        }
    }
    free(at);
    return true;
}

static void gather(chain *c) {
    const hd_round_layer *layer = c->layer;
    size_t filter_weights = layer->plan->filter_weights;
    double factor = c->mu / layer->emphasis * c->costs->unit;
    for (size_t t = 0; t < c->length; t++) {
        size_t weight = c->weights[t];
        double error = factor * (double)(layer->importance ? layer->importance[weight] : 1.0f);
        c->x[t] = layer->weights[weight] / layer->scales[weight / filter_weights];
        c->errors[t] = (float)(error < DEAREST_ERROR ? error : DEAREST_ERROR);
    }
}

/* Solves `count` words from place `first` on, round the ring, between the words that stand beside them. */
static void solve_window(chain *c, hd_chain_function *solve, size_t first, size_t count) {
    float x[2 * SEAM], errors[2 * SEAM];
    uint32_t changes[2 * SEAM + 1];
    uint8_t patterns[2 * SEAM];
    size_t n = c->length;
    for (size_t i = 0; i < count; i++) {
        x[i] = c->x[(first + i) % n];
        errors[i] = c->errors[(first + i) % n];
    }
    for (size_t i = 0; c->with_changes && i <= count; i++) changes[i] = c->changes[(first + i) % n];
    solve(c->costs, x, errors, c->with_changes ? changes : NULL, count, c->patterns[(first + n - 1) % n],
          c->patterns[(first + count) % n], c->work, patterns);
    for (size_t i = 0; i < count; i++) c->patterns[(first + i) % n] = patterns[i];
}

static void solve_chain(chain *c) {
    hd_chain_function *solve = hd_chain_best();
    gather(c);
    for (size_t first = 0; first < c->length; first += LONGEST_PIECE) {
        size_t left = c->length - first, count = left < LONGEST_PIECE ? left : LONGEST_PIECE;
        solve(c->costs, c->x + first, c->errors + first, c->with_changes ? c->changes + first : NULL, count,
              HD_CHAIN_FREE, HD_CHAIN_FREE, c->work, c->patterns + first);
    }
    for (size_t seam = LONGEST_PIECE; seam + SEAM < c->length; seam += LONGEST_PIECE)
        solve_window(c, solve, seam - SEAM, 2 * SEAM);
    if (c->length > 2 * SEAM)
        solve_window(c, solve, c->length - SEAM, 2 * SEAM);
    else if (c->length > 1)
        for (size_t held = c->length / 2, turn = 0; turn < 2; turn++, held = 0) /* all but one word */
            solve_window(c, solve, held + 1, c->length - 1);
}

/* Work space for the longest lane that a thread may meet. */
static size_t longest_lane(const lanes *l, size_t count) {
    size_t longest = 2 * SEAM;
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < l[i].count; lane++)
            if (l[i].first[lane + 1] - l[i].first[lane] > longest)
                longest = l[i].first[lane + 1] - l[i].first[lane];
    return longest;
}

static bool chain_create(chain *c, size_t longest) {
    c->x = malloc(longest * sizeof *c->x);
    c->errors = malloc(longest * sizeof *c->errors);
    c->changes = calloc(longest + 1, sizeof *c->changes);
    c->patterns = malloc(longest);
    c->work = malloc((longest < LONGEST_PIECE ? longest : LONGEST_PIECE) * HD_CHAIN_STATES);
    return c->x && c->errors && c->changes && c->patterns && c->work;
}

static void chain_free(chain *c) {
    free(c->x);
    free(c->errors);
    free(c->changes);
    free(c->patterns);
    free(c->work);
}

static void round_lane(chain *c, const hd_round_layer *layer, const lanes *l, size_t lane) {
    const hd_accelerator *accelerator = &layer->plan->accelerator;
    c->layer = layer;
    c->costs = &l->costs;
    c->weights = l->weights + l->first[lane];
    c->steps = l->steps + l->first[lane];
    c->length = l->first[lane + 1] - l->first[lane];
    if (c->length == 0) return;
    solve_chain(c);
    for (size_t t = 0; t < c->length; t++)
        layer->words[c->weights[t]] =
            (int8_t)hd_decode_word(c->patterns[t], accelerator->weight_bits, accelerator->representation);
}

/* ---- lanes that share partial sums ---- */
static bool has_sums(const hd_round_layer *layer) {
    return layer->sum_cost > 0 && hd_sums_flow(layer->plan);
}

static void price_changes(chain *c, const lanes *l, const hd_sums *sums, size_t row) {
    const size_t *steps = l->steps + l->first[row];
    size_t length = l->first[row + 1] - l->first[row], tile_steps = c->layer->plan->tile_steps;
    for (size_t t = 0; t < length; t++) {
        double more = steps[t] % tile_steps == 0 ? 0 : (double)hd_sums_more(sums, steps[t], row);
        c->changes[t] = (uint32_t)floor(more * c->layer->sum_cost * l->costs.unit) << 8;
    }
    c->changes[length] = c->changes[0];
}

static void note_changes(const chain *c, hd_sums *sums, size_t row) {
    size_t tile_steps = c->layer->plan->tile_steps;
    for (size_t t = 1; t < c->length; t++)
        sums->changed[c->steps[t] * sums->rows + row] =
            c->steps[t] % tile_steps != 0 && c->patterns[t] != c->patterns[t - 1];
}

/* Lane after lane, each at its exact optimum given the others; the first sweep begins with words that never
 * change, so that lanes come to change together. */
static bool round_sharing(chain *c, const hd_round_layer *layer, const lanes *l, hd_error *error) {
    hd_sums sums;
    if (!hd_sums_create(&sums, layer->plan, error)) return false;
    c->with_changes = true;
    c->layer = layer;
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (size_t row = 0; row < l->count; row++) {
            price_changes(c, l, &sums, row);
            round_lane(c, layer, l, row);
            note_changes(c, &sums, row);
        }
    c->with_changes = false;
    hd_sums_free(&sums);
    return true;
}

static bool round_all(const hd_round_layer *layers, const lanes *l, size_t count, double mu, int threads,
                      hd_error *error) {
    size_t tasks = 0, longest = longest_lane(l, count);
    bool short_of_memory = false;
    for (size_t i = 0; i < count; i++) tasks += has_sums(&layers[i]) ? 0 : l[i].count;
#pragma omp parallel num_threads(threads)
    {
        chain c = {.mu = mu};
        bool created = chain_create(&c, longest);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            hd_error own;
            if (created && has_sums(&layers[i])) created = round_sharing(&c, &layers[i], &l[i], &own);
        }
#pragma omp for schedule(dynamic, 1)
        for (size_t task = 0; task < tasks; task++) {
            size_t layer = 0, lane = task;
            while (has_sums(&layers[layer]) || lane >= l[layer].count)
                lane -= has_sums(&layers[layer]) ? 0 : l[layer].count, layer++;
            if (created) round_lane(&c, &layers[layer], &l[layer], lane);
        }
        if (!created) {
#pragma omp atomic write
            short_of_memory = true;
        }
        chain_free(&c);
    }
    return !short_of_memory || hd_fail(error, "out of memory for lanes of %zu words", longest);
}

bool hd_round_trellis(const hd_round_layer *layers, size_t count, double mu, int threads, hd_error *error) {
    if (threads < 1) return hd_fail(error, "%d threads for rounding: at least 1", threads);
    if (!(mu >= 0) || !isfinite(mu)) return hd_fail(error, "mu is %g: it must be a number of at least 0", mu);
    lanes *l = calloc(count + 1, sizeof *l);
    if (!l) return hd_fail(error, "out of memory for %zu layers", count);
    bool done = true;
    for (size_t i = 0; done && i < count; i++)
        done = hd_round_layer_validate(&layers[i], error) && lanes_find(layers[i].plan, &l[i], error);
    for (size_t i = 0; done && i < count; i++)
        hd_chain_costs_init(&l[i].costs, &layers[i].plan->accelerator, layers[i].bit_costs,
                            has_sums(&layers[i]) ? layers[i].sum_cost * layers[i].plan->accelerator.rows : 0);
    if (done) done = round_all(layers, l, count, mu, threads, error);
    for (size_t i = 0; i < count; i++) lanes_free(&l[i]);
    free(l);
    return done;
}
