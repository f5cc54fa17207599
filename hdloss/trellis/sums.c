/* See sums.h. A partial sum that has passed row r can change from one step to the next only when the word of
 * a row 0 .. r does, activations being held: of the rows of a step only the first changed one counts. */
#include "trellis/sums.h"

#include "rounding.h"

#include <stdlib.h>
#include <string.h>

bool hd_sums_flow(const hd_plan *plan) {
    return plan->dataflow == HD_INPUT_STATIONARY;
}

bool hd_sums_create(hd_sums *sums, const hd_plan *plan, hd_error *error) {
    *sums = (hd_sums){.rows = (size_t)plan->accelerator.rows, .steps = plan->tiles * plan->tile_steps};
    sums->changed = calloc(sums->steps * sums->rows, 1);
    return sums->changed || hd_fail(error, "out of memory for the partial sums of %zu steps", sums->steps);
}

void hd_sums_free(hd_sums *sums) {
    free(sums->changed);
    *sums = (hd_sums){0};
}

size_t hd_sums_more(const hd_sums *sums, size_t step, size_t row) {
    const uint8_t *changed = sums->changed + step * sums->rows;
    if (memchr(changed, 1, row)) return 0;
    const uint8_t *next = row + 1 < sums->rows ? memchr(changed + row + 1, 1, sums->rows - row - 1) : NULL;
    return next ? (size_t)(next - changed) - row : sums->rows - row;
}

bool hd_count_sum_changes(const hd_plan *plan, const int8_t *words, uint64_t *changes, hd_error *error) {
    if (!hd_sums_flow(plan)) return hd_fail(error, "partial sums flow through input-stationary arrays only");
    *changes = 0;
    for (size_t i = 0; i < plan->tiles; i++) {
        hd_tile tile = hd_plan_tile(plan, i);
        for (size_t t = 1; t < tile.steps; t++)
            for (size_t row = 0; row < tile.rows; row++)
                if (words[hd_plan_weight(plan, &tile, t, row)] !=
                    words[hd_plan_weight(plan, &tile, t - 1, row)]) {
                    *changes += (uint64_t)plan->accelerator.rows - row;
                    break;
                }
    }
    return true;
}
