/* Where each order of a plan begins and which way it runs, chosen for few flips from tile to tile: a closed
 * chain of choices, solved exactly by dynamic programming once for each choice of the first order. */
#include "reorder/distances.h"
#include "reorder/solve_order.h"

#include <stdlib.h>
#include <string.h>

enum { STATES = 2 * HD_CUTS };

typedef struct chain {
    const hd_plan *plan;
    const uint8_t *patterns;
    const hd_cuts *cuts;
    uint32_t *orders;
    const uint32_t *costs; /* [256][256] of flips between two patterns */
    int64_t *own;          /* [order_count][STATES]: inside an order's tiles and between them */
    int64_t *join;         /* [order_count][STATES][STATES]: to the next order */
    int64_t *best;         /* [order_count][STATES] */
    uint8_t *before;       /* the same shape */
    uint8_t *chosen;       /* [order_count] */
} chain;

static unsigned states(const chain *c, size_t order) {
    return 2 * c->cuts[order].count;
}

/* State 2i runs forward from behind cut i to it, state 2i + 1 backwards. */
static uint32_t end_point(const chain *c, size_t order, unsigned state, bool last) {
    size_t n = c->plan->order_length, place = c->cuts[order].places[state / 2];
    bool behind_cut = last == (state % 2 == 1);
    if (behind_cut) place = place + 1 == n ? 0 : place + 1;
    return c->orders[order * n + place];
}

/* Flips from point `from` of one tile to point `to` of another, on the lanes that both have. */
static int64_t flips_between(const chain *c, const hd_tile *a, uint32_t from, const hd_tile *b, uint32_t to) {
    const hd_plan *p = c->plan;
    const uint32_t *channels = p->lane_channels;
    size_t lanes = a->rows < b->rows ? a->rows : b->rows;
    int64_t cost = 0;
    for (size_t lane = 0; lane < lanes; lane++) {
        size_t one = a->first_channel + lane, other = b->first_channel + lane;
        if (channels) {
            one = channels[a->group * p->lane_axis + one];
            other = channels[b->group * p->lane_axis + other];
        }
        uint8_t a_pattern = c->patterns[a->base + p->step_stride * from + p->lane_stride * one];
        uint8_t b_pattern = c->patterns[b->base + p->step_stride * to + p->lane_stride * other];
        cost += c->costs[(size_t)a_pattern * 256 + b_pattern];
    }
    return cost;
}

static void fill_costs(chain *c) {
    const hd_plan *p = c->plan;
    for (size_t order = 0; order < p->order_count; order++) {
        size_t tiles, first = hd_tiles_of_order(p, order, &tiles), next = (order + 1) % p->order_count,
                      next_tiles;
        hd_tile last_tile = hd_plan_tile(p, first + tiles - 1);
        hd_tile next_tile = hd_plan_tile(p, hd_tiles_of_order(p, next, &next_tiles));
        for (unsigned s = 0; s < states(c, order); s++) {
            uint32_t from = end_point(c, order, s, true), to = end_point(c, order, s, false);
            int64_t *own = &c->own[order * STATES + s];
            *own = c->cuts[order].extra[s / 2];
            for (size_t i = 1; i < tiles; i++) {
                hd_tile one = hd_plan_tile(p, first + i - 1), other = hd_plan_tile(p, first + i);
                *own += flips_between(c, &one, from, &other, to);
            }
            for (unsigned t = 0; t < states(c, next); t++)
                c->join[(order * STATES + s) * STATES + t] =
                    flips_between(c, &last_tile, from, &next_tile, end_point(c, next, t, false));
        }
    }
}

/* The cheapest choices when the first order's state is given. */
static int64_t solve_from(chain *c, unsigned first_state) {
    size_t n = c->plan->order_count;
    for (unsigned s = 0; s < STATES; s++) c->best[s] = s == first_state ? c->own[s] : INT64_MAX / 2;
    for (size_t order = 1; order < n; order++)
        for (unsigned t = 0; t < states(c, order); t++) {
            int64_t best = INT64_MAX;
            for (unsigned s = 0; s < states(c, order - 1); s++) {
                int64_t cost =
                    c->best[(order - 1) * STATES + s] + c->join[((order - 1) * STATES + s) * STATES + t];
                if (cost >= best) continue;
                best = cost;
                c->before[order * STATES + t] = (uint8_t)s;
            }
            c->best[order * STATES + t] = best + c->own[order * STATES + t];
        }
    int64_t best = INT64_MAX;
    unsigned last = 0;
    for (unsigned s = 0; s < states(c, n - 1); s++) {
        int64_t cost = c->best[(n - 1) * STATES + s] + c->join[((n - 1) * STATES + s) * STATES + first_state];
        if (cost >= best) continue;
        best = cost;
        last = s;
    }
    c->best[(n - 1) * STATES] = best;
    c->before[0] = (uint8_t)last;
    return best;
}

static bool turn(const chain *c, hd_error *error) {
    size_t n = c->plan->order_length;
    uint32_t *copy = malloc(n * sizeof *copy);
    if (!copy) return hd_fail(error, "out of memory for an order of %zu steps", n);
    for (size_t order = 0; order < c->plan->order_count; order++) {
        uint32_t *path = c->orders + order * n;
        size_t cut = c->cuts[order].places[c->chosen[order] / 2];
        memcpy(copy, path, n * sizeof *copy);
        for (size_t i = 0; i < n; i++) {
            size_t place = (cut + 1 + i) % n;
            path[c->chosen[order] % 2 ? n - 1 - i : i] = copy[place];
        }
    }
    free(copy);
    return true;
}

static void choose(chain *c) {
    size_t n = c->plan->order_count;
    int64_t least = INT64_MAX;
    for (unsigned first = 0; first < states(c, 0); first++) {
        int64_t cost = solve_from(c, first);
        if (cost >= least) continue;
        least = cost;
        unsigned state = c->before[0];
        for (size_t order = n; order-- > 1;) {
            c->chosen[order] = (uint8_t)state;
            state = c->before[order * STATES + state];
        }
        c->chosen[0] = (uint8_t)first;
    }
}

bool hd_join_tiles(const hd_distance_source *source, const hd_cuts *cuts, uint32_t *orders, hd_error *error) {
    size_t n = source->plan->order_count;
    chain c = {.plan = source->plan,
               .patterns = source->patterns,
               .cuts = cuts,
               .orders = orders,
               .costs = source->pair_costs};
    c.own = malloc(n * STATES * sizeof *c.own);
    c.join = malloc(n * STATES * STATES * sizeof *c.join);
    c.best = malloc(n * STATES * sizeof *c.best);
    c.before = malloc(n * STATES);
    c.chosen = malloc(n);
    bool done = c.own && c.join && c.best && c.before && c.chosen;
    if (done) {
        fill_costs(&c);
        choose(&c);
        done = turn(&c, error);
    } else {
        hd_fail(error, "out of memory for joining %zu orders", n);
    }
    free(c.own);
    free(c.join);
    free(c.best);
    free(c.before);
    free(c.chosen);
    return done;
}
