/* Energy tables and the plan level: figures by hand, totals, degenerate and huge layers, and what is wrong
 * with bad tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"
#include "random_plan.h"

/* A small table whose figures the tests below calculate with. */
static const char *const table_path = "tests/fuzz/corpus/energy_table/osu018.json";

static hd_energy_table read_table_at(const char *path) {
    json_error_t mistake;
    json_t *json = json_load_file(path, 0, &mistake);
    assert_non_null(json);
    char *text = json_dumps(json, 0);
    hd_energy_table table;
    hd_error e = {""};
    bool good = hd_energy_table_parse(text, strlen(text), path, &table, &e);
    if (!good) print_error("%s\n", e.message);
    assert_true(good);
    free(text);
    json_decref(json);
    return table;
}

static hd_energy_table read_small_table(void) {
    return read_table_at(table_path);
}

static void the_calibrated_table_is_complete(void **state) {
    (void)state;
    hd_energy_table t = read_table_at("cfg/accelerators/tables/osu018.json");
    assert_string_equal(t.name, "osu018");
    assert_false(t.provisional);
    assert_true(t.voltage_v == 1.8 && t.clock_mhz > 0);
    assert_non_null(strstr(t.origin, "Gate-level calibration"));
    assert_non_null(strstr(t.tools, "Yosys"));
    assert_non_null(strstr(t.units, "energy: pJ"));
    assert_non_null(strstr(t.residuals, "transferable_model"));
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
        for (int r = 0; r < HD_REPRESENTATION_COUNT; r++) {
            const hd_energy_model *m = &t.models[d][r];
            assert_true(m->present);
            assert_string_equal(m->basis, "measured");
            for (int b = 0; b < HD_MAXIMUM_BITS; b++)
                assert_true(m->bit_costs_pj[b] > m->propagation_pj_per_flip);
            assert_true(m->bit_costs_pj[7] > m->bit_costs_pj[0]); /* the sign is dearer than the lowest bit */
        }
}

/* Every energy of a scaled table is the calibrated one times the same factor. */
static void scaled_tables_keep_all_ratios(void **state) {
    (void)state;
    hd_energy_table t = read_table_at("cfg/accelerators/tables/osu018.json");
    static const char *const scaled[] = {"scaled-28nm", "scaled-45nm", "scaled-65nm"};
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "cfg/accelerators/tables/%s.json", scaled[i]);
        hd_energy_table s = read_table_at(path);
        assert_string_equal(s.name, scaled[i]);
        assert_non_null(strstr(s.origin, "Horowitz"));
        double factor = s.models[0][0].clock_pj_per_cycle / t.models[0][0].clock_pj_per_cycle;
        assert_true(factor > 0 && factor < 0.05);
        for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
            for (int r = 0; r < HD_REPRESENTATION_COUNT; r++) {
                const hd_energy_model *a = &t.models[d][r], *b = &s.models[d][r];
                assert_non_null(strstr(b->basis, "estimated"));
                assert_true(fabs(b->idle_pj_per_cycle / a->idle_pj_per_cycle / factor - 1) < 2e-4);
                assert_true(fabs(b->propagation_pj_per_flip / a->propagation_pj_per_flip / factor - 1) <
                            2e-4);
                for (int k = 0; k < HD_MAXIMUM_BITS; k++)
                    assert_true(fabs(b->bit_costs_pj[k] / a->bit_costs_pj[k] / factor - 1) < 2e-4);
            }
    }
}

static hd_plan plan_of(const hd_accelerator *a, hd_layer_shape shape) {
    hd_plan plan;
    hd_error e;
    assert_true(hd_plan_init(&plan, a, &shape, &e));
    return plan;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

/* Words 1 3 5 and 2 4 -6 on two lanes: 4 flips of bits 1 and 2, 2 of bits 3 to 7; 5 pixels on a 2 x 2 array.
 */
static void energy_by_hand(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    hd_accelerator a = hd_accelerator_default();
    a.rows = a.cols = 2;
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    hd_plan plan = plan_of(&a, (hd_layer_shape){3, 2, 1, 1, 5});
    hd_flips f;
    hd_energy_report r;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
    double flips_pj = 4 * 7.3 + 4 * 7.2 + 2 * (7.4 + 8.5 + 9.0 + 10.1 + 21.6);
    assert_int_equal(r.macs, 30);
    assert_int_equal(r.cycles, 3 * 3 + 4); /* 3 steps for each of 3 blocks of 2 pixels; fill and drain */
    assert_int_equal(r.array_pe_cycles, 52);
    assert_int_equal(r.enabled_pe_cycles, 30);
    assert_true(near(r.utilisation, 30.0 / 52));
    assert_true(near(r.datapath_pj, 5 * flips_pj + 0.48 * 30));
    assert_true(near(r.propagation_pj, 0.17 * 5 * 18));
    assert_true(r.datapath_pj == r.compute_pj + r.propagation_pj);
    assert_true(near(r.clock_pj, 10.0 * 30));
    assert_true(near(r.idle_pj, 10.0 * 22));
    assert_true(near(r.pj_per_mac, r.datapath_pj / 30));
    hd_plan_free(&plan);

    a.encoding = HD_BUS_INVERT; /* wires 12 flips, operands still 18 */
    plan = plan_of(&a, (hd_layer_shape){3, 2, 1, 1, 5});
    hd_energy_report inverted;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &inverted, &e));
    assert_true(near(inverted.compute_pj, r.compute_pj));
    assert_true(near(inverted.propagation_pj, 0.17 * 5 * 12));
    hd_plan_free(&plan);
}

/* Activations with half the ones: half of the flips' part in the PEs, the same idle energy, propagation and
 * clock. */
static void measured_activations_scale_the_flips(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    hd_accelerator a = hd_accelerator_default();
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    hd_plan plan = plan_of(&a, (hd_layer_shape){3, 2, 1, 1, 5});
    hd_flips f;
    hd_energy_report whole, half;
    hd_activation_statistics fewer = hd_assumed_activations(&t);
    fewer.ones /= 2;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &whole, &e));
    assert_true(hd_energy_plan_level(&t, &plan, &f, &fewer, &half, &e));
    double idle = 0.48 * 30;
    assert_true(near(half.compute_pj - idle, (whole.compute_pj - idle) / 2));
    assert_true(near(half.propagation_pj, whole.propagation_pj));
    assert_true(near(half.clock_pj, whole.clock_pj));
    fewer.ones = 9;
    assert_false(hd_energy_plan_level(&t, &plan, &f, &fewer, &half, &e));
    assert_non_null(strstr(e.message, "9 ones"));
    fewer.ones = NAN;
    assert_false(hd_energy_plan_level(&t, &plan, &f, &fewer, &half, &e));
    hd_plan_free(&plan);
}

static void weight_stationary_tiles_stay_for_an_image(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    hd_accelerator a = hd_accelerator_default();
    a.dataflow = HD_WEIGHT_STATIONARY;
    a.rows = a.cols = 2;
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    hd_plan plan = plan_of(&a, (hd_layer_shape){3, 2, 1, 1, 5});
    hd_flips f;
    hd_energy_report r;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
    assert_int_equal(f.flips_per_image, f.flips);
    assert_int_equal(r.cycles, 2 * 5 + 4);
    assert_int_equal(r.macs, 30);
    hd_plan_free(&plan);
}

static void totals_are_sums(void **state) {
    (void)state;
    test_random random = {31};
    hd_error e;
    hd_energy_table t = read_small_table();
    hd_energy_report total = {0};
    double compute = 0, propagation = 0, clock = 0;
    uint64_t macs = 0, cycles = 0, array_cycles = 0;
    for (int i = 0; i < 60; i++) {
        hd_accelerator a = test_random_accelerator(&random, (hd_dataflow)(i % 3));
        hd_plan plan = plan_of(&a, test_random_shape(&random));
        int8_t *words = test_random_words(&random, &plan);
        hd_flips f;
        hd_energy_report r;
        assert_true(hd_count_flips(&plan, words, 1, &f, &e));
        assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
        assert_true(r.compute_pj >= 0 && r.propagation_pj >= 0 && r.clock_pj > 0);
        assert_true(r.utilisation > 0 && r.utilisation <= 1);
        assert_true(r.datapath_pj == r.compute_pj + r.propagation_pj);
        hd_energy_add(&total, &r);
        compute += r.compute_pj;
        propagation += r.propagation_pj;
        clock += r.clock_pj;
        macs += r.macs;
        cycles += r.cycles;
        array_cycles += r.array_pe_cycles;
        free(words);
        hd_plan_free(&plan);
    }
    assert_true(total.compute_pj == compute && total.propagation_pj == propagation &&
                total.clock_pj == clock);
    assert_true(total.datapath_pj == compute + propagation);
    assert_int_equal(total.macs, macs);
    assert_int_equal(total.cycles, cycles);
    assert_true(near(total.utilisation, (double)macs / (double)array_cycles));
}

static void degenerate_layers_have_plain_figures(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    const int8_t word = 0;
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++) {
        hd_accelerator a = hd_accelerator_default();
        a.dataflow = (hd_dataflow)d;
        hd_plan plan = plan_of(&a, (hd_layer_shape){1, 1, 1, 1, 1});
        hd_flips f;
        hd_energy_report r, total = {0};
        assert_true(hd_count_flips(&plan, &word, 1, &f, &e));
        assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
        assert_true(r.propagation_pj == 0 && r.compute_pj > 0 && isfinite(r.pj_per_mac));
        assert_true(r.clock_pj > 0 && r.idle_pj > 0 && r.memory.weights == 1 && r.memory.partial_sums == 4);
        hd_energy_add(&total, &(hd_energy_report){0});
        assert_true(total.pj_per_mac == 0 && total.utilisation == 0);
        hd_plan_free(&plan);
    }
}

/* VGG-16's largest layers at a batch of a million images: counts as they would be with every word flipping
 * all bits. */
static void huge_layers_do_not_overflow(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    const hd_layer_shape layers[] = {{64, 64, 1, 3, 224 * 224 * (size_t)1000000},
                                     {512, 512, 1, 3, 28 * 28 * (size_t)1000000},
                                     {4096, 25088, 1, 1, 1000000}};
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++)
        for (size_t i = 0; i < 3; i++) {
            hd_accelerator a = hd_accelerator_default();
            a.dataflow = (hd_dataflow)d;
            hd_plan plan = plan_of(&a, layers[i]);
            hd_flips f = {.flips = 8 * plan.weights, .flips_per_image = 8 * plan.weights * plan.image_passes};
            for (int b = 0; b < 8; b++) f.operand_flips_by_bit[b] = plan.weights;
            hd_energy_report r;
            assert_true(hd_energy_plan_level(&t, &plan, &f, NULL, &r, &e));
            double macs = (double)plan.weights * (double)layers[i].output_pixels;
            assert_true(near((double)r.macs, macs));
            assert_true(f.flips_per_image / plan.image_passes == f.flips);
            assert_true(near((double)r.array_pe_cycles, (double)r.cycles * 256));
            assert_true(r.utilisation > 0.9 && r.utilisation <= 1);
            assert_true(isfinite(r.datapath_pj) && r.datapath_pj > 0);
            hd_plan_free(&plan);
        }
}

static void bit_costs_follow_the_width(void **state) {
    (void)state;
    hd_error e;
    hd_energy_table t = read_small_table();
    double costs[8];
    hd_accelerator a = hd_accelerator_default();
    a.weight_bits = 4;
    hd_plan plan = plan_of(&a, (hd_layer_shape){4, 4, 1, 1, 1});
    assert_true(hd_bit_costs(&t, &plan, costs, &e));
    assert_true(costs[0] == 7.8 && costs[2] == 7.2 && costs[3] == 21.6 && costs[4] == 0);
    assert_true(hd_bit_costs(NULL, &plan, costs, &e));
    assert_true(costs[0] == 1 && costs[3] == 1 && costs[4] == 0);
    hd_plan_free(&plan);
    plan = plan_of(&a, (hd_layer_shape){4, 4, 4, 3, 1}); /* depthwise: output stationary costs */
    assert_true(hd_bit_costs(&t, &plan, costs, &e));
    assert_true(costs[0] == 3.9 && costs[3] == 13.7);
    t.models[HD_OUTPUT_STATIONARY][HD_TWOS_COMPLEMENT].present = false;
    assert_false(hd_bit_costs(&t, &plan, costs, &e));
    assert_non_null(strstr(e.message, "models.output_stationary.twos_complement"));
    hd_plan_free(&plan);
}

/* ---- bad tables ---- */

static void expect_refusal(json_t *json, const char *key) {
    char *text = json_dumps(json, 0);
    hd_energy_table table;
    hd_error e = {""};
    bool good = hd_energy_table_parse(text, strlen(text), "bad.json", &table, &e);
    if (good || strncmp(e.message, "bad.json: ", 10) != 0 || !strstr(e.message, key))
        fail_msg("%s: \"%s\"", key, e.message);
    free(text);
}

static json_t *at_path(json_t *json,
                       const char *path) { /* "a.b": the object that holds the last key is json[a] */
    char copy[128];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *part = strtok(copy, "."); part; part = strtok(NULL, ".")) json = json_object_get(json, part);
    return json;
}

/* Removes, then spoils, each key of an object of the small table. */
static void spoil_each_key(const char *object_path) {
    json_error_t mistake;
    json_t *good = json_load_file(table_path, 0, &mistake);
    const char *key;
    json_t *value;
    json_object_foreach(at_path(good, object_path), key, value) {
        json_t *bad = json_deep_copy(good);
        if (strcmp(key, "provisional") != 0 && strcmp(object_path, "models") != 0) {
            json_object_del(at_path(bad, object_path), key);
            expect_refusal(bad, key);
        }
        json_object_set_new(at_path(bad, object_path), key, json_integer(-1000000000000));
        expect_refusal(bad, key);
        json_object_set_new(at_path(bad, object_path), key, json_pack("[s, [i]]", "x", 1));
        expect_refusal(bad, key);
        json_decref(bad);
    }
    json_decref(good);
}

static void bad_tables_are_refused_by_file_and_key(void **state) {
    (void)state;
    spoil_each_key("");
    spoil_each_key("assumed_activations");
    spoil_each_key("models");
    spoil_each_key("models.input_stationary.twos_complement");
    spoil_each_key("models.output_stationary.sign_magnitude.transferable");
    hd_energy_table table;
    hd_error e;
    const char *broken = "{\n\"format\": \"hdloss-energy-table\",\n\"version\": }";
    assert_false(hd_energy_table_parse(broken, strlen(broken), "b.json", &table, &e));
    assert_memory_equal(e.message, "b.json:3: ", 10);
    assert_false(hd_energy_table_parse("[]", 2, "b.json", &table, &e));
    assert_false(hd_energy_table_parse("", 0, "b.json", &table, &e));
    assert_false(hd_energy_table_parse("\0\0", 2, "b.json", &table, NULL));
}

static void a_flip_costs_at_least_its_propagation(void **state) {
    (void)state;
    json_error_t mistake;
    json_t *json = json_load_file(table_path, 0, &mistake);
    json_t *model = at_path(json, "models.input_stationary.sign_magnitude");
    json_array_set_new(json_object_get(model, "bit_costs_pj"), 3, json_real(0.1));
    expect_refusal(json, "models.input_stationary.sign_magnitude.bit_costs_pj");
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calibrated_table_is_complete),
        cmocka_unit_test(scaled_tables_keep_all_ratios),
        cmocka_unit_test(energy_by_hand),
        cmocka_unit_test(measured_activations_scale_the_flips),
        cmocka_unit_test(weight_stationary_tiles_stay_for_an_image),
        cmocka_unit_test(totals_are_sums),
        cmocka_unit_test(degenerate_layers_have_plain_figures),
        cmocka_unit_test(huge_layers_do_not_overflow),
        cmocka_unit_test(bit_costs_follow_the_width),
        cmocka_unit_test(bad_tables_are_refused_by_file_and_key),
        cmocka_unit_test(a_flip_costs_at_least_its_propagation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
