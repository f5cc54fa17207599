/* Per-channel passes, activations, pooling, layout, softmax and products against their references. */
#include "test_kernels_support.h"

#include "kernels/rows.h"

#include <float.h>

#define TOLERANCE 1e-5

static const size_t channel_cases[] = {1, 3, 8, 16, 24, 37, 144, 515, 1100};
static const activation_kind kinds[] = {ACTIVATION_LINEAR, ACTIVATION_RELU, ACTIVATION_RELU6,
                                        ACTIVATION_LEAKY,  ACTIVATION_MISH, ACTIVATION_SWISH};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void stores_and_sums_of_lazy_tensors(void **state) {
    (void)state;
    random_state r = random_seeded(1, 1);
    for (size_t i = 0; i < COUNT(channel_cases); i++)
        for (size_t j = 0; j < COUNT(kinds); j++) {
            size_t channels = channel_cases[i], pixels = 5 + 40 * j, count = pixels * channels;
            float *x = check_random(&r, count, -8, 8), *y = check_random(&r, count, -2, 2);
            float *got = check_floats(count), *expected = check_floats(count);
            lazy_tensor a = {x, check_map(&r, channels, kinds[j], j % 3 != 1)};
            lazy_tensor b = {y, check_map(&r, channels, kinds[(i + j) % COUNT(kinds)], i % 2 == 0)};
            lazy_tensor_store(pixels, channels, &a, got, 2);
            reference_lazy_tensor_store(pixels, channels, &a, expected);
            check_close("store", got, expected, count, TOLERANCE);
            lazy_tensor_add(pixels, channels, .75f, &a, -1.5f, &b, got, 2);
            reference_lazy_tensor_add(pixels, channels, .75f, &a, -1.5f, &b, expected);
            check_close("add", got, expected, count, TOLERANCE);
            lazy_tensor_store(pixels, channels, &b, y, 1); /* in place */
            check_free_map(&a.map, channels);
            check_free_map(&b.map, channels);
            check_free(x, count), check_free(y, count), check_free(got, count), check_free(expected, count);
        }
}

static void gradients_stored_and_reduced(void **state) {
    (void)state;
    random_state r = random_seeded(1, 2);
    for (size_t i = 0; i < COUNT(channel_cases); i++)
        for (size_t j = 0; j < COUNT(kinds); j++) {
            size_t channels = channel_cases[i], pixels = 300 - 35 * j, count = pixels * channels;
            lazy_gradient g = check_gradient(&r, count, channels, kinds[j], j % 3 != 1, i % 2 == 0);
            float *center = check_random(&r, channels, -1, 1), *got = check_random(&r, count, -1, 1);
            float *expected = check_copy(got, count), *sums = check_floats(4 * channels);
            void *workspace = memory_allocate(channel_reduce_workspace_bytes(pixels, channels), 1);
            lazy_gradient_store(pixels, channels, &g, got, j % 2, 2);
            reference_lazy_gradient_store(pixels, channels, &g, expected, j % 2);
            check_close("gradient", got, expected, count, TOLERANCE);
            float *with_x = g.data ? sums + channels : NULL,
                  *expected_x = g.data ? sums + 3 * channels : NULL;
            lazy_gradient_reduce(pixels, channels, &g, center, sums, with_x, workspace, 2);
            reference_lazy_gradient_reduce(pixels, channels, &g, center, sums + 2 * channels, expected_x);
            check_close("sum of dz", sums, sums + 2 * channels, channels, TOLERANCE);
            if (with_x) check_close("sum of dz x", with_x, expected_x, channels, TOLERANCE);
            memory_free(workspace);
            check_free_gradient(&g, count, channels);
            check_free(center, channels), check_free(got, count), check_free(expected, count);
            check_free(sums, 4 * channels);
        }
}

static void moments_survive_a_large_mean(void **state) {
    (void)state;
    random_state r = random_seeded(1, 3);
    for (size_t i = 0; i < COUNT(channel_cases); i++) {
        size_t channels = channel_cases[i], pixels = 1 + 997 * (i % 4), count = pixels * channels;
        float *x = check_random(&r, count, 99, 101), *v = check_floats(4 * channels);
        channel_moments got = {v, v + channels}, expected = {v + 2 * channels, v + 3 * channels};
        void *workspace = memory_allocate(channel_reduce_workspace_bytes(pixels, channels), 1);
        channel_moments_compute(pixels, channels, x, &got, workspace, 2);
        reference_channel_moments(pixels, channels, x, &expected);
        check_close("mean", got.mean, expected.mean, channels, 1e-6);
        check_close("m2", got.m2, expected.m2, channels, TOLERANCE);
        memory_free(workspace);
        check_free(x, count), check_free(v, 4 * channels);
    }
}

static void passes_are_equal_on_any_number_of_threads(void **state) {
    (void)state;
    random_state r = random_seeded(1, 4);
    size_t channels = 72, pixels = 3001, count = pixels * channels;
    lazy_gradient g = check_gradient(&r, count, channels, ACTIVATION_RELU6, true, true);
    float *center = check_random(&r, channels, -1, 1), *sums = check_floats(8 * channels);
    void *workspace = memory_allocate(channel_reduce_workspace_bytes(pixels, channels), 1);
    for (int t = 0; t < 2; t++) {
        float *out = sums + (size_t)t * 4 * channels;
        lazy_gradient_reduce(pixels, channels, &g, center, out, out + channels, workspace, 1 + 2 * t);
        channel_moments m = {out + 2 * channels, out + 3 * channels};
        channel_moments_compute(pixels, channels, g.data, &m, workspace, 1 + 2 * t);
    }
    assert_memory_equal(sums, sums + 4 * channels, 4 * channels * sizeof(float));
    memory_free(workspace);
    check_free_gradient(&g, count, channels);
    check_free(center, channels), check_free(sums, 8 * channels);
}

/* Where 1e-6 stops being relative: derivatives of swish, mish and gelu cross zero, and gelu's tail is e^u of
 * a float u as large as 30, known to 2e-6 only. */
static float relative_down_to(activation_kind kind, bool derivative) {
    bool crosses = kind == ACTIVATION_MISH || kind == ACTIVATION_SWISH || kind == ACTIVATION_GELU;
    if (derivative) return crosses ? .1f : 0;
    return kind == ACTIVATION_GELU ? 1e-3f : 0;
}

static void check_activation(activation_kind kind, bool derivative, const float *z, const float *got,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        float expected = derivative ? activation_derivative(kind, z[i]) : activation_value(kind, z[i]);
        float size = fmaxf(fabsf(expected), relative_down_to(kind, derivative));
        if (!(fabsf(got[i] - expected) <= 1e-6f * size + 1e-20f))
            fail_msg("%s%s(%.9g) = %.9g, expected %.9g", activation_name(kind), derivative ? "'" : "",
                     (double)z[i], (double)got[i], (double)expected);
    }
}

/* Every level of instruction set and every activation: values and derivatives to 1e-6 relative. */
static void activations_match_their_definitions(void **state) {
    (void)state;
    enum { COUNT_Z = 4003 };
    float *z = check_floats(COUNT_Z), *got = check_floats(COUNT_Z), *ones = check_floats(COUNT_Z);
    for (int level = ISA_PORTABLE; level <= (int)isa_best(); level++)
        for (activation_kind kind = 0; kind < ACTIVATION_COUNT; kind++) {
            for (size_t i = 0; i < COUNT_Z; i++) {
                float t = ((float)i - 2001) / 2001;
                z[i] = i % 3 ? 12 * t : 60 * t * t * t;
                ones[i] = 1;
            }
            channel_map map = {.activation = kind};
            lazy_gradient g = {.delta = ones, .data = z, .map = map};
            row_kernels_at((isa_level)level)->map(1, COUNT_Z, &map, z, got);
            check_activation(kind, false, z, got, COUNT_Z);
            row_kernels_at((isa_level)level)->gradient(1, COUNT_Z, &g, got, false);
            check_activation(kind, true, z, got, COUNT_Z);
        }
    check_free(z, COUNT_Z), check_free(got, COUNT_Z), check_free(ones, COUNT_Z);
}

/* The scalar derivative is that of the scalar value, away from kinks. */
static void derivatives_match_finite_differences(void **state) {
    (void)state;
    for (activation_kind kind = 0; kind < ACTIVATION_COUNT; kind++)
        for (int i = -60; i <= 60; i++) {
            float z = (float)i * .13f + .017f, h = 1e-2f;
            bool kink = false;
            for (int k = -8; k <= 8; k++) kink |= fabsf(z - (float)k) < 2 * h;
            if (kink) continue;
            double slope = ((double)activation_value(kind, z + h) - (double)activation_value(kind, z - h)) /
                           ((double)(z + h) - (double)(z - h));
            if (fabs(slope - (double)activation_derivative(kind, z)) > 2e-4)
                fail_msg("%s'(%g) is %g by differences", activation_name(kind), (double)z, slope);
        }
}

static void activations_have_names_and_pass_nan(void **state) {
    (void)state;
    float values[20];
    for (activation_kind kind = 0; kind < ACTIVATION_COUNT; kind++) {
        assert_int_equal(activation_from_name(activation_name(kind)), kind);
        for (size_t i = 0; i < 20; i++) values[i] = i % 2 ? NAN : 1;
        activation_forward_array(kind, values, values, 20, 1);
        for (size_t i = 0; i < 20; i++) assert_int_equal(isnan(values[i]) != 0, i % 2);
    }
    assert_int_equal(activation_from_name("sofplus"), ACTIVATION_COUNT);
}

static void whole_array_activations(void **state) {
    (void)state;
    random_state r = random_seeded(1, 5);
    for (size_t count = 1; count < 3000; count += 701) {
        float *z = check_random(&r, count, -4, 4), *got = check_floats(count),
              *delta = check_random(&r, count, -1, 1);
        float *expected = check_floats(count), *expected_delta = check_floats(count);
        for (size_t i = 0; i < count; i++) {
            expected[i] = activation_value(ACTIVATION_GELU, z[i]);
            expected_delta[i] = delta[i] * activation_derivative(ACTIVATION_GELU, z[i]);
        }
        activation_forward_array(ACTIVATION_GELU, z, got, count, 2);
        activation_backward_array(ACTIVATION_GELU, z, delta, count, 2);
        check_close("array", got, expected, count, 1e-6);
        check_close("array delta", delta, expected_delta, count, 1e-6);
        array_scale_add(count, .5f, z, got, true, 2);
        for (size_t i = 0; i < count; i++) expected[i] += .5f * z[i];
        check_close("scaled sum", got, expected, count, 1e-6);
        array_scale_add(count, -2, z, got, false, 2);
        for (size_t i = 0; i < count; i++) assert_true(got[i] == -2 * z[i]);
        check_free(z, count), check_free(got, count), check_free(delta, count);
        check_free(expected, count), check_free(expected_delta, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stores_and_sums_of_lazy_tensors),
                                       cmocka_unit_test(gradients_stored_and_reduced),
                                       cmocka_unit_test(moments_survive_a_large_mean),
                                       cmocka_unit_test(passes_are_equal_on_any_number_of_threads),
                                       cmocka_unit_test(activations_match_their_definitions),
                                       cmocka_unit_test(derivatives_match_finite_differences),
                                       cmocka_unit_test(activations_have_names_and_pass_nan),
                                       cmocka_unit_test(whole_array_activations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
