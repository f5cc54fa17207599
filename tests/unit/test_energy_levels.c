/* The plan and trace levels on a table with everything that calibration writes: totals and parts by hand,
 * both levels' counts side by side on random layers, memory, statistics, rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_plan.h"
#include "trace.h"

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

/* ---- a table as calibration writes it ---- */
static const char *const term_names[HD_ENERGY_TERM_COUNT] = {"a0", "aw", "ax",    "as",     "app", "ap",
                                                             "ab", "an", "aroot", "acarry", "axs"};
static const char *const plan_names[HD_PLAN_TERM_COUNT] = {"cycle_pj", "flip_pj", "sign_flip_pj",
                                                           "partial_product_flip_pj", "activation_flip_pj"};

static json_t *numbers(const char *const *names, size_t count, double first) {
    json_t *o = json_object();
    for (size_t i = 0; i < count; i++) json_object_set_new(o, names[i], json_real(first + (double)i));
    return o;
}

/* Coefficients 0.5, 1.5, ... of the refined model, 0.25 ... of the plan level, 1 + part ... of the parts. */
static json_t *measured(void) {
    json_t *parts = json_object(), *natural = json_object();
    for (int p = 0; p < HD_PART_OTHER; p++) {
        const char *name = hd_energy_part_name((hd_energy_part)p);
        json_object_set_new(parts, name, numbers(term_names, HD_TRANSFERABLE_TERMS, 1 + p));
        json_object_set_new(natural, name, json_real(1 + p));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:f, s:{s:f, s:f}}", "refined",
                     numbers(term_names, HD_ENERGY_TERM_COUNT, 0.5), "plan",
                     numbers(plan_names, HD_PLAN_TERM_COUNT, 0.25), "parts", parts, "natural_pj_per_cycle",
                     natural, "clock_idle_pj_per_cycle", 0.125, "propagation", "weight_pj_per_flip", 0.17,
                     "activation_pj_per_flip", 0.3);
}

static json_t *calibrated_json(void) {
    json_error_t mistake;
    json_t *json = json_load_file("cfg/accelerators/tables/osu018.json", 0, &mistake), *of, *model;
    const char *dataflow, *representation;
    assert_non_null(json);
    json_object_foreach(json_object_get(json, "models"), dataflow, of) {
        json_object_foreach(of, representation, model) {
            json_object_set_new(model, "measured", measured());
            json_object_set_new(model, "clock_pj_per_cycle", json_real(10));
            json_object_set_new(model, "propagation_pj_per_flip", json_real(0.17));
        }
    }
    return json;
}

static bool parse(const json_t *json, hd_energy_table *table, hd_error *e) {
    char *text = json_dumps(json, 0);
    bool good = hd_energy_table_parse(text, strlen(text), "made.json", table, e);
    free(text);
    return good;
}

static hd_energy_table calibrated_table(void) {
    hd_energy_table table;
    hd_error e = {""};
    json_t *json = calibrated_json();
    if (!parse(json, &table, &e)) fail_msg("%s", e.message);
    json_decref(json);
    return table;
}

static void what_calibration_adds_is_read(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    const hd_energy_model *m = &t.models[HD_WEIGHT_STATIONARY][HD_SIGN_MAGNITUDE];
    assert_true(m->has_refined && m->has_plan && m->has_parts);
    assert_true(m->refined[HD_TERM_ACTIVATION_SIGN] == 10.5 && m->plan[HD_PLAN_ACTIVATION_FLIP] == 4.25);
    assert_true(m->parts[HD_PART_CONTROL][HD_TERM_PSUM_OUT] == 12 &&
                m->natural_pj_per_cycle[HD_PART_PSUM_LINK] == 9);
    assert_true(m->clock_idle_pj_per_cycle == 0.125 && m->activation_propagation_pj_per_flip == 0.3);

    static const char *const objects[] = {"refined", "plan", "parts", "natural_pj_per_cycle", "propagation"};
    for (size_t i = 0; i < 5; i++) {
        json_t *json = calibrated_json();
        json_t *o = json_object_get(json_object_get(json, "models"), "input_stationary");
        o = json_object_get(json_object_get(o, "twos_complement"), "measured");
        json_object_clear(json_object_get(o, objects[i]));
        hd_error e = {""};
        assert_false(parse(json, &t, &e));
        if (!strstr(e.message, objects[i])) fail_msg("%s: \"%s\"", objects[i], e.message);
        json_decref(json);
    }
}

static void scaling_scales_every_energy(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table(), twice = t;
    hd_error e;
    hd_trace_counts n = {.macs = 7,
                         .cycles = 90,
                         .array_pe_cycles = 23040,
                         .enabled_pe_cycles = 9,
                         .weight = 3,
                         .activation = 5,
                         .psum_out = 11,
                         .partial_product_histogram = {[4] = 2}};
    hd_accelerator a = hd_accelerator_default();
    hd_layer_shape shape = {3, 2, 1, 1, 5};
    hd_plan plan;
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    hd_flips f;
    hd_energy_report once[2] = {{0}}, doubled[2] = {{0}};
    assert_true(hd_plan_init(&plan, &a, &shape, &e) && hd_count_flips(&plan, words, 1, &f, &e));
    hd_energy_model_scale(&twice.models[HD_INPUT_STATIONARY][HD_TWOS_COMPLEMENT], 2);
    for (int i = 0; i < 2; i++) {
        hd_energy_report *r = i ? doubled : once;
        assert_true(hd_energy_plan_level(i ? &twice : &t, &plan, &f, NULL, &r[0], &e));
        assert_true(hd_energy_trace_level(i ? &twice : &t, &plan, &n, &r[1], &e));
    }
    for (int i = 0; i < 2; i++) {
        assert_true(near(doubled[i].datapath_pj, 2 * once[i].datapath_pj) && once[i].datapath_pj > 0);
        assert_true(near(doubled[i].clock_pj, 2 * once[i].clock_pj));
        assert_true(near(doubled[i].idle_pj, 2 * once[i].idle_pj));
        for (int p = 0; p < HD_ENERGY_PART_COUNT; p++)
            assert_true(near(doubled[i].parts_pj[p], 2 * once[i].parts_pj[p]));
    }
    hd_plan_free(&plan);
}

/* ---- levels by hand ---- */
static void trace_energy_by_hand(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    hd_error e;
    hd_accelerator a = hd_accelerator_default();
    hd_plan plan;
    assert_true(hd_plan_init(&plan, &a, &(hd_layer_shape){3, 2, 1, 1, 5}, &e));
    hd_trace_counts n = {.enabled_pe_cycles = 100,
                         .array_pe_cycles = 300,
                         .macs = 60,
                         .weight = 1,
                         .activation = 2,
                         .sign = 3,
                         .partial_products = 4 * 9 + 2 * 16,
                         .product = 5,
                         .psum_in = 6,
                         .psum_out = 7,
                         .carry = 8,
                         .activation_sign = 9,
                         .partial_product_histogram = {[9] = 4, [16] = 2}};
    hd_energy_report r;
    assert_true(hd_energy_trace_level(&t, &plan, &n, &r, &e));
    const double terms[] = {100, 1, 2, 3, 68, 5, 6, 7, 4 * 3 + 2 * 4, 8, 9};
    double total = 0, parts[HD_PART_OTHER], attributed = 0, sum = 0;
    for (int i = 0; i < HD_ENERGY_TERM_COUNT; i++) total += (0.5 + i) * terms[i];
    for (int p = 0; p < HD_PART_OTHER; p++) {
        parts[p] = 0;
        for (int i = 0; i < HD_TRANSFERABLE_TERMS; i++) parts[p] += (1 + p + i) * terms[i];
        attributed += parts[p];
    }
    assert_true(near(r.datapath_pj, total));
    for (int p = 0; p < HD_PART_OTHER; p++) {
        assert_true(near(r.parts_pj[p], parts[p] * total / attributed));
        sum += r.parts_pj[p];
    }
    assert_true(near(sum, total) && r.parts_pj[HD_PART_OTHER] == 0);
    assert_true(near(r.pj_per_mac, total / 60) && near(r.utilisation, 0.2));
    assert_true(near(r.clock_pj, 100 * 10.0) && near(r.idle_pj, 200 * 0.125));

    /* A total below nothing, from terms of either sign, leaves the parts' own sum. */
    t.models[HD_INPUT_STATIONARY][HD_TWOS_COMPLEMENT].refined[HD_TERM_CYCLE] = -1000;
    assert_true(hd_energy_trace_level(&t, &plan, &n, &r, &e));
    assert_true(near(r.datapath_pj, attributed));
    t.models[HD_INPUT_STATIONARY][HD_TWOS_COMPLEMENT].has_parts = false;
    assert_true(hd_energy_trace_level(&t, &plan, &n, &r, &e));
    assert_true(r.datapath_pj == 0);
    hd_plan_free(&plan);
}

/* Words 1 3 5 and 2 4 -6 on two lanes, 18 flips, 2 of them of the sign, as in test_energy.c; 5 pixels, 2 x 2
 * array. */
static void plan_energy_by_hand(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    hd_error e;
    hd_accelerator a = hd_accelerator_default();
    a.rows = a.cols = 2;
    hd_plan plan;
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    hd_flips f;
    hd_energy_report r;
    hd_activation_statistics x = {3, 0.2, 1, 2, 1.5};
    assert_true(hd_plan_init(&plan, &a, &(hd_layer_shape){3, 2, 1, 1, 5}, &e));
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_int_equal(f.one_bits, 1 + 1 + 2 + 1 + 2 + 6); /* -6 = 11111010 */
    assert_true(hd_energy_plan_level(&t, &plan, &f, &x, &r, &e));
    double flips = 5 * 18, moved = 2 * 5 * 1.5; /* a load for each row and pixel */
    double total = 0.25 * 30 + 1.25 * flips + 2.25 * 10 + 3.25 * (flips * 3 + moved * 13 / 6) + 4.25 * moved;
    assert_int_equal(r.weight_flips, 90);
    assert_int_equal(r.activation_flips, 15);
    assert_true(near(r.datapath_pj, total));
    assert_true(near(r.propagation_pj, 0.17 * flips));
    double compute = total - 0.17 * flips;
    assert_true(near(r.parts_pj[HD_PART_MULTIPLIER], compute * 1 / (1 + 2 + 5 + 6 + 9)));
    assert_true(near(r.parts_pj[HD_PART_WEIGHT_LINK], 0.17 * flips * 7 / (3 + 4 + 7 + 8)));
    assert_true(near(r.idle_pj, (52 - 30) * 0.125));
    assert_int_equal(r.memory.weights, 6 * 3);
    assert_int_equal(r.memory.activations, 2 * 5 + 3 * 5);
    assert_int_equal(r.memory.partial_sums, 3 * 5 * 4);
    assert_int_equal(r.memory.orders, 0);
    hd_plan_free(&plan);
}

/* ---- the two levels side by side ---- */
static void levels_agree_on_what_both_know(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    test_random random = {4242};
    hd_error e;
    for (int i = 0; i < 90; i++) {
        hd_accelerator a = test_random_accelerator(&random, (hd_dataflow)(i % 3));
        a.encoding = HD_ENCODING_NONE;
        hd_layer_shape shape = test_random_shape(&random);
        size_t side = shape.output_pixels == 1 ? shape.size : shape.size + test_random_below(&random, 5);
        shape.output_pixels = (side - shape.size + 1) * (side - shape.size + 1);
        hd_plan plan;
        assert_true(hd_plan_init(&plan, &a, &shape, &e));
        test_random_orders(&random, &plan);
        int8_t *words = test_random_words(&random, &plan);
        uint8_t *activations = malloc(side * side * shape.channels);
        for (size_t k = 0; k < side * side * shape.channels; k++)
            activations[k] = (uint8_t)test_random_below(&random, 256);
        hd_trace_layer layer = {.plan = &plan,
                                .words = words,
                                .activations = activations,
                                .height = side,
                                .width = side,
                                .stride = 1,
                                .dilation = 1};
        hd_trace_counts n;
        hd_flips f;
        hd_energy_report traced, planned;
        assert_true(hd_trace_layers(&layer, 1, 1, &n, &e));
        assert_true(hd_count_flips(&plan, words, 1, &f, &e));
        assert_true(hd_energy_trace_level(&t, &plan, &n, &traced, &e));
        assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &planned, &e));
        assert_int_equal(traced.macs, planned.macs);
        assert_int_equal(traced.cycles, planned.cycles);
        assert_int_equal(traced.enabled_pe_cycles, planned.enabled_pe_cycles);
        assert_int_equal(traced.array_pe_cycles, planned.array_pe_cycles);
        assert_true(planned.clock_pj == traced.clock_pj && planned.idle_pj == traced.idle_pj);
        /* The plan's pass is cyclic, the trace begins at zero: an element's first transition is all they
         * differ in. */
        double apart = fabs((double)traced.weight_flips - (double)planned.weight_flips);
        assert_true(apart <= 8.0 * a.rows * a.cols);
        assert_true(traced.datapath_pj >= 0 && planned.datapath_pj >= 0);
        free(words);
        free(activations);
        hd_plan_free(&plan);
    }
}

static void degenerate_layers_cost_no_less_than_nothing(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    hd_error e;
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
        for (int padded = 0; padded < 2; padded++) {
            hd_accelerator a = hd_accelerator_default();
            a.dataflow = (hd_dataflow)d;
            size_t size = padded ? 3 : 1;
            hd_plan plan;
            assert_true(hd_plan_init(&plan, &a, &(hd_layer_shape){1, 1, 1, size, 1}, &e));
            int8_t words[9] = {0};
            uint8_t byte = 255;
            hd_trace_layer layer = {.plan = &plan,
                                    .words = words,
                                    .activations = &byte,
                                    .height = 1,
                                    .width = 1,
                                    .stride = 1,
                                    .padding = size / 2,
                                    .dilation = 1};
            hd_trace_counts n;
            hd_flips f;
            hd_energy_report r[2], total = {0};
            assert_true(hd_trace_layers(&layer, 1, 1, &n, &e) && hd_count_flips(&plan, words, 1, &f, &e));
            assert_true(hd_energy_plan_level(&t, &plan, &f, &(hd_activation_statistics){0}, &r[0], &e));
            assert_true(hd_energy_trace_level(&t, &plan, &n, &r[1], &e));
            for (int level = 0; level < 2; level++) {
                assert_true(isfinite(r[level].datapath_pj) && r[level].datapath_pj >= 0);
                assert_true(r[level].utilisation > 0 && r[level].utilisation <= 1);
                for (int p = 0; p < HD_ENERGY_PART_COUNT; p++) assert_true(r[level].parts_pj[p] >= 0);
                hd_energy_add(&total, &r[level]);
            }
            assert_true(isfinite(total.pj_per_mac));
            hd_plan_free(&plan);
        }
    hd_energy_report empty = {0};
    hd_energy_add(&empty, &(hd_energy_report){0});
    assert_true(empty.pj_per_mac == 0 && empty.utilisation == 0);
}

/* VGG-16's largest layers at a batch of a million images. */
static void huge_layers_do_not_overflow(void **state) {
    (void)state;
    hd_energy_table t = calibrated_table();
    hd_error e;
    const hd_layer_shape layers[] = {{64, 64, 1, 3, 224 * 224 * (size_t)1000000},
                                     {512, 512, 1, 3, 28 * 28 * (size_t)1000000},
                                     {4096, 25088, 1, 1, 1000000}};
    hd_energy_report total = {0};
    double sum = 0;
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
        for (size_t i = 0; i < 3; i++) {
            hd_accelerator a = hd_accelerator_default();
            a.dataflow = (hd_dataflow)d;
            hd_plan plan;
            assert_true(hd_plan_init(&plan, &a, &layers[i], &e));
            hd_flips f = {.words = plan.weights,
                          .one_bits = 8 * plan.weights,
                          .operand_flips = 8 * plan.weights,
                          .sign_flips = plan.weights};
            f.flips_per_image = f.operand_flips * plan.image_passes;
            hd_energy_report r;
            assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
            double macs = (double)plan.weights * (double)layers[i].output_pixels;
            assert_true(near((double)r.macs, macs));
            assert_true(near((double)r.weight_flips, 8.0 * (double)plan.weights * (double)plan.image_passes));
            assert_true(r.activation_flips > 0 && (double)r.activation_flips <= 8 * macs);
            assert_true(isfinite(r.datapath_pj) && r.datapath_pj > 0.25 * macs);
            assert_true((double)r.memory.weights >= (double)plan.weights && r.memory.partial_sums > 0);
            assert_true(r.memory.partial_sums < UINT64_MAX && r.memory.activations < UINT64_MAX);
            hd_energy_add(&total, &r);
            sum += r.datapath_pj;
            hd_plan_free(&plan);
        }
    assert_true(near(total.datapath_pj, sum) && total.utilisation > 0.9 && total.utilisation <= 1);
    total = (hd_energy_report){.macs = UINT64_MAX};
    hd_energy_add(&total, &(hd_energy_report){.macs = 5});
    assert_true(total.macs == UINT64_MAX);
}

/* ---- statistics and rounding ---- */
static void statistics_by_hand(void **state) {
    (void)state;
    /* Two images of 1 x 3 pixels of 2 channels. */
    const uint8_t bytes[] = {0, 1, 3, 1, 3, 255, 7, 7, 7, 7, 7, 7};
    hd_activation_sums sums = {0};
    hd_activation_sums_add(&sums, bytes, 1, 1, 3, 2);
    hd_activation_sums_add(&sums, bytes + 6, 1, 1, 3, 2);
    hd_activation_statistics s = hd_activation_statistics_of(&sums);
    assert_true(near(s.ones, (0 + 1 + 2 + 1 + 2 + 8 + 6 * 3) / 12.0) && near(s.zero_fraction, 1 / 12.0));
    assert_true(near(s.flips_between_pixels, (2 + 0 + 0 + 7) / 8.0));
    assert_true(near(s.flips_between_channels, (1 + 1 + 6) / 6.0));
    double apart = 0;
    const double shares[] = {11 / 12.0, 9 / 12.0, 7 / 12.0, 1 / 12.0, 1 / 12.0, 1 / 12.0, 1 / 12.0, 1 / 12.0};
    for (int b = 0; b < 8; b++) apart += 2 * shares[b] * (1 - shares[b]);
    assert_true(near(s.flips_apart, apart));
    sums = (hd_activation_sums){0};
    hd_activation_sums_add(&sums, bytes, 1, 1, 1, 1); /* no neighbours */
    s = hd_activation_statistics_of(&sums);
    assert_true(s.flips_between_pixels == s.flips_apart && s.zero_fraction == 1);
    s = hd_activation_statistics_of(&(hd_activation_sums){0});
    assert_true(s.ones == 0 && s.flips_apart == 0);
}

/* Adds numbers as they are printed. */
static long long printed(double value, int decimals) {
    char text[64];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    long long sum = 0;
    bool negative = text[0] == '-';
    for (const char *c = text; *c; c++)
        if (*c >= '0' && *c <= '9') sum = 10 * sum + (*c - '0');
    return negative ? -sum : sum;
}

static void printed_parts_add_up(void **state) {
    (void)state;
    test_random random = {5};
    for (int decimals = -3; decimals <= 3; decimals++) {
        hd_energy_report total = {0};
        long long datapath = 0, clock = 0;
        int places = decimals > 0 ? decimals : 0;
        for (int layer = 0; layer < 200; layer++) {
            hd_energy_report r = {.clock_pj = 1e5 * test_random_unit(&random), .macs = 9};
            for (int p = 0; p < HD_ENERGY_PART_COUNT; p++) r.parts_pj[p] = 1e6 * test_random_unit(&random);
            hd_energy_round(&r, decimals);
            long long parts = 0;
            for (int p = 0; p < HD_ENERGY_PART_COUNT; p++) parts += printed(r.parts_pj[p], places);
            assert_true(parts == printed(r.datapath_pj, places));
            assert_true(parts == printed(r.compute_pj, places) + printed(r.propagation_pj, places));
            datapath += parts;
            clock += printed(r.clock_pj, places);
            hd_energy_add(&total, &r);
            hd_energy_round(&total, decimals);
        }
        assert_true(datapath == printed(total.datapath_pj, places));
        assert_true(clock == printed(total.clock_pj, places));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_calibration_adds_is_read),
        cmocka_unit_test(scaling_scales_every_energy),
        cmocka_unit_test(trace_energy_by_hand),
        cmocka_unit_test(plan_energy_by_hand),
        cmocka_unit_test(levels_agree_on_what_both_know),
        cmocka_unit_test(degenerate_layers_cost_no_less_than_nothing),
        cmocka_unit_test(huge_layers_do_not_overflow),
        cmocka_unit_test(statistics_by_hand),
        cmocka_unit_test(printed_parts_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
