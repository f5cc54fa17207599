/* Quantisation to words and the bit patterns of words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "hdloss.h"
#include "random_plan.h"

/* The definition, one weight at a time. */
static int naive_word(float weight, float scale, int bits) {
    float limit = (float)((1 << (bits - 1)) - 1), rounded = rintf(weight / scale);
    return (int)fmaxf(-limit, fminf(limit, rounded));
}

static void words_follow_the_definition(void **state) {
    (void)state;
    enum { FILTERS = 7, EACH = 501 };
    test_random r = {5};
    float weights[FILTERS * EACH], scales[FILTERS];
    int8_t words[FILTERS * EACH], again[FILTERS * EACH];
    hd_error e;
    for (int bits = 2; bits <= 8; bits++) {
        for (int i = 0; i < FILTERS * EACH; i++)
            weights[i] = (float)test_random_normal(&r) * powf(10, (float)(i / EACH) - 3);
        assert_true(hd_quantise(weights, FILTERS, EACH, bits, words, scales, &e));
        for (int f = 0; f < FILTERS; f++) {
            float largest = 0;
            int most = 0;
            for (int i = f * EACH; i < (f + 1) * EACH; i++) largest = fmaxf(largest, fabsf(weights[i]));
            assert_true(scales[f] == largest / (float)hd_largest_word(bits));
            for (int i = f * EACH; i < (f + 1) * EACH; i++) {
                assert_int_equal(words[i], naive_word(weights[i], scales[f], bits));
                most = words[i] > most ? words[i] : -words[i] > most ? -words[i] : most;
            }
            assert_int_equal(most, hd_largest_word(bits));
        }
        assert_true(hd_quantise_with_scales(weights, FILTERS, EACH, bits, scales, again, &e));
        assert_memory_equal(words, again, sizeof words);
    }
}

static void halves_round_to_even_and_values_clamp(void **state) {
    (void)state;
    const float weights[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.5f, 127.5f, 400.0f, -1e30f};
    const int8_t expected[] = {0, 2, 2, 0, -2, 126, 127, 127, -127};
    const float scale = 1;
    int8_t words[9];
    hd_error e;
    assert_true(hd_quantise_with_scales(weights, 1, 9, 8, &scale, words, &e));
    assert_memory_equal(words, expected, sizeof expected);
}

static void an_all_zero_filter_has_scale_one(void **state) {
    (void)state;
    const float weights[] = {0, -0.0f, 0, 3, -127, 0};
    int8_t words[6];
    float scales[2], back[6];
    hd_error e;
    assert_true(hd_quantise(weights, 2, 3, 8, words, scales, &e));
    assert_true(scales[0] == 1 && scales[1] == 1);
    hd_dequantise(words, 2, 3, scales, back);
    assert_true(back[0] == 0 && back[3] == 3 && back[4] == -127);
}

static void bad_values_are_refused(void **state) {
    (void)state;
    float weights[] = {1, 2, NAN, 1};
    int8_t words[4];
    float scales[2] = {1, 0};
    hd_error e;
    assert_false(hd_quantise(weights, 2, 2, 8, words, scales, &e));
    assert_non_null(strstr(e.message, "filter 1"));
    weights[2] = -INFINITY;
    assert_false(hd_quantise(weights, 2, 2, 8, words, scales, &e));
    weights[2] = 1;
    scales[0] = 1, scales[1] = 0;
    assert_false(hd_quantise_with_scales(weights, 2, 2, 8, scales, words, &e));
    assert_non_null(strstr(e.message, "scale"));
    scales[1] = NAN;
    assert_false(hd_quantise_with_scales(weights, 2, 2, 8, scales, words, &e));
    assert_false(hd_quantise(weights, 2, 2, 9, words, scales, &e));
    assert_false(hd_quantise(weights, 2, 2, 1, words, scales, NULL));
}

static void patterns_are_known_and_go_back(void **state) {
    (void)state;
    assert_int_equal(hd_encode_word(-1, 8, HD_TWOS_COMPLEMENT), 0xff);
    assert_int_equal(hd_encode_word(-1, 8, HD_SIGN_MAGNITUDE), 0x81);
    assert_int_equal(hd_encode_word(-127, 8, HD_TWOS_COMPLEMENT), 0x81);
    assert_int_equal(hd_encode_word(-3, 4, HD_TWOS_COMPLEMENT), 0xd);
    assert_int_equal(hd_encode_word(-3, 4, HD_SIGN_MAGNITUDE), 0xb);
    for (int bits = 2; bits <= 8; bits++)
        for (hd_representation representation = 0; representation < HD_REPRESENTATION_COUNT; representation++)
            for (int word = -hd_largest_word(bits); word <= hd_largest_word(bits); word++) {
                uint8_t pattern = hd_encode_word(word, bits, representation), block;
                int8_t narrow = (int8_t)word;
                hd_encode_words(&narrow, 1, bits, representation, &block);
                assert_int_equal(pattern, block);
                assert_true(pattern < 1 << bits);
                assert_int_equal(hd_decode_word(pattern, bits, representation), word);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_follow_the_definition),
        cmocka_unit_test(halves_round_to_even_and_values_clamp),
        cmocka_unit_test(an_all_zero_filter_has_scale_one),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(patterns_are_known_and_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
