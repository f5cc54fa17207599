/* The bit-flip loss: bit probabilities against their definition, values against a plain double-precision
 * walk, gradients against finite differences, the hard count as the limit of no noise, and independence of
 * threads and machine levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"
#include "loss/expected.h"
#include "random_plan.h"
#include "words/isa.h"

static double normal_cdf(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}

/* p_b(u) from the definition: each word's probability, those at the ends of the range with all beyond them.
 */
static void defined_bits(int bits, hd_representation representation, double sigma, double u, double p[8]) {
    int limit = hd_largest_word(bits);
    memset(p, 0, 8 * sizeof *p);
    for (int word = -limit; word <= limit; word++) {
        double below = word == -limit ? 0 : normal_cdf((word - 0.5 - u) / sigma);
        double above = word == limit ? 1 : normal_cdf((word + 0.5 - u) / sigma);
        for (int b = 0; b < bits; b++)
            if (hd_encode_word(word, bits, representation) >> b & 1) p[b] += above - below;
    }
}

static void bit_probabilities_follow_the_definition(void **state) {
    (void)state;
    const double sigmas[] = {0.02, 0.0625, 0.1, 0.3, 0.7, 1.5, 4, 20};
    test_random r = {3};
    hd_error e;
    for (int bits = 2; bits <= 8; bits += 3)
        for (hd_representation representation = 0; representation < HD_REPRESENTATION_COUNT; representation++)
            for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
                hd_expected_bits *table = hd_expected_bits_create(bits, representation, sigmas[s], &e);
                assert_non_null(table);
                for (int i = 0; i < 100; i++) {
                    double range = 1.1 * hd_largest_word(bits) + 2 * sigmas[s];
                    float u = (float)((2 * test_random_unit(&r) - 1) * range), p[8], slope[8];
                    double defined[8];
                    hd_expected_bits_at(table, u, p, slope);
                    defined_bits(bits, representation, sigmas[s], (double)u, defined);
                    for (int b = 0; b < 8; b++) assert_true(fabs((double)p[b] - defined[b]) < 2e-5);
                }
                hd_expected_bits_destroy(table);
            }
}

static void slopes_are_the_differences_of_the_probabilities(void **state) {
    (void)state;
    const double sigmas[] = {0.01, 0.2, 0.7, 4};
    test_random r = {4};
    hd_error e;
    for (size_t s = 0; s < sizeof sigmas / sizeof *sigmas; s++) {
        hd_expected_bits *table = hd_expected_bits_create(8, HD_TWOS_COMPLEMENT, sigmas[s], &e);
        assert_non_null(table);
        for (int i = 0; i < 300; i++) {
            float u = (float)((2 * test_random_unit(&r) - 1) * 140);
            if (sigmas[s] < 0.1) u = floorf(u) + 0.5f + (float)(test_random_normal(&r) * sigmas[s]);
            float step = (float)(0.01 * sigmas[s]), up = u + step, down = u - step;
            float p[8], slope[8], above[8], below[8], unused[8];
            hd_expected_bits_at(table, u, p, slope);
            hd_expected_bits_at(table, up, above, unused);
            hd_expected_bits_at(table, down, below, unused);
            for (int b = 0; b < 8; b++) {
                double difference = (double)(above[b] - below[b]) / (double)(up - down);
                assert_true(fabs(difference - (double)slope[b]) < 2e-4 / sigmas[s]);
            }
        }
        hd_expected_bits_destroy(table);
    }
}

/* ---- random layers ---- */

typedef struct case_layer {
    hd_plan plan;
    float *weights, *scales, *gradient;
    hd_loss_layer layer;
} case_layer;

static void make_case(test_random *r, case_layer *c, hd_dataflow dataflow, bool with_costs) {
    hd_error e;
    hd_accelerator a = test_random_accelerator(r, dataflow);
    hd_layer_shape shape = test_random_shape(r);
    assert_true(hd_plan_init(&c->plan, &a, &shape, &e));
    test_random_orders(r, &c->plan);
    c->weights = malloc(c->plan.weights * sizeof *c->weights);
    c->scales = malloc(shape.filters * sizeof *c->scales);
    c->gradient = calloc(c->plan.weights, sizeof *c->gradient);
    double limit = hd_largest_word(a.weight_bits);
    for (size_t f = 0; f < shape.filters; f++) c->scales[f] = ldexpf(1, (int)test_random_below(r, 9) - 6);
    for (size_t i = 0; i < c->plan.weights; i++)
        c->weights[i] = (float)(test_random_normal(r) * limit / 3) * c->scales[i / c->plan.filter_weights];
    c->layer = (hd_loss_layer){.plan = &c->plan, .weights = c->weights, .scales = c->scales, .emphasis = 1};
    for (int b = 0; b < a.weight_bits; b++)
        c->layer.bit_costs[b] = with_costs ? 1 + test_random_below(r, 20) : 1;
}

static void free_case(case_layer *c) {
    hd_plan_free(&c->plan);
    free(c->weights);
    free(c->scales);
    free(c->gradient);
}

static double flips_between(const case_layer *c, const hd_loss_options *o, double u, double v) {
    int bits = c->plan.accelerator.weight_bits;
    double p[8], q[8], sum = 0;
    if (o->surrogate == HD_SURROGATE_LINEAR) {
        double mean_distance = 0, levels = 2 * hd_largest_word(bits) + 1, mean_cost = 0;
        for (int i = 0; i < (int)levels; i++)
            for (int j = 0; j < (int)levels; j++) mean_distance += abs(i - j) / (levels * levels);
        for (int b = 0; b < bits; b++) mean_cost += c->layer.bit_costs[b] / bits;
        return fabs(u - v) * mean_cost * bits / 2 / mean_distance;
    }
    defined_bits(bits, c->plan.accelerator.representation, o->sigma, u, p);
    defined_bits(bits, c->plan.accelerator.representation, o->sigma, v, q);
    for (int b = 0; b < bits; b++) sum += c->layer.bit_costs[b] * (p[b] + q[b] - 2 * p[b] * q[b]);
    return sum;
}

/* The loss of one layer, from the definitions, in double precision. */
static double plain_loss(const case_layer *c, const hd_loss_options *o) {
    double sum = 0, random_words = 0;
    for (size_t i = 0; i < c->plan.tiles; i++) {
        hd_tile tile = hd_plan_tile(&c->plan, i);
        for (size_t lane = 0; lane < tile.lanes; lane++) {
            size_t held = hd_plan_weight_before(&c->plan, &tile, lane);
            for (size_t step = 0; step < tile.steps; step++) {
                size_t now = hd_plan_weight(&c->plan, &tile, step, lane);
                double u = (double)c->weights[now] / (double)c->scales[now / c->plan.filter_weights];
                double v = (double)c->weights[held] / (double)c->scales[held / c->plan.filter_weights];
                sum += flips_between(c, o, u, v);
                held = now;
            }
        }
    }
    for (int b = 0; b < c->plan.accelerator.weight_bits; b++) random_words += c->layer.bit_costs[b] / 2;
    return sum / ((double)c->plan.weights * random_words);
}

static void values_equal_the_plain_walk(void **state) {
    (void)state;
    test_random r = {21};
    hd_error e;
    for (int i = 0; i < 36; i++) {
        case_layer c;
        make_case(&r, &c, (hd_dataflow)(i % 3), i % 2);
        if (c.plan.weights > 400) { /* the plain walk is slow */
            free_case(&c);
            i--;
            continue;
        }
        hd_loss_options o = {.surrogate = i % 4 == 3 ? HD_SURROGATE_LINEAR : HD_SURROGATE_EXPECTED,
                             .threads = 1};
        o.sigma = 0.3 + 3 * test_random_unit(&r);
        double loss, plain = plain_loss(&c, &o);
        assert_true(hd_loss(&c.layer, 1, &o, &loss, &e));
        assert_true(fabs(loss - plain) < 2e-5 * (1 + plain));
        assert_true(c.layer.value == loss);
        free_case(&c);
    }
}

/* Every weight of small layers, by central differences in u. */
static void check_gradient(case_layer *c, hd_loss_options *o) {
    hd_error e;
    double loss, largest = 0, up, down;
    o->gradient_scale = 1;
    c->layer.gradient = c->gradient;
    assert_true(hd_loss(&c->layer, 1, o, &loss, &e));
    c->layer.gradient = NULL;
    for (size_t i = 0; i < c->plan.weights; i++)
        largest = fmax(largest, fabs((double)(c->gradient[i] * c->scales[i / c->plan.filter_weights])));
    float step = o->surrogate == HD_SURROGATE_LINEAR ? 0.03125f : (float)(0.03 * o->sigma);
    size_t corners = 0;
    for (size_t i = 0; i < c->plan.weights; i++) {
        float scale = c->scales[i / c->plan.filter_weights], kept = c->weights[i];
        float high = kept + step * scale, low = kept - step * scale;
        c->weights[i] = high;
        assert_true(hd_loss(&c->layer, 1, o, &up, &e));
        c->weights[i] = low;
        assert_true(hd_loss(&c->layer, 1, o, &down, &e));
        c->weights[i] = kept;
        double difference = (up - down) / (double)((high - low) / scale);
        if (o->surrogate == HD_SURROGATE_LINEAR && fabs(up + down - 2 * loss) > 1e-2 * (double)step * largest)
            corners++; /* |u - v| has a corner where two words meet; the expected flips have none */
        else
            assert_true(fabs(difference - (double)(c->gradient[i] * scale)) <= 1e-3 * largest);
    }
    assert_true(corners <= c->plan.weights / 3);
}

static void gradients_equal_finite_differences(void **state) {
    (void)state;
    test_random r = {22};
    int checked = 0, depthwise = 0, grouped = 0;
    while (checked < 48) {
        case_layer c;
        make_case(&r, &c, (hd_dataflow)(checked % 3), checked % 2);
        if (c.plan.weights <= 120 && c.plan.weights > 1) {
            hd_loss_options o = {.surrogate = checked % 4 == 3 ? HD_SURROGATE_LINEAR : HD_SURROGATE_EXPECTED,
                                 .threads = 1};
            o.sigma = checked % 5 == 4 ? 0.05 : 0.4 + 3 * test_random_unit(&r);
            check_gradient(&c, &o);
            checked++;
            depthwise += c.plan.depthwise;
            grouped += c.plan.groups > 1;
        }
        free_case(&c);
    }
    assert_true(depthwise > 0 && grouped > 0);
}

static void no_noise_gives_the_hard_count(void **state) {
    (void)state;
    test_random r = {23};
    hd_error e;
    for (int i = 0; i < 60; i++) {
        case_layer c;
        make_case(&r, &c, (hd_dataflow)(i % 3), false);
        c.plan.accelerator.encoding = HD_ENCODING_NONE; /* the loss is about the words */
        int8_t *words = malloc(c.plan.weights);
        assert_true(hd_quantise_with_scales(c.weights, c.plan.shape.filters, c.plan.filter_weights,
                                            c.plan.accelerator.weight_bits, c.scales, words, &e));
        hd_flips flips;
        assert_true(hd_count_flips(&c.plan, words, 1, &flips, &e));
        hd_loss_options o = {.surrogate = HD_SURROGATE_EXPECTED, .sigma = 1e-6, .threads = 1};
        double loss;
        assert_true(hd_loss(&c.layer, 1, &o, &loss, &e));
        assert_true(fabs(c.layer.expected_flips - (double)flips.flips) < 1e-3 * (1 + (double)flips.flips));
        assert_true(fabs(loss - 2 * flips.nhd) < 1e-3);
        free(words);
        free_case(&c);
    }
}

static void uniformly_random_words_have_a_loss_of_one(void **state) {
    (void)state;
    test_random r = {24};
    hd_error e;
    hd_accelerator a = hd_accelerator_default();
    const hd_layer_shape shape = {
        .filters = 200, .channels = 300, .groups = 1, .size = 1, .output_pixels = 7};
    case_layer c = {0};
    assert_true(hd_plan_init(&c.plan, &a, &shape, &e));
    c.weights = malloc(c.plan.weights * sizeof *c.weights);
    c.scales = malloc(shape.filters * sizeof *c.scales);
    for (size_t f = 0; f < shape.filters; f++) c.scales[f] = 0.25f;
    for (size_t i = 0; i < c.plan.weights; i++)
        c.weights[i] = 0.25f * (float)((int)test_random_below(&r, 255) - 127);
    c.layer = (hd_loss_layer){.plan = &c.plan, .weights = c.weights, .scales = c.scales, .emphasis = 1};
    for (int b = 0; b < 8; b++) c.layer.bit_costs[b] = 7 + b;
    for (hd_surrogate surrogate = 0; surrogate < HD_SURROGATE_COUNT; surrogate++) {
        hd_loss_options o = {.surrogate = surrogate, .sigma = 0.7, .threads = 2};
        double loss;
        assert_true(hd_loss(&c.layer, 1, &o, &loss, &e));
        assert_true(fabs(loss - 1) < 0.02);
    }
    free_case(&c);
}

/* Several layers: weighted by emphasis, passes and costs over one denominator; the gradient is scaled and
 * added. */
static void layers_add_up(void **state) {
    (void)state;
    test_random r = {25};
    hd_error e;
    enum { LAYERS = 5 };
    case_layer c[LAYERS];
    hd_loss_layer layers[LAYERS];
    double above = 0, below = 0, loss, sum = 0;
    hd_loss_options o = {.surrogate = HD_SURROGATE_EXPECTED, .sigma = 1, .threads = 2, .gradient_scale = -3};
    for (int i = 0; i < LAYERS; i++) {
        make_case(&r, &c[i], (hd_dataflow)(i % 3), true);
        c[i].layer.emphasis = i == 2 ? 0 : 1 + i;
        c[i].layer.gradient = c[i].gradient;
        layers[i] = c[i].layer;
        double alone, cost = 0;
        for (int b = 0; b < 8; b++) cost += layers[i].bit_costs[b];
        double weight =
            c[i].layer.emphasis * (double)c[i].plan.image_passes * (double)c[i].plan.weights * cost / 2;
        c[i].layer.gradient = NULL;
        c[i].layer.emphasis = 1;
        assert_true(hd_loss(&c[i].layer, 1, &o, &alone, &e));
        above += weight * alone;
        below += weight;
    }
    assert_true(hd_loss(layers, LAYERS, &o, &loss, &e));
    assert_true(fabs(loss - above / below) < 1e-9);
    for (int i = 0; i < LAYERS; i++) sum += layers[i].value;
    assert_true(fabs(loss - sum) < 1e-12);
    assert_true(layers[2].value == 0);
    for (size_t i = 0; i < c[2].plan.weights; i++) assert_true(c[2].gradient[i] == 0);

    float *once = malloc(c[0].plan.weights * sizeof *once);
    memcpy(once, c[0].gradient, c[0].plan.weights * sizeof *once);
    o.gradient_scale = -6;
    assert_true(hd_loss(layers, LAYERS, &o, &loss, &e));
    for (size_t i = 0; i < c[0].plan.weights; i++)
        assert_true(fabsf(c[0].gradient[i] - 3 * once[i]) <= 1e-5f * fabsf(once[i]));
    free(once);
    for (int i = 0; i < LAYERS; i++) free_case(&c[i]);
}

static void threads_do_not_show(void **state) {
    (void)state;
    test_random r = {26};
    hd_error e;
    hd_accelerator a = hd_accelerator_default();
    for (hd_dataflow dataflow = 0; dataflow < HD_DATAFLOW_COUNT; dataflow++) {
        a.dataflow = dataflow;
        const hd_layer_shape shape = {
            .filters = 150, .channels = 330, .groups = 1, .size = 1, .output_pixels = 4};
        case_layer c = {0};
        assert_true(hd_plan_init(&c.plan, &a, &shape, &e));
        c.weights = malloc(c.plan.weights * sizeof *c.weights);
        c.scales = malloc(shape.filters * sizeof *c.scales);
        for (size_t f = 0; f < shape.filters; f++) c.scales[f] = 1;
        for (size_t i = 0; i < c.plan.weights; i++) c.weights[i] = (float)test_random_normal(&r) * 40;
        c.layer = (hd_loss_layer){.plan = &c.plan, .weights = c.weights, .scales = c.scales, .emphasis = 1};
        for (int b = 0; b < 8; b++) c.layer.bit_costs[b] = 1;
        float *first = NULL;
        double first_loss = 0, loss;
        for (int threads = 1; threads <= 4; threads++) {
            hd_loss_options o = {
                .surrogate = HD_SURROGATE_EXPECTED, .sigma = 1.3, .threads = threads, .gradient_scale = 2};
            c.layer.gradient = calloc(c.plan.weights, sizeof(float));
            assert_true(hd_loss(&c.layer, 1, &o, &loss, &e));
            if (!first) {
                first = c.layer.gradient;
                first_loss = loss;
                continue;
            }
            assert_true(loss == first_loss);
            assert_memory_equal(first, c.layer.gradient, c.plan.weights * sizeof(float));
            free(c.layer.gradient);
        }
        free(first);
        free_case(&c);
    }
}

static void compare_level(const hd_expected_bits *table, hd_expected_row *expected_row,
                          hd_combine_rows *combine_rows, const float *u) {
    enum { LANES = 70 };
    static const float costs[8] = {1, 2, 3, 4, 5, 6, 7, 21.6f};
    float p[3][LANES * 8], q[3][LANES * 8], slopes[LANES * 8] = {0}, other[LANES * 8] = {0}, du[LANES],
                                                           dv[LANES];
    float flips[16] = {0}, other_flips[16] = {0};
    for (int i = 0; i < 3; i++) {
        hd_expected_row_portable(table, u + i * LANES, LANES, p[i], i == 1 ? slopes : NULL);
        expected_row(table, u + i * LANES, LANES, q[i], i == 1 ? other : NULL);
    }
    hd_combine_rows_portable(p[0], p[1], p[2], slopes, costs, LANES, du, flips);
    combine_rows(q[0], q[1], q[2], other, costs, LANES, dv, other_flips);
    assert_memory_equal(p, q, sizeof p);
    assert_memory_equal(slopes, other, sizeof slopes);
    assert_memory_equal(du, dv, sizeof du);
    assert_memory_equal(flips, other_flips, sizeof flips);
}

static void every_level_gives_the_same(void **state) {
    (void)state;
    test_random r = {27};
    hd_error e;
    float u[210];
    const double sigmas[] = {0.01, 0.5, 4};
    for (int s = 0; s < 3; s++) {
        hd_expected_bits *table = hd_expected_bits_create(8, HD_TWOS_COMPLEMENT, sigmas[s], &e);
        assert_non_null(table);
        for (int i = 0; i < 210; i++)
            u[i] = i == 0 ? NAN : i == 1 ? 1e30f : i == 2 ? -1e30f : (float)test_random_normal(&r) * 60;
#if defined(__x86_64__)
        if (hd_isa_best() >= HD_ISA_AVX2) compare_level(table, hd_expected_row_avx2, hd_combine_rows_avx2, u);
        if (hd_isa_best() >= HD_ISA_AVX512)
            compare_level(table, hd_expected_row_avx512, hd_combine_rows_avx512, u);
#endif
        hd_expected_bits_destroy(table);
    }
}

static void bad_input_is_refused(void **state) {
    (void)state;
    test_random r = {28};
    hd_error e;
    case_layer c;
    make_case(&r, &c, HD_INPUT_STATIONARY, false);
    hd_loss_options o = {.surrogate = HD_SURROGATE_EXPECTED, .sigma = 0, .threads = 1};
    double loss;
    assert_false(hd_loss(&c.layer, 1, &o, &loss, &e));
    assert_non_null(strstr(e.message, "sigma"));
    o.sigma = 1;
    c.scales[0] = 0;
    assert_false(hd_loss(&c.layer, 1, &o, &loss, &e));
    assert_non_null(strstr(e.message, "scale of filter 0"));
    c.scales[0] = 1;
    c.layer.bit_costs[1] = -1;
    assert_false(hd_loss(&c.layer, 1, &o, &loss, &e));
    c.layer.bit_costs[1] = 1;
    o.threads = 0;
    assert_false(hd_loss(&c.layer, 1, &o, &loss, &e));
    o.threads = 1;
    c.layer.emphasis = 0;
    assert_true(hd_loss(&c.layer, 1, &o, &loss, &e));
    assert_true(loss == 0);
    assert_true(hd_loss(NULL, 0, &o, &loss, &e));
    assert_true(loss == 0);
    hd_surrogate surrogate;
    assert_true(hd_surrogate_parse("linear", &surrogate, &e));
    assert_false(hd_surrogate_parse("quadratic", &surrogate, &e));
    free_case(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_probabilities_follow_the_definition),
        cmocka_unit_test(slopes_are_the_differences_of_the_probabilities),
        cmocka_unit_test(values_equal_the_plain_walk),
        cmocka_unit_test(gradients_equal_finite_differences),
        cmocka_unit_test(no_noise_gives_the_hard_count),
        cmocka_unit_test(uniformly_random_words_have_a_loss_of_one),
        cmocka_unit_test(layers_add_up),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(every_level_gives_the_same),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
