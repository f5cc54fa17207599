/* Folding of scales, bias and batch norm into integers; the formulas are those of docs/integer-network.md, in
 * double precision and in the order written there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "integer/fold.h"
#include "integer/requantise.h"

enum { BIAS_LIMIT = 1 << 30, BIAS_DOMINATES = 16 };

typedef struct affine {
    double factor, offset; /* y = factor * x + offset */
} affine;

static affine affine_of(const hd_node *node, int k) {
    double bias = node->biases ? (double)node->biases[k] : 0;
    bool normalised = node->type == HD_NODE_BATCHNORM || node->batch_normalize;
    if (!normalised) return (affine){1, bias};
    double root = sqrt((double)node->rolling_variance[k] + (double)node->epsilon_inside);
    double factor = (double)node->scales[k] / (root + (double)node->epsilon_outside);
    double moved = factor * (double)node->rolling_mean[k];
    return (affine){factor, bias - moved};
}

static int64_t word_sum(const int8_t *words, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += abs(words[i]);
    return sum;
}

/* A channel whose output is its bias, whatever the words: bias at the output's scale, ratio 1. */
static void hold_channel(affine a, float output_scale, int k, int8_t *words, size_t count,
                         hd_integer_layer *layer) {
    double steps = round(a.offset / (double)output_scale);
    if (steps > BIAS_LIMIT) steps = BIAS_LIMIT;
    if (steps < -BIAS_LIMIT) steps = -BIAS_LIMIT;
    memset(words, 0, count);
    layer->bias[k] = (int32_t)steps;
    layer->multiplier[k] = BIAS_LIMIT;
    layer->shift[k] = 30;
}

static bool fold_channel(const hd_node *node, const hd_fold_scales *scales, float word_scale, int k,
                         int8_t *words, size_t count, hd_integer_layer *layer, double *final_step,
                         hd_error *error) {
    affine a = affine_of(node, k);
    if (!isfinite(a.factor) || !isfinite(a.offset))
        return hd_fail(error, "layer %d (%s): bias or batch norm of channel %d is not finite", node->index,
                       layer->type_name, k);
    if (!(word_scale > 0) || !isfinite(word_scale))
        return hd_fail(error, "layer %d (%s): scale %g of channel %d's words is not a positive number",
                       node->index, layer->type_name, (double)word_scale, k);
    double step = (double)scales->input * (double)word_scale * a.factor; /* of the accumulator */
    double bias = step != 0 ? round(a.offset / step) : a.offset != 0 ? INFINITY : 0;
    double reach = (double)word_sum(words, count) * scales->input_levels;
    if (fabs(bias) + reach > INT32_MAX) {
        if (reach * BIAS_DOMINATES > fabs(bias))
            return hd_fail(
                error,
                "layer %d (%s): the accumulator of channel %d could overflow 32 bits: its bias is %.0f and "
                "its words can add up to %.0f; fewer inputs a channel or fewer bits would fit",
                node->index, layer->type_name, k, bias, reach);
        hold_channel(a, scales->output, k, words, count, layer);
        *final_step = (double)scales->output;
        return true;
    }
    *final_step = step;
    layer->bias[k] = (int32_t)bias;
    if (!hd_fixed_point(step / (double)scales->output, &layer->multiplier[k], &layer->shift[k]))
        return hd_fail(error,
                       "layer %d (%s): the output's scale %g is too small for the accumulator's step %g",
                       node->index, layer->type_name, (double)scales->output, step);
    return true;
}

bool hd_fold_channels(const hd_node *node, const hd_fold_scales *scales, const float *word_scales,
                      size_t channel_words, hd_integer_layer *layer, double *steps, hd_error *error) {
    for (int k = 0; k < node->out_channels; k++)
        if (!fold_channel(node, scales, word_scales[k], k, layer->words + (size_t)k * channel_words,
                          channel_words, layer, &steps[k], error))
            return false;
    return true;
}

bool hd_fold_logits(const hd_integer_layer *layer, const double *steps, float logits_scale,
                    int32_t *multiplier, uint8_t *shift, hd_error *error) {
    for (int k = 0; k < layer->output.channels; k++)
        if (!hd_fixed_point(steps[k] / (double)logits_scale, &multiplier[k], &shift[k]))
            return hd_fail(error,
                           "layer %d (%s): the logits' scale %g is too small for the accumulator's step %g",
                           layer->index, layer->type_name, (double)logits_scale, steps[k]);
    return true;
}

static float activate(const hd_node *node, float z) {
    switch (node->activation) {
    case HD_ACTIVATION_LINEAR:
        return z;
    case HD_ACTIVATION_RELU:
    case HD_ACTIVATION_RELU6:
        return z > 0 ? z : 0; /* 6 is where the output saturates */
    case HD_ACTIVATION_LEAKY:
        return z > 0 ? z : 0.1f * z;
    default:
        return node->activation_function(z);
    }
}

bool hd_fold_table(const hd_node *node, bool input_signed, float input_scale, const hd_integer_tensor *output,
                   int activation_bits, uint8_t table[256], hd_error *error) {
    int high = output->is_signed ? hd_signed_levels(activation_bits) : hd_unsigned_levels(activation_bits);
    int low = output->is_signed ? -high : 0;
    for (int byte = 0; byte < 256; byte++) {
        float z = (float)(input_signed ? (int8_t)byte : byte) * input_scale;
        float y = activate(node, z);
        if (!isfinite(y))
            return hd_fail(error, "layer %d (%s): the activation of %g is not finite", node->index,
                           node->type_name, (double)z);
        double steps = round((double)y / (double)output->scale);
        table[byte] = (uint8_t)(int)(steps < low ? low : steps > high ? high : steps);
    }
    return true;
}
