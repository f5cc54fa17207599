/* One layer's words, scales, orders and signs out of its stream. */
#include "export/reader.h"

#include <stdlib.h>
#include <string.h>

static bool read_signs(const hd_reader *r, const json_t *object, const hd_plan *plan,
                       hd_stream_layer *layer) {
    const char *name = json_string_value(json_object_get(object, "signs"));
    if (!name) return true;
    hd_array wanted = {.type = HD_ARRAY_INT8, .rank = 2, .shape = {1, layer->shape.filters}};
    void *values = NULL;
    /* One set for all segments, or one for each. */
    if (plan->segments == 1 || !hd_load_array(r, object, "signs", &wanted, &values)) {
        wanted.shape[0] = plan->segments;
        if (!hd_load_array(r, object, "signs", &wanted, &values)) return false;
    }
    layer->signs = values;
    layer->sign_sets = wanted.shape[0];
    for (size_t i = 0; i < layer->sign_sets * layer->shape.filters; i++)
        if (layer->signs[i] != 1 && layer->signs[i] != -1)
            return hd_reader_wrong(r, "signs", "each of them is 1 or -1");
    return true;
}

/* The words in the tensor's order from those on the lanes, and the flips counted anew. */
static bool read_words(const hd_reader *r, const json_t *object, const hd_plan *plan,
                       hd_stream_layer *layer) {
    hd_array array;
    void *values = NULL;
    hd_flips flips;
    hd_stream_array_shape(plan, &array);
    if (!hd_load_array(r, object, "words", &array, &values)) return false;
    array.values = values;
    layer->words = malloc(plan->weights);
    int8_t *signs = malloc(plan->weights);
    bool good = layer->words && signs;
    if (good) {
        hd_stream_array_read(plan, &array, layer->words);
        good = hd_count_flips(plan, layer->words, 1, &flips, r->error) &&
               hd_export_signs(layer, plan, signs, r->error);
    } else {
        hd_reader_wrong(r, "words", "no memory");
    }
    for (size_t i = 0; good && i < plan->weights; i++) layer->words[i] = (int8_t)(layer->words[i] * signs[i]);
    free(signs);
    free(values);
    if (good && (uint64_t)json_integer_value(json_object_get(object, "flips")) != flips.flips)
        good = hd_reader_wrong(r, "flips", "they are not those of the words");
    return good;
}

static bool read_plan(const hd_reader *r, const json_t *object, hd_stream_layer *layer) {
    hd_plan plan = {0};
    bool good = hd_stream_layer_plan(layer, &r->out->accelerator, &plan, r->error);
    void *scales = NULL;
    hd_array wanted = hd_vector(HD_ARRAY_FLOAT32, layer->shape.filters);
    good = good &&
           hd_read_permutations(r, object, "orders", plan.order_count, plan.order_length, &layer->orders) &&
           hd_read_permutations(r, object, "lane_channels", plan.groups, plan.lane_axis,
                                &layer->lane_channels) &&
           hd_plan_set_orders(&plan, layer->orders, r->error) &&
           hd_plan_set_lane_channels(&plan, layer->lane_channels, r->error) &&
           hd_load_array(r, object, "scales", &wanted, &scales);
    layer->scales = scales;
    if (good && layer->orders) {
        layer->order_count = plan.order_count;
        layer->order_length = plan.order_length;
    }
    if (good && layer->lane_channels) layer->lane_channel_count = plan.groups * plan.lane_axis;
    good = good && read_signs(r, object, &plan, layer) && read_words(r, object, &plan, layer);
    hd_plan_free(&plan);
    return good;
}

static bool zero_held(const hd_reader *r, const json_t *entry, int channels, size_t filter, int8_t *words) {
    const json_t *held = json_object_get(entry, "held");
    size_t i;
    json_t *k;
    json_array_foreach(held, i, k) {
        json_int_t channel = json_is_integer(k) ? json_integer_value(k) : -1;
        if (channel < 0 || channel >= channels)
            return hd_reader_wrong(r, "held", "a list of channels is needed");
        memset(words + (size_t)channel * filter, 0, filter);
    }
    return true;
}

bool hd_read_stream(const hd_reader *r, const json_t *entry, const hd_layer_shape *shape,
                    hd_integer_layer *l) {
    const json_t *object = json_object_get(entry, "stream");
    hd_stream_layer *layer = &r->out->layers[r->out->layer_count++];
    hd_error h = {0};
    *layer = (hd_stream_layer){.index = l->index, .shape = *shape};
    const char *representation = hd_read_text(r, object, "representation");
    if (!representation ||
        !hd_read_int(r, object, "weight_bits", HD_MINIMUM_BITS, HD_MAXIMUM_BITS, &layer->weight_bits))
        return false;
    if (!hd_representation_parse(representation, &layer->representation, &h))
        return hd_reader_wrong(r, "representation", h.message);
    if (!read_plan(r, object, layer)) return false;
    size_t weights = hd_layer_weights(shape), filter = hd_layer_filter_weights(shape);
    l->words = malloc(weights);
    if (!l->words) return hd_reader_wrong(r, "stream", "no memory");
    memcpy(l->words, layer->words, weights);
    return zero_held(r, entry, l->output.channels, filter, l->words);
}
