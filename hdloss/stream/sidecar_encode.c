/* A .stream sidecar into bytes, little endian; the layout is docs/stream-format.md's. */
#include <stdlib.h>
#include <string.h>

#include "stream/sidecar.h"

/* A growing block of bytes; after a failed allocation it swallows everything. */
typedef struct writer {
    uint8_t *bytes;
    size_t used, room;
    bool failed;
} writer;

static uint8_t *reserve(writer *w, size_t count) {
    if (w->failed) return NULL;
    if (w->room - w->used < count) {
        size_t room = w->room + w->room / 2 + count + 256;
        uint8_t *grown = room > w->room ? realloc(w->bytes, room) : NULL;
        if (!grown) {
            w->failed = true;
            return NULL;
        }
        w->bytes = grown;
        w->room = room;
    }
    w->used += count;
    return w->bytes + w->used - count;
}

static void store(uint8_t *at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void put(writer *w, uint64_t value, size_t bytes) {
    uint8_t *at = reserve(w, bytes);
    if (at) store(at, value, bytes);
}

static void put_bytes(writer *w, const void *from, size_t count) {
    uint8_t *at = reserve(w, count);
    if (at && count) memcpy(at, from, count);
}

static void put_floats(writer *w, const float *values, size_t count) {
    uint8_t *at = reserve(w, count * 4);
    for (size_t i = 0; at && i < count; i++) {
        uint32_t pattern;
        memcpy(&pattern, values + i, 4);
        store(at + 4 * i, pattern, 4);
    }
}

static void put_permutations(writer *w, const uint32_t *values, size_t count, size_t length) {
    size_t each = hd_stream_entry_bytes(length);
    uint8_t *at = reserve(w, count * each);
    for (size_t i = 0; at && i < count; i++) store(at + each * i, values[i], each);
}

static void put_text(writer *w, const char *text) {
    put(w, strlen(text), 1);
    put_bytes(w, text, strlen(text));
}

/* One bit a sign, 1 for -1, lowest bit first. */
static void put_signs(writer *w, const int8_t *signs, size_t count) {
    uint8_t *at = reserve(w, (count + 7) / 8);
    if (!at) return;
    memset(at, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++) at[i / 8] = (uint8_t)(at[i / 8] | (signs[i] < 0) << i % 8);
}

static void put_accelerator(writer *w, const hd_accelerator *a) {
    put_text(w, a->name);
    put(w, (uint64_t)a->rows, 4);
    put(w, (uint64_t)a->cols, 4);
    const int small[] = {(int)a->dataflow,       a->weight_bits,   a->activation_bits,
                         (int)a->representation, (int)a->encoding, (int)a->kernel_orders};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) put(w, (uint64_t)small[i], 1);
}

static bool put_layer(writer *w, const hd_stream_layer *layer, const hd_accelerator *accelerator,
                      hd_error *error) {
    hd_plan plan;
    if (!hd_stream_layer_check(layer, accelerator, error) ||
        !hd_stream_natural_plan(layer, accelerator, &plan, error))
        return false;
    const hd_layer_shape *s = &layer->shape;
    const size_t sizes[] = {s->filters, s->channels, s->groups, s->size, s->output_pixels};
    put(w, (uint64_t)layer->index, 4);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) put(w, sizes[i], 8);
    put(w, (uint64_t)layer->weight_bits, 1);
    put(w, (uint64_t)layer->representation, 1);
    put(w,
        (layer->orders ? HD_STREAM_HAS_ORDERS : 0) | (layer->lane_channels ? HD_STREAM_HAS_LANE_CHANNELS : 0),
        2);
    put(w, layer->sign_sets, 4);
    put_floats(w, layer->scales, s->filters);
    put_bytes(w, layer->words, plan.weights);
    if (layer->orders)
        put_permutations(w, layer->orders, layer->order_count * layer->order_length, layer->order_length);
    if (layer->lane_channels)
        put_permutations(w, layer->lane_channels, layer->lane_channel_count, plan.lane_axis);
    if (layer->sign_sets) put_signs(w, layer->signs, layer->sign_sets * s->filters);
    hd_plan_free(&plan);
    return true;
}

static bool put_all(writer *w, const hd_stream *stream, hd_error *error) {
    put_bytes(w, HD_STREAM_MAGIC, HD_STREAM_MAGIC_BYTES);
    put(w, HD_STREAM_FORMAT, 4);
    put(w, 0, 4); /* checksum and length are known at the end */
    put(w, 0, 8);
    put_text(w, stream->version);
    put_text(w, stream->energy_table);
    put(w, stream->weights_crc, 4);
    put_accelerator(w, &stream->accelerator);
    put(w, stream->layer_count, 4);
    put(w, stream->node_count, 4);
    put(w, stream->activation_scales ? 1 : 0, 1);
    for (size_t i = 0; i < stream->layer_count; i++)
        if (!put_layer(w, &stream->layers[i], &stream->accelerator, error)) return false;
    if (stream->activation_scales) {
        put_floats(w, stream->activation_scales, stream->node_count);
        put_bytes(w, stream->activation_flags, stream->node_count);
    }
    if (w->failed) return hd_fail(error, "no memory for a .stream sidecar");
    store(w->bytes + 16, w->used, 8);
    store(w->bytes + 12, hd_crc32(0, w->bytes + 16, w->used - 16), 4);
    return true;
}

bool hd_stream_encode(const hd_stream *stream, uint8_t **bytes, size_t *count, hd_error *error) {
    if (!hd_accelerator_validate(&stream->accelerator, error) || !hd_stream_activations_check(stream, error))
        return false;
    if (!memchr(stream->version, 0, sizeof stream->version) ||
        !memchr(stream->energy_table, 0, sizeof stream->energy_table))
        return hd_fail(error, "a .stream sidecar's version or energy table name is not zero-terminated");
    if (stream->layer_count > INT32_MAX || stream->node_count > INT32_MAX)
        return hd_fail(error, "a .stream sidecar of %zu layers and %zu nodes is too large",
                       stream->layer_count, stream->node_count);
    for (size_t i = 1; i < stream->layer_count; i++)
        if (stream->layers[i].index <= stream->layers[i - 1].index)
            return hd_fail(
                error, "layer %d comes after layer %d: a .stream sidecar's layers stand in the cfg's order",
                stream->layers[i].index, stream->layers[i - 1].index);
    writer w = {0};
    if (!put_all(&w, stream, error)) {
        free(w.bytes);
        return false;
    }
    *bytes = w.bytes;
    *count = w.used;
    return true;
}
