/* libhdloss: bit flips, stream plans, the bit-flip loss and the energy of accelerators that stream weights.
 * Works on plain arrays; knows no file, no framework and no global state. Everything here may be called from
 * several threads at once on different objects. Errors are returned: false or NULL, and one sentence in an
 * hd_error. Vocabulary and definitions: docs/energy.md, docs/stream-format.md; the method follows Li et al.,
 * arXiv 2002.05293. */
#ifndef HDLOSS_H
#define HDLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "network.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ------------------------------------------------------------------------------------------------ errors */

typedef struct hd_error {
    char message[1024];
} hd_error;

/* Writes the sentence and returns false, so that callers can write `return hd_fail(error, ...)`. error may be
 * NULL. */
bool hd_fail(hd_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The program's version as in the VERSION file. */
const char *hd_version(void);

/* ------------------------------------------------------------------------------------------- accelerators */

typedef enum hd_dataflow {
    HD_INPUT_STATIONARY,
    HD_OUTPUT_STATIONARY,
    HD_WEIGHT_STATIONARY,
    HD_DATAFLOW_COUNT
} hd_dataflow;

typedef enum hd_representation {
    HD_TWOS_COMPLEMENT,
    HD_SIGN_MAGNITUDE,
    HD_REPRESENTATION_COUNT
} hd_representation;

typedef enum hd_encoding { HD_ENCODING_NONE, HD_BUS_INVERT, HD_ENCODING_COUNT } hd_encoding;

/* Whether every kernel position of a kxk convolution has an order of its own, or all positions of a segment
 * share one. Concerns input and weight stationary plans; a reduction that streams output stationary has one
 * order a tile. */
typedef enum hd_kernel_orders {
    HD_KERNEL_ORDERS_EACH,
    HD_KERNEL_ORDERS_SHARED,
    HD_KERNEL_ORDERS_COUNT
} hd_kernel_orders;

enum { HD_MAXIMUM_BITS = 8, HD_MINIMUM_BITS = 2, HD_NAME_BYTES = 64, HD_MAXIMUM_ARRAY_SIDE = 4096 };

typedef struct hd_accelerator {
    char name[HD_NAME_BYTES]; /* zero-terminated */
    int rows, cols;           /* 1 .. HD_MAXIMUM_ARRAY_SIDE */
    hd_dataflow dataflow;
    int weight_bits, activation_bits; /* 2..8 */
    hd_representation representation; /* of the weights */
    hd_encoding encoding;             /* of the weights on the wires */
    hd_kernel_orders kernel_orders;
} hd_accelerator;

/* The default: 16 x 16, input stationary, 8 bits, two's complement, no encoding, an order for each kernel
 * position. */
hd_accelerator hd_accelerator_default(void);
bool hd_accelerator_validate(const hd_accelerator *accelerator, hd_error *error);

/* Names as cfg and JSON files write them ("input_stationary", "twos_complement", "bus_invert", "each", ...).
 * The parsers return false and list the valid names in the sentence. A value out of range has the name
 * "unknown". */
const char *hd_dataflow_name(hd_dataflow value);
const char *hd_representation_name(hd_representation value);
const char *hd_encoding_name(hd_encoding value);
const char *hd_kernel_orders_name(hd_kernel_orders value);
bool hd_dataflow_parse(const char *name, hd_dataflow *value, hd_error *error);
bool hd_representation_parse(const char *name, hd_representation *value, hd_error *error);
bool hd_encoding_parse(const char *name, hd_encoding *value, hd_error *error);
bool hd_kernel_orders_parse(const char *name, hd_kernel_orders *value, hd_error *error);

/* ------------------------------------------------------------------------------------------------- layers */

/* Weights are W[filters][channels / groups][size][size]. A connected layer is a 1x1 convolution on one pixel:
 * filters = outputs, channels = inputs, size = groups = output_pixels = 1. */
typedef struct hd_layer_shape {
    size_t filters, channels, groups, size;
    size_t output_pixels; /* output height x width of one image */
} hd_layer_shape;

/* Positive sizes, groups dividing filters and channels, no count that would overflow 64 bits. */
bool hd_layer_shape_validate(const hd_layer_shape *shape, hd_error *error);
size_t hd_layer_weights(const hd_layer_shape *shape); /* number of weights */
/* Weights of one filter: channels / groups * size * size. */
size_t hd_layer_filter_weights(const hd_layer_shape *shape);
bool hd_layer_is_depthwise(const hd_layer_shape *shape); /* one input channel a group */
/* The shape of a convolution or connected node; false for nodes without weights. */
bool hd_layer_shape_of_node(const hd_node *node, hd_layer_shape *shape);

/* -------------------------------------------------------------------------------------------------- words */

/* Largest word: 2^(bits - 1) - 1. Words lie in +- that. */
int hd_largest_word(int bits);

/* Symmetric quantisation per filter: scales[f] = max|w| / largest word in float32 (1 when that is zero), word
 * = w / scale in float32, rounded half to even, clamped. weights[filters][filter_weights] -> words of the
 * same shape and scales[filters]. Fails on a weight that is not finite. */
bool hd_quantise(const float *weights, size_t filters, size_t filter_weights, int bits, int8_t *words,
                 float *scales, hd_error *error);
/* The same with given scales, each positive and finite. */
bool hd_quantise_with_scales(const float *weights, size_t filters, size_t filter_weights, int bits,
                             const float *scales, int8_t *words, hd_error *error);
/* weights = scales[filter] * word. */
void hd_dequantise(const int8_t *words, size_t filters, size_t filter_weights, const float *scales,
                   float *weights);

/* A word's bit pattern in the low `bits` bits; the sign bit is bit `bits - 1`. Zero is all zeros in both. */
uint8_t hd_encode_word(int word, int bits, hd_representation representation);
int hd_decode_word(uint8_t pattern, int bits, hd_representation representation);
void hd_encode_words(const int8_t *words, size_t count, int bits, hd_representation representation,
                     uint8_t *patterns);

/* ------------------------------------------------------------------------------------------- stream plans */

/* The stream plan of one layer on one accelerator. Tiles are not stored: they follow by arithmetic
 * (hd_plan_tile), and
 *
 *     weight index = tile.base + plan.step_stride * order[t] + plan.lane_stride * lane_channel[lane]
 *
 * where a tile streams on tile.lanes lanes in steps t = 0 .. tile.steps - 1.
 *
 * An *order* is a permutation of 0 .. order_length - 1; there are order_count of them, tile.order says which:
 * - input stationary: order of the group's filters; one for each group, segment and (kernel_orders each)
 *   kernel position
 * - output stationary: order of the reduction (c, r, s) row-major; one for each group and segment
 * - weight stationary: order in which the group's filters are dealt to the array's columns; one for each as
 *   input stationary
 *
 * The *lane channels* are, for each group, a permutation of 0 .. lane_axis - 1: the entry
 * lane_channels[group * lane_axis + segment * rows + lane] is the channel (input channel of the group; output
 * stationary: filter of the group) that this segment has on this lane. Clustering changes it.
 * Both are NULL while natural.
 *
 * A depthwise layer runs output stationary on any array: one plan group, lanes are filters, steps kernel
 * positions. Weight stationary tiles have one step and rows x columns lanes, lane = row * accelerator.cols +
 * column; there a lane is one PE, and tile.lanes counts the PEs used. Use hd_plan_lane() to name the used
 * lanes 0 .. tile.lanes - 1. */
typedef struct hd_plan {
    hd_accelerator accelerator; /* its weight_bits are the layer's */
    hd_layer_shape shape;
    hd_dataflow dataflow; /* of this layer: differs from the accelerator's for depthwise layers */
    bool depthwise;

    size_t weights, filter_weights;
    size_t groups, segments, positions, column_segments; /* tiles = their product, the last fastest */
    size_t tiles;
    size_t tile_steps;                             /* steps of every tile */
    size_t tile_lanes;                             /* lanes of the widest tile */
    size_t lane_axis;                              /* channels that are dealt to lanes in a group */
    size_t group_stride, step_stride, lane_stride; /* in weights */
    size_t repeats;                                /* times the plan runs for one image */
    size_t image_passes; /* flips_per_image / flips: every PE column sees the stream, so the output pixels;
                            weight stationary: 1, since its tiles are loaded once an image into columns of
                            their own */

    size_t order_length, order_count;
    uint32_t *orders;        /* [order_count][order_length] or NULL: natural; owned */
    uint32_t *lane_channels; /* [groups][lane_axis] or NULL: natural; owned */
} hd_plan;

typedef struct hd_tile {
    size_t index;
    size_t group, segment, position, column_segment;
    size_t base;          /* weight index of step 0 and lane channel 0 */
    size_t steps;         /* cycles of the tile */
    size_t lanes;         /* lanes in use: rows * columns */
    size_t rows;          /* channels of the segment */
    size_t columns;       /* words side by side in a row: 1 but for weight stationary */
    size_t order;         /* which order */
    size_t first_step;    /* where in the order the tile begins: 0 but for weight stationary */
    size_t first_channel; /* position of the segment's first channel in lane_channels */
} hd_tile;

/* Makes the natural plan. The plan must be freed; after a failure it is empty and freeing it is allowed. */
bool hd_plan_init(hd_plan *plan, const hd_accelerator *accelerator, const hd_layer_shape *shape,
                  hd_error *error);
bool hd_plan_copy(hd_plan *plan, const hd_plan *from, hd_error *error);
void hd_plan_free(hd_plan *plan);

/* Copies orders[order_count][order_length] (lane channels [groups][lane_axis]) into the plan once each row is
 * checked to be a permutation; NULL restores the natural one. After a failure the plan is as it was. */
bool hd_plan_set_orders(hd_plan *plan, const uint32_t *orders, hd_error *error);
bool hd_plan_set_lane_channels(hd_plan *plan, const uint32_t *lane_channels, hd_error *error);
/* Direct reordering: one order for every tile. */
bool hd_plan_set_one_order(hd_plan *plan, const uint32_t *order, hd_error *error);
/* True if values[0 .. length - 1] holds each of 0 .. length - 1 once. scratch[length] is overwritten. */
bool hd_is_permutation(const uint32_t *values, size_t length, uint8_t *scratch);

hd_tile hd_plan_tile(const hd_plan *plan, size_t index);

/* The array's lane that the tile's used lane 0 .. tile.lanes - 1 is (the same but for weight stationary).
 * Lanes of the array number hd_plan_array_lanes(). */
static inline size_t hd_plan_lane(const hd_plan *plan, const hd_tile *tile, size_t used) {
    return tile->columns == 1 && plan->dataflow != HD_WEIGHT_STATIONARY
               ? used
               : used / tile->columns * (size_t)plan->accelerator.cols + used % tile->columns;
}
size_t hd_plan_array_lanes(const hd_plan *plan);

/* The weight streamed at a step on a used lane. */
static inline size_t hd_plan_weight(const hd_plan *plan, const hd_tile *tile, size_t step, size_t used_lane) {
    size_t row = used_lane / tile->columns, at = tile->first_step + step + used_lane % tile->columns;
    size_t channel = tile->first_channel + row;
    if (plan->orders) at = plan->orders[tile->order * plan->order_length + at];
    channel = plan->lane_channels ? plan->lane_channels[tile->group * plan->lane_axis + channel] : channel;
    return tile->base + plan->step_stride * at + plan->lane_stride * channel;
}

/* The weight that a used lane of a tile held before the tile's first step, and the one it takes after the
 * last. Lanes that a narrower tile leaves unused hold their word, and the plan repeats: the neighbour of the
 * last tile is the first. */
size_t hd_plan_weight_before(const hd_plan *plan, const hd_tile *tile, size_t used_lane);
size_t hd_plan_weight_after(const hd_plan *plan, const hd_tile *tile, size_t used_lane);

/* Dense copies of a tile: row t of dense[steps][lanes] is step t. The with_neighbours forms have one more row
 * before (the words held) and after (the next words): dense[steps + 2][lanes]. Scatter adds each value to its
 * weight. */
void hd_tile_gather_bytes(const hd_plan *plan, const hd_tile *tile, const uint8_t *values, uint8_t *dense);
void hd_tile_gather_floats(const hd_plan *plan, const hd_tile *tile, const float *values, float *dense);
void hd_tile_gather_bytes_with_neighbours(const hd_plan *plan, const hd_tile *tile, const uint8_t *values,
                                          uint8_t *dense);
void hd_tile_scatter_add(const hd_plan *plan, const hd_tile *tile, const float *dense, float *values);

/* Bytes that orders and lane channels take beside the weights when each entry is stored in the fewest whole
 * bytes. */
size_t hd_plan_table_bytes(const hd_plan *plan);

/* ---------------------------------------------------------------------------------------------- bit flips */

/* One steady-state pass of a plan: a lane's first word of a tile is charged against the previous tile's last
 * word on that lane, the first tile's against the last tile's. Every word is one transition. */
typedef struct hd_flips {
    uint64_t tiles, steps, lanes, repeats; /* as the plan: steps of a tile, lanes of the widest tile */
    uint64_t words, zero_words;
    uint64_t one_bits; /* of all words' patterns, the sign of sign and magnitude left out */
    uint64_t transitions, transitions_inside_tiles;
    uint64_t flips;              /* on the wires, a bus-invert line included */
    uint64_t flips_inside_tiles; /* without the tiles' first words: what bounds and certificates are about */
    uint64_t flips_by_bit[HD_MAXIMUM_BITS];         /* on the wires */
    uint64_t invert_line_flips;                     /* bus_invert only; flips = their sum with flips_by_bit */
    uint64_t operand_flips_by_bit[HD_MAXIMUM_BITS]; /* in the PE, behind the decoder; = flips_by_bit without
                                                       encoding */
    uint64_t operand_flips, operand_flips_inside_tiles;
    uint64_t sign_flips; /* operand flips of the sign bit */
    uint64_t flips_per_image, transitions_per_image;
    uint64_t
        transition_bits; /* transitions x bits, so that sums over layers of different widths keep their NHD */
    double nhd;          /* flips / (transitions x bits); 0 when there are none */
} hd_flips;

/* Counts words[plan->weights] exactly. threads >= 1; the figures do not depend on it. */
bool hd_count_flips(const hd_plan *plan, const int8_t *words, int threads, hd_flips *flips, hd_error *error);
/* total += one layer; nhd is recomputed from the sums. Start from a zeroed struct. */
void hd_flips_add(hd_flips *total, const hd_flips *layer);

/* Energy: energy.h, included at the end. */

/* ----------------------------------------------------------------------------------------- bit-flip loss */

typedef enum hd_surrogate { HD_SURROGATE_EXPECTED, HD_SURROGATE_LINEAR, HD_SURROGATE_COUNT } hd_surrogate;
const char *hd_surrogate_name(hd_surrogate value);
bool hd_surrogate_parse(const char *name, hd_surrogate *value, hd_error *error);

/* Table of p_b(u) = probability that bit b of round(u + noise), clamped to the words' range, is 1, as cubics
 * that are smooth with their derivative. Immutable once made. sigma > 0, in words. */
typedef struct hd_expected_bits hd_expected_bits;
hd_expected_bits *hd_expected_bits_create(int bits, hd_representation representation, double sigma,
                                          hd_error *error);
void hd_expected_bits_destroy(hd_expected_bits *table);
/* p[8] and dp/du[8] at u, the very values that the loss uses. Bits above the width are 0. */
void hd_expected_bits_at(const hd_expected_bits *table, float u, float p[HD_MAXIMUM_BITS],
                         float slope[HD_MAXIMUM_BITS]);

/* One layer of the loss. Borrows everything. */
typedef struct hd_loss_layer {
    const hd_plan *plan;
    const float *weights;              /* [plan->weights] */
    const float *scales;               /* [filters]; held constant: d/dw = d/du / scale, u = w / scale */
    double bit_costs[HD_MAXIMUM_BITS]; /* ones or pJ, as from hd_bit_costs */
    double emphasis;                   /* factor on this layer, 1 as a rule; 0 leaves it out */
    float *gradient;                   /* [plan->weights] or NULL: gradient_scale * d(loss)/dw is added */
    double value;                      /* out: this layer's share of the loss */
    double
        expected_flips; /* out: surrogate flips of one pass, unweighted; linear: in flips of random words */
} hd_loss_layer;

typedef struct hd_loss_options {
    hd_surrogate surrogate;
    double sigma;          /* of `expected` */
    double gradient_scale; /* e.g. -lambda * images per update */
    int threads;
} hd_loss_options;

/* loss = sum over layers of emphasis * passes * sum_b cost_b flips~_b  /  sum over layers with emphasis of
 * passes * transitions * sum_b cost_b / 2: 1 is the energy of random words. `linear` is |u - v| times the
 * constant that gives uniformly random words bits / 2 flips, at the mean bit cost. The flips are those of the
 * words, before any encoding on the wires. Returns the loss in *loss; equal for any thread count. */
bool hd_loss(hd_loss_layer *layers, size_t count, const hd_loss_options *options, double *loss,
             hd_error *error);

/* --------------------------------------------------------------------------------------- .stream sidecars */

/* One layer with weights, as a sidecar keeps it. All arrays are owned by the hd_stream. */
typedef struct hd_stream_layer {
    int index; /* as in the cfg */
    hd_layer_shape shape;
    int weight_bits;
    hd_representation representation;
    float *scales; /* [filters] */
    int8_t *words; /* [weights], in the order of the weight tensor; weight = scale * word */
    size_t order_length, order_count;
    uint32_t *orders; /* NULL: natural */
    size_t lane_channel_count;
    uint32_t *lane_channels; /* NULL: natural */
    size_t sign_sets;        /* 0: no signs; 1: one for all segments; else the plan's segments */
    int8_t *signs;           /* [sign_sets][filters], +1 or -1: the streamed word is sign * word */
} hd_stream_layer;

enum { HD_ACTIVATION_IS_SIGNED = 1 };

typedef struct hd_stream {
    char version[HD_NAME_BYTES]; /* of the program that wrote it */
    hd_accelerator accelerator;
    char energy_table[HD_NAME_BYTES]; /* its name, "" for none */
    uint32_t weights_crc;             /* CRC-32 of the .weights file's bytes after its header, see hd_crc32 */
    hd_stream_layer *layers;
    size_t layer_count;
    float *activation_scales;  /* [node_count], 0 for a node without one; NULL: not calibrated */
    uint8_t *activation_flags; /* [node_count] of HD_ACTIVATION_IS_SIGNED; NULL with the scales */
    size_t node_count;
} hd_stream;

/* CRC-32 (zlib's) of more bytes after `crc`; start with 0. */
uint32_t hd_crc32(uint32_t crc, const void *bytes, size_t count);

/* Fills one sidecar layer with copies of plan, words and scales (the layer must be zeroed or freed before).
 */
bool hd_stream_layer_set(hd_stream_layer *layer, int index, const hd_plan *plan, const int8_t *words,
                         const float *scales, hd_error *error);
/* The plan that the layer was streamed by, on the sidecar's accelerator (or another of the same dataflow and
 * rows). */
bool hd_stream_layer_plan(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_plan *plan,
                          hd_error *error);
/* streamed[weights] = sign * word (a copy when the layer has no signs): what flips are counted on. */
bool hd_stream_layer_streamed_words(const hd_stream_layer *layer, const hd_plan *plan, int8_t *streamed,
                                    hd_error *error);
/* The layer of that cfg index, or NULL. */
const hd_stream_layer *hd_stream_find(const hd_stream *stream, int index);
void hd_stream_layer_free(hd_stream_layer *layer); /* its arrays */
void hd_stream_free(hd_stream *stream);            /* all arrays; the struct itself is the caller's */

/* The format of docs/stream-format.md. encode: *bytes is malloc'ed, the caller frees it. decode: fills
 * *stream from bytes that may be hostile; `name` stands in the sentence; nothing to free after a failure. */
bool hd_stream_encode(const hd_stream *stream, uint8_t **bytes, size_t *count, hd_error *error);
bool hd_stream_decode(const uint8_t *bytes, size_t count, const char *name, hd_stream *stream,
                      hd_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#include "energy.h"

#endif
