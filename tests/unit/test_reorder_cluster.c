/* Cluster reordering: real gains where columns are correlated, never worse than segments, and an honest
 * report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reordering.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static double uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 33) + 0.5) / 2147483648.0;
}
static double laplacian(void) {
    double u = uniform() - 0.5;
    return (u < 0 ? 1 : -1) * log(1 - 2 * fabs(u));
}

/* Words whose input channels follow one of `factors` hidden columns each (0: independent), scattered over the
 * axis. */
static int8_t *make_words(const hd_plan *plan, size_t factors) {
    size_t channels = plan->shape.channels / plan->shape.groups, kernel = plan->shape.size * plan->shape.size;
    float *weights = malloc(plan->weights * sizeof *weights),
          *scales = malloc(plan->shape.filters * sizeof *scales);
    double *hidden = malloc((factors + 1) * plan->shape.filters * kernel * sizeof *hidden);
    int8_t *words = malloc(plan->weights);
    for (size_t i = 0; i < factors * plan->shape.filters * kernel; i++) hidden[i] = laplacian();
    for (size_t f = 0; f < plan->shape.filters; f++)
        for (size_t c = 0; c < channels; c++)
            for (size_t k = 0; k < kernel; k++) {
                double value = laplacian();
                if (factors > 0)
                    value = 0.1 * value + hidden[(c * 7 % factors * plan->shape.filters + f) * kernel + k];
                weights[(f * channels + c) * kernel + k] = (float)value;
            }
    assert_true(hd_quantise(weights, plan->shape.filters, plan->filter_weights, plan->accelerator.weight_bits,
                            words, scales, NULL));
    free(weights);
    free(scales);
    free(hidden);
    return words;
}

typedef struct cluster_case {
    hd_layer_shape shape;
    hd_dataflow dataflow;
    hd_kernel_orders kernel_orders;
    hd_representation representation;
    size_t factors;
    double gain; /* at least this factor fewer flips than segments */
} cluster_case;

/* The last two: a single segment, and a depthwise layer. */
static const cluster_case cases[] = {
    {{40, 64, 1, 1, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 8, 1.2},
    {{40, 64, 1, 1, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_SIGN_MAGNITUDE, 8, 1.2},
    {{24, 36, 1, 1, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 0, 1.03},
    {{30, 40, 1, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 5, 1.15},
    {{30, 40, 1, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_SHARED, HD_TWOS_COMPLEMENT, 5, 1.05},
    {{60, 48, 2, 1, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 6, 1.06},
    {{48, 30, 1, 1, 4}, HD_OUTPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 0, 1.03},
    {{20, 8, 1, 1, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 2, 1},
    {{20, 20, 20, 3, 4}, HD_INPUT_STATIONARY, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, 2, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

static void make_plan(const cluster_case *c, hd_plan *plan) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = 8;
    a.dataflow = c->dataflow;
    a.kernel_orders = c->kernel_orders;
    a.representation = c->representation;
    assert_true(hd_plan_init(plan, &a, &c->shape, NULL));
}

static void clusters_gain_where_columns_agree(void **state) {
    (void)state;
    random_state = 17;
    for (size_t i = 0; i < CASES; i++) {
        hd_plan plan;
        make_plan(&cases[i], &plan);
        int8_t *words = make_words(&plan, cases[i].factors);
        size_t entries = plan.order_count * plan.order_length, channels = plan.groups * plan.lane_axis;
        uint32_t *orders = malloc(entries * sizeof *orders), *lanes = malloc(channels * sizeof *lanes);
        hd_reorder_options options = hd_reorder_defaults();
        options.exchanges_per_channel = 4;
        hd_cluster_report report;
        hd_flips segment, cluster;
        assert_true(hd_reorder_segments(&plan, words, &options, orders, NULL));
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        assert_true(hd_count_flips(&plan, words, 1, &segment, NULL));
        assert_true(hd_plan_set_orders(&plan, NULL, NULL));
        assert_true(hd_reorder_clusters(&plan, words, &options, lanes, orders, &report, NULL));
        assert_true(hd_plan_set_lane_channels(&plan, lanes, NULL)); /* checks the permutations */
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        assert_true(hd_count_flips(&plan, words, 1, &cluster, NULL));
        assert_int_equal(report.segment_flips.flips, segment.flips);
        assert_int_equal(report.cluster_flips.flips, cluster.flips);
        assert_true(cluster.flips <= segment.flips);
        assert_int_equal(report.clustered, cluster.flips < segment.flips);
        assert_true((double)segment.flips >= cases[i].gain * (double)cluster.flips);
        free(orders);
        free(lanes);
        free(words);
        hd_plan_free(&plan);
    }
}

static void clusters_do_not_depend_on_threads(void **state) {
    (void)state;
    random_state = 19;
    hd_plan plan;
    make_plan(&cases[3], &plan);
    int8_t *words = make_words(&plan, 3);
    size_t entries = plan.order_count * plan.order_length;
    uint32_t *orders[2], *lanes[2];
    hd_cluster_report reports[2];
    for (int i = 0; i < 2; i++) {
        orders[i] = malloc(entries * sizeof **orders);
        lanes[i] = malloc(plan.lane_axis * sizeof **lanes);
        hd_reorder_options options = hd_reorder_defaults();
        options.exchanges_per_channel = 4;
        options.path.kicks_per_point = 5;
        options.threads = i ? 3 : 1;
        assert_true(hd_reorder_clusters(&plan, words, &options, lanes[i], orders[i], &reports[i], NULL));
    }
    assert_memory_equal(orders[0], orders[1], entries * sizeof **orders);
    assert_memory_equal(lanes[0], lanes[1], plan.lane_axis * sizeof **lanes);
    assert_int_equal(reports[0].exchanges_made, reports[1].exchanges_made);
    assert_true(reports[0].exchanges_tried > reports[0].exchanges_made);
    for (int i = 0; i < 2; i++) {
        free(orders[i]);
        free(lanes[i]);
    }
    free(words);
    hd_plan_free(&plan);
}

/* A plan that is clustered already is taken as the start. */
static void present_clusters_are_kept(void **state) {
    (void)state;
    random_state = 23;
    hd_plan plan;
    make_plan(&cases[0], &plan);
    int8_t *words = make_words(&plan, 8);
    uint32_t lanes[64], again[64], *orders = malloc(plan.order_count * plan.order_length * sizeof *orders);
    hd_cluster_report first, second;
    hd_reorder_options options = hd_reorder_defaults();
    options.exchanges_per_channel = 2;
    assert_true(hd_reorder_clusters(&plan, words, &options, lanes, orders, &first, NULL));
    assert_true(hd_plan_set_lane_channels(&plan, lanes, NULL));
    assert_true(hd_plan_set_orders(&plan, orders, NULL));
    assert_true(hd_reorder_clusters(&plan, words, &options, again, orders, &second, NULL));
    assert_true(second.cluster_flips.flips <= first.cluster_flips.flips);
    free(orders);
    free(words);
    hd_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_gain_where_columns_agree),
        cmocka_unit_test(clusters_do_not_depend_on_threads),
        cmocka_unit_test(present_clusters_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
