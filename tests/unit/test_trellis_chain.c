/* The chain of trellis rounding: against exhaustive search, with and without charges for changes of word; the
 * levels of instruction sets against each other and against every pair of patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rounding.h"
#include "trellis/chain.h"
#include "trellis_draws.h"
#include "words/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_costs(hd_chain_costs *costs, int bits, hd_representation representation,
                      const double *bit_costs) {
    hd_accelerator a = hd_accelerator_default();
    a.weight_bits = bits;
    a.representation = representation;
    hd_chain_costs_init(costs, &a, bit_costs, 0);
}

/* Room for charges on changes of word, and some for each step: none, small and large ones. */
static void set_changes(hd_chain_costs *costs, int bits, hd_representation representation,
                        const double *bit_costs, size_t steps, uint32_t *changes) {
    hd_accelerator a = hd_accelerator_default();
    a.weight_bits = bits;
    a.representation = representation;
    hd_chain_costs_init(costs, &a, bit_costs, 30);
    for (size_t t = 0; t <= steps; t++)
        changes[t] = draw(4) ? (uint32_t)(uniform() * (draw(2) ? 30 : 3) * costs->unit) << 8 : 0;
}

static void run(int level, const hd_chain_costs *costs, const float *x, const float *errors,
                const uint32_t *changes, size_t steps, int before, int after, uint8_t *work,
                uint8_t *patterns) {
#if defined(__x86_64__)
    if (level == HD_ISA_AVX2) hd_chain_avx2(costs, x, errors, changes, steps, before, after, work, patterns);
    if (level == HD_ISA_AVX512)
        hd_chain_avx512(costs, x, errors, changes, steps, before, after, work, patterns);
#endif
    if (level == HD_ISA_PORTABLE)
        hd_chain_portable(costs, x, errors, changes, steps, before, after, work, patterns);
}

/* What the header says is minimised, term by term. */
static uint64_t flips_cost(const hd_chain_costs *costs, int a, int b, uint32_t change) {
    uint64_t cost = a >= 0 && b >= 0 && a != b ? change >> 8 : 0;
    for (int bit = 0; bit < costs->bits && a >= 0 && b >= 0; bit++)
        if ((a ^ b) >> bit & 1) cost += costs->flips[bit] >> 8;
    return cost;
}

static uint64_t error_cost(const hd_chain_costs *costs, uint8_t pattern, float x, float error) {
    float nearest = fmaxf(-costs->largest_word, fminf(costs->largest_word, rintf(x)));
    float least = error * ((nearest - x) * (nearest - x));
    float more = error * ((costs->values[pattern] - x) * (costs->values[pattern] - x)) - least;
    return (uint64_t)fminf(more, (float)HD_CHAIN_ERROR_LIMIT);
}

static uint64_t chain_cost(const hd_chain_costs *costs, const float *x, const float *errors,
                           const uint32_t *changes, size_t steps, int before, int after,
                           const uint8_t *patterns) {
    uint64_t cost = flips_cost(costs, before, patterns[0], changes ? changes[0] : 0) +
                    flips_cost(costs, patterns[steps - 1], after, changes ? changes[steps] : 0);
    for (size_t t = 0; t < steps; t++) cost += error_cost(costs, patterns[t], x[t], errors[t]);
    for (size_t t = 1; t < steps; t++)
        cost += flips_cost(costs, patterns[t - 1], patterns[t], changes ? changes[t] : 0);
    return cost;
}

static uint64_t cheapest(const hd_chain_costs *costs, const float *x, const float *errors,
                         const uint32_t *changes, size_t steps, int before, int after) {
    uint64_t best = UINT64_MAX, states = UINT64_C(1) << costs->bits, all = 1;
    uint8_t patterns[6];
    for (size_t t = 0; t < steps; t++) all *= states;
    for (uint64_t i = 0; i < all; i++) {
        uint64_t rest = i;
        bool allowed = true;
        for (size_t t = 0; t < steps; t++, rest /= states) {
            patterns[t] = (uint8_t)(rest % states);
            allowed &= patterns[t] != 1u << (costs->bits - 1);
        }
        uint64_t cost =
            allowed ? chain_cost(costs, x, errors, changes, steps, before, after, patterns) : UINT64_MAX;
        if (cost < best) best = cost;
    }
    return best;
}

static void chains_are_optimal(void **state) {
    (void)state;
    static uint8_t work[6 * HD_CHAIN_STATES];
    random_state = 1;
    for (int trial = 0; trial < 120; trial++) {
        int bits = 2 + trial % 3, representation = trial / 3 % 2;
        size_t steps = 1 + draw(bits == 2 ? 6 : bits == 3 ? 5 : 3);
        if (trial % 20 == 0) steps = 6, bits = 3;
        hd_chain_costs costs;
        uint32_t some[7], *changes = trial % 2 ? some : NULL;
        const double *bit_costs = trial % 5 < 3 ? ones : table;
        if (changes)
            set_changes(&costs, bits, (hd_representation)representation, bit_costs, steps, some);
        else
            set_costs(&costs, bits, (hd_representation)representation, bit_costs);
        float x[6], errors[6], mu = (float)(pow(10, -3 + 4 * uniform()) * costs.unit);
        if (trial % 10 == 9) mu = 0;
        for (size_t t = 0; t < steps; t++) {
            x[t] = laplacian((1 << bits) / 5.0);
            errors[t] = mu * (float)(trial % 4 ? 1 : 2 * uniform());
        }
        int before = (int)draw(1u << bits) - 1, after = (int)draw(1u << bits) - 1;
        if (trial % 3 == 0) before = after = HD_CHAIN_FREE;
        uint64_t best = cheapest(&costs, x, errors, changes, steps, before, after);
        for (int level = 0; level <= (int)hd_isa_best(); level++) {
            uint8_t patterns[6];
            run(level, &costs, x, errors, changes, steps, before, after, work, patterns);
            for (size_t t = 0; t < steps; t++) {
                assert_true(patterns[t] < 1u << bits);
                assert_int_not_equal(patterns[t], 1u << (bits - 1));
            }
            assert_int_equal(chain_cost(&costs, x, errors, changes, steps, before, after, patterns), best);
        }
    }
}

/* The plain form of Viterbi's algorithm, every pair of patterns by itself. */
static uint64_t viterbi_by_pairs(const hd_chain_costs *costs, const float *x, const float *errors,
                                 const uint32_t *changes, size_t steps) {
    enum { STATES = 256 };
    uint64_t cost[STATES], grown[STATES], best = UINT64_MAX;
    unsigned states = 1u << costs->bits, forbidden = states / 2;
    for (unsigned w = 0; w < states; w++)
        cost[w] = w == forbidden ? UINT64_MAX / 2 : error_cost(costs, (uint8_t)w, x[0], errors[0]);
    for (size_t t = 1; t < steps; t++) {
        for (unsigned w = 0; w < states; w++) {
            uint64_t least = UINT64_MAX / 2;
            for (unsigned p = 0; p < states; p++) {
                uint64_t sum = cost[p] + flips_cost(costs, (int)p, (int)w, changes ? changes[t] : 0);
                if (sum < least) least = sum;
            }
            grown[w] =
                w == forbidden ? UINT64_MAX / 2 : least + error_cost(costs, (uint8_t)w, x[t], errors[t]);
        }
        memcpy(cost, grown, sizeof cost);
    }
    for (unsigned w = 0; w < states; w++)
        if (cost[w] < best) best = cost[w];
    return best;
}

static void all_levels_give_the_same_words(void **state) {
    (void)state;
    enum { STEPS = 300 };
    static uint8_t work[STEPS * HD_CHAIN_STATES], patterns[3][STEPS];
    float x[STEPS], errors[STEPS];
    uint32_t some[STEPS + 1], *changes;
    random_state = 2;
    for (int trial = 0; trial < 28; trial++) {
        hd_chain_costs costs;
        hd_representation representation = (hd_representation)(trial % 2);
        const double *bit_costs = trial % 14 < 7 ? ones : table;
        changes = trial < 14 ? NULL : some;
        if (changes)
            set_changes(&costs, 2 + trial % 7, representation, bit_costs, STEPS, some);
        else
            set_costs(&costs, 2 + trial % 7, representation, bit_costs);
        float mu = (float)(pow(10, -4 + 0.3 * (trial % 14)) * costs.unit);
        for (size_t t = 0; t < STEPS; t++) {
            x[t] = laplacian(costs.largest_word / 6);
            if (t % 50 == 0) x[t] = (float)((t % 100 ? -1.3 : 1.3) * (double)costs.largest_word);
            errors[t] = mu * (float)(0.2 + 2 * uniform());
        }
        size_t steps = trial % 2 ? STEPS : 40;
        for (int level = 0; level <= (int)hd_isa_best(); level++) {
            run(level, &costs, x, errors, changes, steps, HD_CHAIN_FREE, HD_CHAIN_FREE, work,
                patterns[level]);
            assert_memory_equal(patterns[level], patterns[0], steps);
        }
        if (steps < STEPS)
            assert_int_equal(chain_cost(&costs, x, errors, changes, steps, -1, -1, patterns[0]),
                             viterbi_by_pairs(&costs, x, errors, changes, steps));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains_are_optimal),
                                       cmocka_unit_test(all_levels_give_the_same_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
