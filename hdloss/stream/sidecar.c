/* What a .stream sidecar keeps of a layer, its checks, and the plan and words that come back out of it. */
#include "stream/sidecar.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

uint32_t hd_crc32(uint32_t crc, const void *bytes, size_t count) {
    return (uint32_t)crc32_z(crc, bytes, count);
}

size_t hd_stream_entry_bytes(size_t permutation_length) {
    return permutation_length <= 256 ? 1 : permutation_length <= 65536 ? 2 : 4;
}

void hd_stream_layer_free(hd_stream_layer *layer) {
    free(layer->scales);
    free(layer->words);
    free(layer->orders);
    free(layer->lane_channels);
    free(layer->signs);
    *layer = (hd_stream_layer){0};
}

void hd_stream_free(hd_stream *stream) {
    for (size_t i = 0; stream->layers && i < stream->layer_count; i++)
        hd_stream_layer_free(&stream->layers[i]);
    free(stream->layers);
    free(stream->activation_scales);
    free(stream->activation_flags);
    *stream = (hd_stream){0};
}

const hd_stream_layer *hd_stream_find(const hd_stream *stream, int index) {
    for (size_t i = 0; i < stream->layer_count; i++)
        if (stream->layers[i].index == index) return &stream->layers[i];
    return NULL;
}

/* A copy, or NULL for NULL; *good becomes false without memory. */
static void *copy_of(const void *from, size_t bytes, bool *good) {
    if (!from) return NULL;
    void *copy = malloc(bytes ? bytes : 1);
    if (copy)
        memcpy(copy, from, bytes);
    else
        *good = false;
    return copy;
}

bool hd_stream_layer_set(hd_stream_layer *layer, int index, const hd_plan *plan, const int8_t *words,
                         const float *scales, hd_error *error) {
    bool good = true;
    hd_stream_layer l = {.index = index,
                         .shape = plan->shape,
                         .weight_bits = plan->accelerator.weight_bits,
                         .representation = plan->accelerator.representation};
    l.scales = copy_of(scales, plan->shape.filters * sizeof *scales, &good);
    l.words = copy_of(words, plan->weights, &good);
    if (plan->orders) {
        l.order_length = plan->order_length;
        l.order_count = plan->order_count;
        l.orders = copy_of(plan->orders, l.order_count * l.order_length * sizeof *l.orders, &good);
    }
    if (plan->lane_channels) {
        l.lane_channel_count = plan->groups * plan->lane_axis;
        l.lane_channels = copy_of(plan->lane_channels, l.lane_channel_count * sizeof *l.lane_channels, &good);
    }
    if (!good) {
        hd_stream_layer_free(&l);
        return hd_fail(error, "no memory for the words and orders of layer %d", index);
    }
    *layer = l;
    return true;
}

bool hd_stream_natural_plan(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_plan *plan,
                            hd_error *error) {
    hd_accelerator own = *accelerator;
    own.weight_bits = layer->weight_bits;
    own.representation = layer->representation;
    return hd_plan_init(plan, &own, &layer->shape, error);
}

bool hd_stream_layer_plan(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_plan *plan,
                          hd_error *error) {
    if (!hd_stream_natural_plan(layer, accelerator, plan, error)) return false;
    bool fits = (!layer->orders ||
                 (layer->order_length == plan->order_length && layer->order_count == plan->order_count)) &&
                (!layer->lane_channels || layer->lane_channel_count == plan->groups * plan->lane_axis);
    if (!fits)
        hd_fail(error,
                "layer %d: its %zu orders of %zu entries do not fit accelerator %s, which needs %zu of %zu",
                layer->index, layer->order_count, layer->order_length, accelerator->name, plan->order_count,
                plan->order_length);
    if (fits && hd_plan_set_orders(plan, layer->orders, error) &&
        hd_plan_set_lane_channels(plan, layer->lane_channels, error))
        return true;
    hd_plan_free(plan);
    return false;
}

bool hd_stream_layer_streamed_words(const hd_stream_layer *layer, const hd_plan *plan, int8_t *streamed,
                                    hd_error *error) {
    memcpy(streamed, layer->words, plan->weights);
    if (layer->sign_sets == 0) return true;
    if (layer->sign_sets != 1 && layer->sign_sets != plan->segments)
        return hd_fail(
            error,
            "layer %d: %zu sets of signs where the plan has %zu segments: one set or one a segment is right",
            layer->index, layer->sign_sets, plan->segments);
    for (size_t t = 0; t < plan->tiles; t++) {
        hd_tile tile = hd_plan_tile(plan, t);
        const int8_t *signs =
            layer->signs + (layer->sign_sets == 1 ? 0 : tile.segment) * layer->shape.filters;
        for (size_t step = 0; step < tile.steps; step++)
            for (size_t lane = 0; lane < tile.lanes; lane++) {
                size_t weight = hd_plan_weight(plan, &tile, step, lane);
                if (signs[weight / plan->filter_weights] < 0)
                    streamed[weight] = (int8_t)-layer->words[weight];
            }
    }
    return true;
}

static bool check_scales_and_words(const hd_stream_layer *layer, const hd_plan *plan, hd_error *error) {
    int limit = hd_largest_word(layer->weight_bits), least = 0, most = 0;
    for (size_t f = 0; f < layer->shape.filters; f++)
        if (!(layer->scales[f] > 0 && layer->scales[f] <= FLT_MAX))
            return hd_fail(error, "layer %d: the scale of filter %zu is %g: a scale is positive and finite",
                           layer->index, f, (double)layer->scales[f]);
    for (size_t i = 0; i < plan->weights; i++) {
        least = layer->words[i] < least ? layer->words[i] : least;
        most = layer->words[i] > most ? layer->words[i] : most;
    }
    if (least >= -limit && most <= limit) return true;
    return hd_fail(error, "layer %d: a word is %d: words of %d bits lie in -%d to %d", layer->index,
                   least < -limit ? least : most, layer->weight_bits, limit, limit);
}

static bool check_signs(const hd_stream_layer *layer, const hd_plan *plan, hd_error *error) {
    if (layer->sign_sets == 0) return true;
    if (!layer->signs || (layer->sign_sets != 1 && layer->sign_sets != plan->segments))
        return hd_fail(error,
                       "layer %d: %zu sets of signs: none, one, or one for each of %zu segments is right",
                       layer->index, layer->sign_sets, plan->segments);
    for (size_t i = 0; i < layer->sign_sets * layer->shape.filters; i++)
        if (layer->signs[i] != 1 && layer->signs[i] != -1)
            return hd_fail(error, "layer %d: a sign is %d: +1 or -1 is right", layer->index, layer->signs[i]);
    return true;
}

bool hd_stream_layer_check(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_error *error) {
    hd_plan plan;
    if (layer->index < 0)
        return hd_fail(error, "a layer's cfg index is %d: 0 or more is right", layer->index);
    if (!layer->scales || !layer->words)
        return hd_fail(error, "layer %d has no scales or no words", layer->index);
    if (!hd_stream_layer_plan(layer, accelerator, &plan, error)) return false;
    bool good = check_scales_and_words(layer, &plan, error) && check_signs(layer, &plan, error);
    hd_plan_free(&plan);
    return good;
}

bool hd_stream_activations_check(const hd_stream *stream, hd_error *error) {
    if (!stream->activation_scales != !stream->activation_flags)
        return hd_fail(error, "activation scales and flags come together or not at all");
    if (!stream->activation_scales) return true;
    for (size_t i = 0; i < stream->node_count; i++) {
        if (!(stream->activation_scales[i] >= 0 && stream->activation_scales[i] <= FLT_MAX))
            return hd_fail(error,
                           "the activation scale of node %zu is %g: 0 or a positive finite number is right",
                           i, (double)stream->activation_scales[i]);
        if (stream->activation_flags[i] & ~HD_ACTIVATION_IS_SIGNED)
            return hd_fail(error, "the activation flags of node %zu are %d: 0 or 1 is right", i,
                           stream->activation_flags[i]);
    }
    return true;
}
