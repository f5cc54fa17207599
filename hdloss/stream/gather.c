/* A tile's words in the order they stream, and values back to the weights they belong to. */
#include "stream/gather.h"

#include <string.h>

/* Where the array's lane stands among a tile's used lanes, or SIZE_MAX. */
static size_t used_lane_of(const hd_tile *tile, size_t row, size_t column) {
    return row < tile->rows && column < tile->columns ? row * tile->columns + column : SIZE_MAX;
}

/* The nearest tile in the given direction (cyclic) that uses the lane: at last the tile itself. */
static size_t neighbour_weight(const hd_plan *plan, const hd_tile *tile, size_t used_lane, bool after) {
    size_t row = used_lane / tile->columns, column = used_lane % tile->columns;
    for (size_t i = tile->index;;) {
        i = after ? (i + 1 == plan->tiles ? 0 : i + 1) : (i == 0 ? plan->tiles - 1 : i - 1);
        hd_tile other = hd_plan_tile(plan, i);
        size_t lane = used_lane_of(&other, row, column);
        if (lane != SIZE_MAX) return hd_plan_weight(plan, &other, after ? 0 : other.steps - 1, lane);
    }
}

size_t hd_plan_weight_before(const hd_plan *plan, const hd_tile *tile, size_t used_lane) {
    return neighbour_weight(plan, tile, used_lane, false);
}

size_t hd_plan_weight_after(const hd_plan *plan, const hd_tile *tile, size_t used_lane) {
    return neighbour_weight(plan, tile, used_lane, true);
}

static void neighbour_weights(const hd_plan *plan, const hd_tile *tile, size_t *indices, bool after) {
    size_t i = tile->index;
    hd_tile other = hd_plan_tile(plan, after ? (i + 1) % plan->tiles : (i + plan->tiles - 1) % plan->tiles);
    for (size_t lane = 0; lane < tile->lanes; lane++) {
        size_t there = used_lane_of(&other, lane / tile->columns, lane % tile->columns);
        indices[lane] = there != SIZE_MAX ? hd_plan_weight(plan, &other, after ? 0 : other.steps - 1, there)
                                          : neighbour_weight(plan, tile, lane, after);
    }
}

void hd_tile_weights_before(const hd_plan *plan, const hd_tile *tile, size_t *indices) {
    neighbour_weights(plan, tile, indices, false);
}

void hd_tile_weights_after(const hd_plan *plan, const hd_tile *tile, size_t *indices) {
    neighbour_weights(plan, tile, indices, true);
}

/* Offset of the step (and column) from the tile's base. */
static size_t step_offset(const hd_plan *plan, const hd_tile *tile, size_t at) {
    at += tile->first_step;
    return plan->step_stride * (plan->orders ? plan->orders[tile->order * plan->order_length + at] : at);
}

/* Runs `statement` for each value of a row: `value` is its place in the weight tensor, `slot` in the row. */
#define FOR_ROW(plan, tile, step, statement)                                                                 \
    do {                                                                                                     \
        const uint32_t *channels =                                                                           \
            (plan)->lane_channels                                                                            \
                ? (plan)->lane_channels + (tile)->group * (plan)->lane_axis + (tile)->first_channel          \
                : NULL;                                                                                      \
        for (size_t column = 0; column < (tile)->columns; column++) {                                        \
            size_t start = (tile)->base + step_offset(plan, tile, (step) + column);                          \
            size_t stride = (plan)->lane_stride, slot = column;                                              \
            if (channels)                                                                                    \
                for (size_t r = 0; r < (tile)->rows; r++, slot += (tile)->columns) {                         \
                    size_t value = start + stride * channels[r];                                             \
                    statement;                                                                               \
                }                                                                                            \
            else                                                                                             \
                for (size_t value = start + stride * (tile)->first_channel, r = 0; r < (tile)->rows;         \
                     r++, value += stride, slot += (tile)->columns) {                                        \
                    statement;                                                                               \
                }                                                                                            \
        }                                                                                                    \
    } while (0)

/* Rows whose values stand side by side in the weight tensor. */
static bool contiguous(const hd_plan *plan, const hd_tile *tile) {
    return plan->lane_stride == 1 && tile->columns == 1 && !plan->lane_channels;
}

void hd_row_gather_bytes(const hd_plan *plan, const hd_tile *tile, size_t step, const uint8_t *values,
                         uint8_t *row) {
    if (contiguous(plan, tile))
        memcpy(row, values + tile->base + step_offset(plan, tile, step) + tile->first_channel, tile->rows);
    else
        FOR_ROW(plan, tile, step, row[slot] = values[value]);
}

void hd_row_gather_floats(const hd_plan *plan, const hd_tile *tile, size_t step, const float *values,
                          float *row) {
    if (contiguous(plan, tile))
        memcpy(row, values + tile->base + step_offset(plan, tile, step) + tile->first_channel,
               tile->rows * sizeof *row);
    else
        FOR_ROW(plan, tile, step, row[slot] = values[value]);
}

void hd_row_scatter_add(const hd_plan *plan, const hd_tile *tile, size_t step, const float *row,
                        float *values) {
    if (contiguous(plan, tile)) {
        float *run = values + tile->base + step_offset(plan, tile, step) + tile->first_channel;
        for (size_t lane = 0; lane < tile->rows; lane++) run[lane] += row[lane];
    } else {
        FOR_ROW(plan, tile, step, values[value] += row[slot]);
    }
}

void hd_tile_gather_bytes(const hd_plan *plan, const hd_tile *tile, const uint8_t *values, uint8_t *dense) {
    for (size_t t = 0; t < tile->steps; t++)
        hd_row_gather_bytes(plan, tile, t, values, dense + t * tile->lanes);
}

void hd_tile_gather_floats(const hd_plan *plan, const hd_tile *tile, const float *values, float *dense) {
    for (size_t t = 0; t < tile->steps; t++)
        hd_row_gather_floats(plan, tile, t, values, dense + t * tile->lanes);
}

void hd_tile_gather_bytes_with_neighbours(const hd_plan *plan, const hd_tile *tile, const uint8_t *values,
                                          uint8_t *dense) {
    uint8_t *last = dense + (tile->steps + 1) * tile->lanes;
    for (size_t lane = 0; lane < tile->lanes; lane++) {
        dense[lane] = values[hd_plan_weight_before(plan, tile, lane)];
        last[lane] = values[hd_plan_weight_after(plan, tile, lane)];
    }
    hd_tile_gather_bytes(plan, tile, values, dense + tile->lanes);
}

void hd_tile_scatter_add(const hd_plan *plan, const hd_tile *tile, const float *dense, float *values) {
    for (size_t t = 0; t < tile->steps; t++)
        hd_row_scatter_add(plan, tile, t, dense + t * tile->lanes, values);
}
