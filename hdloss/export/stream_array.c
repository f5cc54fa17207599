/* A layer's words as they stand on the array's lanes, cycle by cycle, so that whoever reads them can count
 * flips without knowing a plan: the exclusive or of each row with the one before, the first with the last. */
#include <stdlib.h>
#include <string.h>

#include "export/internal.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Processing elements side by side in a row. */
static size_t columns_of(const hd_plan *plan) {
    if (plan->dataflow != HD_WEIGHT_STATIONARY) return 1;
    return smaller((size_t)plan->accelerator.cols, plan->order_length);
}

void hd_stream_array_shape(const hd_plan *plan, hd_array *array) {
    size_t rows = smaller((size_t)plan->accelerator.rows, plan->lane_axis);
    *array = (hd_array){
        .type = HD_ARRAY_INT8, .rank = 3, .shape = {plan->tiles, plan->tile_steps, rows * columns_of(plan)}};
}

static size_t lane_of(const hd_tile *tile, size_t columns, size_t used) {
    return used / tile->columns * columns + used % tile->columns;
}

void hd_stream_array_fill(const hd_plan *plan, const int8_t *streamed, hd_array *array) {
    int8_t *rows = array->values;
    size_t lanes = array->shape[2], columns = columns_of(plan), cycles = plan->tiles * plan->tile_steps;
    memset(rows, 0, cycles * lanes);
    for (int pass = 0; pass < 2; pass++) { /* the second begins with what the first left on the lanes */
        const int8_t *before = rows + (cycles - 1) * lanes;
        int8_t *row = rows;
        for (size_t t = 0; t < plan->tiles; t++) {
            hd_tile tile = hd_plan_tile(plan, t);
            for (size_t step = 0; step < tile.steps; step++, before = row, row += lanes) {
                memmove(row, before, lanes);
                for (size_t used = 0; used < tile.lanes; used++)
                    row[lane_of(&tile, columns, used)] = streamed[hd_plan_weight(plan, &tile, step, used)];
            }
        }
    }
}

void hd_stream_array_read(const hd_plan *plan, const hd_array *array, int8_t *streamed) {
    const int8_t *row = array->values;
    size_t columns = columns_of(plan);
    for (size_t t = 0; t < plan->tiles; t++) {
        hd_tile tile = hd_plan_tile(plan, t);
        for (size_t step = 0; step < tile.steps; step++, row += array->shape[2])
            for (size_t used = 0; used < tile.lanes; used++)
                streamed[hd_plan_weight(plan, &tile, step, used)] = row[lane_of(&tile, columns, used)];
    }
}

bool hd_export_signs(const hd_stream_layer *layer, const hd_plan *plan, int8_t *signs, hd_error *error) {
    hd_stream_layer ones = *layer;
    ones.words = malloc(plan->weights);
    if (!ones.words) return hd_fail(error, "no memory for the signs of %zu words", plan->weights);
    memset(ones.words, 1, plan->weights);
    bool good = hd_stream_layer_streamed_words(&ones, plan, signs, error);
    free(ones.words);
    return good;
}
