/* Folding of scales, bias and batch norm into a channel's integer bias, multiplier and shift. */
#ifndef HDLOSS_INTEGER_FOLD_H
#define HDLOSS_INTEGER_FOLD_H

#include "integer.h"

/* What a channel's integers stand for. */
typedef struct hd_fold_scales {
    float input, output; /* output: of what the requantised integers are, before a table */
    int input_levels;    /* largest magnitude of an input integer */
} hd_fold_scales;

/* Folds node's channels into layer->bias, multiplier and shift ([channels], allocated by the caller), and
 * clears in layer->words the words of channels whose output the bias alone decides, see
 * docs/integer-network.md. Each channel has channel_words words. word_scales[channels]; steps[channels]
 * receives what an accumulator's 1 stands for. */
bool hd_fold_channels(const hd_node *node, const hd_fold_scales *scales, const float *word_scales,
                      size_t channel_words, hd_integer_layer *layer, double *steps, hd_error *error);

/* multiplier and shift ([channels]) that requantise a layer's accumulators to 32-bit logits of the given
 * scale. */
bool hd_fold_logits(const hd_integer_layer *layer, const double *steps, float logits_scale,
                    int32_t *multiplier, uint8_t *shift, hd_error *error);

/* The table of node's activation: from bytes of input_scale to bytes of *output. */
bool hd_fold_table(const hd_node *node, bool input_signed, float input_scale, const hd_integer_tensor *output,
                   int activation_bits, uint8_t table[256], hd_error *error);

#endif
