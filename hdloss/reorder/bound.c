/* A proven lower bound on the length of an open path: the 1-tree relaxation with node potentials, raised by
 * subgradient ascent, in whole numbers so that no rounding can spoil the proof. The free ends are a node at
 * distance 0 from all others. Held and Karp, "The traveling-salesman problem and minimum spanning trees: part
 * II", Mathematical Programming 1 (1971); the length of step is Polyak's, with the length of a known path as
 * target. */
#include "reorder/bound.h"

#include "reorder/one_tree.h"
#include "words/isa.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEP_BITS = 16,          /* fraction bits of a step's length */
    PATIENCE = 10,           /* steps without a better bound before they are halved */
    SMALLEST_RELAXATION = 14 /* halvings after which the ascent stops */
};

/* Potentials stay within this, so that no key of the spanning tree overflows; no useful one is as large. */
static const int64_t LIMIT = (INT64_C(1) << 40) - 1;

typedef struct ascent {
    uint32_t count;
    int64_t *potentials, *reach, *offer;
    uint32_t *parents;
    int32_t *degrees, *degrees_before;
} ascent;

static hd_spanning_tree_function *spanning_tree(void) {
#if defined(__x86_64__)
    switch (hd_isa_best()) {
    case HD_ISA_AVX512:
        return hd_spanning_tree_avx512;
    case HD_ISA_AVX2:
        return hd_spanning_tree_avx2;
    case HD_ISA_PORTABLE:
        break;
    }
#endif
    return hd_spanning_tree_portable;
}

/* Adds the two cheapest edges to the node of the ends and takes the potentials off again: the bound that
 * these potentials prove, in scaled units. */
static int64_t close_tree(ascent *a, int64_t tree) {
    uint32_t first = 0, second = 1;
    int64_t sum = a->potentials[0];
    for (uint32_t i = 1; i < a->count; i++) {
        sum += a->potentials[i];
        if (a->potentials[i] < a->potentials[first]) {
            second = first;
            first = i;
        } else if (i == 1 || a->potentials[i] < a->potentials[second]) {
            second = i;
        }
    }
    a->degrees[first]++;
    a->degrees[second]++;
    return tree + a->potentials[first] + a->potentials[second] - 2 * sum;
}

/* Moves the potentials along 0.7 of this tree's and 0.3 of the last tree's excess degrees. False: the tree is
 * a path. */
static bool step_up(ascent *a, int64_t missing, unsigned halvings) {
    int64_t square = 0;
    for (uint32_t i = 0; i < a->count; i++) square += (int64_t)(a->degrees[i] - 2) * (a->degrees[i] - 2);
    if (square == 0) return false;
    int64_t step = (missing << STEP_BITS) / square >> halvings;
    if (step == 0) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        int64_t direction = 7 * (a->degrees[i] - 2) + 3 * (a->degrees_before[i] - 2);
        __int128 moved = a->potentials[i] + (__int128)step * direction / (10 * (INT64_C(1) << STEP_BITS));
        a->potentials[i] = (int64_t)(moved > LIMIT ? LIMIT : moved < -LIMIT ? -LIMIT : moved);
        a->degrees_before[i] = a->degrees[i];
    }
    return true;
}

static uint64_t ascend(ascent *a, const uint32_t *distances, size_t stride, uint64_t length, uint32_t steps) {
    hd_spanning_tree_function *tree_of = spanning_tree();
    const int64_t target = (int64_t)length << HD_TREE_SCALE_BITS;
    int64_t best = 0;
    unsigned halvings = 0, stalled = 0;
    for (uint32_t step = 0; step < steps && halvings < SMALLEST_RELAXATION; step++) {
        int64_t tree =
            tree_of(distances, stride, a->count, a->potentials, a->degrees, a->reach, a->offer, a->parents);
        int64_t proven = close_tree(a, tree);
        if (step == 0) memcpy(a->degrees_before, a->degrees, a->count * sizeof *a->degrees);
        if (proven > best) {
            best = proven;
            stalled = 0;
            if (best > target - (INT64_C(1) << HD_TREE_SCALE_BITS)) break;
        } else if (++stalled == PATIENCE) {
            halvings++;
            stalled = 0;
        }
        if (!step_up(a, target - proven, halvings)) break;
    }
    /* Lengths are whole, so the bound may be rounded up. */
    return (uint64_t)(best + (INT64_C(1) << HD_TREE_SCALE_BITS) - 1) >> HD_TREE_SCALE_BITS;
}

bool hd_one_tree_bound(const uint32_t *distances, size_t stride, uint32_t count, uint64_t length,
                       uint32_t steps, uint64_t *bound) {
    if (count <= 2) {
        *bound = count == 2 ? distances[1] : 0;
        return true;
    }
    ascent a = {.count = count};
    a.potentials = calloc(count, sizeof *a.potentials);
    a.reach = malloc(count * sizeof *a.reach);
    a.offer = malloc(count * sizeof *a.offer);
    a.parents = calloc(count, sizeof *a.parents);
    a.degrees = malloc(count * sizeof *a.degrees);
    a.degrees_before = malloc(count * sizeof *a.degrees_before);
    bool done = a.potentials && a.reach && a.offer && a.parents && a.degrees && a.degrees_before;
    if (done) *bound = ascend(&a, distances, stride, length, steps);
    free(a.potentials);
    free(a.reach);
    free(a.offer);
    free(a.parents);
    free(a.degrees);
    free(a.degrees_before);
    return done;
}
