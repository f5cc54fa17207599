/* Segment reordering of stream plans: distances against a naive count, permutations, flips that fall,
 * certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reordering.h"
#include "reorder/flip_distances.h"
#include "reorder/solve_order.h"
#include "words/isa.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static uint32_t draw(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

/* Words as trained weights have them: many small, few large. */
static int8_t *laplacian_words(size_t count, int bits) {
    int8_t *words = malloc(count);
    double scale = hd_largest_word(bits) / 7.0;
    for (size_t i = 0; i < count; i++) {
        double u = (draw(1u << 24) + 0.5) / (1u << 24) - 0.5;
        double x = rint((u < 0 ? scale : -scale) * log(1 - 2 * fabs(u)));
        words[i] = (int8_t)fmax(-hd_largest_word(bits), fmin(hd_largest_word(bits), x));
    }
    return words;
}

static void rows_of_distances_agree_at_every_level(void **state) {
    (void)state;
    enum { COUNT = 77 };
    static const uint32_t costs[][HD_MAXIMUM_BITS] = {
        {1, 1, 1, 1, 1, 1, 1, 1}, {78, 73, 72, 74, 85, 90, 101, 216}, {0, 1, 1, 2, 2, 2, 3, 9}};
    uint32_t words[COUNT], row[COUNT];
    random_state = 2;
    for (size_t j = 0; j < COUNT; j++) words[j] = draw(1u << 31) ^ draw(1u << 31) << 1;
    for (size_t c = 0; c < 3; c++) {
        hd_cost_groups groups = hd_cost_groups_of(costs[c]);
        for (int level = 0; level <= (int)hd_isa_best(); level++) {
            uint32_t own = words[5 + c];
            for (size_t j = 0; j < COUNT; j++) row[j] = (uint32_t)j;
            if (level == HD_ISA_PORTABLE) hd_distance_row_portable(words, COUNT, own, &groups, row);
#if defined(__x86_64__)
            if (level == HD_ISA_AVX2) hd_distance_row_avx2(words, COUNT, own, &groups, row);
            if (level == HD_ISA_AVX512) hd_distance_row_avx512(words, COUNT, own, &groups, row);
#endif
            for (size_t j = 0; j < COUNT; j++) {
                uint32_t expected = (uint32_t)j;
                for (unsigned bit = 0; bit < 32; bit++)
                    if ((words[j] ^ own) >> bit & 1) expected += costs[c][bit % 8];
                assert_int_equal(row[j], expected);
            }
        }
    }
}

typedef struct plan_case {
    hd_layer_shape shape;
    hd_dataflow dataflow;
    hd_kernel_orders kernel_orders;
    hd_representation representation;
    int rows, bits;
    bool lane_channels;
} plan_case;

static const plan_case cases[] = {
    {{24, 40, 1, 1, 9}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 16, 8, false},
    {{24, 40, 1, 1, 9}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_SIGN_MAGNITUDE, 16, 8, true},
    {{13, 6, 1, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 4, 8, false},
    {{13, 6, 1, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_SHARED, HD_TWOS_COMPLEMENT, 4, 5, true},
    {{12, 8, 2, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 3, 8, true},
    {{20, 9, 1, 3, 4}, HD_OUTPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 8, 8, false},
    {{12, 8, 4, 3, 4}, HD_OUTPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_SIGN_MAGNITUDE, 4, 4, true},
    {{18, 18, 18, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 16, 8, false},
    {{50, 20, 1, 1, 4}, HD_WEIGHT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 8, 8, false},
    {{10, 300, 1, 1, 1}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 64, 8, false},
};
enum { CASES = sizeof cases / sizeof *cases };

static void make_plan(const plan_case *c, hd_plan *plan) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = c->rows;
    a.cols = 8;
    a.dataflow = c->dataflow;
    a.kernel_orders = c->kernel_orders;
    a.representation = c->representation;
    a.weight_bits = c->bits;
    assert_true(hd_plan_init(plan, &a, &c->shape, NULL));
    if (!c->lane_channels) return;
    uint32_t *channels = malloc(plan->groups * plan->lane_axis * sizeof *channels);
    for (size_t g = 0; g < plan->groups; g++)
        for (size_t i = 0; i < plan->lane_axis; i++)
            channels[g * plan->lane_axis + i] = (uint32_t)((i * (plan->lane_axis - 1) + 3) % plan->lane_axis);
    assert_true(hd_plan_set_lane_channels(plan, channels, NULL));
    free(channels);
}

/* The matrix of an order against words compared one by one through the plan's own map. */
static void distances_are_those_of_the_plan(void **state) {
    (void)state;
    random_state = 3;
    for (size_t i = 0; i < CASES; i++) {
        hd_plan plan;
        make_plan(&cases[i], &plan);
        if (plan.dataflow == HD_WEIGHT_STATIONARY) {
            hd_plan_free(&plan);
            continue;
        }
        int8_t *words = laplacian_words(plan.weights, cases[i].bits);
        static const uint32_t costs[HD_MAXIMUM_BITS] = {1, 2, 3, 4, 5, 6, 7, 8};
        hd_flip_distances flips;
        assert_true(hd_flip_distances_init(&flips, &plan, words, costs, NULL));
        const uint8_t *patterns = flips.patterns;
        size_t order = draw((uint32_t)plan.order_count);
        uint32_t *matrix = hd_order_distances(&flips.source, order, 0, plan.order_length, NULL);
        assert_non_null(matrix);
        for (size_t a = 0; a < plan.order_length; a++)
            for (size_t b = 0; b < plan.order_length; b++) {
                uint32_t expected = 0;
                for (size_t t = 0; t < plan.tiles; t++) {
                    hd_tile tile = hd_plan_tile(&plan, t);
                    for (size_t lane = 0; tile.order == order && lane < tile.lanes; lane++) {
                        unsigned changed = (unsigned)(patterns[hd_plan_weight(&plan, &tile, a, lane)] ^
                                                      patterns[hd_plan_weight(&plan, &tile, b, lane)]);
                        for (unsigned bit = 0; bit < 8; bit++)
                            if (changed >> bit & 1) expected += costs[bit];
                    }
                }
                assert_int_equal(matrix[a * plan.order_length + b], expected);
            }
        free(matrix);
        hd_flip_distances_free(&flips);
        free(words);
        hd_plan_free(&plan);
    }
}

/* Orders are permutations (hd_plan_set_orders checks that), flips recounted by the plan's own counter fall,
 * and the answer is the same whatever the number of threads. */
static void reordering_saves_flips(void **state) {
    (void)state;
    random_state = 4;
    for (size_t i = 0; i < CASES; i++) {
        hd_plan plan;
        make_plan(&cases[i], &plan);
        int8_t *words = laplacian_words(plan.weights, cases[i].bits);
        size_t entries = plan.order_count * plan.order_length;
        uint32_t *orders = malloc(entries * sizeof *orders), *again = malloc(entries * sizeof *again);
        hd_reorder_options options = hd_reorder_defaults();
        hd_flips natural, parted, joined;
        assert_true(hd_count_flips(&plan, words, 1, &natural, NULL));
        options.join_tiles = false;
        assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
        hd_plan solved;
        assert_true(hd_plan_copy(&solved, &plan, NULL));
        assert_true(hd_plan_set_orders(&solved, orders, NULL));
        assert_true(hd_count_flips(&solved, words, 1, &parted, NULL));
        options.join_tiles = true;
        assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
        options.threads = 3;
        assert_true(hd_reorder_segments(&plan, words, &options, again, NULL));
        assert_memory_equal(orders, again, entries * sizeof *orders);
        assert_true(hd_plan_set_orders(&solved, orders, NULL));
        assert_true(hd_count_flips(&solved, words, 1, &joined, NULL));
        assert_int_equal(natural.words, joined.words);
        if (plan.dataflow != HD_WEIGHT_STATIONARY) {
            assert_true(parted.flips_inside_tiles < natural.flips_inside_tiles);
            assert_true(parted.flips_inside_tiles <= joined.flips_inside_tiles);
        }
        assert_true(joined.flips < natural.flips);
        if (plan.lane_axis % (size_t)plan.accelerator.rows == 0) assert_true(joined.flips <= parted.flips);
        /* Solving again from the solved orders never makes them longer. */
        options.join_tiles = false;
        options.path.kicks_per_point = 0;
        assert_true(hd_plan_set_orders(&solved, orders, NULL));
        assert_true(hd_reorder_segments(&solved, words, &options, again, NULL));
        assert_true(hd_plan_set_orders(&solved, again, NULL));
        assert_true(hd_count_flips(&solved, words, 1, &parted, NULL));
        if (plan.dataflow != HD_WEIGHT_STATIONARY)
            assert_true(parted.flips_inside_tiles <= joined.flips_inside_tiles);
        free(orders);
        free(again);
        free(words);
        hd_plan_free(&plan);
        hd_plan_free(&solved);
    }
}

static void certificates_bound_the_count(void **state) {
    (void)state;
    random_state = 6;
    hd_certificate total = {0};
    for (size_t i = 0; i < CASES; i++) {
        hd_plan plan;
        make_plan(&cases[i], &plan);
        int8_t *words = laplacian_words(plan.weights, cases[i].bits);
        uint32_t *orders = malloc(plan.order_count * plan.order_length * sizeof *orders);
        hd_reorder_options options = hd_reorder_defaults();
        options.join_tiles = false;
        hd_certificate natural, solved;
        hd_flips flips;
        assert_true(hd_certify_orders(&plan, words, &options, &natural, NULL));
        assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        assert_true(hd_certify_orders(&plan, words, &options, &solved, NULL));
        assert_true(hd_count_flips(&plan, words, 1, &flips, NULL));
        assert_int_equal(solved.orders, plan.order_count);
        if (plan.dataflow == HD_WEIGHT_STATIONARY) {
            assert_int_equal(solved.uncertified, solved.orders);
        } else {
            assert_int_equal(solved.uncertified, 0);
            assert_int_equal(solved.length, flips.flips_inside_tiles);
            assert_true(solved.bound <= solved.length && natural.bound <= solved.length);
            assert_true(solved.mean_gap <= solved.largest_gap && solved.largest_gap < 0.03);
        }
        hd_certificate_add(&total, &solved);
        free(orders);
        free(words);
        hd_plan_free(&plan);
    }
    assert_true(total.mean_gap < 0.015 && total.proven_shortest > 0 && total.uncertified > 0);
    assert_true(total.orders > total.uncertified + total.proven_shortest);
}

/* A dear sign bit: the costs are obeyed. */
static void bit_costs_are_obeyed(void **state) {
    (void)state;
    hd_plan plan;
    make_plan(&cases[0], &plan);
    random_state = 8;
    int8_t *words = laplacian_words(plan.weights, 8);
    uint32_t *orders = malloc(plan.order_count * plan.order_length * sizeof *orders);
    hd_reorder_options options = hd_reorder_defaults();
    hd_flips plain, weighted;
    assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
    assert_true(hd_plan_set_orders(&plan, orders, NULL));
    assert_true(hd_count_flips(&plan, words, 1, &plain, NULL));
    double costs[HD_MAXIMUM_BITS] = {7.8, 7.3, 7.2, 7.4, 8.5, 9.0, 10.1, 21.6};
    hd_whole_bit_costs(costs, options.bit_costs);
    assert_int_equal(options.bit_costs[7], 256);
    assert_int_equal(options.bit_costs[0], 92);
    assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
    assert_true(hd_plan_set_orders(&plan, orders, NULL));
    assert_true(hd_count_flips(&plan, words, 1, &weighted, NULL));
    double plain_pj = 0, weighted_pj = 0;
    for (int bit = 0; bit < 8; bit++) {
        plain_pj += costs[bit] * (double)plain.flips_by_bit[bit];
        weighted_pj += costs[bit] * (double)weighted.flips_by_bit[bit];
    }
    assert_true(weighted_pj < plain_pj);
    assert_true(weighted.flips_by_bit[7] < plain.flips_by_bit[7]);
    for (int bit = 0; bit < 8; bit++) costs[bit] = 0.17;
    hd_whole_bit_costs(costs, options.bit_costs);
    for (int bit = 0; bit < 8; bit++) assert_int_equal(options.bit_costs[bit], 1);
    free(orders);
    free(words);
    hd_plan_free(&plan);
}

static void long_orders_are_solved_in_blocks(void **state) {
    (void)state;
    plan_case c = {{HD_LARGEST_MATRIX + 100, 4, 1, 1, 1},
                   HD_INPUT_STATIONARY,
                   HD_KERNEL_ORDERS_EACH,
                   HD_TWOS_COMPLEMENT,
                   4,
                   8,
                   false};
    hd_plan plan;
    make_plan(&c, &plan);
    random_state = 9;
    int8_t *words = laplacian_words(plan.weights, 8);
    uint32_t *orders = malloc(plan.order_count * plan.order_length * sizeof *orders);
    hd_reorder_options options = hd_reorder_defaults();
    options.path.kicks_per_point = 0;
    options.path.greedy_starts = 1;
    hd_flips natural, solved;
    hd_certificate certificate;
    assert_true(hd_count_flips(&plan, words, 1, &natural, NULL));
    assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
    assert_true(hd_plan_set_orders(&plan, orders, NULL));
    assert_true(hd_count_flips(&plan, words, 1, &solved, NULL));
    assert_true(2 * solved.flips < natural.flips);
    assert_true(hd_certify_orders(&plan, words, &options, &certificate, NULL));
    assert_int_equal(certificate.uncertified, 1);
    free(orders);
    free(words);
    hd_plan_free(&plan);
}

static void no_threads_are_refused(void **state) {
    (void)state;
    hd_plan plan;
    make_plan(&cases[0], &plan);
    hd_reorder_options options = hd_reorder_defaults();
    options.threads = 0;
    hd_error error;
    hd_certificate certificate;
    assert_false(hd_reorder_segments(&plan, NULL, &options, NULL, &error));
    assert_non_null(strstr(error.message, "threads"));
    assert_false(hd_certify_orders(&plan, NULL, &options, &certificate, &error));
    hd_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_distances_agree_at_every_level),
        cmocka_unit_test(distances_are_those_of_the_plan),
        cmocka_unit_test(reordering_saves_flips),
        cmocka_unit_test(certificates_bound_the_count),
        cmocka_unit_test(bit_costs_are_obeyed),
        cmocka_unit_test(long_orders_are_solved_in_blocks),
        cmocka_unit_test(no_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
