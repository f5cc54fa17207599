/* The words that a tile's rows and columns are offered: hdloss/rtl/README.md, "Tiles". */
#include <stdlib.h>
#include <string.h>

#include "energy/trace_internal.h"

/* ---- tables ---- */
static void tabulate_words(tracer *t) {
    const hd_accelerator *a = &t->plan->accelerator;
    int sign = 1 << (a->weight_bits - 1), all = 2 * sign - 1;
    t->weight.bits = (uint8_t)all;
    t->weight.sign = (uint8_t)sign;
    t->weight.magnitude = (uint8_t)(a->representation == HD_SIGN_MAGNITUDE ? sign - 1 : all);
    for (int i = 0; i < 256; i++)
        t->weight.values[i] = (int16_t)hd_decode_word((uint8_t)(i & all), a->weight_bits, a->representation);
    sign = 1 << (a->activation_bits - 1);
    all = 2 * sign - 1;
    t->activation.bits = t->activation.magnitude = (uint8_t)all;
    t->activation.sign = (uint8_t)sign;
    for (int i = 0; i < 256; i++) {
        int value = i & all;
        t->activation.values[i] =
            (int16_t)(t->layer->activation_signed && value & sign ? value - 2 * sign : value);
    }
}

static bool find_offsets(tracer *t, hd_error *error) {
    const hd_trace_layer *l = t->layer;
    size_t size = t->plan->shape.size, channels = t->plan->shape.channels;
    t->offsets = malloc(t->positions * t->pixels * sizeof *t->offsets);
    if (!t->offsets) return hd_fail(error, "no memory for the trace of %zu pixels", t->pixels);
    for (size_t position = 0; position < t->positions; position++)
        for (size_t p = 0; p < t->pixels; p++) {
            size_t y = p / t->out_width * l->stride + position / size * l->dilation;
            size_t x = p % t->out_width * l->stride + position % size * l->dilation;
            bool inside =
                y >= l->padding && x >= l->padding && y - l->padding < l->height && x - l->padding < l->width;
            size_t at = inside ? ((y - l->padding) * l->width + (x - l->padding)) * channels : 0;
            t->offsets[position * t->pixels + p] = inside ? (int32_t)at : -1;
        }
    return true;
}

bool trace_operands_prepare(tracer *t, hd_error *error) {
    const hd_plan *plan = t->plan;
    size_t steps = plan->dataflow == HD_WEIGHT_STATIONARY ? t->pixels : plan->tile_steps;
    size_t words = t->rows * steps;
    size_t tops = !t->local ? t->rows * t->stride : (plan->depthwise ? words : steps) * t->stride;
    tabulate_words(t);
    if (!find_offsets(t, error)) return false;
    t->patterns = malloc(plan->weights);
    t->dense = malloc(plan->tile_steps * plan->tile_lanes);
    t->last_word = calloc(t->rows, 1);
    t->left = malloc(words);
    t->left_values = malloc(words * sizeof *t->left_values);
    t->left_ones = malloc((t->local ? words : 1) * sizeof *t->left_ones);
    t->top = calloc(tops, 1);
    t->top_values = calloc(tops, sizeof *t->top_values);
    t->top_ones = calloc(t->local ? tops : 1, sizeof *t->top_ones);
    if (!t->patterns || !t->dense || !t->last_word || !t->left || !t->left_values || !t->left_ones ||
        !t->top || !t->top_values || !t->top_ones)
        return hd_fail(error, "no memory for the trace of a tile of %zu steps", steps);
    hd_encode_words(t->layer->words, plan->weights, plan->accelerator.weight_bits,
                    plan->accelerator.representation, t->patterns);
    return true;
}

void trace_operands_free(tracer *t) {
    free(t->offsets);
    free(t->patterns);
    free(t->dense);
    free(t->last_word);
    free(t->left);
    free(t->left_values);
    free(t->left_ones);
    free(t->top);
    free(t->top_values);
    free(t->top_ones);
}

/* ---- one tile ---- */
static uint8_t activation_at(const tracer *t, size_t position, size_t pixel, size_t channel) {
    int32_t at = t->offsets[position * t->pixels + pixel];
    return at < 0 ? 0 : t->layer->activations[(size_t)at + channel] & t->activation.bits;
}

/* The channel of the image on a row: input channels are dealt to rows. */
static size_t input_channel(const hd_plan *plan, const hd_tile *tile, size_t row) {
    size_t at = tile->first_channel + row;
    size_t channel = plan->lane_channels ? plan->lane_channels[tile->group * plan->lane_axis + at] : at;
    return tile->group * plan->lane_axis + channel;
}

static void set_row_words(tracer *t, size_t row, size_t steps, const uint8_t *words, size_t step,
                          const trace_words *meaning) {
    uint8_t *left = t->left + row * steps;
    int32_t *values = t->left_values + row * steps;
    for (size_t i = 0; i < steps; i++) {
        left[i] = words[i * step];
        values[i] = meaning->values[left[i]];
    }
    t->last_word[row] = left[steps - 1];
}

/* A row that is not in use keeps the last word that it offered. */
static void hold_row_word(tracer *t, size_t row, size_t steps, const trace_words *meaning) {
    uint8_t word = t->last_word[row];
    for (size_t i = row * steps; i < (row + 1) * steps; i++) {
        t->left[i] = word;
        t->left_values[i] = meaning->values[word];
    }
}

static void fill_weight_rows(tracer *t, const hd_tile *tile) {
    hd_tile_gather_bytes(t->plan, tile, t->patterns, t->dense);
    for (size_t r = 0; r < tile->rows; r++)
        set_row_words(t, r, tile->steps, t->dense + r, tile->lanes, &t->weight);
    for (size_t r = tile->rows; !t->local && r < t->rows; r++) hold_row_word(t, r, tile->steps, &t->weight);
}

static void fill_input_stationary(tracer *t, const hd_tile *tile, size_t first_pixel, trace_tile *out) {
    fill_weight_rows(t, tile);
    for (size_t r = 0; r < t->rows; r++) {
        size_t channel = r < tile->rows ? input_channel(t->plan, tile, r) : 0;
        for (size_t c = 0; c < out->columns; c++) {
            uint8_t word = r < tile->rows ? activation_at(t, tile->position, first_pixel + c, channel) : 0;
            t->top[r * t->stride + c] = word;
            t->top_values[r * t->stride + c] = t->activation.values[word];
        }
    }
}

static void fill_weight_stationary(tracer *t, const hd_tile *tile, trace_tile *out) {
    hd_tile_gather_bytes(t->plan, tile, t->patterns, t->dense);
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < out->columns; c++) {
            uint8_t word = r < tile->rows ? t->dense[r * tile->columns + c] : 0;
            t->top[r * t->stride + c] = word;
            t->top_values[r * t->stride + c] = t->weight.values[word];
        }
    for (size_t r = 0; r < t->rows; r++) {
        if (r >= tile->rows) {
            hold_row_word(t, r, out->steps, &t->activation);
            continue;
        }
        size_t channel = input_channel(t->plan, tile, r);
        uint8_t *left = t->left + r * out->steps;
        for (size_t p = 0; p < out->steps; p++) left[p] = activation_at(t, tile->position, p, channel);
        set_row_words(t, r, out->steps, left, 1, &t->activation);
    }
}

/* Streaming activations of one step, for one row or all; and which ones flipped since the step before. */
static void fill_step(tracer *t, size_t at, size_t before, const trace_tile *out, size_t position,
                      size_t first_pixel, size_t channel) {
    for (size_t c = 0; c < out->columns; c++) {
        uint8_t word = activation_at(t, position, first_pixel + c, channel), last = t->top[before + c];
        t->top[at + c] = word;
        t->top_values[at + c] = t->activation.values[word];
        t->top_ones[at + c] =
            trace_ones((unsigned)(word ^ last)) | trace_ones(word) << 8 | trace_ones(last) << 16;
    }
}

static void fill_output_stationary(tracer *t, const hd_tile *tile, size_t first_pixel, trace_tile *out) {
    const hd_plan *plan = t->plan;
    const uint32_t *order = plan->orders ? plan->orders + tile->order * plan->order_length : NULL;
    size_t group_channels = plan->shape.channels / plan->shape.groups;
    size_t filters_a_channel = plan->shape.filters / plan->shape.channels;
    fill_weight_rows(t, tile);
    for (size_t r = 0; r < (plan->depthwise ? tile->rows : 1); r++) {
        size_t filter = plan->depthwise ? input_channel(plan, tile, r) : 0;
        for (size_t step = 0; step < tile->steps; step++) {
            size_t reduction = order ? order[step] : step, at = r * out->top_row + step * out->top_step;
            size_t channel = plan->depthwise ? filter / filters_a_channel
                                             : tile->group * group_channels + reduction / t->positions;
            fill_step(t, at, step ? at - out->top_step : at, out, reduction % t->positions, first_pixel,
                      channel);
        }
    }
    for (size_t r = 0; r < tile->rows; r++)
        for (size_t step = 1; step < tile->steps; step++) {
            unsigned now = t->left[r * tile->steps + step] & t->weight.magnitude;
            unsigned last = t->left[r * tile->steps + step - 1] & t->weight.magnitude;
            t->left_ones[r * tile->steps + step] =
                trace_ones(now & last) | trace_ones(now & ~last) << 8 | trace_ones(last & ~now) << 16;
        }
}

static size_t pixel_columns(const tracer *t, size_t block) {
    size_t left = t->pixels - block * t->cols;
    return left < t->cols ? left : t->cols;
}

void trace_operands_fill(tracer *t, size_t block, size_t index, trace_tile *out) {
    const hd_plan *plan = t->plan;
    hd_tile tile = hd_plan_tile(plan, index);
    bool wraps = index + 1 == plan->tiles, last = wraps && block + 1 == plan->repeats;
    hd_tile next = hd_plan_tile(plan, wraps ? 0 : index + 1);
    *out = (trace_tile){.steps = t->by_weight ? t->pixels : tile.steps, .rows = tile.rows};
    out->columns = t->by_weight ? tile.columns : pixel_columns(t, block);
    out->next_rows = last ? 0 : next.rows;
    out->next_columns = last ? 0 : t->by_weight ? next.columns : pixel_columns(t, wraps ? block + 1 : block);
    out->holds_on = out->steps < t->rows;
    out->top_row = t->local ? plan->depthwise ? out->steps * t->stride : 0 : t->stride;
    out->top_step = t->local ? t->stride : 0;
    if (t->by_weight)
        fill_weight_stationary(t, &tile, out);
    else if (t->local)
        fill_output_stationary(t, &tile, block * t->cols, out);
    else
        fill_input_stationary(t, &tile, block * t->cols, out);
}
