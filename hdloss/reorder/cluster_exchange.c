/* Exchanges of input channels between segments, accepted by the cost of the paths solved again: an order is
 * fitted to its own channels, so the cost of a channel in the other segment's present order only proposes.
 * Segments meet in random pairs, each pair by itself, so that threads do not change the answer. */
#include "reorder/reorder.h"
#include "reorder/seeded.h"

#include <stdlib.h>
#include <string.h>

enum { TRIALS_A_MEETING = 4, DRAWS_A_TRIAL = 8, PATTERNS = 256 };

/* Trials cost about as many steps as their matrices have entries; a layer may take this many. */
static const double LARGEST_WORK = 4e8;

/* A segment of one group with the paths of all its orders. */
typedef struct segment {
    size_t group, index, rows, first_order, orders;
    uint32_t *channels; /* [rows], in lane_channels */
    uint32_t *paths;    /* [orders][steps], in orders */
    uint32_t *matrices; /* [orders][steps][steps] */
    uint64_t cost;
    uint64_t *own, *other; /* [rows]: what each channel costs in this segment's orders and in the other's */
} segment;

typedef struct meeting {
    const hd_distance_source *source;
    hd_path_options path;
    segment s[2];
    uint32_t *trial_matrices[2], *trial_paths[2];
    hd_exchanges exchanges;
} meeting;

static void add_channel(const meeting *m, const segment *s, size_t channel, uint32_t *matrices,
                        uint32_t sign) {
    const hd_plan *p = m->source->plan;
    size_t n = p->order_length, per_order = p->positions / s->orders;
    for (size_t position = 0; position < p->positions; position++) {
        uint32_t *matrix = matrices + position / per_order * n * n;
        const uint8_t *column =
            m->source->patterns + s->group * p->group_stride + position + p->lane_stride * channel;
        for (size_t i = 0; i < n; i++) {
            const uint32_t *costs = m->source->pair_costs + (size_t)column[i * p->step_stride] * PATTERNS;
            for (size_t j = 0; j < n; j++) matrix[i * n + j] += sign * costs[column[j * p->step_stride]];
        }
    }
}

/* What a channel's words cost along a segment's present paths. */
static uint64_t cost_along(const meeting *m, const segment *s, size_t channel) {
    const hd_plan *p = m->source->plan;
    size_t n = p->order_length, per_order = p->positions / s->orders;
    uint64_t cost = 0;
    for (size_t position = 0; position < p->positions; position++) {
        const uint32_t *path = s->paths + position / per_order * n;
        const uint8_t *column =
            m->source->patterns + s->group * p->group_stride + position + p->lane_stride * channel;
        for (size_t t = 1; t < n; t++)
            cost += m->source->pair_costs[(size_t)column[path[t - 1] * p->step_stride] * PATTERNS +
                                          column[path[t] * p->step_stride]];
    }
    return cost;
}

static void find_costs(meeting *m) {
    for (int i = 0; i < 2; i++)
        for (size_t row = 0; row < m->s[i].rows; row++) {
            m->s[i].own[row] = cost_along(m, &m->s[i], m->s[i].channels[row]);
            m->s[i].other[row] = cost_along(m, &m->s[1 - i], m->s[i].channels[row]);
        }
}

static bool solve(const meeting *m, const segment *s, const uint32_t *matrices, const uint32_t *known,
                  uint32_t *paths, uint64_t *cost, hd_error *error) {
    size_t n = m->source->plan->order_length;
    *cost = 0;
    for (size_t order = 0; order < s->orders; order++) {
        uint64_t length;
        hd_path_problem p = {
            .distances = matrices + order * n * n, .stride = n, .count = n, .known = known + order * n};
        if (!hd_solve_path(&p, &m->path, paths + order * n, &length, error)) return false;
        *cost += length;
    }
    return true;
}

/* The cheaper-looking of a few random exchanges. */
static void propose(const meeting *m, hd_seeded *random, size_t rows[2]) {
    int64_t least = INT64_MAX;
    for (int draw = 0; draw < DRAWS_A_TRIAL; draw++) {
        size_t a = hd_seeded_below(random, (uint32_t)m->s[0].rows),
               b = hd_seeded_below(random, (uint32_t)m->s[1].rows);
        int64_t change =
            (int64_t)(m->s[0].other[a] + m->s[1].other[b]) - (int64_t)(m->s[0].own[a] + m->s[1].own[b]);
        if (change >= least) continue;
        least = change;
        rows[0] = a;
        rows[1] = b;
    }
}

static bool try_exchange(meeting *m, const size_t rows[2], hd_error *error) {
    size_t n = m->source->plan->order_length;
    uint64_t costs[2];
    for (int i = 0; i < 2; i++) {
        const segment *s = &m->s[i];
        memcpy(m->trial_matrices[i], s->matrices, s->orders * n * n * sizeof *s->matrices);
        add_channel(m, s, s->channels[rows[i]], m->trial_matrices[i], UINT32_MAX);
        add_channel(m, s, m->s[1 - i].channels[rows[1 - i]], m->trial_matrices[i], 1);
        if (!solve(m, s, m->trial_matrices[i], s->paths, m->trial_paths[i], &costs[i], error)) return false;
    }
    m->exchanges.tried++;
    if (costs[0] + costs[1] >= m->s[0].cost + m->s[1].cost) return true;
    m->exchanges.made++;
    for (int i = 0; i < 2; i++) {
        segment *s = &m->s[i];
        uint32_t *swap = s->matrices;
        s->matrices = m->trial_matrices[i];
        m->trial_matrices[i] = swap;
        memcpy(s->paths, m->trial_paths[i], s->orders * n * sizeof *s->paths);
        s->cost = costs[i];
    }
    uint32_t channel = m->s[0].channels[rows[0]];
    m->s[0].channels[rows[0]] = m->s[1].channels[rows[1]];
    m->s[1].channels[rows[1]] = channel;
    find_costs(m);
    return true;
}

static bool meet(meeting *m, uint64_t seed, hd_error *error) {
    size_t n = m->source->plan->order_length;
    hd_seeded random = {seed};
    for (int i = 0; i < 2; i++) {
        segment *s = &m->s[i];
        memset(s->matrices, 0, s->orders * n * n * sizeof *s->matrices);
        for (size_t row = 0; row < s->rows; row++) add_channel(m, s, s->channels[row], s->matrices, 1);
        if (!solve(m, s, s->matrices, s->paths, m->trial_paths[i], &s->cost, error)) return false;
        memcpy(s->paths, m->trial_paths[i], s->orders * n * sizeof *s->paths);
    }
    find_costs(m);
    for (int trial = 0; trial < TRIALS_A_MEETING; trial++) {
        size_t rows[2];
        propose(m, &random, rows);
        if (!try_exchange(m, rows, error)) return false;
    }
    return true;
}

static bool meeting_create(meeting *m, hd_error *error) {
    const hd_plan *p = m->source->plan;
    size_t n = p->order_length, orders = p->order_count / (p->groups * p->segments);
    bool done = true;
    for (int i = 0; i < 2; i++) {
        m->s[i].matrices = malloc(orders * n * n * sizeof *m->s[i].matrices);
        m->trial_matrices[i] = malloc(orders * n * n * sizeof *m->trial_matrices[i]);
        m->trial_paths[i] = malloc(orders * n * sizeof *m->trial_paths[i]);
        m->s[i].own = malloc(p->lane_axis * sizeof *m->s[i].own);
        m->s[i].other = malloc(p->lane_axis * sizeof *m->s[i].other);
        done = done && m->s[i].matrices && m->trial_matrices[i] && m->trial_paths[i] && m->s[i].own &&
               m->s[i].other;
    }
    return done || hd_fail(error, "out of memory for exchanges between segments of %zu steps", n);
}

static void meeting_free(meeting *m) {
    for (int i = 0; i < 2; i++) {
        free(m->s[i].matrices);
        free(m->trial_matrices[i]);
        free(m->trial_paths[i]);
        free(m->s[i].own);
        free(m->s[i].other);
    }
}

static void seat(meeting *m, int side, size_t group, size_t index, uint32_t *lane_channels,
                 uint32_t *orders) {
    const hd_plan *p = m->source->plan;
    segment *s = &m->s[side];
    size_t rows = (size_t)p->accelerator.rows, first = index * rows;
    s->group = group;
    s->index = index;
    s->rows = p->lane_axis - first < rows ? p->lane_axis - first : rows;
    s->orders = p->order_count / (p->groups * p->segments);
    s->first_order = (group * p->segments + index) * s->orders;
    s->channels = lane_channels + group * p->lane_axis + first;
    s->paths = orders + s->first_order * p->order_length;
}

static void shuffle(uint32_t *values, size_t count, uint64_t seed) {
    hd_seeded random = {seed};
    for (size_t i = 0; i < count; i++) values[i] = (uint32_t)i;
    for (size_t i = count; i-- > 1;) {
        size_t j = hd_seeded_below(&random, (uint32_t)(i + 1));
        uint32_t swap = values[i];
        values[i] = values[j];
        values[j] = swap;
    }
}

/* One round: the segments of a group in random pairs. */
static bool meet_in_pairs(const hd_distance_source *source, const hd_reorder_options *options, size_t group,
                          uint64_t round, const uint32_t *seats, uint32_t *lane_channels, uint32_t *orders,
                          hd_exchanges *exchanges, hd_error *error) {
    const hd_plan *p = source->plan;
    uint64_t tried = 0, made = 0;
    bool failed = false;
#pragma omp parallel num_threads(options->threads) reduction(+ : tried, made)
    {
        meeting m = {.source = source, .path = options->path};
        hd_error mine;
        m.path.greedy_starts = 0;
        m.path.kicks_per_point = 0;
        bool good = meeting_create(&m, &mine);
#pragma omp for schedule(dynamic, 1)
        for (size_t pair = 0; pair < p->segments / 2; pair++) {
            if (!good) continue;
            for (int side = 0; side < 2; side++)
                seat(&m, side, group, seats[2 * pair + (size_t)side], lane_channels, orders);
            good = meet(&m, hd_seeded_derive(hd_seeded_derive(options->path.seed, round), pair), &mine);
        }
        if (!good) {
#pragma omp critical(hd_cluster_failure)
            {
                failed = true;
                if (error) *error = mine;
            }
        }
        tried += m.exchanges.tried;
        made += m.exchanges.made;
        meeting_free(&m);
    }
    exchanges->tried += tried;
    exchanges->made += made;
    return !failed;
}

bool hd_cluster_exchange(const hd_distance_source *source, const hd_reorder_options *options,
                         uint32_t *lane_channels, uint32_t *orders, hd_exchanges *exchanges,
                         hd_error *error) {
    const hd_plan *p = source->plan;
    double entries = (double)p->order_length * (double)p->order_length * (double)p->positions;
    double trials = (double)options->exchanges_per_channel * (double)p->lane_axis;
    if (trials * entries > LARGEST_WORK / (double)p->groups)
        trials = LARGEST_WORK / (double)p->groups / entries;
    size_t rounds = p->segments < 2 ? 0 : (size_t)(trials / (double)(p->segments / 2 * TRIALS_A_MEETING));
    uint32_t *seats = malloc(p->segments * sizeof *seats);
    bool done = seats || hd_fail(error, "out of memory for %zu segments", p->segments);
    for (size_t group = 0; done && group < p->groups; group++)
        for (size_t round = 0; done && round < rounds; round++) {
            uint64_t number = group * rounds + round;
            shuffle(seats, p->segments, hd_seeded_derive(options->path.seed, ~number));
            done =
                meet_in_pairs(source, options, group, number, seats, lane_channels, orders, exchanges, error);
        }
    free(seats);
    return done;
}
