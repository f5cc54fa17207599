/* The integer network: a trained network in 8-bit words and 8-bit activations that runs with nothing but
 * integers and is defined to the bit in docs/integer-network.md. Two steps lead there: a model (plain arrays
 * of integers, what an export writes and reads back) is folded from floats, and a network is packed from a
 * model to run fast. Part of the public interface. */
#ifndef HDLOSS_INTEGER_H
#define HDLOSS_INTEGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hdloss.h"
#include "network.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Scales of activations. One flat array holds them all, and the magnitudes they come from: entry 0 is the
 * network's input, entry 1 + i the output of node i, entry 1 + node_count + i the value before node i's
 * activation, which only nodes of hd_integer_needs_pre_activation use (other entries are ignored; 0 will do).
 */
size_t hd_integer_scale_count(const hd_network *network); /* 1 + 2 * node_count */

/* Whether the node's activation goes through a table, so that its input needs a scale of its own. */
bool hd_integer_needs_pre_activation(const hd_node *node);

/* Scales from the largest magnitudes that calibration saw, both arrays laid out as above. relu: magnitude /
 * 255, relu6: 6 / 255 whatever was seen, others magnitude / 127 (at 8 activation bits); a magnitude of 0
 * gives scale 1. Nodes that only move values (pools, dropout, a route of one layer) get the scale of what
 * they read. Magnitudes are finite and not negative. */
bool hd_integer_activation_scales(const hd_network *network, const float *largest_magnitudes,
                                  int activation_bits, float *activation_scales, hd_error *error);

/* The words of one node with weights. */
typedef struct hd_integer_weights {
    const int8_t *words; /* laid out as hd_node.weights, each in -127..127 */
    const float *scales; /* [out_channels]: a weight is scale * word; positive */
} hd_integer_weights;

typedef enum hd_integer_operation {
    HD_INTEGER_CONVOLUTION, /* also a stand-alone batch norm, as a 1x1 convolution of one channel a group */
    HD_INTEGER_CONNECTED,
    HD_INTEGER_MAXPOOL,
    HD_INTEGER_AVERAGE_POOL,
    HD_INTEGER_SHORTCUT,
    HD_INTEGER_ROUTE,
    HD_INTEGER_TABLE, /* output = table[input] */
    HD_INTEGER_PASS   /* output = input */
} hd_integer_operation;

/* What the integers of a tensor mean: value = scale * integer; unsigned ones are 0..2^bits-1, signed ones
 * -(2^(bits-1)-1)..2^(bits-1)-1. Stored and handed out as bytes, two's complement where signed. */
typedef struct hd_integer_tensor {
    int height, width, channels;
    bool is_signed;
    float scale;
} hd_integer_tensor;

typedef struct hd_integer_layer {
    hd_integer_operation operation;
    int index;          /* as in the cfg */
    char type_name[32]; /* as in the cfg */
    int *inputs;        /* layer numbers of the model, -1: the network's input */
    int input_count;
    int size, stride, padding, dilation, groups; /* as in hd_node */
    hd_integer_tensor output;

    int8_t *words;       /* convolution, connected: laid out as hd_node.weights; else NULL */
    int32_t *bias;       /* convolution, connected: [channels], added to the accumulator; else NULL */
    int32_t *multiplier; /* convolution, connected: [channels]; shortcut, route: [input_count]; else NULL */
    uint8_t *shift;      /* beside multiplier; 1..62 */
    int low, high;  /* convolution, connected, shortcut, route: where the requantised integer saturates */
    uint8_t *table; /* [256] bytes to bytes, after saturation; NULL without a table */
} hd_integer_layer;

typedef struct hd_integer_model {
    hd_integer_tensor input; /* signed */
    int activation_bits;
    hd_integer_layer *layers;
    int layer_count;

    /* The logits are layer logits_layer's, in 32 bits: its accumulators (bias added) requantised by these
     * instead of its own multipliers where they are given ([channels]); the unrounded sums for an average
     * pool; else its 8-bit outputs. logits[i] = (float)((double)raw[i] * (double)logits_scale). */
    int logits_layer;
    int32_t *logits_multiplier;
    uint8_t *logits_shift;
    float logits_scale;
} hd_integer_model;

/* Folds a network, its words (weights[node_count], read at nodes with weights: convolutional and connected)
 * and its activation scales (laid out as above) into a model that shares no memory with them. activation_bits
 * is 2..8. NULL and a sentence naming the layer when a layer is not supported, a parameter is not finite, a
 * scale is not positive, or a bias leaves no room for the sum beside it in 32 bits. Freed with
 * hd_integer_model_destroy. */
hd_integer_model *hd_integer_model_create(const hd_network *network, const hd_integer_weights *weights,
                                          const float *activation_scales, int activation_bits,
                                          hd_error *error);
void hd_integer_model_destroy(hd_integer_model *model); /* accepts NULL */

typedef struct hd_integer_network hd_integer_network;

/* Checks a model (which may come from a file) and packs it to run; the model may be destroyed afterwards.
 * NULL and a sentence naming the layer where shapes disagree, an accumulator could overflow 32 bits, or
 * memory ran out. */
hd_integer_network *hd_integer_network_create(const hd_integer_model *model, hd_error *error);
void hd_integer_network_destroy(hd_integer_network *network); /* accepts NULL */

/* The number of logits an image has: channels * height * width of the logits' layer. */
size_t hd_integer_network_classes(const hd_integer_network *network);

/* The form of a layer's output; layer -1: of the network's input. */
hd_integer_tensor hd_integer_network_tensor(const hd_integer_network *network, int layer);

/* Runs n images ([n][height][width][channels] floats in the units the network was trained on). logits:
 * [n][classes], in C,H,W order where the logits have a height and width. raw_logits: the 32-bit integers they
 * come from, or NULL. Results do not depend on `threads` (>= 1) nor on n. False and a sentence when memory
 * ran out. A network may be run by several callers at once. */
bool hd_integer_network_run(const hd_integer_network *network, const float *images, size_t n, float *logits,
                            int32_t *raw_logits, int threads, hd_error *error);

/* Runs n images as far as needed and copies the outputs of `count` layers (layers[j], -1: the quantised
 * input) to outputs[j], [n][height][width][channels] bytes each (two's complement where the tensor is
 * signed). */
bool hd_integer_network_activations(const hd_integer_network *network, const float *images, size_t n,
                                    const int *layers, size_t count, uint8_t *const *outputs, int threads,
                                    hd_error *error);

/* Softmax of each row of n x classes logits, in float; logits and probabilities may be the same array. */
void hd_integer_softmax(const float *logits, size_t n, size_t classes, float *probabilities);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
