/* The trace level of the energy simulator: every register of the array, every cycle, one image's activations.
 * The machine is that of hdloss/rtl (its README.md defines every register and cycle), and the counts equal
 * the RTL's. Part of the public interface. */
#ifndef HDLOSS_TRACE_H
#define HDLOSS_TRACE_H

#include "hdloss.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* One layer on one image. Borrows everything. */
typedef struct hd_trace_layer {
    const hd_plan *plan; /* no encoding on the wires: the array has no decoder */
    const int8_t *words; /* [plan->weights], as streamed, laid out as the weight tensor */
    /* [height][width][shape.channels] bytes, unsigned or two's complement. A connected layer's inputs are
     * channels of one pixel, in the order of its weights. */
    const uint8_t *activations;
    size_t height, width; /* of the input */
    size_t stride, padding, dilation;
    bool activation_signed;
    int accumulator_bits; /* 17..32; 0: hd_accumulator_bits() */
} hd_trace_layer;

/* A partial sum's width in hdloss/rtl: 24 bits where sums flow from element to element, 32 where they stay.
 */
int hd_accumulator_bits(hd_dataflow dataflow);

/* Largest number of partial-product flips in a cycle. */
enum { HD_PARTIAL_PRODUCTS = HD_MAXIMUM_BITS * HD_MAXIMUM_BITS };

/* Sums over all elements and cycles of one image, all registers zero at first. */
typedef struct hd_trace_counts {
    uint64_t tiles, macs;
    uint64_t cycles;            /* sum over tiles of max(steps, rows), and rows + columns to fill and drain */
    uint64_t array_pe_cycles;   /* cycles x elements */
    uint64_t enabled_pe_cycles; /* element cycles that wrote registers */
    /* Flips of registers. */
    uint64_t weight, activation, psum;
    /* Flips of settled signals: product (two's complement, 16 bits), adder's base and sum, its carries. */
    uint64_t product, psum_in, psum_out, carry;
    uint64_t sign;            /* of `weight` those of the sign bit */
    uint64_t activation_sign; /* of `activation` those of the sign bit; 0 where activations are unsigned */
    uint64_t partial_products;
    /* Element cycles by their number of partial-product flips; [0] is not kept. */
    uint64_t partial_product_histogram[HD_PARTIAL_PRODUCTS + 1];
} hd_trace_counts;

/* Traces `count` layers, several at once with threads > 1; counts[count]. The figures do not depend on
 * threads. Fails on shapes that do not fit the plan, words outside their bits, an encoding on the wires, and
 * for want of memory. */
bool hd_trace_layers(const hd_trace_layer *layers, size_t count, int threads, hd_trace_counts *counts,
                     hd_error *error);
/* total += layer, starting from a zeroed struct. */
void hd_trace_counts_add(hd_trace_counts *total, const hd_trace_counts *layer);

/* Bits that a partial sum of this plan needs, at least and whatever the activations (unsigned or symmetric,
 * of the accelerator's activation_bits): over a tile's lanes where sums flow, over the reduction where they
 * stay. A layer that needs more than the array's accumulator may overflow it. */
int hd_accumulator_bits_needed(const hd_plan *plan, const int8_t *words, bool activation_signed);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
