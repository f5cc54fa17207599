/* Rounding in which later lanes make up for earlier ones: the factor's algebra, the divergence recounted, and
 * what it gains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rounding.h"
#include "trellis/factor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static double uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 33) + 0.5) / 2147483648.0;
}

/* Moments of n channels that share a few sources. */
static void make_moments(size_t n, double common, float *moments) {
    enum { SOURCES = 3 };
    double *mix = malloc(n * SOURCES * sizeof *mix);
    for (size_t i = 0; i < n * SOURCES; i++) mix[i] = common * (2 * uniform() - 1);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = i == j ? 0.2 + uniform() : 0;
            for (size_t s = 0; s < SOURCES; s++) sum += mix[i * SOURCES + s] * mix[j * SOURCES + s];
            moments[i * n + j] = (float)sum;
        }
    free(mix);
}

static double raise_of(const float *moments, size_t n) {
    double trace = 0;
    for (size_t i = 0; i < n; i++) trace += (double)moments[i * n + i];
    return 0.01 * trace / (double)n;
}

/* e' (M + raise) e */
static double quadratic(const float *moments, size_t n, const double *e) {
    double sum = 0, raise = raise_of(moments, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += e[i] * e[j] * ((double)moments[i * n + j] + (i == j ? raise : 0));
    return sum;
}

/* Column j less its combination of later columns is uncorrelated with every later column, and has the power
 * that is left. */
static void columns_lean_on_later_ones(void **state) {
    (void)state;
    enum { N = 23 };
    random_state = 5;
    float moments[N * N], left[N], combination[N * N], work[N * N];
    size_t order[N];
    make_moments(N, 1, moments);
    for (size_t i = 0; i < N; i++) order[i] = i * 7 % N;
    assert_true(hd_factor_moments(moments, order, N, left, combination, work));
    for (size_t j = 0; j < N; j++) {
        double e[N] = {0};
        e[order[j]] = 1;
        for (size_t i = j + 1; i < N; i++) e[order[i]] = -(double)combination[j * N + i];
        assert_true(fabs(quadratic(moments, N, e) - (double)left[j]) < 1e-4 * (double)left[j]);
        for (size_t k = j + 1; k < N; k++) {
            double crossed = e[order[k]] * raise_of(moments, N);
            for (size_t i = 0; i < N; i++) crossed += e[i] * (double)moments[i * N + order[k]];
            assert_true(fabs(crossed) < 1e-4);
        }
    }
    moments[0] = -moments[0];
    assert_false(hd_factor_moments(moments, order, N, left, combination, work));
}

typedef struct made {
    hd_plan plan;
    float *weights, *scales, *importance, *rows, *moments;
    int8_t *words;
    hd_round_layer layer;
    hd_compensation compensation;
} made;

static void make(hd_layer_shape shape, hd_kernel_orders kernel_orders, double common, bool shuffled,
                 made *m) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = 8;
    a.kernel_orders = kernel_orders;
    assert_true(hd_plan_init(&m->plan, &a, &shape, NULL));
    size_t n = m->plan.weights, axis = m->plan.lane_axis;
    m->weights = malloc(n * sizeof *m->weights);
    m->importance = malloc(n * sizeof *m->importance);
    m->scales = malloc(shape.filters * sizeof *m->scales);
    m->rows = malloc(shape.filters * sizeof *m->rows);
    m->moments = malloc(m->plan.groups * axis * axis * sizeof *m->moments);
    m->words = calloc(n, 1);
    for (size_t i = 0; i < n; i++) {
        double u = uniform() - 0.5;
        m->weights[i] = (float)((u < 0 ? 1 : -1) * log(1 - 2 * fabs(u)));
    }
    for (size_t f = 0; f < shape.filters; f++) m->rows[f] = (float)exp(2 * uniform() - 1);
    for (size_t g = 0; g < m->plan.groups; g++) make_moments(axis, common, m->moments + g * axis * axis);
    assert_true(hd_quantise(m->weights, shape.filters, m->plan.filter_weights, 8, m->words, m->scales, NULL));
    if (shuffled) {
        uint32_t *channels = malloc(m->plan.groups * axis * sizeof *channels);
        for (size_t g = 0; g < m->plan.groups; g++)
            for (size_t i = 0; i < axis; i++) channels[g * axis + i] = (uint32_t)(i * 5 % axis);
        assert_true(hd_plan_set_lane_channels(&m->plan, channels, NULL));
        free(channels);
    }
    m->layer = (hd_round_layer){
        .plan = &m->plan, .weights = m->weights, .scales = m->scales, .words = m->words, .emphasis = 1};
    for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) m->layer.bit_costs[bit] = 1;
    m->compensation = (hd_compensation){.row_importance = m->rows, .moments = m->moments};
}

static void unmake(made *m) {
    hd_plan_free(&m->plan);
    free(m->weights);
    free(m->importance);
    free(m->scales);
    free(m->rows);
    free(m->moments);
    free(m->words);
}

/* sum of row importance x e' M e, from the words alone. */
static double recount(const made *m) {
    const hd_plan *p = &m->plan;
    size_t axis = p->lane_axis, group_filters = p->shape.filters / p->groups;
    double sum = 0, *e = malloc(axis * sizeof *e);
    for (size_t f = 0; f < p->shape.filters; f++)
        for (size_t k = 0; k < p->positions; k++) {
            for (size_t i = 0; i < axis; i++) {
                size_t at = f * p->filter_weights + i * p->positions + k;
                e[i] = (double)(m->weights[at] / m->scales[f]) - m->words[at];
            }
            sum += (double)m->rows[f] * quadratic(m->moments + f / group_filters * axis * axis, axis, e);
        }
    free(e);
    return sum;
}

static double flips_of(const made *m) {
    hd_flips flips;
    assert_true(hd_count_flips(&m->plan, m->words, 1, &flips, NULL));
    return (double)flips.flips;
}

typedef struct made_case {
    hd_layer_shape shape;
    hd_kernel_orders kernel_orders;
    bool shuffled;
} made_case;
static const made_case cases[] = {{{40, 36, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, false},
                                  {{40, 36, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, true},
                                  {{24, 12, 1, 3, 4}, HD_KERNEL_ORDERS_SHARED, false},
                                  {{40, 24, 2, 1, 4}, HD_KERNEL_ORDERS_EACH, true},
                                  {{5, 3, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, false}};

/* The divergence told is that of the words; errors that are made up for cost less together with the flips
 * than errors that are not. */
static void compensation_gains_where_channels_are_alike(void **state) {
    (void)state;
    random_state = 77;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (double mu = .001; mu < 2; mu *= 10) {
            made m;
            make(cases[i].shape, cases[i].kernel_orders, 2, cases[i].shuffled, &m);
            double told;
            size_t axis = m.plan.lane_axis, group_filters = m.plan.shape.filters / m.plan.groups;
            assert_true(hd_round_compensated(&m.layer, &m.compensation, mu, &told, NULL));
            double divergence = recount(&m), compensated = flips_of(&m) + mu * divergence;
            assert_true(fabs(told - divergence) < 1e-3 * divergence);
            for (size_t f = 0; f < m.plan.shape.filters; f++) /* the same errors one by one */
                for (size_t k = 0; k < m.plan.filter_weights; k++) {
                    size_t c = k / m.plan.positions;
                    m.importance[f * m.plan.filter_weights + k] =
                        m.rows[f] * m.moments[f / group_filters * axis * axis + c * axis + c];
                }
            m.layer.importance = m.importance;
            assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
            double plain = flips_of(&m) + mu * recount(&m);
            if (m.plan.weights > 1000) assert_true(compensated < .9 * plain);
            unmake(&m);
        }
}

/* Channels that have nothing in common are rounded as by the trellis, but for the ring's closing step. */
static void unlike_channels_are_rounded_alone(void **state) {
    (void)state;
    random_state = 9;
    made m;
    make((hd_layer_shape){64, 8, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, 0, false, &m);
    const double mu = .05;
    assert_true(hd_round_compensated(&m.layer, &m.compensation, mu, NULL, NULL));
    double alone = flips_of(&m) + mu * recount(&m);
    assert_true(hd_compensated_importance(&m.plan, &m.compensation, m.importance, NULL));
    m.layer.importance = m.importance;
    int8_t *words = malloc(m.plan.weights);
    memcpy(words, m.words, m.plan.weights);
    assert_true(hd_round_trellis(&m.layer, 1, mu, 1, NULL));
    double ring = flips_of(&m) + mu * recount(&m);
    assert_true(ring <= alone * (1 + 1e-5) && alone <= ring + 8 * 8);
    size_t same = 0;
    for (size_t i = 0; i < m.plan.weights; i++) same += words[i] == m.words[i];
    assert_true(same * 100 > 90 * m.plan.weights);
    free(words);
    unmake(&m);
}

static void wrong_input_is_refused(void **state) {
    (void)state;
    random_state = 3;
    hd_error error;
    made m;
    make((hd_layer_shape){16, 16, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, 1, false, &m);
    assert_false(hd_round_compensated(&m.layer, &m.compensation, -1, NULL, &error));
    assert_non_null(strstr(error.message, "mu"));
    m.rows[3] = NAN;
    assert_false(hd_round_compensated(&m.layer, &m.compensation, 1, NULL, &error));
    assert_non_null(strstr(error.message, "filter 3"));
    m.rows[3] = 1;
    m.moments[0] = -1;
    assert_false(hd_round_compensated(&m.layer, &m.compensation, 1, NULL, &error));
    assert_non_null(strstr(error.message, "moments"));
    unmake(&m);
    hd_accelerator a = hd_accelerator_default();
    a.dataflow = HD_OUTPUT_STATIONARY;
    hd_layer_shape shape = {16, 16, 1, 1, 4};
    assert_true(hd_plan_init(&m.plan, &a, &shape, NULL));
    assert_false(hd_can_compensate(&m.plan));
    hd_plan_free(&m.plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(columns_lean_on_later_ones),
                                       cmocka_unit_test(compensation_gains_where_channels_are_alike),
                                       cmocka_unit_test(unlike_channels_are_rounded_alone),
                                       cmocka_unit_test(wrong_input_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
