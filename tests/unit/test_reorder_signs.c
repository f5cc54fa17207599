/* Signs of filters: flips recounted on the negated words fall, the network's function stays. */
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

static int8_t *laplacian_words(size_t count) {
    int8_t *words = malloc(count);
    for (size_t i = 0; i < count; i++) {
        double u = uniform() - 0.5, x = rint((u < 0 ? 18 : -18) * log(1 - 2 * fabs(u)));
        words[i] = (int8_t)fmax(-127, fmin(127, x));
    }
    return words;
}

typedef struct sign_case {
    hd_layer_shape shape;
    hd_kernel_orders kernel_orders;
    hd_representation representation;
    bool each_segment;
    double gain; /* at least this factor fewer flips than segment reordering alone */
} sign_case;

static const sign_case cases[] = {
    {{48, 40, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, true, 1.05},
    {{48, 40, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, HD_SIGN_MAGNITUDE, true, 1.03},
    {{48, 40, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, false, 1},
    {{24, 12, 1, 3, 4}, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, true, 1.01},
    {{24, 12, 1, 3, 4}, HD_KERNEL_ORDERS_SHARED, HD_TWOS_COMPLEMENT, true, 1.02},
    {{40, 32, 2, 1, 4}, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, true, 1.05},
    {{30, 8, 1, 1, 4}, HD_KERNEL_ORDERS_EACH, HD_TWOS_COMPLEMENT, false, 1.07}, /* one segment */
};

static void signs_save_flips(void **state) {
    (void)state;
    random_state = 31;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hd_accelerator a = hd_accelerator_default();
        a.rows = 8;
        a.kernel_orders = cases[i].kernel_orders;
        a.representation = cases[i].representation;
        hd_plan plan;
        assert_true(hd_plan_init(&plan, &a, &cases[i].shape, NULL));
        int8_t *words = laplacian_words(plan.weights), *streamed = malloc(plan.weights);
        size_t sets = cases[i].each_segment ? plan.segments : 1, count = sets * plan.shape.filters;
        size_t entries = plan.order_count * plan.order_length;
        int8_t *signs = malloc(count), *again = malloc(count);
        uint32_t *orders = malloc(entries * sizeof *orders);
        hd_flips plain, negated;
        hd_reorder_options options = hd_reorder_defaults();
        assert_true(hd_reorder_segments(&plan, words, NULL, orders, NULL));
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        assert_true(hd_count_flips(&plan, words, 1, &plain, NULL));
        assert_true(hd_plan_set_orders(&plan, NULL, NULL));
        options.threads = 3;
        assert_true(hd_choose_signs(&plan, words, sets, &options, again, orders, NULL));
        assert_true(hd_choose_signs(&plan, words, sets, NULL, signs, orders, NULL));
        assert_memory_equal(signs, again, count);
        assert_true(hd_plan_set_orders(&plan, orders, NULL));

        /* The sidecar's own reading of the signs. */
        hd_stream_layer layer = {0};
        float *scales = malloc(plan.shape.filters * sizeof *scales);
        for (size_t f = 0; f < plan.shape.filters; f++) scales[f] = 1;
        assert_true(hd_stream_layer_set(&layer, 0, &plan, words, scales, NULL));
        layer.sign_sets = sets;
        layer.signs = signs;
        int8_t *read = malloc(plan.weights);
        assert_true(hd_stream_layer_streamed_words(&layer, &plan, read, NULL));
        hd_apply_signs(&plan, words, sets, signs, streamed);
        assert_memory_equal(streamed, read, plan.weights);

        assert_true(hd_count_flips(&plan, streamed, 1, &negated, NULL));
        assert_true((double)plain.flips >= cases[i].gain * (double)negated.flips);
        free(read);
        free(scales);
        free(again);
        free(words);
        free(streamed);
        free(orders);
        hd_stream_layer_free(&layer); /* with the signs */
        hd_plan_free(&plan);
    }
}

/* Along a fixed pair of words: exhaustively the best signs of a short path. */
static void one_path_gets_the_best_signs(void **state) {
    (void)state;
    enum { FILTERS = 6 };
    hd_accelerator a = hd_accelerator_default();
    a.rows = 4;
    hd_layer_shape shape = {FILTERS, 4, 1, 1, 1};
    random_state = 37;
    for (int trial = 0; trial < 10; trial++) {
        hd_plan plan;
        assert_true(hd_plan_init(&plan, &a, &shape, NULL));
        int8_t *words = laplacian_words(plan.weights), signs[FILTERS], all[FILTERS], streamed[4 * FILTERS];
        uint32_t orders[FILTERS];
        hd_flips flips;
        hd_reorder_options options = hd_reorder_defaults();
        options.join_tiles = false;
        assert_true(hd_choose_signs(&plan, words, 1, &options, signs, orders, NULL));
        assert_true(hd_plan_set_orders(&plan, orders, NULL));
        hd_apply_signs(&plan, words, 1, signs, streamed);
        assert_true(hd_count_flips(&plan, streamed, 1, &flips, NULL));
        uint64_t found = flips.flips_inside_tiles, best = UINT64_MAX;
        for (int choice = 0; choice < 1 << FILTERS; choice++) {
            for (int f = 0; f < FILTERS; f++) all[f] = choice >> f & 1 ? -1 : 1;
            hd_apply_signs(&plan, words, 1, all, streamed);
            assert_true(hd_count_flips(&plan, streamed, 1, &flips, NULL));
            if (flips.flips_inside_tiles < best) best = flips.flips_inside_tiles;
        }
        assert_true(found <= best + 2); /* the boundary may be worth a flip or two inside */
        free(words);
        hd_plan_free(&plan);
    }
}

static void folded_signs_keep_the_function(void **state) {
    (void)state;
    float weights[12], scales[3], means[3], kept[12];
    random_state = 41;
    for (int i = 0; i < 12; i++) kept[i] = weights[i] = (float)uniform() - 0.5f;
    for (int i = 0; i < 3; i++) {
        scales[i] = 1 + (float)uniform();
        means[i] = (float)uniform();
    }
    int inputs[] = {-1};
    hd_node node = {
        .type = HD_NODE_CONVOLUTION, .type_name = "convolutional", .inputs = inputs, .input_count = 1};
    node.in_height = node.in_width = node.out_height = node.out_width = node.size = node.stride =
        node.groups = 1;
    node.in_channels = 4;
    node.out_channels = 3;
    node.weights = weights;
    node.scales = scales;
    node.rolling_mean = means;
    const float x[4] = {0.3f, -1, 2, 0.7f};
    float before[3];
    hd_error error;
    int8_t signs[3] = {1, -1, -1};
    assert_false(hd_fold_signs(&node, signs, &error));
    assert_non_null(strstr(error.message, "batch normalisation"));
    node.batch_normalize = true;
    for (int f = 0; f < 3; f++) {
        float sum = 0;
        for (int c = 0; c < 4; c++) sum += weights[4 * f + c] * x[c];
        before[f] = scales[f] * (sum - means[f]);
    }
    assert_true(hd_fold_signs(&node, signs, &error));
    for (int f = 0; f < 3; f++) {
        float sum = 0;
        for (int c = 0; c < 4; c++) {
            sum += weights[4 * f + c] * x[c];
            assert_true(weights[4 * f + c] == (float)signs[f] * kept[4 * f + c]);
        }
        assert_true(fabsf(scales[f] * (sum - means[f]) - before[f]) < 1e-6f);
    }
    signs[1] = 0;
    assert_false(hd_fold_signs(&node, signs, &error));
}

static void signs_that_cannot_help_are_refused(void **state) {
    (void)state;
    hd_accelerator a = hd_accelerator_default();
    hd_layer_shape shape = {20, 40, 1, 1, 4};
    hd_plan plan;
    hd_error error;
    assert_true(hd_plan_init(&plan, &a, &shape, NULL));
    assert_false(hd_choose_signs(&plan, NULL, 2, NULL, NULL, NULL, &error));
    assert_non_null(strstr(error.message, "3 segments"));
    hd_plan_free(&plan);
    a.dataflow = HD_OUTPUT_STATIONARY;
    assert_true(hd_plan_init(&plan, &a, &shape, NULL));
    assert_false(hd_choose_signs(&plan, NULL, 1, NULL, NULL, NULL, &error));
    assert_non_null(strstr(error.message, "input stationary"));
    hd_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_save_flips),
        cmocka_unit_test(one_path_gets_the_best_signs),
        cmocka_unit_test(folded_signs_keep_the_function),
        cmocka_unit_test(signs_that_cannot_help_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
