/* Flips between two runs of bit patterns, inside libhdloss: the kernel of stream/flips.c, one copy a level.
 */
#ifndef HDLOSS_STREAM_FLIPS_KERNEL_H
#define HDLOSS_STREAM_FLIPS_KERNEL_H

#include "hdloss.h"

typedef struct hd_bit_counts {
    uint64_t operand[HD_MAXIMUM_BITS]; /* flips of the words themselves */
    uint64_t wire[HD_MAXIMUM_BITS];    /* of the wires; filled for bus_invert only */
    uint64_t invert_line;
} hd_bit_counts;

/* Adds the flips from before[i] to after[i], i < count, to the counts. */
typedef void hd_flip_kernel(const uint8_t *before, const uint8_t *after, size_t count, int bits,
                            bool bus_invert, hd_bit_counts *counts);
hd_flip_kernel hd_count_bits_portable, hd_count_bits_avx2, hd_count_bits_avx512;

#endif
