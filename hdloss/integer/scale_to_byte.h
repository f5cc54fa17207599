/* Requantisation of one accumulator to a stored byte, for the kernels' plain C parts. */
#ifndef HDLOSS_INTEGER_SCALE_TO_BYTE_H
#define HDLOSS_INTEGER_SCALE_TO_BYTE_H

#include "integer/requantise.h"

static inline uint8_t to_byte(int32_t integer, uint8_t zero, uint8_t low, uint8_t high) {
    return (uint8_t)(hd_saturate(integer, low - zero, high - zero) + zero);
}

static inline uint8_t scale_to_byte(int32_t accumulator, int32_t multiplier, int32_t shift_less_one,
                                    uint8_t zero, uint8_t low, uint8_t high) {
    return to_byte(hd_requantise(accumulator, multiplier, shift_less_one + 1), zero, low, high);
}

#endif
