/* Orders for words that are still to be rounded, reordering and rounding in turn, and the search for a given
 * SQNR. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rounding.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static double uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 33) + 0.5) / 2147483648.0;
}

typedef struct made {
    hd_plan plan;
    float *weights, *scales, *importance;
    int8_t *plain, *words;
    uint32_t *orders;
    hd_round_layer layer;
} made;

static void make(hd_layer_shape shape, hd_dataflow dataflow, hd_representation representation, int bits,
                 bool importance, made *m) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = 8;
    a.cols = 8;
    a.dataflow = dataflow;
    a.representation = representation;
    a.weight_bits = bits;
    assert_true(hd_plan_init(&m->plan, &a, &shape, NULL));
    size_t n = m->plan.weights;
    m->weights = malloc(n * sizeof *m->weights);
    m->importance = malloc(n * sizeof *m->importance);
    m->scales = malloc(shape.filters * sizeof *m->scales);
    m->plain = malloc(n);
    m->words = calloc(n, 1);
    m->orders = malloc(m->plan.order_count * m->plan.order_length * sizeof *m->orders);
    for (size_t i = 0; i < n; i++) {
        double u = uniform() - 0.5;
        m->weights[i] = (float)((u < 0 ? 1 : -1) * log(1 - 2 * fabs(u)));
        m->importance[i] = (float)exp(4 * uniform() - 2);
    }
    assert_true(
        hd_quantise(m->weights, shape.filters, m->plan.filter_weights, bits, m->plain, m->scales, NULL));
    m->layer =
        (hd_round_layer){.plan = &m->plan, .weights = m->weights, .scales = m->scales, .words = m->words};
    m->layer.emphasis = 1;
    if (importance) m->layer.importance = m->importance;
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) m->layer.bit_costs[bit] = 1;
}

static void unmake(made *m) {
    hd_plan_free(&m->plan);
    free(m->weights);
    free(m->importance);
    free(m->scales);
    free(m->plain);
    free(m->words);
    free(m->orders);
}

static double objective(const made *m, double mu) {
    hd_flips flips;
    hd_rounding rounding;
    assert_true(hd_count_flips(&m->plan, m->words, 1, &flips, NULL));
    assert_true(hd_measure_rounding(&m->layer, &rounding, NULL));
    return m->layer.emphasis * (double)flips.flips + mu * rounding.weighted_noise;
}

static const hd_layer_shape pointwise = {48, 40, 1, 1, 4}, spatial = {40, 6, 1, 3, 4},
                            grouped = {40, 24, 2, 1, 4};

/* Rounded in orders made for it, words cost less than in orders made for the nearest words. */
static void orders_for_rounding_beat_orders_for_flips(void **state) {
    (void)state;
    random_state = 3;
    for (int i = 0; i < 6; i++) {
        made m;
        make(i % 3 == 0   ? pointwise
             : i % 3 == 1 ? spatial
                          : grouped,
             i == 3 ? HD_OUTPUT_STATIONARY : HD_INPUT_STATIONARY, (hd_representation)(i % 2), 8, i >= 2, &m);
        double mu = 0.05;
        assert_true(hd_reorder_segments(&m.plan, m.plain, NULL, m.orders, NULL));
        assert_true(hd_plan_set_orders(&m.plan, m.orders, NULL));
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        double by_flips = objective(&m, mu);
        assert_true(hd_plan_set_orders(&m.plan, NULL, NULL));
        assert_true(hd_reorder_for_rounding(&m.layer, mu, NULL, m.orders, NULL));
        hd_reorder_options options = hd_reorder_defaults();
        options.threads = 3;
        uint32_t *again = malloc(m.plan.order_count * m.plan.order_length * sizeof *again);
        assert_true(hd_reorder_for_rounding(&m.layer, mu, &options, again, NULL));
        assert_memory_equal(again, m.orders, m.plan.order_count * m.plan.order_length * sizeof *again);
        free(again);
        assert_true(hd_plan_set_orders(&m.plan, m.orders, NULL));
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        assert_true(objective(&m, mu) < 0.97 * by_flips);
        unmake(&m);
    }
}

/* Errors so dear that nothing moves: the orders are those of the nearest words, as good as segment
 * reordering's. */
static void dear_errors_leave_plain_distances(void **state) {
    (void)state;
    random_state = 4;
    made m;
    make(pointwise, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 8, false, &m);
    hd_flips plain, soft;
    assert_true(hd_reorder_segments(&m.plan, m.plain, NULL, m.orders, NULL));
    assert_true(hd_plan_set_orders(&m.plan, m.orders, NULL));
    assert_true(hd_count_flips(&m.plan, m.plain, 1, &plain, NULL));
    assert_true(hd_plan_set_orders(&m.plan, NULL, NULL));
    assert_true(hd_reorder_for_rounding(&m.layer, 1e6, NULL, m.orders, NULL));
    assert_true(hd_plan_set_orders(&m.plan, m.orders, NULL));
    assert_true(hd_count_flips(&m.plan, m.plain, 1, &soft, NULL));
    assert_true((double)soft.flips < 1.01 * (double)plain.flips);
    unmake(&m);
}

static void turns_never_end_above_their_start(void **state) {
    (void)state;
    static const hd_dataflow dataflows[] = {HD_INPUT_STATIONARY, HD_OUTPUT_STATIONARY, HD_WEIGHT_STATIONARY};
    random_state = 5;
    for (int i = 0; i < 6; i++) {
        made m;
        make(i % 2 ? spatial : pointwise, dataflows[i % 3], HD_TWOS_COMPLEMENT, i == 4 ? 4 : 8, i % 2, &m);
        double mu = i % 2 ? 0.02 : 0.3;
        m.layer.emphasis = 2;
        assert_true(hd_reorder_segments(&m.plan, m.plain, NULL, m.orders, NULL));
        assert_true(hd_plan_set_orders(&m.plan, m.orders, NULL));
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        double before = objective(&m, mu);
        assert_true(hd_reorder_and_round(&m.layer, 1, mu, NULL, NULL));
        double after = objective(&m, mu);
        assert_true(after <= before);
        /* The words are those of the plan's own orders. */
        int8_t *words = malloc(m.plan.weights);
        memcpy(words, m.words, m.plan.weights);
        assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
        assert_memory_equal(words, m.words, m.plan.weights);
        free(words);
        unmake(&m);
    }
}

/* Choosing the segments too never costs more, and pays where few filters follow each other. */
static void channels_are_chosen_where_that_pays(void **state) {
    (void)state;
    random_state = 15;
    for (int i = 0; i < 3; i++) {
        made m;
        make(i == 0   ? (hd_layer_shape){24, 64, 1, 1, 4}
             : i == 1 ? grouped
                      : spatial,
             HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 8, i == 1, &m);
        double mu = 0.05;
        hd_reorder_options options = hd_reorder_defaults();
        options.exchanges_per_channel = 4;
        options.path.kicks_per_point = 10;
        assert_true(hd_reorder_and_round(&m.layer, 1, mu, &options, NULL));
        double segments = objective(&m, mu);
        assert_null(m.plan.lane_channels);
        options.choose_channels = true;
        options.threads = 2;
        assert_true(hd_reorder_and_round(&m.layer, 1, mu, &options, NULL));
        assert_true(objective(&m, mu) <= segments);
        if (i == 0) {
            assert_non_null(m.plan.lane_channels);
            assert_true(objective(&m, mu) < 0.98 * segments);
        }
        unmake(&m);
    }
}

static void sqnr_is_kept_closely(void **state) {
    (void)state;
    random_state = 6;
    made m[2];
    make(pointwise, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 8, false, &m[0]);
    make(spatial, HD_INPUT_STATIONARY, HD_TWOS_COMPLEMENT, 8, true, &m[1]);
    hd_round_layer layers[] = {m[0].layer, m[1].layer};
    hd_error error;
    double mu, flips_before = 0;
    for (int reorder = 0; reorder < 2; reorder++) {
        hd_reorder_options options = hd_reorder_defaults();
        assert_true(hd_round_to_sqnr(layers, 2, 22, reorder ? &options : NULL, 2, &mu, NULL));
        hd_rounding total = {0}, one;
        double flips = 0;
        for (int i = 0; i < 2; i++) {
            hd_flips counted;
            assert_true(hd_measure_rounding(&layers[i], &one, NULL));
            hd_rounding_add(&total, &one);
            assert_true(hd_count_flips(layers[i].plan, layers[i].words, 1, &counted, NULL));
            flips += (double)counted.flips;
        }
        assert_true(total.sqnr_db >= 22 && total.sqnr_db < 22.1);
        assert_true(mu > 0 && total.moved > 0);
        if (reorder) assert_true(flips < 0.85 * flips_before);
        flips_before = flips;
    }
    assert_false(hd_round_to_sqnr(layers, 2, 80, NULL, 1, &mu, &error));
    assert_non_null(strstr(error.message, "80 dB"));
    assert_false(hd_round_to_sqnr(layers, 2, NAN, NULL, 1, &mu, &error));
    assert_false(hd_reorder_for_rounding(&layers[0], -1, NULL, m[0].orders, &error));
    layers[0].emphasis = -1;
    assert_false(hd_reorder_for_rounding(&layers[0], 1, NULL, m[0].orders, &error));
    assert_non_null(strstr(error.message, "emphasis"));
    unmake(&m[0]);
    unmake(&m[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_for_rounding_beat_orders_for_flips),
        cmocka_unit_test(dear_errors_leave_plain_distances),
        cmocka_unit_test(turns_never_end_above_their_start),
        cmocka_unit_test(channels_are_chosen_where_that_pays),
        cmocka_unit_test(sqnr_is_kept_closely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
