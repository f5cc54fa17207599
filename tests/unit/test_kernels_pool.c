/* Pooling, layout, softmax and matrix products against their references. */
#include "test_kernels_support.h"

#include <float.h>

static const pool_shape pools[] = {
    {2, 8, 8, 24, 4, 4, 2, 2, 0}, {3, 7, 9, 5, 4, 5, 2, 2, 1},   {2, 6, 5, 37, 6, 5, 3, 1, 2},
    {1, 3, 3, 16, 4, 4, 2, 1, 2}, {2, 12, 12, 3, 6, 6, 3, 2, 1}, {1, 2, 2, 8, 3, 3, 1, 1, 2},
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void maxpool_finds_first_winners(void **state) {
    (void)state;
    random_state r = random_seeded(2, 1);
    for (size_t i = 0; i < COUNT(pools); i++) {
        const pool_shape *s = &pools[i];
        size_t in_count = s->batch * s->in_height * s->in_width * s->channels;
        size_t out_count = s->batch * s->out_height * s->out_width * s->channels;
        float *x = check_floats(in_count), *out = check_floats(out_count),
              *expected = check_floats(out_count);
        uint32_t *index = memory_allocate(out_count, 4), *expected_index = memory_allocate(out_count, 4);
        for (size_t j = 0; j < in_count; j++) x[j] = (float)random_below(&r, 9) - 4; /* many ties */
        if (i == 2) x[7] = NAN;
        activation_kind kind = i % 2 ? ACTIVATION_RELU : ACTIVATION_LINEAR;
        lazy_tensor in = {x, check_map(&r, s->channels, kind, i % 3 == 0)};
        maxpool_forward(s, &in, out, index, 2);
        reference_maxpool_forward(s, &in, expected, expected_index);
        for (size_t j = 0; j < out_count; j++) {
            assert_true(out[j] == expected[j] || fabsf(out[j] - expected[j]) < 1e-5f ||
                        (isnan(out[j]) && isnan(expected[j])));
            assert_int_equal(index[j], expected_index[j]);
        }
        float *delta = check_random(&r, out_count, -1, 1), *in_delta = check_random(&r, in_count, -1, 1);
        float *in_expected = check_floats(in_count);
        for (size_t j = 0; j < in_count; j++) in_expected[j] = i % 2 ? in_delta[j] : 0;
        size_t in_image = in_count / s->batch, out_image = out_count / s->batch;
        for (size_t j = 0; j < out_count; j++)
            if (expected_index[j] != UINT32_MAX)
                in_expected[j / out_image * in_image + expected_index[j] * s->channels + j % s->channels] +=
                    delta[j];
        maxpool_backward(s, delta, index, in_delta, i % 2, 2);
        check_close("maxpool delta", in_delta, in_expected, in_count, 1e-6);
        memory_free(index), memory_free(expected_index), check_free_map(&in.map, s->channels);
        check_free(x, in_count), check_free(out, out_count), check_free(expected, out_count);
        check_free(delta, out_count), check_free(in_delta, in_count), check_free(in_expected, in_count);
    }
}

static void average_pool_and_its_gradient(void **state) {
    (void)state;
    random_state r = random_seeded(2, 2);
    const size_t cases[][3] = {{3, 16, 20}, {1, 1, 5}, {2, 600, 33}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t batch = cases[i][0], pixels = cases[i][1], channels = cases[i][2],
               count = batch * pixels * channels;
        lazy_tensor in = {check_random(&r, count, -1, 3), check_map(&r, channels, ACTIVATION_RELU6, true)};
        float *out = check_floats(batch * channels), *expected = check_floats(batch * channels);
        average_pool_forward(batch, pixels, channels, &in, out, 2);
        reference_average_pool_forward(batch, pixels, channels, &in, expected);
        check_close("average", out, expected, batch * channels, 1e-5);
        float *delta = check_random(&r, count, -1, 1), *start = check_copy(delta, count);
        average_pool_backward(batch, pixels, channels, out, delta, true, 2);
        for (size_t j = 0; j < count; j++)
            start[j] += out[j / channels / pixels * channels + j % channels] / (float)pixels;
        check_close("average delta", delta, start, count, 1e-6);
        check_free((float *)(uintptr_t)in.data, count), check_free_map(&in.map, channels);
        check_free(out, batch * channels), check_free(expected, batch * channels);
        check_free(delta, count), check_free(start, count);
    }
}

static void layouts_turn_and_return(void **state) {
    (void)state;
    random_state r = random_seeded(2, 3);
    size_t batch = 3, channels = 19, pixels = 35, count = batch * channels * pixels;
    float *planes = check_random(&r, count, -1, 1), *last = check_floats(count), *back = check_floats(count);
    nchw_to_nhwc(batch, channels, pixels, planes, last, 2);
    for (size_t i = 0; i < count; i++) {
        size_t p = i % pixels, c = i / pixels % channels, image = i / pixels / channels;
        assert_true(planes[i] == last[(image * pixels + p) * channels + c]);
    }
    nhwc_to_nchw(batch, channels, pixels, last, back, 2);
    assert_memory_equal(planes, back, count * sizeof(float));
    check_free(planes, count), check_free(last, count), check_free(back, count);
}

static void softmax_is_stable_and_passes_nan(void **state) {
    (void)state;
    random_state r = random_seeded(2, 4);
    size_t rows = 5, columns = 103, count = rows * columns;
    float *x = check_random(&r, count, -200, 200), *got = check_floats(count),
          *expected = check_floats(count);
    softmax_rows(rows, columns, x, 3, got, 2);
    reference_softmax_rows(rows, columns, x, 3, expected);
    check_close("softmax", got, expected, count, 1e-5);
    x[columns + 5] = NAN;
    softmax_rows(rows, columns, x, 1, got, 1);
    for (size_t i = 0; i < columns; i++) assert_true(!isnan(got[i]) && isnan(got[columns + i]));
    check_free(x, count), check_free(got, count), check_free(expected, count);
}

static void products_of_every_orientation(void **state) {
    (void)state;
    random_state r = random_seeded(2, 5);
    const size_t cases[][3] = {{1, 1, 1}, {3, 5, 7}, {64, 33, 100}, {600, 40, 17}, {0, 4, 4}};
    for (size_t i = 0; i < COUNT(cases) * 4; i++) {
        size_t m = cases[i / 4][0], n = cases[i / 4][1], k = cases[i / 4][2];
        bool ta = i & 1, tb = i & 2;
        size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1, c_count = m * ldc + 1;
        float *a = check_random(&r, (ta ? k : m) * lda, -1, 1),
              *b = check_random(&r, (tb ? n : k) * ldb, -1, 1);
        float *c = check_random(&r, c_count, -1, 1), *expected = check_copy(c, c_count),
              *again = check_copy(c, c_count);
        reference_matrix_multiply(ta, tb, m, n, k, .5f, a, lda, b, ldb, .25f, expected, ldc);
        matrix_multiply(ta, tb, m, n, k, .5f, a, lda, b, ldb, .25f, c, ldc, 1);
        matrix_multiply(ta, tb, m, n, k, .5f, a, lda, b, ldb, .25f, again, ldc, 3);
        check_close("product", c, expected, c_count, 1e-5);
        assert_memory_equal(c, again, c_count * sizeof(float));
        check_free(a, (ta ? k : m) * lda), check_free(b, (tb ? n : k) * ldb);
        check_free(c, c_count), check_free(expected, c_count), check_free(again, c_count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maxpool_finds_first_winners), cmocka_unit_test(average_pool_and_its_gradient),
        cmocka_unit_test(layouts_turn_and_return), cmocka_unit_test(softmax_is_stable_and_passes_nan),
        cmocka_unit_test(products_of_every_orientation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
