/* Signs of filters that save flips, chosen in turns with the orders: given orders, signs along a single path
 * by dynamic programming, and along several that share them by descent; given signs, orders of the negated
 * words. */
#include "reorder/flip_distances.h"
#include "reorder/solve_order.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST_TURNS = 6, PATTERNS = 256, LARGEST_SWEEPS = 100 };

/* What two neighbours in a path cost for each choice of their signs: costs[2 * first negated + second
 * negated]. */
typedef struct link {
    uint32_t from, to; /* filters, of the layer */
    uint32_t costs[4];
} link;

typedef struct signing {
    const hd_plan *plan;
    const hd_reorder_options *options;
    const uint8_t *patterns[2]; /* of the words and of the negated words */
    const uint32_t *pair_costs;
    size_t sign_sets;
    link *links; /* of the orders that share a set, path after path */
    size_t link_count;
    uint64_t *balance; /* work space: [filters][2] */
} signing;

void hd_apply_signs(const hd_plan *plan, const int8_t *words, size_t sign_sets, const int8_t *signs,
                    int8_t *streamed) {
    for (size_t t = 0; t < plan->tiles; t++) {
        hd_tile tile = hd_plan_tile(plan, t);
        const int8_t *set = signs + (sign_sets == 1 ? 0 : tile.segment) * plan->shape.filters;
        for (size_t step = 0; step < tile.steps; step++)
            for (size_t lane = 0; lane < tile.lanes; lane++) {
                size_t weight = hd_plan_weight(plan, &tile, step, lane);
                streamed[weight] = (int8_t)(set[weight / plan->filter_weights] * words[weight]);
            }
    }
}

/* Appends the links of one order's tiles. */
static void add_links(signing *s, size_t order, const uint32_t *path) {
    const hd_plan *p = s->plan;
    size_t tiles, first = hd_tiles_of_order(p, order, &tiles), n = p->order_length;
    link *links = s->links + s->link_count;
    memset(links, 0, (n - 1) * sizeof *links);
    for (size_t i = first; i < first + tiles; i++) {
        hd_tile tile = hd_plan_tile(p, i);
        for (size_t t = 1; t < n; t++) {
            link *l = &links[t - 1];
            for (size_t row = 0; row < tile.rows; row++) {
                size_t channel = tile.first_channel + row;
                if (p->lane_channels) channel = p->lane_channels[tile.group * p->lane_axis + channel];
                size_t lane = tile.base + p->lane_stride * channel;
                size_t a = lane + p->step_stride * path[t - 1], b = lane + p->step_stride * path[t];
                for (unsigned choice = 0; choice < 4; choice++)
                    l->costs[choice] += s->pair_costs[(size_t)s->patterns[choice / 2][a] * PATTERNS +
                                                      s->patterns[choice % 2][b]];
            }
            l->from = (uint32_t)(tile.group * n + path[t - 1]);
            l->to = (uint32_t)(tile.group * n + path[t]);
        }
    }
    s->link_count += n - 1;
}

/* The best signs along one path. */
static void sign_path(const link *links, size_t count, int8_t *signs, uint8_t *before) {
    uint64_t cost[2] = {0, 0};
    for (size_t t = 0; t < count; t++) {
        uint64_t grown[2];
        for (unsigned to = 0; to < 2; to++) {
            uint64_t plain = cost[0] + links[t].costs[to], negated = cost[1] + links[t].costs[2 + to];
            before[2 * t + to] = negated < plain;
            grown[to] = negated < plain ? negated : plain;
        }
        memcpy(cost, grown, sizeof cost);
    }
    unsigned state = cost[1] < cost[0];
    for (size_t t = count; t-- > 0;) {
        signs[links[t].to] = state ? -1 : 1;
        state = before[2 * t + state];
    }
    signs[links[0].from] = state ? -1 : 1;
}

/* Turns single signs while that saves flips. balance[f][v]: what the links of filter f cost if its sign is v.
 */
static void descend(signing *s, int8_t *signs) {
    size_t filters = s->plan->shape.filters;
    bool turned = true;
    for (int sweep = 0; sweep < LARGEST_SWEEPS && turned; sweep++) {
        turned = false;
        memset(s->balance, 0, 2 * filters * sizeof *s->balance);
        for (size_t i = 0; i < s->link_count; i++) {
            const link *l = &s->links[i];
            unsigned from = signs[l->from] < 0, to = signs[l->to] < 0;
            for (unsigned v = 0; v < 2; v++) {
                s->balance[2 * l->from + v] += l->costs[2 * v + to];
                s->balance[2 * l->to + v] += l->costs[2 * from + v];
            }
        }
        /* Of two neighbours that both want to turn only the better may, so that the gains add up. */
        for (size_t i = 0; i < s->link_count; i++) {
            const link *l = &s->links[i];
            uint64_t *a = &s->balance[2 * l->from], *b = &s->balance[2 * l->to];
            unsigned from = signs[l->from] < 0, to = signs[l->to] < 0;
            uint64_t gain_a = a[from] > a[!from] ? a[from] - a[!from] : 0;
            uint64_t gain_b = b[to] > b[!to] ? b[to] - b[!to] : 0;
            if (gain_a > 0 && gain_b > 0) memset(gain_a >= gain_b ? b : a, 0, 2 * sizeof *a);
        }
        for (size_t f = 0; f < filters; f++) {
            unsigned now = signs[f] < 0;
            if (s->balance[2 * f + now] <= s->balance[2 * f + !now]) continue;
            signs[f] = (int8_t)-signs[f];
            turned = true;
        }
    }
}

/* The signs of one set, for the orders that share it. */
static void choose_set(signing *s, size_t set, const uint32_t *orders, int8_t *signs, uint8_t *before) {
    const hd_plan *p = s->plan;
    size_t per_segment = p->order_count / (p->groups * p->segments);
    for (size_t group = 0; group < p->groups; group++) {
        s->link_count = 0;
        for (size_t order = 0; order < p->order_count; order++) {
            size_t segment = order / per_segment % p->segments;
            if (order / (per_segment * p->segments) != group || (s->sign_sets > 1 && segment != set))
                continue;
            add_links(s, order, orders + order * p->order_length);
        }
        if (s->link_count == p->order_length - 1)
            sign_path(s->links, s->link_count, signs, before);
        else
            descend(s, signs);
    }
}

/* Distances that leave the signs open: the lesser of alike and opposite. */
typedef struct open_distances {
    hd_distance_source source;
    const uint8_t *patterns[2];
    hd_cost_groups groups;
} open_distances;

static bool add_open(const hd_distance_source *source, size_t order, size_t first, size_t count,
                     uint32_t *matrix, hd_error *error) {
    const open_distances *o = source->context;
    hd_points points[2];
    uint32_t *alike = calloc(count, sizeof *alike), *opposite = calloc(count, sizeof *opposite);
    bool have[2] = {false, false};
    have[0] = alike && opposite && hd_points_gather(source->plan, order, o->patterns[0], &points[0], error);
    have[1] = have[0] && hd_points_gather(source->plan, order, o->patterns[1], &points[1], error);
    if (!alike || !opposite) hd_fail(error, "out of memory for the distances of %zu steps", count);
    for (size_t i = 0; have[1] && i < count; i++) {
        memset(alike, 0, count * sizeof *alike);
        memset(opposite, 0, count * sizeof *opposite);
        for (size_t plane = 0; plane < points[0].plane_count; plane++)
            for (int negated = 0; negated < 2; negated++) {
                const uint32_t *words = points[negated].planes + plane * points[0].count + first;
                const uint32_t *others = points[!negated].planes + plane * points[0].count + first;
                hd_distance_row()(words, count, words[i], &o->groups, alike);
                hd_distance_row()(words, count, others[i], &o->groups, opposite);
            }
        for (size_t j = 0; j < count; j++)
            matrix[i * count + j] += alike[j] < opposite[j] ? alike[j] : opposite[j];
    }
    for (int i = 0; i < 2; i++)
        if (have[i]) hd_points_free(&points[i]);
    free(alike);
    free(opposite);
    return have[1];
}

/* The state of one start: orders in the plan, signs, the words they stream, their cost. */
typedef struct turn_state {
    hd_plan plan;
    uint32_t *orders;
    int8_t *signs, *streamed;
    uint64_t cost;
} turn_state;

static bool recount(turn_state *t, const signing *s, const int8_t *words, hd_error *error) {
    hd_flips flips;
    hd_apply_signs(&t->plan, words, s->sign_sets, t->signs, t->streamed);
    if (!hd_plan_set_orders(&t->plan, t->orders, error) ||
        !hd_count_flips(&t->plan, t->streamed, s->options->threads, &flips, error))
        return false;
    hd_cost_groups groups = hd_cost_groups_on(&t->plan.accelerator, s->options->bit_costs);
    t->cost = hd_cost_of_flips(&groups, s->options->bit_costs, &flips);
    return true;
}

/* Signs for the orders, orders for the signs, ... until nothing is gained; the best state goes to the
 * caller's arrays. */
static bool take_turns(turn_state *t, signing *s, const int8_t *words, uint8_t *before, uint64_t *least,
                       int8_t *signs, uint32_t *orders, hd_error *error) {
    hd_reorder_options again = *s->options;
    again.path.kicks_per_point /= 4;
    size_t filters = t->plan.shape.filters;
    for (int turn = 0; turn < LARGEST_TURNS; turn++) {
        for (size_t set = 0; set < s->sign_sets; set++)
            choose_set(s, set, t->orders, t->signs + set * filters, before);
        if (!recount(t, s, words, error) ||
            !hd_reorder_segments(&t->plan, t->streamed, &again, t->orders, error) ||
            !recount(t, s, words, error))
            return false;
        if (t->cost >= *least) break;
        *least = t->cost;
        memcpy(signs, t->signs, s->sign_sets * filters);
        memcpy(orders, t->orders, t->plan.order_count * t->plan.order_length * sizeof *orders);
    }
    return true;
}

static bool choose(signing *s, turn_state *t, const hd_flip_distances *flips, const int8_t *words,
                   uint8_t *before, int8_t *signs, uint32_t *orders, hd_error *error) {
    const hd_plan *plan = s->plan;
    size_t entries = plan->order_count * plan->order_length, sign_count = s->sign_sets * plan->shape.filters;
    memset(signs, 1, sign_count);
    memset(t->signs, 1, sign_count);
    if (!hd_reorder_segments(plan, words, s->options, orders, error)) return false;
    memcpy(t->orders, orders, entries * sizeof *orders);
    if (!recount(t, s, words, error)) return false;
    uint64_t least = t->cost;
    if (!take_turns(t, s, words, before, &least, signs, orders, error)) return false;
    if (s->sign_sets == 1 && plan->segments > 1) return true;
    open_distances open = {.patterns = {s->patterns[0], s->patterns[1]}, .groups = flips->groups};
    open.source = (hd_distance_source){plan, s->patterns[0], s->pair_costs, &open, add_open};
    memset(t->signs, 1, sign_count);
    return hd_reorder_by_distances(&open.source, s->options, t->orders, error) &&
           take_turns(t, s, words, before, &least, signs, orders, error);
}

static bool run(signing *s, const int8_t *words, int8_t *signs, uint32_t *orders, hd_error *error) {
    const hd_plan *p = s->plan;
    size_t entries = p->order_count * p->order_length, filters = p->shape.filters;
    hd_flip_distances flips[2] = {0};
    turn_state t = {0};
    t.orders = malloc(entries * sizeof *t.orders);
    t.signs = malloc(s->sign_sets * filters);
    t.streamed = malloc(p->weights);
    s->links = malloc(entries * sizeof *s->links);
    s->balance = malloc(2 * filters * sizeof *s->balance);
    uint8_t *before = malloc(2 * p->order_length);
    bool done = t.orders && t.signs && t.streamed && s->links && s->balance && before;
    if (!done) hd_fail(error, "out of memory for the signs of %zu filters", filters);
    for (size_t i = 0; done && i < p->weights; i++) t.streamed[i] = (int8_t)-words[i];
    done = done && hd_flip_distances_init(&flips[0], p, words, s->options->bit_costs, error) &&
           hd_flip_distances_init(&flips[1], p, t.streamed, s->options->bit_costs, error) &&
           hd_plan_copy(&t.plan, p, error);
    if (done) {
        for (int i = 0; i < 2; i++) s->patterns[i] = flips[i].patterns;
        s->pair_costs = flips[0].pair_costs;
        done = choose(s, &t, &flips[0], words, before, signs, orders, error);
    }
    for (int i = 0; i < 2; i++) hd_flip_distances_free(&flips[i]);
    hd_plan_free(&t.plan);
    free(t.orders);
    free(t.signs);
    free(t.streamed);
    free(s->links);
    free(s->balance);
    free(before);
    return done;
}

bool hd_choose_signs(const hd_plan *plan, const int8_t *words, size_t sign_sets,
                     const hd_reorder_options *options, int8_t *signs, uint32_t *orders, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    if (plan->dataflow != HD_INPUT_STATIONARY)
        return hd_fail(
            error, "signs of filters save flips where filters stream one after the other: input stationary");
    if (sign_sets != 1 && sign_sets != plan->segments)
        return hd_fail(error,
                       "%zu sets of signs where the plan has %zu segments: one set or one a segment is right",
                       sign_sets, plan->segments);
    if (plan->order_length < 2) {
        memset(signs, 1, sign_sets * plan->shape.filters);
        return hd_reorder_segments(plan, words, options, orders, error);
    }
    signing s = {.plan = plan, .options = options, .sign_sets = sign_sets};
    return run(&s, words, signs, orders, error);
}
