/* The integer network's kernels: packed operands, and the table of functions of one instruction-set level.
 *
 * In memory an activation is one byte: its integer where it is unsigned, its integer + 128 where it is signed
 * (its "zero" is the byte of integer 0). Products of unsigned bytes with signed words then serve both; the
 * 128 is taken back by each channel's bias. Tensors are [images][height][width][channels]; a kernel may read,
 * but not write, up to HD_INTEGER_SLACK bytes past the end of its input. All arithmetic is that of
 * requantise.h; accumulators wrap at 32 bits, which is exact since their final values fit
 * (hd_integer_check_model). */
#ifndef HDLOSS_INTEGER_KERNELS_H
#define HDLOSS_INTEGER_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words/isa.h"

enum { HD_INTEGER_SLACK = 256, HD_INTEGER_LANES = 16, HD_INTEGER_PANEL_VECTORS = 4 };

/* Geometry of a window that slides over an image. */
typedef struct hd_integer_window {
    int in_height, in_width, in_channels, out_height, out_width, out_channels;
    int size, stride, dilation;
    int start; /* where the first window begins, negative for padding */
} hd_integer_window;

/* Per channel: requantised = (accumulator + bias) * multiplier / 2^(shift_less_one + 1). */
typedef struct hd_integer_scaling {
    int32_t *bias,
        *multiplier; /* multiplier >= 0: channels with a negative one have their words and bias negated */
    int32_t *shift_less_one;
    uint8_t zero;      /* added to the requantised integer */
    uint8_t low, high; /* then saturated to these bytes */
} hd_integer_scaling;

/* Up to 64 neighbouring output channels of one group. Words: [position][step][vectors * 16 channels][4
 * channels in]. */
typedef struct hd_integer_panel {
    size_t words; /* first byte */
    size_t slot;  /* first entry of the scaling's arrays, which have vectors * 16 for the panel */
    int input_channel, output_channel, channels, vectors;
} hd_integer_panel;

/* A convolution or connected layer. */
typedef struct hd_integer_product {
    hd_integer_window window;
    bool direct;        /* output pixel p reads input pixel p alone */
    int group_channels; /* in, a group */
    int steps;          /* ceil(group_channels / 4) */
    hd_integer_panel *panels;
    size_t panel_count;
    int8_t *words;
    hd_integer_scaling scaling;
    const uint8_t *padding; /* in_channels + slack bytes of the input's zero */
} hd_integer_product;

/* One input and output channel a group. */
typedef struct hd_integer_depthwise {
    hd_integer_window window;
    int8_t *words;              /* [channels][size][size] */
    hd_integer_scaling scaling; /* arrays [channels] */
    const uint8_t *padding;     /* in_channels + slack bytes of the input's zero */
    void *packed;               /* the level's own form, or NULL; freed with free() */
} hd_integer_depthwise;

/* A shortcut: each input's bytes to requantised integers, which are added. */
typedef struct hd_integer_sum {
    int32_t terms[2][256];
    bool narrow;               /* all terms are within +-2^14, and also stand here in two halves */
    uint8_t halves[2][2][256]; /* [input][low, high byte of 16 bits] */
    uint8_t zero, low, high;   /* as in hd_integer_scaling */
} hd_integer_sum;

typedef struct hd_integer_kernels {
    /* output: requantised bytes; or, when accumulators is given, accumulators[images][pixels][channels] (bias
     * added, of channels with negative multipliers negated) and no output. */
    void (*product)(const hd_integer_product *product, const uint8_t *input, size_t images, uint8_t *output,
                    int32_t *accumulators);
    bool (*pack_depthwise)(hd_integer_depthwise *depthwise); /* false: out of memory */
    void (*depthwise)(const hd_integer_depthwise *depthwise, const uint8_t *input, size_t images,
                      uint8_t *output);
    void (*sum)(const hd_integer_sum *sum, const uint8_t *a, const uint8_t *b, size_t count, uint8_t *output);
    /* output may be input */
    void (*table)(const uint8_t table[256], const uint8_t *input, size_t count, uint8_t *output);
    /* Bytes of pixels of `channels` into pixels of `out_channels`, through a table; output is the first one's
     * place. */
    void (*spread)(const uint8_t table[256], const uint8_t *input, size_t pixels, size_t channels,
                   size_t out_channels, uint8_t *output);
    /* Windows' largest bytes; cells outside the image do not count; a window of none gives `lowest`. */
    void (*maxpool)(const hd_integer_window *window, uint8_t lowest, const uint8_t *input, size_t images,
                    uint8_t *output);
    /* sums[images][channels] of integers (bytes - zero) */
    void (*channel_sums)(const uint8_t *input, size_t images, size_t pixels, size_t channels, uint8_t zero,
                         int32_t *sums);
    /* bytes = round half even(value / scale) saturated to +-levels, + 128 */
    void (*quantise)(const float *values, size_t count, float scale, int levels, uint8_t *bytes);
} hd_integer_kernels;

/* The kernels of a level that this machine runs. */
const hd_integer_kernels *hd_integer_kernels_of(hd_isa_level level);

#endif
