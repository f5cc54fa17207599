/* Distances between steps whose words will be rounded: for each lane the least, over both words, of their
 * flips and their errors. The minimum over one word is the trellis' hypercube pass, that over the other a
 * search within the range in which an error can pay for flips. */
#include "reorder/reorder.h"
#include "rounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 256, LEVELS = 5, MIDDLE_LEVEL = 2, VALUES = 255, LARGEST_UNIT = 8192 };

/* A word's code is level * 256 + pattern; the level stands for an importance of 4^(level - 2) times the
 * layer's mean. */
typedef struct soft_distances {
    hd_distance_source source;
    size_t codes;      /* 256 without importances, else 256 a level */
    uint16_t *code_of; /* [plan->weights] */
    uint16_t *costs;   /* [codes][codes] */
    uint8_t *patterns; /* [plan->weights] */
    uint32_t *pair_costs;
} soft_distances;

static void soft_free(soft_distances *s) {
    free(s->code_of);
    free(s->costs);
    free(s->patterns);
    free(s->pair_costs);
    *s = (soft_distances){0};
}

/* Codes of one lane along an order: step k is codes[k * stride]. */
static void add_lane(const soft_distances *s, const uint16_t *lane, size_t stride, size_t count,
                     uint16_t *codes, uint32_t *matrix) {
    for (size_t k = 0; k < count; k++) codes[k] = lane[k * stride];
    for (size_t i = 1; i < count; i++) {
        const uint16_t *row = s->costs + codes[i] * s->codes;
        uint32_t *sums = matrix + i * count;
        for (size_t j = 0; j < i; j++) sums[j] += row[codes[j]];
    }
}

static bool add(const hd_distance_source *source, size_t order, size_t first, size_t count, uint32_t *matrix,
                hd_error *error) {
    const soft_distances *s = source->context;
    const hd_plan *plan = source->plan;
    size_t tiles = plan->tiles / plan->order_count;
    uint16_t *codes = malloc(count * sizeof *codes);
    if (!codes) return hd_fail(error, "out of memory for the words of %zu steps", count);
    for (size_t i = order * tiles; i < (order + 1) * tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        if (plan->dataflow == HD_WEIGHT_STATIONARY && tile.column_segment > 0) continue;
        for (size_t row = 0; row < tile.rows; row++) {
            size_t channel = tile.first_channel + row;
            if (plan->lane_channels) channel = plan->lane_channels[tile.group * plan->lane_axis + channel];
            size_t weight = tile.base + plan->step_stride * first + plan->lane_stride * channel;
            add_lane(s, s->code_of + weight, plan->step_stride, count, codes, matrix);
        }
    }
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++) matrix[j * count + i] = matrix[i * count + j];
    free(codes);
    return true;
}

/* What a word whose weight lies at `place` costs when the next is `value`: flips, and `price` times its
 * squared error. */
static void least_over_first(const hd_accelerator *a, const double *bit_costs, int place, double price,
                             float by_value[VALUES]) {
    float c[PATTERNS], before[PATTERNS];
    unsigned states = 1u << a->weight_bits;
    for (unsigned w = 0; w < states; w++) {
        double off = hd_decode_word((uint8_t)w, a->weight_bits, a->representation) - place;
        c[w] = w == states / 2 ? 1e30f : (float)(price * off * off);
    }
    for (int bit = 0; bit < a->weight_bits; bit++) {
        memcpy(before, c, sizeof c);
        for (unsigned w = 0; w < states; w++) {
            float other = before[w ^ 1u << bit] + (float)bit_costs[bit];
            if (other < c[w]) c[w] = other;
        }
    }
    bool equal = a->encoding == HD_BUS_INVERT; /* costs on the wires: see chain.h */
    for (int bit = 1; bit < a->weight_bits; bit++) equal = equal && bit_costs[bit] == bit_costs[0];
    memcpy(before, c, sizeof c);
    for (unsigned w = 0; equal && w < states; w++)
        c[w] = fminf(c[w], before[states - 1 - w] + (float)bit_costs[0]);
    int largest = hd_largest_word(a->weight_bits);
    for (int value = -largest; value <= largest; value++)
        by_value[value + largest] = c[hd_encode_word(value, a->weight_bits, a->representation)];
}

/* least[next] = the minimum over words of by_value[word] + price (word - next)^2; no word further than
 * `reach` from its place can be worth its error. */
static void least_over_second(int largest, double price, double all_flips, const float by_value[VALUES],
                              float least[VALUES]) {
    float errors[2 * VALUES];
    int reach = price * 65536 > all_flips ? 1 + (int)sqrt(all_flips / price) : 2 * largest;
    for (int off = -2 * largest; off <= 2 * largest; off++)
        errors[off + 2 * largest] = (float)(price * off * off);
    for (int next = 0; next <= 2 * largest; next++) least[next] = INFINITY;
    for (int value = 0; value <= 2 * largest; value++) {
        int low = value - reach < 0 ? 0 : value - reach,
            high = value + reach > 2 * largest ? 2 * largest : value + reach;
        const float *error = errors + 2 * largest - value;
        float own = by_value[value];
        for (int next = low; next <= high; next++) {
            float cost = own + error[next];
            least[next] = cost < least[next] ? cost : least[next];
        }
    }
}

static void fill_costs(soft_distances *s, const hd_round_layer *layer, const double *prices, double all_flips,
                       double unit) {
    const hd_accelerator *a = &layer->plan->accelerator;
    int largest = hd_largest_word(a->weight_bits);
    size_t levels = s->codes / PATTERNS, codes[VALUES];
    for (int value = -largest; value <= largest; value++)
        codes[value + largest] = hd_encode_word(value, a->weight_bits, a->representation);
    for (size_t one = 0; one < levels; one++)
        for (int place = -largest; place <= largest; place++) {
            float by_value[VALUES], least[VALUES];
            uint16_t *row = s->costs + (one * PATTERNS + codes[place + largest]) * s->codes;
            least_over_first(a, layer->bit_costs, place, prices[one], by_value);
            for (size_t other = 0; other < levels; other++) {
                least_over_second(largest, prices[other], all_flips, by_value, least);
                for (int next = 0; next <= 2 * largest; next++)
                    row[other * PATTERNS + codes[next]] = (uint16_t)lrint((double)least[next] * unit);
            }
        }
}

static double mean_importance(const hd_round_layer *layer) {
    double sum = 0;
    for (size_t i = 0; layer->importance && i < layer->plan->weights; i++)
        sum += (double)layer->importance[i];
    return layer->importance ? sum / (double)layer->plan->weights : 1;
}

static void fill_codes(soft_distances *s, const hd_round_layer *layer, const int8_t *words, double mean) {
    const hd_accelerator *a = &layer->plan->accelerator;
    hd_encode_words(words, layer->plan->weights, a->weight_bits, a->representation, s->patterns);
    for (size_t i = 0; i < layer->plan->weights; i++) {
        s->code_of[i] = s->patterns[i];
        if (s->codes == PATTERNS) continue;
        double relative = (double)layer->importance[i] / mean;
        double level = relative > 0 ? MIDDLE_LEVEL + rint(log2(relative) / 2) : 0;
        level = level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level;
        s->code_of[i] = (uint16_t)(s->code_of[i] + PATTERNS * (unsigned)level);
    }
}

/* Costs are whole numbers as large as a path of 32 bits and 16 bits a word allow. */
static double unit_of(const hd_plan *plan, double all_flips) {
    double lanes = (double)(plan->tiles / plan->order_count) * (double)plan->tile_lanes;
    double most = 2147483648.0 / (lanes * (double)plan->order_length + 1);
    return (most < LARGEST_UNIT ? most : LARGEST_UNIT) / all_flips;
}

static bool soft_init(soft_distances *s, const hd_round_layer *layer, const int8_t *words, double mu,
                      hd_error *error) {
    const hd_plan *plan = layer->plan;
    double all_flips = 0, prices[LEVELS], mean = mean_importance(layer);
    *s = (soft_distances){.codes = layer->importance && mean > 0 ? LEVELS * PATTERNS : PATTERNS};
    s->code_of = malloc(plan->weights * sizeof *s->code_of);
    s->patterns = malloc(plan->weights);
    s->costs = calloc(s->codes * s->codes, sizeof *s->costs);
    s->pair_costs = malloc(sizeof(uint32_t[PATTERNS * PATTERNS]));
    if (!s->code_of || !s->patterns || !s->costs || !s->pair_costs) {
        soft_free(s);
        return hd_fail(error, "out of memory for the distances of %zu words", plan->weights);
    }
    for (int bit = 0; bit < plan->accelerator.weight_bits; bit++) all_flips += layer->bit_costs[bit];
    bool levels = s->codes > PATTERNS;
    for (int level = 0; level < LEVELS; level++)
        prices[level] = mu * mean / layer->emphasis * (levels ? pow(4, level - MIDDLE_LEVEL) : 1);
    fill_codes(s, layer, words, mean);
    fill_costs(s, layer, prices, all_flips, unit_of(plan, all_flips));
    size_t middle = levels ? (size_t)MIDDLE_LEVEL * PATTERNS : 0;
    for (size_t i = 0; i < PATTERNS; i++)
        for (size_t j = 0; j < PATTERNS; j++)
            s->pair_costs[i * PATTERNS + j] = s->costs[(middle + i) * s->codes + middle + j];
    s->source = (hd_distance_source){plan, s->patterns, s->pair_costs, s, add};
    return true;
}

static bool create(soft_distances *s, const hd_round_layer *layer, double mu, hd_error *error) {
    const hd_plan *plan = layer->plan;
    if (!(mu >= 0) || !isfinite(mu)) return hd_fail(error, "mu is %g: it must be a number of at least 0", mu);
    int8_t *words = malloc(plan->weights);
    bool done = words || hd_fail(error, "out of memory for %zu words", plan->weights);
    done = done && hd_round_layer_validate(layer, error) &&
           hd_quantise_with_scales(layer->weights, plan->shape.filters, plan->filter_weights,
                                   plan->accelerator.weight_bits, layer->scales, words, error) &&
           soft_init(s, layer, words, mu, error);
    free(words);
    return done;
}

bool hd_reorder_for_rounding(const hd_round_layer *layer, double mu, const hd_reorder_options *options,
                             uint32_t *orders, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    soft_distances s;
    if (!create(&s, layer, mu, error)) return false;
    bool done = hd_reorder_by_distances(&s.source, options ? options : &defaults, orders, error);
    soft_free(&s);
    return done;
}

/* Solves the orders of a plan with these lane channels. */
static bool solve_with(soft_distances *s, hd_plan *plan, const uint32_t *lane_channels, const uint32_t *known,
                       const hd_reorder_options *options, uint32_t *orders, hd_error *error) {
    s->source.plan = plan;
    return hd_plan_set_lane_channels(plan, lane_channels, error) && hd_plan_set_orders(plan, known, error) &&
           hd_reorder_by_distances(&s->source, options, orders, error);
}

bool hd_cluster_for_rounding(const hd_round_layer *layer, double mu, const hd_reorder_options *options,
                             uint32_t *lane_channels, uint32_t *orders, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    const hd_plan *plan = layer->plan;
    for (size_t i = 0; i < plan->groups * plan->lane_axis; i++)
        lane_channels[i] = plan->lane_channels ? plan->lane_channels[i] : (uint32_t)(i % plan->lane_axis);
    if (!hd_clusters_possible(plan)) return hd_reorder_for_rounding(layer, mu, options, orders, error);
    hd_reorder_options quick = *options;
    quick.path.kicks_per_point = 0;
    uint32_t bit_costs[HD_MAXIMUM_BITS];
    hd_whole_bit_costs(layer->bit_costs, bit_costs);
    hd_plan own = {0};
    hd_exchanges exchanges = {0};
    soft_distances s;
    if (!create(&s, layer, mu, error)) return false;
    bool done = hd_plan_copy(&own, plan, error) &&
                hd_cluster_by_similarity(&s.source, bit_costs, options->threads, lane_channels, error) &&
                solve_with(&s, &own, lane_channels, NULL, &quick, orders, error) &&
                hd_cluster_exchange(&s.source, options, lane_channels, orders, &exchanges, error) &&
                solve_with(&s, &own, lane_channels, orders, options, orders, error);
    hd_plan_free(&own);
    soft_free(&s);
    return done;
}
