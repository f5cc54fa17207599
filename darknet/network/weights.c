/* Weight files: little-endian int32 major, minor, revision; images seen; then each layer's arrays as float32,
 * in the order in which the layers list them. No magic and no lengths, so everything is checked against the
 * network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "network/network.h"

enum { MAJOR = 0, MINOR = 2, REVISION = 0 };

typedef struct reader {
    const unsigned char *bytes;
    size_t size, place;
} reader;

static bool take(reader *r, void *to, size_t bytes) {
    if (r->size - r->place < bytes) return false;
    memcpy(to, r->bytes + r->place, bytes);
    r->place += bytes;
    return true;
}

static bool read_header(reader *r, const char *path, uint64_t *seen, bool *transposed, error *e) {
    int32_t version[3];
    if (!take(r, version, sizeof version)) goto small;
    if (version[0] < 0 || version[1] < 0 || version[0] > 2000 || version[1] > 2000)
        return error_set(e, "%s: is no weight file: its version reads %d.%d.%d", path, version[0], version[1],
                         version[2]);
    *transposed = version[0] > 1000 || version[1] > 1000;
    if (version[0] * 10 + version[1] >= 2 && version[0] < 1000 && version[1] < 1000) {
        if (!take(r, seen, sizeof *seen)) goto small;
        return true;
    }
    int32_t old_seen;
    if (!take(r, &old_seen, sizeof old_seen)) goto small;
    *seen = old_seen > 0 ? (uint64_t)old_seen : 0;
    return true;
small:
    return error_set(e, "%s: is too short for a weight file: %zu bytes", path, r->size);
}

static bool in_file(const layer *l, const parameter *p) {
    if (p->not_in_file) return false;
    return !(l->dont_load_scales && (strcmp(p->name, "scales") == 0 || strncmp(p->name, "rolling", 7) == 0));
}

/* Floats that layer l takes of array p: all, or the share of its first num_load filters. */
static size_t load_count(const layer *l, const parameter *p) {
    size_t filters = (size_t)l->out.channels;
    if (l->num_load <= 0 || (size_t)l->num_load >= filters || p->count % filters != 0) return p->count;
    return p->count / filters * (size_t)l->num_load;
}

static void untranspose(float *matrix, size_t rows, size_t count) {
    size_t columns = count / rows;
    float *copy = malloc(count * sizeof *copy);
    if (!copy) return;
    memcpy(copy, matrix, count * sizeof *copy);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) matrix[c * rows + r] = copy[r * columns + c];
    free(copy);
}

static size_t first_not_finite(const float *values, size_t count) {
    size_t i = 0;
    while (i < count && isfinite(values[i])) i++;
    return i;
}

static bool load_layer(reader *r, const network *net, const layer *l, float *values, bool transposed,
                       const char *path, error *e) {
    for (int j = 0; j < l->parameter_count; j++) {
        const parameter *p = &l->parameters[j];
        if (!in_file(l, p)) continue;
        size_t bytes = load_count(l, p) * sizeof(float);
        float *target = values + (p->values - net->values);
        if (!take(r, target, bytes))
            return error_set(e,
                             "%s: ends after %zu bytes, inside layer %d (%s, %s:%d), which wants %zu bytes "
                             "of %s from byte %zu",
                             path, r->size, l->index, l->type->name, cfg_path(net->source), l->line, bytes,
                             p->name, r->place);
        size_t bad = first_not_finite(target, bytes / sizeof(float));
        if (bad < bytes / sizeof(float))
            return error_set(e, "%s: value %zu of %s of layer %d (%s, %s:%d) is not a finite number", path,
                             bad, p->name, l->index, l->type->name, cfg_path(net->source), l->line);
        if (transposed && p->transpose_rows) untranspose(target, p->transpose_rows, p->count);
    }
    return true;
}

static void note_kept(load_report *report, const layer *l) {
    report->kept++;
    size_t used = strlen(report->kept_names);
    if (used + 24 < sizeof report->kept_names)
        (void)snprintf(report->kept_names + used, sizeof report->kept_names - used, "%s%d", used ? ", " : "",
                       l->index);
}

static bool load_all(reader *r, const network *net, float *values, bool *loaded, bool transposed,
                     bool partial, load_report *report, const char *path, error *e) {
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        if (l->parameter_count == 0) continue;
        bool ended = partial && r->place == r->size && report->loaded > 0;
        if (l->dont_load || ended) {
            note_kept(report, l);
            continue;
        }
        if (!load_layer(r, net, l, values, transposed, path, e)) return false;
        loaded[i] = true;
        report->loaded++;
    }
    if (r->place != r->size)
        return error_set(e, "%s: has %zu bytes more than %s takes (%zu): it belongs to another network", path,
                         r->size - r->place, cfg_path(net->source), r->place);
    return true;
}

bool network_load_weights(network *net, const char *path, bool partial, load_report *report, error *e) {
    load_report own;
    if (!report) report = &own;
    *report = (load_report){0};
    reader r = {0};
    void *bytes = file_read(path, 0, &r.size, e);
    if (!bytes) return false;
    r.bytes = bytes;
    float *values = memory_allocate(net->parameter_total, sizeof(float));
    bool *loaded = calloc((size_t)net->layer_count, sizeof *loaded), transposed = false;
    bool good = values && loaded;
    if (!good) error_set(e, "%s: out of memory", path);
    good = good && read_header(&r, path, &report->seen, &transposed, e);
    if (good) {
        memcpy(values, net->values, net->parameter_total * sizeof(float));
        good = load_all(&r, net, values, loaded, transposed, partial, report, path, e);
    }
    if (good) {
        memcpy(net->values, values, net->parameter_total * sizeof(float));
        net->seen = report->seen;
        for (int i = 0; i < net->layer_count; i++)
            if (loaded[i]) net->layers[i].fresh_statistics = false;
    }
    free(loaded);
    memory_free(values);
    free(bytes);
    return good;
}

static bool write_layers(file_writer *w, const network *net, int upto, error *e) {
    int32_t version[3] = {MAJOR, MINOR, REVISION};
    if (!file_writer_write(w, version, sizeof version, e) ||
        !file_writer_write(w, &net->seen, sizeof net->seen, e))
        return false;
    for (int i = 0; i < upto; i++) {
        const layer *l = &net->layers[i];
        if (l->dont_save) continue;
        for (int j = 0; j < l->parameter_count; j++) {
            const parameter *p = &l->parameters[j];
            if (!p->not_in_file && !file_writer_write(w, p->values, p->count * sizeof(float), e))
                return false;
        }
    }
    return true;
}

bool network_save_weights(const network *net, const char *path, int upto, error *e) {
    file_writer w;
    if (!file_writer_open(&w, path, e)) return false;
    if (!write_layers(&w, net, upto < 0 || upto > net->layer_count ? net->layer_count : upto, e)) {
        file_writer_abort(&w);
        return false;
    }
    return file_writer_commit(&w, e);
}
