/* Trellis rounding of whole layers: against plain rounding, a recount, rings tried in full, and layers
 * rounded alone; partial sums against sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rounding.h"
#include "trellis_draws.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer_case {
    hd_layer_shape shape;
    hd_dataflow dataflow;
    hd_representation representation;
    int rows, bits;
} layer_case;

static const layer_case cases[] = {
    {{24, 40, 1, 1, 9}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 16, 8},
    {{24, 40, 1, 1, 9}, HD_INPUT_STATIONARY, HD_SIGN_MAGNITUDE, 16, 8},
    {{13, 6, 1, 3, 4}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 4, 5},
    {{12, 8, 2, 3, 4}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 3, 8},
    {{20, 9, 1, 3, 4}, HD_OUTPUT_STATIONARY, HD_SIGN_MAGNITUDE, 8, 8},
    {{18, 18, 18, 3, 4}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 16, 8},
    {{50, 20, 1, 1, 4}, HD_WEIGHT_STATIONARY, HD_TWOS_COMPLEMENT, 8, 8},
    {{2, 2, 1, 1, 1}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 4, 2},
    {{1, 3, 1, 1, 1}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 4, 8},
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct made {
    hd_plan plan;
    float *weights, *scales, *importance;
    int8_t *plain, *words;
    hd_round_layer layer;
} made;

static void make(const layer_case *c, bool importance, made *m) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = c->rows;
    a.cols = 8;
    a.dataflow = c->dataflow;
    a.representation = c->representation;
    a.weight_bits = c->bits;
    assert_true(hd_plan_init(&m->plan, &a, &c->shape, NULL));
    size_t n = m->plan.weights;
    m->weights = malloc(n * sizeof *m->weights);
    m->importance = malloc(n * sizeof *m->importance);
    m->scales = malloc(c->shape.filters * sizeof *m->scales);
    m->plain = malloc(n);
    m->words = calloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        m->weights[i] = laplacian(0.1);
        m->importance[i] = (float)(0.25 + 1.5 * uniform());
    }
    assert_true(hd_quantise(m->weights, c->shape.filters, m->plan.filter_weights, c->bits, m->plain,
                            m->scales, NULL));
    m->layer =
        (hd_round_layer){.plan = &m->plan, .weights = m->weights, .scales = m->scales, .words = m->words};
    m->layer.emphasis = 1;
    if (importance) m->layer.importance = m->importance;
    memcpy(m->layer.bit_costs, ones, sizeof ones);
}

static void unmake(made *m) {
    hd_plan_free(&m->plan);
    free(m->weights);
    free(m->importance);
    free(m->scales);
    free(m->plain);
    free(m->words);
}

static double objective(const made *m, const int8_t *words, double mu) {
    hd_flips flips;
    hd_rounding rounding;
    hd_round_layer layer = m->layer;
    layer.words = (int8_t *)words;
    assert_true(hd_count_flips(&m->plan, words, 1, &flips, NULL));
    assert_true(hd_measure_rounding(&layer, &rounding, NULL));
    double cost = 0;
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++)
        cost += layer.bit_costs[bit] * (double)flips.flips_by_bit[bit];
    return layer.emphasis * cost + mu * rounding.weighted_noise;
}

static void rounding_lowers_the_objective(void **state) {
    (void)state;
    static const double mus[] = {1e-4, 3e-3, 0.03, 0.3, 3};
    random_state = 4;
    for (size_t i = 0; i < CASES; i++) {
        made m;
        make(&cases[i], i % 2, &m);
        m.layer.emphasis = i % 3 ? 1 : 2.5;
        if (i % 4 == 3) memcpy(m.layer.bit_costs, table, sizeof table);
        int largest = hd_largest_word(cases[i].bits);
        int8_t *again = malloc(m.plan.weights);
        double before = 0;
        for (size_t j = 0; j < sizeof mus / sizeof *mus; j++) {
            assert_true(hd_round_trellis(&m.layer, 1, mus[j], 1, NULL));
            for (size_t w = 0; w < m.plan.weights; w++)
                assert_true(m.words[w] >= -largest && m.words[w] <= largest);
            double now = objective(&m, m.words, mus[j]);
            assert_true(now <= objective(&m, m.plain, mus[j]) * (1 + 1e-9));
            assert_true(now >= before * (1 - 1e-6)); /* a minimum of an objective that grows with mu */
            before = now;
            memcpy(again, m.words, m.plan.weights);
            memset(m.words, 0, m.plan.weights);
            assert_true(hd_round_trellis(&m.layer, 1, mus[j], 3, NULL));
            assert_memory_equal(again, m.words, m.plan.weights);
        }
        /* Errors beyond all price: the nearest words. */
        assert_true(hd_round_trellis(&m.layer, 1, 1e30, 1, NULL));
        assert_memory_equal(m.plain, m.words, m.plan.weights);
        free(again);
        unmake(&m);
    }
}

/* A lane as a ring, all words tried. */
static void short_rings_are_near_their_optimum(void **state) {
    (void)state;
    random_state = 6;
    layer_case c = {{5, 1, 1, 1, 1}, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 1, 3};
    int optimal = 0;
    for (int trial = 0; trial < 20; trial++) {
        made m;
        make(&c, false, &m);
        double mu = 0.1 + uniform(), best = INFINITY;
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        double found = objective(&m, m.words, mu);
        int8_t words[5];
        for (int all = 0; all < 7 * 7 * 7 * 7 * 7; all++) {
            for (int t = 0, rest = all; t < 5; t++, rest /= 7) words[t] = (int8_t)(rest % 7 - 3);
            double cost = objective(&m, words, mu);
            if (cost < best) best = cost;
        }
        assert_true(found >= best - 1e-4);
        assert_true(found <= best * 1.25 + 1e-4);
        optimal += found <= best + 1e-4;
        unmake(&m);
    }
    assert_true(optimal >= 15);
}

/* ------------------------------------------------------------------------------------------ partial sums */

/* Sums row by row, for activations with which no two differences of words cancel: roots of primes. */
static uint64_t count_changed_sums(const made *m, const int8_t *words) {
    static const int primes[16] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
    uint64_t changed = 0;
    size_t rows = (size_t)m->plan.accelerator.rows;
    for (size_t i = 0; i < m->plan.tiles; i++) {
        hd_tile tile = hd_plan_tile(&m->plan, i);
        double before[16] = {0};
        for (size_t t = 0; t < tile.steps; t++) {
            double sum = 0;
            for (size_t row = 0; row < rows; row++) {
                if (row < tile.rows)
                    sum += words[hd_plan_weight(&m->plan, &tile, t, row)] * sqrt(primes[row]);
                changed += t > 0 && fabs(sum - before[row]) > 1e-9;
                before[row] = sum;
            }
        }
    }
    return changed;
}

static double objective_with_sums(const made *m, const int8_t *words, double mu) {
    uint64_t changes;
    assert_true(hd_count_sum_changes(&m->plan, words, &changes, NULL));
    return objective(m, words, mu) + m->layer.emphasis * m->layer.sum_cost * (double)changes;
}

/* How many of 300 changes of a single word would lower the objective. */
static int changes_worth_making(made *m, double mu) {
    int largest = hd_largest_word(m->plan.accelerator.weight_bits), better = 0;
    double found = objective_with_sums(m, m->words, mu);
    for (int trial = 0; trial < 300; trial++) {
        size_t w = draw((uint32_t)m->plan.weights);
        int8_t kept = m->words[w];
        m->words[w] = (int8_t)((int)draw((uint32_t)(2 * largest + 1)) - largest);
        better += objective_with_sums(m, m->words, mu) < found * (1 - 1e-6) - 1e-6;
        m->words[w] = kept;
    }
    return better;
}

static void lanes_change_together(void **state) {
    (void)state;
    random_state = 10;
    for (size_t i = 0; i < CASES; i++) {
        made m;
        make(&cases[i], i % 2, &m);
        int8_t *apart = malloc(m.plan.weights), *again = malloc(m.plan.weights);
        double mu = m.plan.accelerator.weight_bits < 8 ? 0.1 : 0.001;
        uint64_t changes;
        m.layer.emphasis = 1.5;
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        memcpy(apart, m.words, m.plan.weights);
        m.layer.sum_cost = 0.7;
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        memcpy(again, m.words, m.plan.weights);
        assert_true(hd_round_trellis(&m.layer, 1, mu, 3, NULL));
        assert_memory_equal(again, m.words, m.plan.weights);
        if (hd_sums_flow(&m.plan)) {
            double before = objective_with_sums(&m, apart, mu), found = objective_with_sums(&m, m.words, mu);
            assert_true(hd_count_sum_changes(&m.plan, m.words, &changes, NULL));
            assert_int_equal(changes, count_changed_sums(&m, m.words));
            assert_true(found <= before * (1 + 1e-9));
            if (m.plan.weights > 100) assert_true(found < 0.95 * before);
            assert_true(changes_worth_making(&m, mu) <= 3); /* lanes that later ones have moved away from */
        } else {
            assert_memory_equal(apart, m.words, m.plan.weights);
            assert_false(hd_count_sum_changes(&m.plan, m.words, &changes, NULL));
        }
        free(apart);
        free(again);
        unmake(&m);
    }
}

static void round_together_and_alone(const double sum_costs[3], int threads) {
    random_state = 8;
    made m[3];
    hd_round_layer layers[3];
    for (size_t i = 0; i < 3; i++) {
        make(&cases[i], false, &m[i]);
        layers[i] = m[i].layer;
        layers[i].emphasis = (double)(i + 1);
        layers[i].sum_cost = sum_costs[i];
    }
    assert_true(hd_round_trellis(layers, 3, 0.02, threads, NULL));
    for (size_t i = 0; i < 3; i++) {
        int8_t *together = malloc(m[i].plan.weights);
        memcpy(together, m[i].words, m[i].plan.weights);
        layers[i].emphasis = 1;
        assert_true(hd_round_trellis(&layers[i], 1, 0.02 / (double)(i + 1), 1, NULL));
        assert_memory_equal(together, m[i].words, m[i].plan.weights);
        free(together);
    }
    for (size_t i = 0; i < 3; i++) unmake(&m[i]);
}

static void several_layers_share_one_price(void **state) {
    (void)state;
    static const double none[3] = {0, 0, 0}, some[3] = {1, 0, 2}, all[3] = {.5, 1, 1};
    for (int threads = 1; threads <= 3; threads++) {
        round_together_and_alone(none, threads);
        round_together_and_alone(some, threads);
        round_together_and_alone(all, threads);
    }
}

static void measures_are_those_of_a_naive_sum(void **state) {
    (void)state;
    random_state = 9;
    made m;
    make(&cases[0], true, &m);
    hd_rounding r, total = {0};
    memcpy(m.words, m.plain, m.plan.weights);
    m.words[7] = (int8_t)(m.words[7] > 0 ? m.words[7] - 3 : m.words[7] + 3);
    assert_true(hd_measure_rounding(&m.layer, &r, NULL));
    double signal = 0, noise = 0;
    for (size_t i = 0; i < m.plan.weights; i++) {
        double x = (double)(m.weights[i] / m.scales[i / 40]);
        signal += x * x;
        noise += (x - m.words[i]) * (x - m.words[i]);
    }
    assert_true(fabs(r.signal - signal) < 1e-6 * signal && fabs(r.noise - noise) < 1e-6 * noise);
    assert_true(fabs(r.sqnr_db - 10 * log10(signal / noise)) < 1e-9);
    assert_int_equal(r.moved, 1);
    assert_int_equal(r.largest_move, 3);
    hd_rounding_add(&total, &r);
    hd_rounding_add(&total, &r);
    assert_true(fabs(total.sqnr_db - r.sqnr_db) < 1e-9 && total.words == 2 * r.words);
    unmake(&m);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    made m;
    hd_error error;
    make(&cases[0], true, &m);
    assert_false(hd_round_trellis(&m.layer, 1, -1, 1, &error));
    assert_non_null(strstr(error.message, "mu"));
    assert_false(hd_round_trellis(&m.layer, 1, NAN, 1, &error));
    assert_false(hd_round_trellis(&m.layer, 1, 1, 0, &error));
    m.layer.emphasis = 0;
    assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    m.layer.emphasis = 1;
    m.importance[3] = -1;
    assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    assert_non_null(strstr(error.message, "importance of weight 3"));
    m.importance[3] = 1;
    m.weights[2] = INFINITY;
    assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    m.weights[2] = 0;
    m.scales[1] = 0;
    assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    m.scales[1] = 1;
    memset(m.layer.bit_costs, 0, sizeof m.layer.bit_costs);
    assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    assert_non_null(strstr(error.message, "cost"));
    memcpy(m.layer.bit_costs, ones, sizeof ones);
    m.layer.sum_cost = 1;
    assert_true(hd_round_trellis(&m.layer, 1, 1, 1, &error));
    const double wrong[] = {-1, NAN, INFINITY, 1e6, 1e308};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        m.layer.sum_cost = wrong[i];
        assert_false(hd_round_trellis(&m.layer, 1, 1, 1, &error));
        assert_non_null(strstr(error.message, "changed sum"));
    }
    unmake(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_lowers_the_objective),
        cmocka_unit_test(short_rings_are_near_their_optimum),
        cmocka_unit_test(lanes_change_together),
        cmocka_unit_test(several_layers_share_one_price),
        cmocka_unit_test(measures_are_those_of_a_naive_sum),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
