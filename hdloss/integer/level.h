/* The kernels of one instruction-set level, as kernels.h describes them. */
#ifndef HDLOSS_INTEGER_LEVEL_H
#define HDLOSS_INTEGER_LEVEL_H

#include "integer/kernels.h"

void HD_ISA_NAME(hd_integer_product)(const hd_integer_product *p, const uint8_t *input, size_t images,
                                     uint8_t *output, int32_t *accumulators);
bool HD_ISA_NAME(hd_integer_pack_depthwise)(hd_integer_depthwise *depthwise);
void HD_ISA_NAME(hd_integer_depthwise)(const hd_integer_depthwise *depthwise, const uint8_t *input,
                                       size_t images, uint8_t *output);

#endif
