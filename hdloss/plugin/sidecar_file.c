/* The .stream file beside a .weights file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "internal.h"

enum {
    WEIGHTS_HEADER_BYTES = 20
}; /* three int32 and the uint64 of images seen, as this program writes them */

char *sidecar_path(const char *weights_path) {
    static const char *const endings[] = {".weights", ".backup"};
    size_t length = strlen(weights_path), stem = length;
    for (size_t i = 0; i < 2; i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && strcmp(weights_path + length - tail, endings[i]) == 0) stem = length - tail;
    }
    char *path = malloc(stem + sizeof ".stream");
    if (!path) return NULL;
    memcpy(path, weights_path, stem);
    memcpy(path + stem, ".stream", sizeof ".stream");
    return path;
}

static bool payload_crc(const char *weights_path, uint32_t *crc, error *e) {
    size_t bytes = 0;
    unsigned char *data = file_read(weights_path, 0, &bytes, e);
    if (!data) return false;
    size_t head = bytes < WEIGHTS_HEADER_BYTES ? bytes : WEIGHTS_HEADER_BYTES;
    *crc = hd_crc32(0, data + head, bytes - head);
    free(data);
    return true;
}

static bool add_signs(hd_stream_layer *out, const weight_stream *w) {
    size_t count = w->sign_sets * w->shape.filters;
    out->signs = malloc(count);
    if (!out->signs) return false;
    memcpy(out->signs, w->signs, count);
    out->sign_sets = w->sign_sets;
    return true;
}

static bool fill(hd_stream *out, const weight_streams *s, error *e) {
    hd_error h = {0};
    out->accelerator = s->model.accelerator;
    (void)snprintf(out->version, sizeof out->version, "%s", hd_version());
    (void)snprintf(out->energy_table, sizeof out->energy_table, "%s", s->model.table.name);
    out->layers = calloc(s->count ? s->count : 1, sizeof *out->layers);
    if (!out->layers) return error_set(e, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        if (!hd_stream_layer_set(&out->layers[i], w->index, &w->plan, w->words, w->scales, &h))
            return from_hd(&h, e);
        out->layer_count = i + 1;
        if (w->signs && !add_signs(&out->layers[i], w)) return error_set(e, "out of memory");
    }
    return true;
}

static bool add_scales(hd_stream *out, const network_view *v, const float *scales, error *e) {
    out->node_count = hd_integer_scale_count(&v->description);
    out->activation_scales = malloc(out->node_count * sizeof *scales);
    out->activation_flags = calloc(out->node_count, 1);
    if (!out->activation_scales || !out->activation_flags) return error_set(e, "out of memory");
    memcpy(out->activation_scales, scales, out->node_count * sizeof *scales);
    return true;
}

bool sidecar_write(const char *weights_path, const weight_streams *s, const network_view *v,
                   const float *activation_scales, error *e) {
    hd_stream out = {0};
    hd_error h = {0};
    uint8_t *bytes = NULL;
    size_t count = 0;
    char *path = sidecar_path(weights_path);
    bool good = path && payload_crc(weights_path, &out.weights_crc, e) && fill(&out, s, e) &&
                (!activation_scales || add_scales(&out, v, activation_scales, e)) &&
                (hd_stream_encode(&out, &bytes, &count, &h) || from_hd(&h, e)) &&
                file_write_atomic(path, bytes, count, e);
    free(bytes);
    free(path);
    hd_stream_free(&out);
    return good;
}

bool sidecar_read(const char *weights_path, hd_stream *stream, bool *found, error *e) {
    char *path = sidecar_path(weights_path);
    *found = path && access(path, F_OK) == 0;
    if (!*found) {
        free(path);
        return true;
    }
    size_t bytes = 0;
    hd_error h = {0};
    uint32_t crc = 0;
    uint8_t *data = file_read(path, 0, &bytes, e);
    bool good = data && (hd_stream_decode(data, bytes, path, stream, &h) || from_hd(&h, e));
    if (good && (!payload_crc(weights_path, &crc, e) || crc != stream->weights_crc)) {
        good = crc == stream->weights_crc
                   ? false
                   : error_set(e, "%s: belongs to other weights than %s (remove it to use the weights alone)",
                               path, weights_path);
        hd_stream_free(stream);
    }
    free(data);
    free(path);
    return good;
}
