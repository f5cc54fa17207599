/* Exact flip counts against a brute-force walk that shares no code with them, and against counts made by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"
#include "random_plan.h"
#include "stream/flips_kernel.h"
#include "words/isa.h"

int brute_flips(FILE *in, FILE *out);

typedef struct brute_counts {
    unsigned long transitions, flips, inside, per_image;
} brute_counts;

static brute_counts count_by_brute_force(const hd_plan *plan, const int8_t *words) {
    char *dump = NULL, *answer = NULL;
    size_t dump_bytes = 0, answer_bytes = 0;
    FILE *out = open_memstream(&dump, &dump_bytes);
    test_dump_plan(out, plan, words);
    fclose(out);
    FILE *in = fmemopen(dump, dump_bytes, "r");
    out = open_memstream(&answer, &answer_bytes);
    assert_int_equal(brute_flips(in, out), 0);
    fclose(in);
    fclose(out);
    brute_counts b;
    assert_int_equal(sscanf(answer, "transitions %lu flips %lu flips_inside_tiles %lu flips_per_image %lu",
                            &b.transitions, &b.flips, &b.inside, &b.per_image),
                     4);
    free(dump);
    free(answer);
    return b;
}

static void check_identities(const hd_plan *plan, const hd_flips *f) {
    uint64_t wires = f->invert_line_flips, operands = 0;
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) {
        wires += f->flips_by_bit[b];
        operands += f->operand_flips_by_bit[b];
    }
    assert_int_equal(wires, f->flips);
    assert_int_equal(operands, f->operand_flips);
    assert_int_equal(f->sign_flips, f->operand_flips_by_bit[plan->accelerator.weight_bits - 1]);
    assert_true(f->flips <= f->operand_flips && f->flips_inside_tiles <= f->flips);
    assert_int_equal(f->words, plan->weights);
    assert_int_equal(f->transition_bits, f->transitions * (uint64_t)plan->accelerator.weight_bits);
    assert_true(f->nhd == (double)f->flips / (double)f->transition_bits);
}

static void compare_one(test_random *r, hd_dataflow dataflow, bool *seen_partial, bool *seen_groups,
                        bool *seen_depthwise) {
    hd_error e;
    hd_plan plan;
    hd_accelerator accelerator = test_random_accelerator(r, dataflow);
    hd_layer_shape shape = test_random_shape(r);
    assert_true(hd_plan_init(&plan, &accelerator, &shape, &e));
    test_random_orders(r, &plan);
    int8_t *words = test_random_words(r, &plan);
    hd_flips f, threaded;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    brute_counts b = count_by_brute_force(&plan, words);
    assert_int_equal(f.flips, b.flips);
    assert_int_equal(f.flips_inside_tiles, b.inside);
    assert_int_equal(f.transitions, b.transitions);
    assert_int_equal(f.flips_per_image, b.per_image);
    check_identities(&plan, &f);
    assert_true(hd_count_flips(&plan, words, 3, &threaded, &e));
    assert_memory_equal(&f, &threaded, sizeof f);
    *seen_partial |= plan.lane_axis % (size_t)accelerator.rows != 0 && plan.segments > 1;
    *seen_groups |= plan.groups > 1;
    *seen_depthwise |= plan.depthwise;
    free(words);
    hd_plan_free(&plan);
}

static void random_layers_equal_the_brute_force_count(void **state) {
    (void)state;
    test_random r = {2024};
    for (hd_dataflow dataflow = 0; dataflow < HD_DATAFLOW_COUNT; dataflow++) {
        bool partial = false, groups = false, depthwise = false;
        for (int i = 0; i < 150; i++) compare_one(&r, dataflow, &partial, &groups, &depthwise);
        assert_true(partial && groups && depthwise);
    }
}

/* Two lanes, three words each: 1 3 5 and 2 4 -6 in two's complement. */
static void counts_by_hand(void **state) {
    (void)state;
    hd_error e;
    hd_plan plan;
    hd_accelerator a = hd_accelerator_default();
    a.rows = a.cols = 2;
    hd_layer_shape shape = {.filters = 3, .channels = 2, .groups = 1, .size = 1, .output_pixels = 5};
    const int8_t words[] = {1, 2, 3, 4, 5, -6};
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    hd_flips f;
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_int_equal(f.tiles, 1);
    assert_int_equal(f.repeats, 3);
    assert_int_equal(f.flips, (1 + 2 + 1) + (2 + 7 + 5));
    assert_int_equal(f.flips_inside_tiles, (1 + 2) + (2 + 7));
    assert_int_equal(f.flips_per_image, 5 * 18);
    const uint64_t by_bit[8] = {0, 4, 4, 2, 2, 2, 2, 2};
    assert_memory_equal(f.flips_by_bit, by_bit, sizeof by_bit);
    hd_plan_free(&plan);

    a.encoding = HD_BUS_INVERT; /* 7 flips become 2 and 5 become 4; the line flips at both */
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    assert_true(hd_count_flips(&plan, words, 1, &f, &e));
    assert_int_equal(f.flips, (1 + 2 + 1) + (2 + 2 + 4));
    assert_int_equal(f.invert_line_flips, 2);
    assert_int_equal(f.operand_flips, 18);
    hd_plan_free(&plan);
}

static void words_of_zero_have_no_flips(void **state) {
    (void)state;
    hd_error e;
    for (hd_dataflow dataflow = 0; dataflow < HD_DATAFLOW_COUNT; dataflow++) {
        hd_plan plan;
        hd_accelerator a = hd_accelerator_default();
        a.dataflow = dataflow;
        hd_layer_shape shape = {.filters = 1, .channels = 1, .groups = 1, .size = 1, .output_pixels = 1};
        const int8_t word = 0;
        assert_true(hd_plan_init(&plan, &a, &shape, &e));
        hd_flips f;
        assert_true(hd_count_flips(&plan, &word, 2, &f, &e));
        assert_int_equal(f.flips, 0);
        assert_int_equal(f.zero_words, 1);
        assert_int_equal(f.transitions, 1);
        assert_true(f.nhd == 0);
        hd_plan_free(&plan);
    }
}

static void a_word_outside_the_range_is_refused(void **state) {
    (void)state;
    hd_error e;
    hd_plan plan;
    hd_accelerator a = hd_accelerator_default();
    hd_layer_shape shape = {.filters = 2, .channels = 1, .groups = 1, .size = 1, .output_pixels = 1};
    const int8_t words[] = {0, -128};
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    hd_flips f;
    assert_false(hd_count_flips(&plan, words, 1, &f, &e));
    assert_non_null(strstr(e.message, "-128"));
    hd_plan_free(&plan);
}

static void every_level_counts_the_same(void **state) {
    (void)state;
    test_random r = {7};
    enum { COUNT = 1000 };
    uint8_t before[COUNT], after[COUNT];
    for (int bits = 2; bits <= 8; bits++)
        for (int bus_invert = 0; bus_invert < 2; bus_invert++) {
            for (int i = 0; i < COUNT; i++) {
                before[i] = (uint8_t)test_random_below(&r, 1u << bits);
                after[i] = (uint8_t)test_random_below(&r, 1u << bits);
            }
            size_t count = COUNT - test_random_below(&r, 70);
            hd_bit_counts plain = {0}, vector = {0};
            hd_count_bits_portable(before, after, count, bits, bus_invert, &plain);
#if defined(__x86_64__)
            if (hd_isa_best() >= HD_ISA_AVX2) {
                hd_count_bits_avx2(before, after, count, bits, bus_invert, &vector);
                assert_memory_equal(&plain, &vector, sizeof plain);
            }
            if (hd_isa_best() >= HD_ISA_AVX512) {
                vector = (hd_bit_counts){0};
                hd_count_bits_avx512(before, after, count, bits, bus_invert, &vector);
                assert_memory_equal(&plain, &vector, sizeof plain);
            }
#endif
        }
}

static void sums_recompute_nhd(void **state) {
    (void)state;
    hd_flips total = {0};
    hd_flips a = {.flips = 8, .transitions = 4, .transition_bits = 32, .nhd = .25, .flips_per_image = 80};
    hd_flips b = {.flips = 4, .transitions = 4, .transition_bits = 16, .nhd = .25, .flips_per_image = 4};
    hd_flips_add(&total, &a);
    hd_flips_add(&total, &b);
    assert_int_equal(total.flips, 12);
    assert_int_equal(total.flips_per_image, 84);
    assert_true(total.nhd == 0.25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layers_equal_the_brute_force_count),
        cmocka_unit_test(counts_by_hand),
        cmocka_unit_test(words_of_zero_have_no_flips),
        cmocka_unit_test(a_word_outside_the_range_is_refused),
        cmocka_unit_test(every_level_counts_the_same),
        cmocka_unit_test(sums_recompute_nhd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
