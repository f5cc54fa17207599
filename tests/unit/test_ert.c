/* Accelergy's energy reference tables: what is read, what is wrong with bad ones, and the energy table made
 * of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ert.h"

static const char text[] = "ERT:\n"
                           "  version: 0.4\n"
                           "  tables:\n"
                           "    - name: system.chip.pe[0..167].mac\n"
                           "      actions:\n"
                           "        - name: mac_random\n"
                           "          arguments: null\n"
                           "          energy: 2.5\n"
                           "        - {name: idle, energy: 0.25}\n"
                           "    - name: system.chip.pe[0..167].link[1..4]\n"
                           "      area: 12\n"
                           "      actions:\n"
                           "        - name: transfer\n"
                           "          arguments: {data_delta: 0}\n"
                           "          energy: 0.1\n"
                           "        - name: transfer\n"
                           "          arguments: {data_delta: 1}\n"
                           "          energy: 0.3\n";

static hd_ert parsed(void) {
    hd_ert ert;
    hd_error e = {""};
    if (!hd_ert_parse(text, strlen(text), "a.yaml", &ert, &e)) fail_msg("%s", e.message);
    return ert;
}

static void finds_energies_by_component_and_action(void **state) {
    (void)state;
    hd_ert ert = parsed();
    double pj = -1;
    assert_int_equal(ert.count, 4);
    assert_true(hd_ert_energy(&ert, "system.chip.pe[0..167].mac", "mac_random", &pj) && pj == 2.5);
    assert_true(hd_ert_energy(&ert, "mac", "idle", &pj) && pj == 0.25);
    assert_true(hd_ert_energy(&ert, "link", "transfer", &pj) && fabs(pj - 0.2) < 1e-15); /* the mean */
    assert_false(hd_ert_energy(&ert, "mac", "read", &pj));
    assert_false(hd_ert_energy(&ert, "ac", "idle", &pj));
    assert_false(hd_ert_energy(&ert, "pe", "idle", &pj));
    hd_ert_free(&ert);
    assert_int_equal(ert.count, 0);
}

static void refuse(const char *bad, const char *sentence) {
    hd_ert ert;
    hd_error e = {""};
    assert_false(hd_ert_parse(bad, strlen(bad), "a.yaml", &ert, &e));
    if (!strstr(e.message, sentence)) fail_msg("\"%s\" is not in \"%s\"", sentence, e.message);
    assert_null(ert.actions);
}

static void bad_files_are_named_with_their_line(void **state) {
    (void)state;
    refuse("", "a.yaml:1: an ERT: is needed");
    refuse("ERT: [1, 2\n", "a.yaml:2: not YAML");
    refuse("ART: {}\n", "an ERT: is needed");
    refuse("ERT:\n  version: 1\n", "a list of tables");
    refuse("ERT:\n  tables: []\n", "no action");
    refuse("ERT:\n  tables:\n    - actions: []\n", "a.yaml:3: a table of an ERT needs a name");
    refuse("ERT:\n  tables:\n    - name: x\n      actions: 3\n", "needs a list of actions");
    refuse("ERT:\n  tables:\n    - name: x\n      actions:\n        - energy: 3\n",
           "a.yaml:5: an action needs a name");
    refuse("ERT:\n  tables:\n    - name: x\n      actions:\n        - name: y\n", "needs an energy");
    refuse("ERT:\n  tables:\n    - name: x\n      actions:\n        - name: y\n          energy: 2 J\n",
           "a.yaml:6: an energy is");
    refuse("ERT:\n  tables:\n    - name: x\n      actions:\n        - {name: y, energy: -1}\n", "from 0");
    refuse("ERT:\n  tables:\n    - name: x\n      actions:\n        - {name: y, energy: .nan}\n", "from 0");
    for (size_t cut = 0; cut < strlen(text); cut++) { /* no prefix may crash */
        hd_ert ert;
        hd_error e = {""};
        if (hd_ert_parse(text, cut, "a.yaml", &ert, &e)) hd_ert_free(&ert);
    }
}

/* Costs 1, 2, .. 8 pJ, idle 2, so that random words cost 2 + 36 / 2 = 20 pJ a cycle. */
static hd_energy_table shape(void) {
    hd_energy_table t = {.name = "shape", .process = "p"};
    hd_energy_model *m = &t.models[HD_OUTPUT_STATIONARY][HD_TWOS_COMPLEMENT];
    *m = (hd_energy_model){.present = true,
                           .idle_pj_per_cycle = 2,
                           .propagation_pj_per_flip = 0.5,
                           .clock_pj_per_cycle = 10,
                           .a0 = 3};
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) m->bit_costs_pj[b] = b + 1;
    return t;
}

static void random_words_cost_what_the_ert_says(void **state) {
    (void)state;
    hd_ert ert = parsed();
    hd_error e = {""};
    hd_energy_table from = shape(), t;
    hd_ert_use use = {.mac = "mac", .dataflow = HD_OUTPUT_STATIONARY};
    assert_true(hd_energy_table_from_ert(&ert, &use, &from, "mine", &t, &e));
    const hd_energy_model *m = &t.models[HD_OUTPUT_STATIONARY][HD_TWOS_COMPLEMENT];
    assert_string_equal(t.name, "mine");
    assert_non_null(strstr(m->basis, "estimated"));
    assert_non_null(strstr(t.origin, "shape"));
    double random = m->idle_pj_per_cycle;
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) random += 0.5 * m->bit_costs_pj[b];
    assert_true(fabs(random - 2.5) < 1e-12);
    assert_true(fabs(m->bit_costs_pj[7] - 1) < 1e-12 && fabs(m->a0 - 0.375) < 1e-12 &&
                fabs(m->clock_pj_per_cycle - 1.25) < 1e-12);
    assert_true(fabs(m->propagation_pj_per_flip - 0.0625) < 1e-12);

    use.wire = "link"; /* 0.2 pJ a word, half of its bits flipping */
    assert_true(hd_energy_table_from_ert(&ert, &use, &from, "mine", &t, &e));
    assert_true(fabs(m->propagation_pj_per_flip - 0.05) < 1e-12);
    assert_true(fabs(m->bit_costs_pj[0] - (0.125 - 0.0625 + 0.05)) < 1e-12);

    use.mac = "adder";
    assert_false(hd_energy_table_from_ert(&ert, &use, &from, "mine", &t, &e));
    assert_non_null(strstr(e.message, "no component adder"));
    use.mac = "link";
    assert_false(hd_energy_table_from_ert(&ert, &use, &from, "mine", &t, &e));
    assert_non_null(strstr(e.message, "no mac_random of link"));
    use = (hd_ert_use){.mac = "mac", .dataflow = HD_INPUT_STATIONARY};
    assert_false(hd_energy_table_from_ert(&ert, &use, &from, "mine", &t, &e));
    assert_non_null(strstr(e.message, "no model for input_stationary"));
    hd_ert_free(&ert);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_energies_by_component_and_action),
                                       cmocka_unit_test(bad_files_are_named_with_their_line),
                                       cmocka_unit_test(random_words_cost_what_the_ert_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
