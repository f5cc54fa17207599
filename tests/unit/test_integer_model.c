/* The arithmetic, calibration and folding of the integer network: fixed-point multipliers against exact
 * arithmetic, scales, what is refused, channels that batch norm switched off, and agreement with the float
 * network. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "integer/internal.h"
#include "integer/requantise.h"
#include "made_network.h"

static const made_activation linear = {HD_ACTIVATION_LINEAR, NULL}, relu = {HD_ACTIVATION_RELU, NULL},
                             relu6 = {HD_ACTIVATION_RELU6, NULL}, leaky = {HD_ACTIVATION_LEAKY, NULL};

static void requantisation_rounds_ties_away_from_zero(void **state) {
    (void)state;
    made_network *random = made_new(3, 1, 1, 1, 8);
    for (int i = 0; i < 200000; i++) {
        int shift = 1 + (int)made_below(random, 62);
        int32_t value = (int32_t)(uint32_t)made_below(random, UINT64_C(1) << 32);
        int32_t multiplier = (int32_t)(made_below(random, UINT64_C(1) << 31) >> made_below(random, 31));
        if (made_below(random, 2)) multiplier = -multiplier;
        if (made_below(random, 4) == 0) value >>= 20;
        __int128 twice = (__int128)value * multiplier * 2, unit = (__int128)1 << shift;
        __int128 wanted = twice < 0 ? -((-twice + unit) / (2 * unit)) : (twice + unit) / (2 * unit);
        if (wanted > INT32_MAX) wanted = INT32_MAX;
        if (wanted < -INT32_MAX) wanted = -INT32_MAX;
        assert_int_equal(hd_requantise(value, multiplier, shift), (int32_t)wanted);
    }
    made_free(random);
    assert_int_equal(hd_requantise(5, 1 << 30, 31), 3);   /* 2.5 */
    assert_int_equal(hd_requantise(-5, 1 << 30, 31), -3); /* -2.5 */
    assert_int_equal(hd_requantise(-5, -(1 << 30), 31), 3);
    assert_int_equal(hd_requantise(INT32_MIN, INT32_MAX, 1), -INT32_MAX);
}

static void multipliers_are_nearest(void **state) {
    (void)state;
    made_network *random = made_new(4, 1, 1, 1, 8);
    for (int i = 0; i < 20000; i++) {
        double ratio = ldexp((double)made_uniform(random, -1, 1), (int)made_below(random, 58) - 30);
        int32_t multiplier = 0;
        uint8_t shift = 0;
        assert_true(hd_fixed_point(ratio, &multiplier, &shift));
        if (fabs(ratio) < 0x1p-32) continue;
        assert_in_range(shift, 1, 62);
        assert_true(llabs(multiplier) >= 1 << 30);
        assert_true(fabs(ldexp(multiplier, -shift) - ratio) <= ldexp(0.5, -shift));
    }
    made_free(random);
    int32_t multiplier = 0;
    uint8_t shift = 0;
    assert_true(hd_fixed_point(1 - 0x1p-40, &multiplier, &shift)); /* rounds up to the next power of two */
    assert_int_equal(multiplier, 1 << 30);
    assert_int_equal(shift, 30);
    assert_true(hd_fixed_point(0, &multiplier, &shift) && multiplier == 0);
    assert_true(hd_fixed_point(0x1p-33, &multiplier, &shift) && multiplier == 0);
    assert_true(hd_fixed_point(0x1p-32, &multiplier, &shift) && multiplier == 1 << 30 && shift == 62);
    assert_false(hd_fixed_point(0x1p30, &multiplier, &shift));
    assert_false(hd_fixed_point(NAN, &multiplier, &shift));
}

static void calibration_gives_scales(void **state) {
    (void)state;
    made_network *made = made_new(1, 8, 8, 3, 8);
    int a = made_add_convolution(made, (made_convolution){-1, 8, 3, 1, 1, 1, 1, true, relu6});
    int b = made_add_convolution(made, (made_convolution){a, 8, 3, 1, 1, 1, 1, true, leaky});
    int c = made_add_convolution(made, (made_convolution){b, 8, 3, 1, 1, 1, 1, true, relu});
    int d = made_add_maxpool(made, c, 2, 2, 0);
    int e = made_add_average_pool(made, d);
    int f = made_add_connected(made, e, 5, false, linear);
    size_t count = hd_integer_scale_count(&made->network);
    assert_int_equal(count, 13);
    float largest[13] = {1, 40, 2.54f, 5.1f, 9, 9, 0}, scales[13];
    largest[1 + 6 + b] = 12.7f;
    hd_error error;
    assert_true(hd_integer_activation_scales(&made->network, largest, 8, scales, &error));
    assert_true(scales[0] == 1.0f / 127 && scales[1 + a] == 6.0f / 255 && scales[1 + b] == 2.54f / 127);
    assert_true(scales[1 + c] == 5.1f / 255 && scales[1 + d] == scales[1 + c] &&
                scales[1 + e] == scales[1 + c]);
    assert_true(scales[1 + f] == 1 && scales[1 + 6 + b] == 12.7f / 127 && scales[1 + 6 + a] == 0);
    assert_true(hd_integer_needs_pre_activation(&made->nodes[b]) &&
                !hd_integer_needs_pre_activation(&made->nodes[c]));
    assert_true(hd_integer_activation_scales(&made->network, largest, 4, scales, &error));
    assert_true(scales[0] == 1.0f / 7 && scales[1 + a] == 6.0f / 15);
    largest[1 + c] = INFINITY;
    assert_false(hd_integer_activation_scales(&made->network, largest, 8, scales, &error));
    assert_non_null(strstr(error.message, "layer 2"));
    made_free(made);
}

static made_network *small(void) {
    made_network *made = made_new(2, 6, 6, 4, 8);
    made_add_convolution(made, (made_convolution){-1, 6, 3, 1, 1, 1, 1, true, relu});
    made_add_convolution(made, (made_convolution){0, 5, 1, 1, 0, 1, 1, true, linear});
    made_add_average_pool(made, 1);
    return made;
}

static void assert_refused(made_network *made, const char *sentence) {
    hd_error error = {""};
    hd_integer_model *model = made_model(made, &error);
    hd_integer_network *network = model ? hd_integer_network_create(model, &error) : NULL;
    if (network) fail_msg("not refused: %s", sentence);
    if (!strstr(error.message, sentence)) fail_msg("'%s' instead of '%s'", error.message, sentence);
    hd_integer_model_destroy(model);
    made_free(made);
}

static void wrong_networks_are_refused(void **state) {
    (void)state;
    made_network *made = small();
    made->nodes[1].type = HD_NODE_UNSUPPORTED;
    made->nodes[1].type_name = "lstm";
    assert_refused(made, "layer 1 (lstm)");
    made = small();
    made->nodes[1].rolling_variance[2] = NAN;
    assert_refused(made, "layer 1 (convolutional): bias or batch norm of channel 2");
    made = small();
    made->output_scales[0] = 0;
    assert_refused(made, "layer 0 (convolutional): the scale of its output is 0");
    made = small();
    made->network.classes = 7;
    assert_refused(made, "gives 5 logits, but the network has 7 classes");
    made = small();
    made->nodes[1].in_channels = 7;
    assert_refused(made, "layer 1 (convolutional): input 0 is 6 x 6 x 6, not 6 x 6 x 7");
    made = small();
    made->nodes[0].out_height = 7;
    made->nodes[1].in_height = made->nodes[1].out_height = made->nodes[2].in_height = 7;
    assert_refused(made, "layer 0 (convolutional): an output of 7 x 6 does not follow");
    made = small();
    ((int8_t *)(uintptr_t)made->weights[1].words)[3] = -128;
    assert_refused(made, "layer 1 (convolutional): a word of channel 0 is -128");
    made = small();
    made->output_scales[0] = 1e-20f;
    assert_refused(made, "layer 0 (convolutional): ");
}

/* 255 * 127 * n passes 2^31 - 1 from n = 66312 on. */
static made_network *wide_layer(int channels, int8_t word) {
    made_network *made = made_new(2, 1, 1, 3, 8);
    made_add_convolution(made, (made_convolution){-1, channels, 1, 1, 0, 1, 1, false, relu});
    made_add_convolution(made, (made_convolution){0, 2, 1, 1, 0, 1, 1, false, linear});
    memset((void *)(uintptr_t)made->weights[1].words, word, (size_t)channels * 2);
    made->nodes[1].biases[0] = made->nodes[1].biases[1] = 0;
    made->output_scales[1] = 100;
    return made;
}

static void overflow_is_reported_with_its_layer(void **state) {
    (void)state;
    assert_refused(wide_layer(66312, 127),
                   "layer 1 (convolutional): the accumulator of channel 0 could overflow");
    made_network *made = wide_layer(66311, 127);
    hd_error error = {""};
    hd_integer_model *model = made_model(made, &error);
    hd_integer_network *network = model ? hd_integer_network_create(model, &error) : NULL;
    assert_string_equal(error.message, "");
    if (!model || !network) return;
    hd_integer_network_destroy(network);
    model->layers[1].bias[1] = INT32_MAX; /* as a file might say */
    assert_null(hd_integer_network_create(model, &error));
    assert_non_null(
        strstr(error.message, "layer 1 (convolutional): the accumulator of channel 1 could overflow"));
    hd_integer_model_destroy(model);
    made_free(made);
}

/* A channel that batch norm multiplies by (nearly) nothing gives its bias, however large that is in its own
 * steps. */
static void switched_off_channels_give_their_bias(void **state) {
    (void)state;
    made_network *made = small();
    const float factors[] = {0, 1e-30f, -1e-12f};
    for (int k = 0; k < 3; k++) {
        made->nodes[0].scales[k] = factors[k];
        made->nodes[0].biases[k] = 0.75f;
    }
    made->output_scales[0] = 0.01f;
    hd_error error;
    hd_integer_model *model = made_model(made, &error);
    assert_non_null(model);
    hd_integer_network *network = hd_integer_network_create(model, &error);
    assert_non_null(network);
    float image[6 * 6 * 4];
    for (int i = 0; i < 6 * 6 * 4; i++) image[i] = made_uniform(made, -1, 1);
    uint8_t bytes[6 * 6 * 6], *outputs[] = {bytes};
    assert_true(hd_integer_network_activations(network, image, 1, (int[]){0}, 1, outputs, 1, &error));
    for (int i = 0; i < 6 * 6 * 6; i++)
        if (i % 6 < 3) assert_int_equal(bytes[i], 75);
    hd_integer_network_destroy(network);
    hd_integer_model_destroy(model);
    made_free(made);
}

/* Terms of a shortcut that do not fit 16 bits cancel as they should. */
static void shortcuts_of_large_terms(void **state) {
    (void)state;
    made_network *made = made_new(8, 4, 4, 8, 8);
    int a = made_add_convolution(made, (made_convolution){-1, 40, 1, 1, 0, 1, 1, true, linear});
    made_add_shortcut(made, a, a, 5000.5f, -5000, relu);
    made->output_scales[1] = made->output_scales[0];
    hd_error error;
    hd_integer_model *model = made_model(made, &error);
    assert_non_null(model);
    float image[4 * 4 * 8];
    for (int i = 0; i < 4 * 4 * 8; i++) image[i] = made_uniform(made, -1, 1);
    int *wanted[3];
    int32_t raw[640];
    float scale;
    made_reference(made, image, wanted, raw, &scale);
    for (int level = HD_ISA_PORTABLE; level <= (int)hd_isa_best(); level++) {
        hd_integer_network *network = hd_integer_network_create_for(model, (hd_isa_level)level, &error);
        assert_non_null(network);
        assert_false(network->steps[1].sum.narrow);
        uint8_t bytes[640], *outputs[] = {bytes};
        assert_true(hd_integer_network_activations(network, image, 1, (int[]){1}, 1, outputs, 1, &error));
        int positive = 0;
        for (int i = 0; i < 640; i++) {
            assert_int_equal(bytes[i], wanted[2][i]);
            positive += bytes[i] > 0 && bytes[i] < 255;
        }
        assert_true(positive > 50);
        hd_integer_network_destroy(network);
    }
    for (int t = 0; t < 3; t++) free(wanted[t]);
    hd_integer_model_destroy(model);
    made_free(made);
}

/* The floats that the words stand for, through one convolution with batch norm and relu: at most half a step
 * of the output and what half steps of input and bias can do apart from the integers. */
static void integers_follow_the_floats(void **state) {
    (void)state;
    made_network *made = made_new(6, 5, 5, 12, 8);
    made_add_convolution(made, (made_convolution){-1, 20, 3, 1, 1, 1, 1, true, relu});
    hd_node *n = &made->nodes[0];
    hd_error error;
    hd_integer_model *model = made_model(made, &error);
    hd_integer_network *network = model ? hd_integer_network_create(model, &error) : NULL;
    assert_non_null(network);
    float image[300];
    uint8_t bytes[500], *outputs[] = {bytes};
    for (int i = 0; i < 300; i++) image[i] = (float)((int)made_below(made, 255) - 127) * made->input_scale;
    assert_true(hd_integer_network_activations(network, image, 1, (int[]){0}, 1, outputs, 1, &error));
    float step = hd_integer_network_tensor(network, 0).scale;
    for (int i = 0; i < 500; i++) {
        int k = i % 20, y = i / 100, x = i / 20 % 5;
        double sum = 0, unit = (double)made->weights[0].scales[k];
        for (int c = 0; c < 12; c++)
            for (int r = 0; r < 9; r++) {
                int iy = y - 1 + r / 3, ix = x - 1 + r % 3;
                if (iy < 0 || ix < 0 || iy > 4 || ix > 4) continue;
                sum += unit * made->weights[0].words[(k * 12 + c) * 9 + r] *
                       (double)image[(iy * 5 + ix) * 12 + c];
            }
        double factor = (double)n->scales[k] / (sqrt((double)(n->rolling_variance[k] + n->epsilon_inside)) +
                                                (double)n->epsilon_outside);
        double value = factor * (sum - (double)n->rolling_mean[k]) + (double)n->biases[k];
        double wanted = fmin(fmax(value, 0), 255 * (double)step);
        double bound = 0.5 * (double)step + 0.5 * fabs(factor) * unit * (double)made->input_scale + 1e-5;
        assert_true(fabs(bytes[i] * (double)step - wanted) <= bound);
    }
    hd_integer_network_destroy(network);
    hd_integer_model_destroy(model);
    made_free(made);
}

static void softmax_of_logits(void **state) {
    (void)state;
    float values[6] = {1000, 1000, 1000 + logf(2), -3, -3, -3};
    hd_integer_softmax(values, 2, 3, values);
    const float wanted[6] = {0.25f, 0.25f, 0.5f, 1.0f / 3, 1.0f / 3, 1.0f / 3};
    for (int i = 0; i < 6; i++) assert_true(fabsf(values[i] - wanted[i]) < 1e-4f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requantisation_rounds_ties_away_from_zero),
        cmocka_unit_test(multipliers_are_nearest),
        cmocka_unit_test(calibration_gives_scales),
        cmocka_unit_test(wrong_networks_are_refused),
        cmocka_unit_test(overflow_is_reported_with_its_layer),
        cmocka_unit_test(switched_off_channels_give_their_bias),
        cmocka_unit_test(shortcuts_of_large_terms),
        cmocka_unit_test(integers_follow_the_floats),
        cmocka_unit_test(softmax_of_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
