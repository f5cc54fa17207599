/* Iterated local search over closed tours: sequential 3-opt (which contains 2-opt and or-opt) with neighbour
 * lists and a work queue in place of don't-look bits, perturbed by double bridges of short segments. Lin and
 * Kernighan, Operations Research 21 (1973); Johnson and McGeoch, "The traveling salesman problem: a case
 * study" (1997); Martin, Otto, Felten, "Large-step Markov chains for the traveling salesman problem" (1991).
 */
#include "reorder/tour.h"

#include "reorder/seeded.h"

#include <stdlib.h>
#include <string.h>

enum { THIRD_LEVEL_NEIGHBOURS = 5, KICK_SEGMENT = 50, JOURNAL_CAPACITY = 1024, MOVE_REVERSALS = 3 };

typedef struct move {
    int64_t gain;
    uint32_t t[7]; /* t[1] to t[6], names as in Lin and Kernighan's paper */
    enum { MOVE_NONE, MOVE_TWO, MOVE_THREE_PATH, MOVE_THREE_CYCLE_TURNED, MOVE_THREE_CYCLE_SWAPPED } kind;
} move;

bool hd_tour_create(hd_tour *tour, const uint32_t *distances, size_t stride, uint32_t count) {
    memset(tour, 0, sizeof *tour);
    tour->count = count;
    tour->distances = distances;
    tour->stride = stride;
    tour->near_count = count - 1 < HD_TOUR_NEIGHBOURS ? count - 1 : HD_TOUR_NEIGHBOURS;
    tour->near = malloc((size_t)count * tour->near_count * sizeof *tour->near);
    tour->near_distances = malloc((size_t)count * tour->near_count * sizeof *tour->near_distances);
    tour->nodes = malloc(count * sizeof *tour->nodes);
    tour->positions = malloc(count * sizeof *tour->positions);
    tour->queue = malloc(count * sizeof *tour->queue);
    tour->queued = calloc(count, sizeof *tour->queued);
    tour->journal = malloc(JOURNAL_CAPACITY * sizeof *tour->journal);
    if (tour->near && tour->near_distances && tour->nodes && tour->positions && tour->queue && tour->queued &&
        tour->journal)
        return true;
    hd_tour_free(tour);
    return false;
}

void hd_tour_free(hd_tour *tour) {
    free(tour->near);
    free(tour->near_distances);
    free(tour->nodes);
    free(tour->positions);
    free(tour->queue);
    free(tour->queued);
    free(tour->journal);
    memset(tour, 0, sizeof *tour);
}

static inline uint32_t distance(const hd_tour *tour, uint32_t a, uint32_t b) {
    return tour->distances[(size_t)a * tour->stride + b];
}

void hd_tour_find_neighbours(hd_tour *tour, const int64_t *potentials) {
    int64_t keys[HD_TOUR_NEIGHBOURS];
    for (uint32_t a = 0; a < tour->count; a++) {
        uint32_t *near = tour->near + (size_t)a * tour->near_count, kept = 0;
        for (uint32_t b = 0; b < tour->count; b++) {
            if (b == a) continue;
            int64_t key = distance(tour, a, b) + (potentials ? potentials[b] : 0);
            if (kept == tour->near_count && key >= keys[kept - 1]) continue;
            uint32_t at = kept < tour->near_count ? kept++ : kept - 1;
            for (; at > 0 && keys[at - 1] > key; at--) {
                keys[at] = keys[at - 1];
                near[at] = near[at - 1];
            }
            keys[at] = key;
            near[at] = b;
        }
        for (uint32_t i = 0; i < kept; i++)
            tour->near_distances[(size_t)a * tour->near_count + i] = distance(tour, a, near[i]);
    }
}

void hd_tour_set(hd_tour *tour, const uint32_t *nodes) {
    for (uint32_t i = 0; i < tour->count; i++) {
        tour->nodes[i] = nodes[i];
        tour->positions[nodes[i]] = i;
    }
}

uint64_t hd_tour_length(const hd_tour *tour) {
    uint64_t length = distance(tour, tour->nodes[tour->count - 1], tour->nodes[0]);
    for (uint32_t i = 1; i < tour->count; i++) length += distance(tour, tour->nodes[i - 1], tour->nodes[i]);
    return length;
}

static inline uint32_t next(const hd_tour *tour, uint32_t a, bool forward) {
    uint32_t at = tour->positions[a];
    if (forward) return tour->nodes[at + 1 == tour->count ? 0 : at + 1];
    return tour->nodes[at == 0 ? tour->count - 1 : at - 1];
}

/* Steps from a to b walking forward (or backward). */
static inline uint32_t steps(const hd_tour *tour, uint32_t a, uint32_t b, bool forward) {
    uint32_t from = tour->positions[forward ? a : b], to = tour->positions[forward ? b : a];
    return to >= from ? to - from : to + tour->count - from;
}

/* Reverses `length` places beginning at position `first`, round the end of the array if need be. */
static void reverse_places(hd_tour *tour, uint32_t first, uint32_t length) {
    uint32_t n = tour->count, low = first, high = first + length - 1;
    if (high >= n) high -= n;
    for (uint32_t swaps = length / 2; swaps > 0; swaps--) {
        uint32_t a = tour->nodes[low], b = tour->nodes[high];
        tour->nodes[low] = b;
        tour->positions[b] = low;
        tour->nodes[high] = a;
        tour->positions[a] = high;
        low = low + 1 == n ? 0 : low + 1;
        high = high == 0 ? n - 1 : high - 1;
    }
}

/* Reverses the path that leads forward from a to b, or what is left of the tour if that is shorter: the same
 * closed tour. */
static void reverse_path(hd_tour *tour, uint32_t a, uint32_t b) {
    uint32_t n = tour->count, first = tour->positions[a], length = steps(tour, a, b, true) + 1;
    if (2 * length > n) {
        first = tour->positions[b] + 1 == n ? 0 : tour->positions[b] + 1;
        length = n - length;
    }
    if (length < 2) return;
    reverse_places(tour, first, length);
    tour->journal[tour->journal_length][0] = first;
    tour->journal[tour->journal_length++][1] = length;
}

/* The 2-opt move that takes edges (a, b) and (c, d) out and puts (b, c) and (d, a) in; b follows a in the
 * direction in which d precedes c. */
static void exchange(hd_tour *tour, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    (void)c;
    if (next(tour, a, true) == b)
        reverse_path(tour, b, d);
    else
        reverse_path(tour, d, b);
}

static void enqueue(hd_tour *tour, uint32_t node) {
    if (tour->queued[node]) return;
    tour->queued[node] = true;
    uint32_t at = tour->queue_first + tour->queue_length++;
    tour->queue[at >= tour->count ? at - tour->count : at] = node;
}

static uint32_t dequeue(hd_tour *tour) {
    uint32_t node = tour->queue[tour->queue_first];
    tour->queue_first = tour->queue_first + 1 == tour->count ? 0 : tour->queue_first + 1;
    tour->queue_length--;
    tour->queued[node] = false;
    return node;
}

static void apply(hd_tour *tour, const move *m) {
    const uint32_t *t = m->t;
    switch (m->kind) {
    case MOVE_NONE:
        return;
    case MOVE_TWO:
        exchange(tour, t[1], t[2], t[3], t[4]);
        break;
    case MOVE_THREE_PATH:
        exchange(tour, t[1], t[2], t[3], t[4]);
        exchange(tour, t[1], t[4], t[5], t[6]);
        break;
    case MOVE_THREE_CYCLE_TURNED:
        exchange(tour, t[1], t[2], t[5], t[6]);
        exchange(tour, t[2], t[5], t[4], t[3]);
        break;
    case MOVE_THREE_CYCLE_SWAPPED:
        exchange(tour, t[1], t[2], t[4], t[3]);
        exchange(tour, t[1], t[3], t[5], t[6]);
        exchange(tour, t[3], t[5], t[4], t[2]);
        break;
    }
    for (int i = 1; i <= (m->kind == MOVE_TWO ? 4 : 6); i++) enqueue(tour, t[i]);
}

static inline void consider(move *best, move *trial, int64_t gain, int kind) {
    if (gain <= best->gain) return;
    *best = *trial;
    best->gain = gain;
    best->kind = kind;
}

/* Third level, one path: t1 t4 .. t2 t3 .. after the first exchange, which a second one follows. `open` is
 * the gain so far without the closing edge. */
static void third_level_path(const hd_tour *tour, move *best, move *trial, int64_t open, bool forward) {
    uint32_t *t = trial->t;
    const uint32_t *near = tour->near + (size_t)t[4] * tour->near_count;
    const uint32_t *near_distances = tour->near_distances + (size_t)t[4] * tour->near_count;
    uint32_t inner = steps(tour, t[2], t[4], forward);
    for (uint32_t i = 0; i < tour->near_count && i < THIRD_LEVEL_NEIGHBOURS; i++) {
        int64_t left = open - near_distances[i];
        if (left <= 0) break;
        t[5] = near[i];
        if (t[5] == t[1] || t[5] == t[3]) continue;
        bool inside = steps(tour, t[2], t[5], forward) <= inner;
        t[6] = next(tour, t[5], inside ? forward : !forward);
        if (t[6] == t[4]) continue;
        consider(best, trial, left + distance(tour, t[5], t[6]) - distance(tour, t[6], t[1]),
                 MOVE_THREE_PATH);
    }
}

/* Third level, t2 .. t3 closed to a cycle beside the path t4 .. t1: the cycle is broken at t5 and joined on.
 */
static void third_level_cycle(const hd_tour *tour, move *best, move *trial, int64_t open, bool forward) {
    uint32_t *t = trial->t;
    const uint32_t *near = tour->near + (size_t)t[4] * tour->near_count;
    const uint32_t *near_distances = tour->near_distances + (size_t)t[4] * tour->near_count;
    uint32_t inner = steps(tour, t[2], t[3], forward);
    for (uint32_t i = 0; i < tour->near_count && i < THIRD_LEVEL_NEIGHBOURS; i++) {
        int64_t left = open - near_distances[i];
        if (left <= 0) break;
        t[5] = near[i];
        if (steps(tour, t[2], t[5], forward) > inner) continue;
        if (t[5] != t[3]) {
            t[6] = next(tour, t[5], forward);
            int64_t gain = left + distance(tour, t[5], t[6]) - distance(tour, t[6], t[1]);
            consider(best, trial, gain, MOVE_THREE_CYCLE_SWAPPED);
        }
        if (t[5] != t[2]) {
            t[6] = next(tour, t[5], !forward);
            int64_t gain = left + distance(tour, t[5], t[6]) - distance(tour, t[6], t[1]);
            consider(best, trial, gain, MOVE_THREE_CYCLE_TURNED);
        }
    }
}

/* Makes the best sequential 2-opt or 3-opt move that takes out an edge at t1. Returns its gain, 0: none pays.
 */
static int64_t improve_at(hd_tour *tour, uint32_t t1) {
    move best = {.kind = MOVE_NONE}, trial = {.kind = MOVE_NONE};
    uint32_t *t = trial.t;
    t[1] = t1;
    for (int direction = 0; direction < 2; direction++) {
        bool forward = direction == 0;
        t[2] = next(tour, t1, forward);
        int64_t first = distance(tour, t1, t[2]);
        const uint32_t *near = tour->near + (size_t)t[2] * tour->near_count;
        const uint32_t *near_distances = tour->near_distances + (size_t)t[2] * tour->near_count;
        for (uint32_t i = 0; i < tour->near_count; i++) {
            int64_t left = first - near_distances[i];
            if (left <= 0) break;
            t[3] = near[i];
            if (t[3] != t1 && next(tour, t[2], forward) != t[3]) {
                t[4] = next(tour, t[3], !forward);
                int64_t open = left + distance(tour, t[3], t[4]);
                consider(&best, &trial, open - distance(tour, t[4], t1), MOVE_TWO);
                third_level_path(tour, &best, &trial, open, forward);
            }
            if (t[3] != t1) {
                t[4] = next(tour, t[3], forward);
                third_level_cycle(tour, &best, &trial, left + distance(tour, t[3], t[4]), forward);
            }
        }
    }
    apply(tour, &best);
    return best.gain;
}

/* Works the queue off; stops early when the journal is full. Returns what was gained. */
static int64_t repair(hd_tour *tour) {
    int64_t gain = 0;
    while (tour->queue_length > 0 && tour->journal_length + MOVE_REVERSALS <= JOURNAL_CAPACITY)
        gain += improve_at(tour, dequeue(tour));
    return gain;
}

/* Swaps two neighbouring short segments at a random place. Returns the gain, mostly negative. */
static int64_t kick(hd_tour *tour, hd_seeded *random) {
    uint32_t n = tour->count, longest = (n - 1) / 2 < KICK_SEGMENT ? (n - 1) / 2 : KICK_SEGMENT;
    uint32_t first = hd_seeded_below(random, n);
    uint32_t middle = first + 1 + hd_seeded_below(random, longest),
             last = middle + 1 + hd_seeded_below(random, longest);
    move m = {.kind = MOVE_THREE_CYCLE_SWAPPED};
    uint32_t places[7] = {0, first, first + 1, last, last + 1, middle, middle + 1};
    for (int i = 1; i <= 6; i++) m.t[i] = tour->nodes[places[i] % n];
    const uint32_t *t = m.t;
    int64_t out =
        (int64_t)distance(tour, t[1], t[2]) + distance(tour, t[3], t[4]) + distance(tour, t[5], t[6]);
    int64_t in =
        (int64_t)distance(tour, t[2], t[3]) + distance(tour, t[4], t[5]) + distance(tour, t[6], t[1]);
    apply(tour, &m);
    return out - in;
}

static void undo(hd_tour *tour) {
    while (tour->queue_length > 0) dequeue(tour);
    while (tour->journal_length > 0) {
        const uint32_t *entry = tour->journal[--tour->journal_length];
        reverse_places(tour, entry[0], entry[1]);
    }
}

uint64_t hd_tour_improve(hd_tour *tour, uint64_t kicks, uint64_t seed) {
    hd_seeded random = {seed};
    for (uint32_t i = 0; i < tour->count; i++) enqueue(tour, tour->nodes[i]);
    while (tour->queue_length > 0) {
        tour->journal_length = 0;
        repair(tour);
    }
    for (uint64_t i = 0; i < kicks; i++) {
        tour->journal_length = 0;
        if (kick(tour, &random) + repair(tour) < 0) undo(tour);
    }
    return hd_tour_length(tour);
}
