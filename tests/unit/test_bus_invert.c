/* Bus-invert coding and sign-magnitude in the optimisers: distances, orders and rounded words are those that
 * flip fewest wires, against exhaustive search and against the counter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random_plan.h"
#include "reorder/distances.h"
#include "rounding.h"
#include "trellis/chain.h"
#include "words/isa.h"

static const double ones[HD_MAXIMUM_BITS] = {1, 1, 1, 1, 1, 1, 1, 1};
static const double table[HD_MAXIMUM_BITS] = {7.8, 7.3, 7.2, 7.4, 8.5, 9.0, 10.1, 21.6};

static hd_accelerator inverting(int bits, hd_representation representation) {
    hd_accelerator a = hd_accelerator_default();
    a.weight_bits = bits;
    a.representation = representation;
    a.encoding = HD_BUS_INVERT;
    return a;
}

/* Flips of bits + 1 wires on which each word goes as it is or inverted, the line raised then, whichever flips
 * fewer. */
static unsigned wire_flips(const uint8_t *patterns, size_t count, int bits) {
    unsigned mask = (1u << bits) - 1u, wires = patterns[0], flips = 0;
    for (size_t t = 1; t < count; t++) {
        unsigned inverted = (~patterns[t] & mask) | (mask + 1);
        unsigned plain = (unsigned)__builtin_popcount(wires ^ patterns[t]),
                 other = (unsigned)__builtin_popcount(wires ^ inverted);
        wires = other < plain ? inverted : patterns[t];
        flips += other < plain ? other : plain;
    }
    return flips;
}

static void rows_of_distances_are_those_of_wires(void **state) {
    (void)state;
    enum { COUNT = 53 };
    static const uint32_t costs[HD_MAXIMUM_BITS] = {3, 3, 3, 3, 3, 3, 3, 3};
    test_random r = {1};
    uint8_t patterns[COUNT][4];
    uint32_t words[COUNT], row[COUNT];
    for (int bits = HD_MINIMUM_BITS; bits <= HD_MAXIMUM_BITS; bits++) {
        hd_accelerator a = inverting(bits, HD_TWOS_COMPLEMENT);
        hd_cost_groups groups = hd_cost_groups_on(&a, costs);
        for (size_t j = 0; j < COUNT; j++) {
            for (size_t lane = 0; lane < 4; lane++)
                patterns[j][lane] = (uint8_t)test_random_below(&r, 1u << bits);
            words[j] = (uint32_t)patterns[j][0] | (uint32_t)patterns[j][1] << 8 |
                       (uint32_t)patterns[j][2] << 16 | (uint32_t)patterns[j][3] << 24;
        }
        for (int level = 0; level <= (int)hd_isa_best(); level++) {
            for (size_t j = 0; j < COUNT; j++) row[j] = (uint32_t)j;
            if (level == HD_ISA_PORTABLE) hd_distance_row_portable(words, COUNT, words[7], &groups, row);
#if defined(__x86_64__)
            if (level == HD_ISA_AVX2) hd_distance_row_avx2(words, COUNT, words[7], &groups, row);
            if (level == HD_ISA_AVX512) hd_distance_row_avx512(words, COUNT, words[7], &groups, row);
#endif
            for (size_t j = 0; j < COUNT; j++) {
                unsigned expected = 0;
                for (size_t lane = 0; lane < 4; lane++) {
                    uint8_t pair[2] = {patterns[7][lane], patterns[j][lane]};
                    expected += wire_flips(pair, 2, bits);
                }
                assert_int_equal(row[j], j + 3 * expected);
            }
        }
    }
}

static void run(int level, const hd_chain_costs *costs, const float *x, const float *errors,
                const uint32_t *changes, size_t steps, uint8_t *work, uint8_t *patterns) {
    const int none = HD_CHAIN_FREE;
    if (level == HD_ISA_PORTABLE)
        hd_chain_portable(costs, x, errors, changes, steps, none, none, work, patterns);
#if defined(__x86_64__)
    if (level == HD_ISA_AVX2) hd_chain_avx2(costs, x, errors, changes, steps, none, none, work, patterns);
    if (level == HD_ISA_AVX512) hd_chain_avx512(costs, x, errors, changes, steps, none, none, work, patterns);
#endif
}

/* Flips on the wires and whole errors, in the chain's units. */
static double chain_cost(const hd_chain_costs *costs, const float *x, float error, const uint32_t *changes,
                         size_t steps, const uint8_t *patterns) {
    double sum = (double)(costs->flips[0] >> 8) * wire_flips(patterns, steps, costs->bits);
    for (size_t t = 1; changes && t < steps; t++)
        if (patterns[t] != patterns[t - 1]) sum += changes[t] >> 8;
    for (size_t t = 0; t < steps; t++) {
        double off = (double)costs->values[patterns[t]] - (double)x[t];
        sum += (double)error * off * off;
    }
    return sum;
}

static double cheapest(const hd_chain_costs *costs, const float *x, float error, const uint32_t *changes,
                       size_t steps) {
    uint64_t states = UINT64_C(1) << costs->bits, all = 1;
    double best = INFINITY;
    for (size_t t = 0; t < steps; t++) all *= states;
    for (uint64_t i = 0; i < all; i++) {
        uint8_t patterns[6];
        uint64_t rest = i;
        bool allowed = true;
        for (size_t t = 0; t < steps; t++, rest /= states) {
            patterns[t] = (uint8_t)(rest % states);
            allowed = allowed && patterns[t] != states / 2;
        }
        double cost = allowed ? chain_cost(costs, x, error, changes, steps, patterns) : (double)INFINITY;
        best = cost < best ? cost : best;
    }
    return best;
}

static void chains_are_optimal_on_the_wires(void **state) {
    (void)state;
    static uint8_t work[6 * HD_CHAIN_STATES];
    test_random r = {2};
    for (int trial = 0; trial < 60; trial++) {
        int bits = 2 + trial % 3;
        size_t steps = 1 + test_random_below(&r, bits == 4 ? 4 : 6);
        hd_accelerator a = inverting(bits, (hd_representation)(trial / 3 % 2));
        hd_chain_costs costs;
        hd_chain_costs_init(&costs, &a, ones, trial % 2 ? 5 : 0);
        assert_true(costs.invert > 0);
        uint32_t some[7], *changes = trial % 2 ? some : NULL;
        for (size_t t = 0; t < 7; t++) some[t] = (uint32_t)(5 * test_random_unit(&r) * costs.unit) << 8;
        float x[6], errors[6], error = (float)(pow(10, -2 + 3 * test_random_unit(&r)) * costs.unit);
        for (size_t t = 0; t < steps; t++) {
            x[t] = (float)(test_random_normal(&r) * (1 << bits) / 5);
            errors[t] = error;
        }
        double best = cheapest(&costs, x, error, changes, steps);
        for (int level = 0; level <= (int)hd_isa_best(); level++) {
            uint8_t patterns[6];
            run(level, &costs, x, errors, changes, steps, work, patterns);
            /* Errors are truncated to the unit, each by less than one. */
            assert_true(chain_cost(&costs, x, error, changes, steps, patterns) <=
                        best + 2.0 * (double)steps + best * 1e-6);
        }
    }
}

static void levels_agree(void **state) {
    (void)state;
    enum { STEPS = 400 };
    static uint8_t work[STEPS * HD_CHAIN_STATES], patterns[STEPS], others[STEPS];
    static float x[STEPS], errors[STEPS];
    test_random r = {3};
    for (int bits = HD_MINIMUM_BITS; bits <= HD_MAXIMUM_BITS; bits++) {
        hd_accelerator a = inverting(bits, HD_SIGN_MAGNITUDE);
        hd_chain_costs costs;
        hd_chain_costs_init(&costs, &a, ones, 0);
        for (size_t t = 0; t < STEPS; t++) {
            x[t] = (float)(test_random_normal(&r) * (1 << bits) / 8);
            errors[t] = (float)(0.02 * costs.unit * test_random_unit(&r));
        }
        run(HD_ISA_PORTABLE, &costs, x, errors, NULL, STEPS, work, patterns);
        for (int level = 1; level <= (int)hd_isa_best(); level++) {
            run(level, &costs, x, errors, NULL, STEPS, work, others);
            assert_memory_equal(patterns, others, STEPS);
        }
    }
}

/* ---- orders ---- */
static uint64_t inside(hd_plan *plan, const int8_t *words, const uint32_t *order) {
    hd_flips flips;
    assert_true(hd_plan_set_one_order(plan, order, NULL));
    assert_true(hd_count_flips(plan, words, 1, &flips, NULL));
    return flips.flips_inside_tiles;
}

static uint64_t shortest(hd_plan *plan, const int8_t *words, uint32_t *order, size_t fixed, size_t count) {
    if (fixed == count) return inside(plan, words, order);
    uint64_t best = UINT64_MAX;
    for (size_t i = fixed; i < count; i++) {
        uint32_t kept = order[fixed];
        order[fixed] = order[i];
        order[i] = kept;
        uint64_t length = shortest(plan, words, order, fixed + 1, count);
        best = length < best ? length : best;
        order[i] = order[fixed];
        order[fixed] = kept;
    }
    return best;
}

static void orders_are_shortest_on_the_wires(void **state) {
    (void)state;
    test_random r = {4};
    for (int trial = 0; trial < 24; trial++) {
        size_t count = 2 + test_random_below(&r, 5);
        hd_layer_shape shape = {count, 2 + test_random_below(&r, 7), 1, 1, 4};
        hd_accelerator a = inverting(trial % 2 ? 8 : 3 + trial % 5, (hd_representation)(trial / 2 % 2));
        a.encoding = trial % 4 ? HD_BUS_INVERT : HD_ENCODING_NONE;
        hd_plan plan;
        assert_true(hd_plan_init(&plan, &a, &shape, NULL));
        int8_t *words = test_random_words(&r, &plan);
        uint32_t orders[8], natural[8] = {0, 1, 2, 3, 4, 5, 6, 7};
        hd_reorder_options o = hd_reorder_defaults();
        o.join_tiles = false;
        assert_true(hd_reorder_segments(&plan, words, &o, orders, NULL));
        assert_int_equal(inside(&plan, words, orders), shortest(&plan, words, natural, 0, count));
        hd_certificate certificate;
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        assert_true(hd_certify_orders(&plan, words, &o, &certificate, NULL));
        assert_int_equal(certificate.length, inside(&plan, words, orders));
        assert_true(certificate.bound <= certificate.length);
        free(words);
        hd_plan_free(&plan);
    }
}

static hd_flips recount(const hd_plan *plan, const int8_t *words, hd_encoding encoding) {
    hd_plan copy;
    hd_flips flips;
    assert_true(hd_plan_copy(&copy, plan, NULL));
    copy.accelerator.encoding = encoding;
    assert_true(hd_count_flips(&copy, words, 1, &flips, NULL));
    hd_plan_free(&copy);
    return flips;
}

/* A network's kind of layer on both codings: what is made for the wires flips fewer of them than what is made
 * for the words, for orders and for rounding. */
static void what_is_made_for_the_wires_is_better_there(void **state) {
    (void)state;
    test_random r = {5};
    for (int representation = 0; representation < HD_REPRESENTATION_COUNT; representation++) {
        hd_layer_shape shape = {96, 48, 1, 1, 16};
        uint64_t ordered[2], rounded[2];
        double weighted[2];
        float weights[96 * 48], scales[96];
        for (size_t i = 0; i < 96 * 48; i++) weights[i] = (float)test_random_normal(&r);
        for (int encoding = 0; encoding < 2; encoding++) {
            hd_accelerator a = inverting(8, (hd_representation)representation);
            a.encoding = encoding ? HD_BUS_INVERT : HD_ENCODING_NONE;
            a.rows = 8;
            hd_plan plan;
            assert_true(hd_plan_init(&plan, &a, &shape, NULL));
            int8_t *words = malloc(plan.weights);
            uint32_t *orders = malloc(plan.order_count * plan.order_length * sizeof *orders);
            assert_true(hd_quantise(weights, 96, 48, 8, words, scales, NULL));
            uint64_t natural = recount(&plan, words, HD_BUS_INVERT).flips;
            assert_true(hd_reorder_segments(&plan, words, NULL, orders, NULL));
            assert_true(hd_plan_set_orders(&plan, orders, NULL));
            ordered[encoding] = recount(&plan, words, HD_BUS_INVERT).flips;
            assert_true(ordered[encoding] < natural);
            hd_round_layer layer = {
                .plan = &plan, .weights = weights, .scales = scales, .emphasis = 1, .words = words};
            memcpy(layer.bit_costs, ones, sizeof ones);
            assert_true(hd_reorder_and_round(&layer, 1, 0.02, NULL, NULL));
            hd_rounding rounding;
            assert_true(hd_measure_rounding(&layer, &rounding, NULL));
            rounded[encoding] = recount(&plan, words, HD_BUS_INVERT).flips;
            weighted[encoding] = (double)rounded[encoding] + 0.02 * rounding.weighted_noise;
            free(words);
            free(orders);
            hd_plan_free(&plan);
        }
        assert_true(ordered[1] < ordered[0]);
        assert_true(weighted[1] < weighted[0]);
        assert_true(rounded[1] < ordered[1]);
    }
}

/* The energy table's costs are of operands behind the decoder: the words do not depend on the coding. */
static void costs_by_bit_know_no_coding(void **state) {
    (void)state;
    test_random r = {6};
    hd_layer_shape shape = {24, 20, 1, 1, 4};
    float weights[24 * 20], scales[24];
    int8_t words[2][24 * 20];
    for (size_t i = 0; i < 24 * 20; i++) weights[i] = (float)test_random_normal(&r);
    for (int encoding = 0; encoding < 2; encoding++) {
        hd_accelerator a = inverting(8, HD_TWOS_COMPLEMENT);
        a.encoding = encoding ? HD_BUS_INVERT : HD_ENCODING_NONE;
        hd_plan plan;
        assert_true(hd_plan_init(&plan, &a, &shape, NULL));
        assert_true(hd_quantise(weights, 24, 20, 8, words[encoding], scales, NULL));
        hd_round_layer layer = {
            .plan = &plan, .weights = weights, .scales = scales, .emphasis = 1, .words = words[encoding]};
        memcpy(layer.bit_costs, table, sizeof table);
        assert_true(hd_reorder_and_round(&layer, 1, 0.1, NULL, NULL));
        hd_plan_free(&plan);
    }
    assert_memory_equal(words[0], words[1], sizeof words[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_of_distances_are_those_of_wires),
                                       cmocka_unit_test(chains_are_optimal_on_the_wires),
                                       cmocka_unit_test(levels_agree),
                                       cmocka_unit_test(orders_are_shortest_on_the_wires),
                                       cmocka_unit_test(what_is_made_for_the_wires_is_better_there),
                                       cmocka_unit_test(costs_by_bit_know_no_coding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
