/* Stream plans: every weight streams once, in the mapping of each dataflow; orders are checked; names and
 * shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"
#include "random_plan.h"

/* Walks a plan and marks each weight; also the dense copies of each tile must agree with hd_plan_weight. */
static void check_every_weight_streams_once(const hd_plan *plan) {
    uint8_t *seen = calloc(plan->weights, 1), *values = malloc(plan->weights);
    uint8_t *dense = malloc((plan->tile_steps + 2) * plan->tile_lanes);
    float *sums = calloc(plan->weights, sizeof *sums);
    float *ones = calloc(plan->tile_steps * plan->tile_lanes, sizeof *ones);
    for (size_t i = 0; i < plan->weights; i++) values[i] = (uint8_t)(i * 37 >> 3);
    for (size_t i = 0; i < plan->tile_steps * plan->tile_lanes; i++) ones[i] = (float)(i % 9);
    for (size_t i = 0; i < plan->tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        assert_true(tile.lanes <= plan->tile_lanes && tile.lanes > 0);
        hd_tile_gather_bytes_with_neighbours(plan, &tile, values, dense);
        hd_tile_scatter_add(plan, &tile, ones, sums);
        for (size_t lane = 0; lane < tile.lanes; lane++) {
            assert_true(hd_plan_lane(plan, &tile, lane) < hd_plan_array_lanes(plan));
            assert_int_equal(dense[lane], values[hd_plan_weight_before(plan, &tile, lane)]);
            assert_int_equal(dense[(tile.steps + 1) * tile.lanes + lane],
                             values[hd_plan_weight_after(plan, &tile, lane)]);
            for (size_t step = 0; step < tile.steps; step++) {
                size_t weight = hd_plan_weight(plan, &tile, step, lane);
                assert_true(weight < plan->weights && !seen[weight]);
                seen[weight] = 1;
                assert_int_equal(dense[(step + 1) * tile.lanes + lane], values[weight]);
                assert_true(sums[weight] == ones[step * tile.lanes + lane]);
            }
        }
    }
    for (size_t i = 0; i < plan->weights; i++) assert_int_equal(seen[i], 1);
    free(seen);
    free(values);
    free(dense);
    free(sums);
    free(ones);
}

static void every_weight_streams_once(void **state) {
    (void)state;
    test_random r = {11};
    hd_error e;
    for (hd_dataflow dataflow = 0; dataflow < HD_DATAFLOW_COUNT; dataflow++)
        for (int i = 0; i < 60; i++) {
            hd_plan plan, copy;
            hd_accelerator a = test_random_accelerator(&r, dataflow);
            hd_layer_shape shape = test_random_shape(&r);
            assert_true(hd_plan_init(&plan, &a, &shape, &e));
            test_random_orders(&r, &plan);
            check_every_weight_streams_once(&plan);
            assert_true(hd_plan_copy(&copy, &plan, &e));
            check_every_weight_streams_once(&copy);
            hd_plan_free(&copy);
            hd_plan_free(&plan);
        }
}

/* Neighbours are each other's inverse: who comes after a lane's last word held that word before. */
static void before_and_after_are_inverse(void **state) {
    (void)state;
    test_random r = {12};
    hd_error e;
    for (int i = 0; i < 90; i++) {
        hd_plan plan;
        hd_accelerator a = test_random_accelerator(&r, (hd_dataflow)(i % HD_DATAFLOW_COUNT));
        hd_layer_shape shape = test_random_shape(&r);
        assert_true(hd_plan_init(&plan, &a, &shape, &e));
        test_random_orders(&r, &plan);
        size_t *next_of_last = malloc(plan.weights * sizeof *next_of_last);
        for (size_t w = 0; w < plan.weights; w++) next_of_last[w] = SIZE_MAX;
        for (size_t t = 0; t < plan.tiles; t++) {
            hd_tile tile = hd_plan_tile(&plan, t);
            for (size_t lane = 0; lane < tile.lanes; lane++)
                next_of_last[hd_plan_weight(&plan, &tile, tile.steps - 1, lane)] =
                    hd_plan_weight_after(&plan, &tile, lane);
        }
        for (size_t t = 0; t < plan.tiles; t++) {
            hd_tile tile = hd_plan_tile(&plan, t);
            for (size_t lane = 0; lane < tile.lanes; lane++)
                assert_int_equal(next_of_last[hd_plan_weight_before(&plan, &tile, lane)],
                                 hd_plan_weight(&plan, &tile, 0, lane));
        }
        free(next_of_last);
        hd_plan_free(&plan);
    }
}

static hd_plan plan_of(hd_dataflow dataflow, int rows, int cols, hd_layer_shape shape) {
    hd_error e;
    hd_plan plan;
    hd_accelerator a = hd_accelerator_default();
    a.dataflow = dataflow;
    a.rows = rows;
    a.cols = cols;
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    return plan;
}

static void the_mapping_of_each_dataflow(void **state) {
    (void)state;
    /* W[6][5][3][3] in 2 groups on 4 x 4: the weight of filter k, channel c, position p is (k * 5 + c) * 9 +
     * p */
    const hd_layer_shape shape = {.filters = 6, .channels = 10, .groups = 2, .size = 3, .output_pixels = 49};
    hd_plan plan = plan_of(HD_INPUT_STATIONARY, 4, 4, shape);
    assert_int_equal(plan.tiles, 2 * 2 * 9);
    assert_int_equal(plan.tile_steps, 3);
    assert_int_equal(plan.repeats, 13);
    assert_int_equal(plan.image_passes, 49);
    hd_tile tile =
        hd_plan_tile(&plan, (1 * 2 + 1) * 9 + 7); /* group 1, second segment (channel 4), position 7 */
    assert_int_equal(tile.lanes, 1);
    assert_int_equal(hd_plan_weight(&plan, &tile, 2, 0), (5 * 5 + 4) * 9 + 7);
    assert_int_equal(plan.order_count, 2 * 2 * 9);
    hd_plan_free(&plan);

    plan = plan_of(HD_OUTPUT_STATIONARY, 2, 4, shape);
    assert_int_equal(plan.tiles, 2 * 2);
    assert_int_equal(plan.tile_steps, 45);
    tile = hd_plan_tile(&plan, 2); /* group 1, filters 3 and 4 */
    assert_int_equal(tile.lanes, 2);
    assert_int_equal(hd_plan_weight(&plan, &tile, 31, 1), 4 * 45 + 31);
    hd_plan_free(&plan);

    plan = plan_of(HD_WEIGHT_STATIONARY, 4, 2, shape);
    assert_int_equal(plan.tiles, 2 * 2 * 9 * 2);
    assert_int_equal(plan.image_passes, 1);
    tile = hd_plan_tile(&plan, 1); /* group 0, channels 0..3, position 0, filter 2 alone */
    assert_int_equal(tile.lanes, 4);
    assert_int_equal(hd_plan_weight(&plan, &tile, 0, 3), (2 * 5 + 3) * 9);
    assert_int_equal(hd_plan_lane(&plan, &tile, 3), 6);
    hd_plan_free(&plan);
}

static void depthwise_runs_output_stationary(void **state) {
    (void)state;
    const hd_layer_shape shape = {
        .filters = 10, .channels = 10, .groups = 10, .size = 3, .output_pixels = 16};
    for (hd_dataflow dataflow = 0; dataflow < HD_DATAFLOW_COUNT; dataflow++) {
        hd_plan plan = plan_of(dataflow, 4, 4, shape);
        assert_true(plan.depthwise);
        assert_int_equal(plan.dataflow, HD_OUTPUT_STATIONARY);
        assert_int_equal(plan.tiles, 3);
        assert_int_equal(plan.image_passes, 16);
        hd_tile tile = hd_plan_tile(&plan, 2);
        assert_int_equal(tile.lanes, 2);
        assert_int_equal(hd_plan_weight(&plan, &tile, 5, 1), 9 * 9 + 5);
        hd_plan_free(&plan);
    }
}

static void large_layers_stay_small(void **state) {
    (void)state;
    const hd_layer_shape fc6 = {
        .filters = 4096, .channels = 25088, .groups = 1, .size = 1, .output_pixels = 1};
    hd_plan plan = plan_of(HD_WEIGHT_STATIONARY, 16, 16, fc6);
    assert_int_equal(plan.weights, 102760448);
    assert_int_equal(plan.tiles, 1568 * 256);
    hd_tile tile = hd_plan_tile(&plan, plan.tiles - 1);
    assert_int_equal(hd_plan_weight(&plan, &tile, 0, 255), plan.weights - 1);
    assert_int_equal(hd_plan_table_bytes(&plan), 0);
    hd_plan_free(&plan);
}

static void orders_must_be_permutations(void **state) {
    (void)state;
    hd_error e;
    hd_plan plan = plan_of(HD_INPUT_STATIONARY, 2, 2, (hd_layer_shape){3, 4, 1, 1, 1});
    const uint32_t good[] = {2, 0, 1, 0, 1, 2}, twice[] = {2, 0, 1, 0, 1, 1}, beyond[] = {2, 0, 1, 0, 3, 2};
    assert_true(hd_plan_set_orders(&plan, good, &e));
    assert_false(hd_plan_set_orders(&plan, twice, &e));
    assert_non_null(strstr(e.message, "order 1 "));
    assert_false(hd_plan_set_orders(&plan, beyond, &e));
    assert_memory_equal(plan.orders, good, sizeof good);
    assert_int_equal(hd_plan_table_bytes(&plan), 6);
    const uint32_t lanes[] = {3, 1, 0, 2}, bad_lanes[] = {3, 1, 1, 2};
    assert_false(hd_plan_set_lane_channels(&plan, bad_lanes, &e));
    assert_true(hd_plan_set_lane_channels(&plan, lanes, &e));
    hd_tile tile = hd_plan_tile(&plan, 0);
    assert_int_equal(hd_plan_weight(&plan, &tile, 0, 0), 2 * 4 + 3);
    assert_true(hd_plan_set_one_order(&plan, good, &e));
    assert_memory_equal(plan.orders + 3, good, 3 * sizeof *good);
    assert_true(hd_plan_set_orders(&plan, NULL, &e));
    assert_null(plan.orders);
    hd_plan_free(&plan);
}

static void bad_shapes_and_accelerators_are_refused(void **state) {
    (void)state;
    hd_error e;
    hd_plan plan;
    hd_accelerator a = hd_accelerator_default();
    const hd_layer_shape zero = {0, 1, 1, 1, 1}, uneven = {6, 4, 3, 1, 1},
                         huge = {1u << 31, 1u << 31, 1, 100, 1u << 20};
    assert_false(hd_plan_init(&plan, &a, &zero, &e));
    assert_false(hd_plan_init(&plan, &a, &uneven, &e));
    assert_non_null(strstr(e.message, "groups"));
    assert_false(hd_plan_init(&plan, &a, &huge, &e));
    const hd_layer_shape one = {1, 1, 1, 1, (size_t)1 << 58};
    a.rows = a.cols = 4096;
    assert_false(hd_plan_init(&plan, &a, &one, &e));
    hd_plan_free(&plan);
    a = hd_accelerator_default();
    a.rows = 0;
    assert_false(hd_accelerator_validate(&a, &e));
    assert_non_null(strstr(e.message, "rows"));
    a = hd_accelerator_default();
    a.weight_bits = 9;
    assert_false(hd_accelerator_validate(&a, &e));
    a = hd_accelerator_default();
    a.encoding = HD_ENCODING_COUNT;
    assert_false(hd_accelerator_validate(&a, &e));
}

static void names_go_there_and_back(void **state) {
    (void)state;
    hd_error e;
    for (int i = 0; i < HD_DATAFLOW_COUNT; i++) {
        hd_dataflow back;
        assert_true(hd_dataflow_parse(hd_dataflow_name((hd_dataflow)i), &back, &e));
        assert_int_equal(back, i);
    }
    hd_representation representation;
    assert_true(hd_representation_parse("sign_magnitude", &representation, &e));
    assert_int_equal(representation, HD_SIGN_MAGNITUDE);
    hd_encoding encoding;
    assert_true(hd_encoding_parse("bus_invert", &encoding, &e));
    hd_kernel_orders orders;
    assert_true(hd_kernel_orders_parse("shared", &orders, &e));
    assert_int_equal(orders, HD_KERNEL_ORDERS_SHARED);
    assert_false(hd_encoding_parse("gray", &encoding, &e));
    assert_string_equal(e.message, "\"gray\" is no encoding: one of none or bus_invert is");
    assert_string_equal(hd_dataflow_name(HD_DATAFLOW_COUNT), "unknown");
}

static void shapes_of_nodes(void **state) {
    (void)state;
    hd_layer_shape shape;
    const hd_node connected = {
        .type = HD_NODE_CONNECTED, .in_height = 4, .in_width = 3, .in_channels = 2, .out_channels = 7};
    assert_true(hd_layer_shape_of_node(&connected, &shape));
    assert_int_equal(shape.channels, 24);
    assert_int_equal(hd_layer_weights(&shape), 168);
    const hd_node convolution = {.type = HD_NODE_CONVOLUTION,
                                 .in_channels = 8,
                                 .out_channels = 6,
                                 .groups = 2,
                                 .size = 3,
                                 .out_height = 5,
                                 .out_width = 4};
    assert_true(hd_layer_shape_of_node(&convolution, &shape));
    assert_int_equal(shape.output_pixels, 20);
    assert_int_equal(hd_layer_filter_weights(&shape), 36);
    const hd_node pool = {.type = HD_NODE_MAXPOOL};
    assert_false(hd_layer_shape_of_node(&pool, &shape));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_weight_streams_once),
        cmocka_unit_test(before_and_after_are_inverse),
        cmocka_unit_test(the_mapping_of_each_dataflow),
        cmocka_unit_test(depthwise_runs_output_stationary),
        cmocka_unit_test(large_layers_stay_small),
        cmocka_unit_test(orders_must_be_permutations),
        cmocka_unit_test(bad_shapes_and_accelerators_are_refused),
        cmocka_unit_test(names_go_there_and_back),
        cmocka_unit_test(shapes_of_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
