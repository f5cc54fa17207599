/* Rows of a tile, inside libhdloss: a row holds tile.lanes values, one a used lane. */
#ifndef HDLOSS_STREAM_GATHER_H
#define HDLOSS_STREAM_GATHER_H

#include "hdloss.h"

/* The weights that the tile's lanes held before its first step, and take after its last: indices[tile.lanes].
 */
void hd_tile_weights_before(const hd_plan *plan, const hd_tile *tile, size_t *indices);
void hd_tile_weights_after(const hd_plan *plan, const hd_tile *tile, size_t *indices);

void hd_row_gather_bytes(const hd_plan *plan, const hd_tile *tile, size_t step, const uint8_t *values,
                         uint8_t *row);
void hd_row_gather_floats(const hd_plan *plan, const hd_tile *tile, size_t step, const float *values,
                          float *row);
void hd_row_scatter_add(const hd_plan *plan, const hd_tile *tile, size_t step, const float *row,
                        float *values);

#endif
