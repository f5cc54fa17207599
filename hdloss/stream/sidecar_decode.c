/* Bytes of a .stream sidecar back into arrays. The bytes may be anything: every size is checked against what
 * is left before memory is taken, and every array against what plans and words allow. */
#include <stdlib.h>
#include <string.h>

#include "stream/sidecar.h"

typedef struct reader {
    const uint8_t *bytes;
    size_t count, at;
    const char *name;
    hd_error *error;
} reader;

static bool refuse(const reader *r, const char *what) {
    return hd_fail(r->error, "%s: %s", r->name, what);
}

/* count x each bytes, or NULL and a sentence. */
static const uint8_t *take(reader *r, size_t count, size_t each, const char *what) {
    size_t bytes;
    if (__builtin_mul_overflow(count, each, &bytes) || bytes > r->count - r->at) {
        hd_fail(r->error,
                "%s: ends inside %s, at byte %zu of %zu: a .stream file that was cut off, or is none",
                r->name, what, r->at, r->count);
        return NULL;
    }
    r->at += bytes;
    return r->bytes + r->at - bytes;
}

static uint64_t load(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static bool get(reader *r, size_t bytes, const char *what, uint64_t *value) {
    const uint8_t *at = take(r, bytes, 1, what);
    if (at) *value = load(at, bytes);
    return at;
}

static bool get_text(reader *r, const char *what, char text[HD_NAME_BYTES]) {
    uint64_t length;
    if (!get(r, 1, what, &length)) return false;
    const uint8_t *at = take(r, length, 1, what);
    if (!at) return false;
    if (length >= HD_NAME_BYTES || memchr(at, 0, length))
        return hd_fail(r->error, "%s: %s is no short text", r->name, what);
    memcpy(text, at, length);
    text[length] = 0;
    return true;
}

static void *get_memory(const reader *r, size_t count, size_t each) {
    void *memory = malloc(count ? count * each : 1);
    if (!memory) refuse(r, "no memory to read it");
    return memory;
}

static float *get_floats(reader *r, size_t count, const char *what) {
    const uint8_t *at = take(r, count, 4, what);
    float *values = at ? get_memory(r, count, sizeof *values) : NULL;
    for (size_t i = 0; values && i < count; i++) {
        uint32_t pattern = (uint32_t)load(at + 4 * i, 4);
        memcpy(values + i, &pattern, 4);
    }
    return values;
}

static void *get_bytes(reader *r, size_t count, const char *what) {
    const uint8_t *at = take(r, count, 1, what);
    void *values = at ? get_memory(r, count, 1) : NULL;
    if (values) memcpy(values, at, count);
    return values;
}

static uint32_t *get_permutations(reader *r, size_t rows, size_t length, const char *what) {
    size_t each = hd_stream_entry_bytes(length), entries;
    if (__builtin_mul_overflow(rows, length, &entries)) {
        refuse(r, "holds more orders than can be");
        return NULL;
    }
    const uint8_t *at = take(r, entries, each, what);
    uint32_t *values = at ? get_memory(r, entries, sizeof *values) : NULL;
    for (size_t i = 0; values && i < entries; i++) values[i] = (uint32_t)load(at + each * i, each);
    return values;
}

static int8_t *get_signs(reader *r, size_t sets, size_t filters) {
    size_t count;
    if (__builtin_mul_overflow(sets, filters, &count) || count > SIZE_MAX - 7) {
        refuse(r, "holds more signs than can be");
        return NULL;
    }
    const uint8_t *at = take(r, (count + 7) / 8, 1, "signs");
    int8_t *signs = at ? get_memory(r, count, 1) : NULL;
    for (size_t i = 0; signs && i < count; i++) signs[i] = at[i / 8] >> i % 8 & 1 ? -1 : 1;
    return signs;
}

/* ---- the parts in their order ---- */

static bool read_header(reader *r) {
    const uint8_t *at = take(r, HD_STREAM_HEADER_BYTES, 1, "the header");
    if (!at) return false;
    if (memcmp(at, HD_STREAM_MAGIC, HD_STREAM_MAGIC_BYTES) != 0)
        return refuse(r, "is no .stream file: it does not begin with " HD_STREAM_MAGIC);
    uint64_t format = load(at + 8, 4), checksum = load(at + 12, 4), length = load(at + 16, 8);
    if (format != HD_STREAM_FORMAT)
        return hd_fail(r->error, "%s: is of .stream format %llu: this program reads format %d", r->name,
                       (unsigned long long)format, HD_STREAM_FORMAT);
    if (length != r->count)
        return hd_fail(r->error, "%s: has %zu bytes where its header says %llu: cut off or added to", r->name,
                       r->count, (unsigned long long)length);
    if (checksum != hd_crc32(0, r->bytes + 16, r->count - 16))
        return refuse(r, "is damaged: its checksum does not fit its contents");
    return true;
}

static bool read_accelerator(reader *r, hd_accelerator *a) {
    uint64_t rows, cols, small[6];
    if (!get_text(r, "the accelerator's name", a->name) || !get(r, 4, "the accelerator", &rows) ||
        !get(r, 4, "the accelerator", &cols))
        return false;
    for (size_t i = 0; i < 6; i++)
        if (!get(r, 1, "the accelerator", &small[i])) return false;
    a->rows = rows > HD_MAXIMUM_ARRAY_SIDE ? -1 : (int)rows;
    a->cols = cols > HD_MAXIMUM_ARRAY_SIDE ? -1 : (int)cols;
    a->dataflow = (hd_dataflow)small[0];
    a->weight_bits = (int)small[1];
    a->activation_bits = (int)small[2];
    a->representation = (hd_representation)small[3];
    a->encoding = (hd_encoding)small[4];
    a->kernel_orders = (hd_kernel_orders)small[5];
    return hd_accelerator_validate(a, r->error);
}

/* The layer's arrays, of the sizes that its natural plan asks for. */
static bool read_arrays(reader *r, hd_stream_layer *layer, const hd_plan *plan, uint64_t present) {
    layer->scales = get_floats(r, layer->shape.filters, "scales");
    layer->words = layer->scales ? get_bytes(r, plan->weights, "words") : NULL;
    if (!layer->words) return false;
    if (present & HD_STREAM_HAS_ORDERS) {
        layer->order_length = plan->order_length;
        layer->order_count = plan->order_count;
        layer->orders = get_permutations(r, plan->order_count, plan->order_length, "orders");
        if (!layer->orders) return false;
    }
    if (present & HD_STREAM_HAS_LANE_CHANNELS) {
        layer->lane_channel_count = plan->groups * plan->lane_axis;
        layer->lane_channels = get_permutations(r, plan->groups, plan->lane_axis, "lane channels");
        if (!layer->lane_channels) return false;
    }
    if (layer->sign_sets) layer->signs = get_signs(r, layer->sign_sets, layer->shape.filters);
    return !layer->sign_sets || layer->signs;
}

static bool read_layer(reader *r, const hd_accelerator *accelerator, hd_stream_layer *layer) {
    const uint8_t *at = take(r, HD_STREAM_LAYER_HEADER_BYTES, 1, "a layer's header");
    if (!at) return false;
    uint64_t index = load(at, 4), present = load(at + 46, 2);
    layer->index = index > INT32_MAX ? -1 : (int)index;
    layer->shape =
        (hd_layer_shape){(size_t)load(at + 4, 8), (size_t)load(at + 12, 8), (size_t)load(at + 20, 8),
                         (size_t)load(at + 28, 8), (size_t)load(at + 36, 8)};
    layer->weight_bits = at[44];
    layer->representation = (hd_representation)at[45];
    layer->sign_sets = (size_t)load(at + 48, 4);
    if (present > (HD_STREAM_HAS_ORDERS | HD_STREAM_HAS_LANE_CHANNELS))
        return refuse(r, "a layer has parts that this program does not know");
    hd_plan plan;
    hd_error inner;
    if (!hd_stream_natural_plan(layer, accelerator, &plan, &inner))
        return hd_fail(r->error, "%s: layer %d: %.800s", r->name, layer->index, inner.message);
    bool good = read_arrays(r, layer, &plan, present);
    hd_plan_free(&plan);
    if (!good) return false;
    if (hd_stream_layer_check(layer, accelerator, &inner)) return true;
    return hd_fail(r->error, "%s: %.900s", r->name, inner.message);
}

static bool read_layers(reader *r, hd_stream *stream, size_t count) {
    if (count > (r->count - r->at) / HD_STREAM_LAYER_HEADER_BYTES)
        return refuse(r, "says it has more layers than it has bytes for");
    stream->layers = calloc(count ? count : 1, sizeof *stream->layers);
    if (!stream->layers) return refuse(r, "no memory to read it");
    for (size_t i = 0; i < count; i++) {
        stream->layer_count = i + 1;
        if (!read_layer(r, &stream->accelerator, &stream->layers[i])) return false;
        if (i > 0 && stream->layers[i].index <= stream->layers[i - 1].index)
            return refuse(r, "its layers do not stand in the cfg's order");
    }
    return true;
}

static bool read_activations(reader *r, hd_stream *stream) {
    hd_error inner;
    stream->activation_scales = get_floats(r, stream->node_count, "activation scales");
    if (stream->activation_scales)
        stream->activation_flags = get_bytes(r, stream->node_count, "activation flags");
    if (!stream->activation_flags) return false;
    return hd_stream_activations_check(stream, &inner) ||
           hd_fail(r->error, "%s: %.900s", r->name, inner.message);
}

static bool read_all(reader *r, hd_stream *stream) {
    uint64_t crc, layers, nodes, has_activations;
    if (!read_header(r) || !get_text(r, "the program's version", stream->version) ||
        !get_text(r, "the energy table's name", stream->energy_table) ||
        !get(r, 4, "the weights' checksum", &crc) || !read_accelerator(r, &stream->accelerator) ||
        !get(r, 4, "the number of layers", &layers) || !get(r, 4, "the number of nodes", &nodes) ||
        !get(r, 1, "the activation flag", &has_activations))
        return false;
    stream->weights_crc = (uint32_t)crc;
    stream->node_count = (size_t)nodes;
    if (nodes > INT32_MAX || has_activations > 1)
        return refuse(r, "its number of nodes or its activation flag is out of range");
    if (!read_layers(r, stream, (size_t)layers)) return false;
    if (has_activations && !read_activations(r, stream)) return false;
    return r->at == r->count || refuse(r, "has bytes after its last part");
}

bool hd_stream_decode(const uint8_t *bytes, size_t count, const char *name, hd_stream *stream,
                      hd_error *error) {
    *stream = (hd_stream){0};
    reader r = {.bytes = bytes, .count = count, .name = name, .error = error};
    if (read_all(&r, stream)) return true;
    hd_stream_free(stream);
    return false;
}
