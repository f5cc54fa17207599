/* Weight files: little-endian int32 major, minor, revision; images seen; then each layer's arrays as float32,
 * in the order in which the layers list them. No magic and no lengths, so everything is checked against the
 * network. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/memory.h"
#include "network/network.h"

enum { MAJOR = 0, MINOR = 2, REVISION = 0, REVISION_ALEXEY = 5 };

typedef struct reader {
    const char *path;
    FILE *stream;
    size_t size, place;
    unsigned char *buffer; /* one array at a time: the file is never in memory as a whole */
    size_t room;
    bool transposed; /* of the oldest versions: connected layers' weights are [in][out] */
} reader;

/* The next bytes, which the file is known to have; valid until the next call. NULL when they cannot be read.
 */
static const unsigned char *fetch(reader *r, size_t bytes) {
    if (bytes > r->room) {
        free(r->buffer);
        r->buffer = malloc(bytes);
        r->room = r->buffer ? bytes : 0;
    }
    if (!r->buffer || fread(r->buffer, 1, bytes, r->stream) != bytes) return NULL;
    r->place += bytes;
    return r->buffer;
}

static bool take(reader *r, void *to, size_t bytes) {
    const unsigned char *from = r->size - r->place < bytes ? NULL : fetch(r, bytes);
    if (from) memcpy(to, from, bytes);
    return from != NULL;
}

static bool read_header(reader *r, uint64_t *seen, error *e) {
    int32_t version[3];
    if (!take(r, version, sizeof version)) goto small;
    if (version[0] < 0 || version[1] < 0 || version[0] > 2000 || version[1] > 2000)
        return error_set(e, "%s: is no weight file: its version reads %d.%d.%d", r->path, version[0],
                         version[1], version[2]);
    r->transposed = version[0] > 1000 || version[1] > 1000;
    if (version[0] * 10 + version[1] >= 2 && version[0] < 1000 && version[1] < 1000) {
        if (!take(r, seen, sizeof *seen)) goto small;
        return true;
    }
    int32_t old_seen;
    if (!take(r, &old_seen, sizeof old_seen)) goto small;
    *seen = old_seen > 0 ? (uint64_t)old_seen : 0;
    return true;
small:
    return error_set(e, "%s: is too short for a weight file: %zu bytes", r->path, r->size);
}

static bool in_file(const layer *l, const parameter *p) {
    if (p->not_in_file) return false;
    return !(l->dont_load_scales && (strcmp(p->name, "scales") == 0 || strncmp(p->name, "rolling", 7) == 0));
}

/* Floats that layer l takes of array p: all, or the share of its first num_load filters. */
static size_t load_count(const layer *l, const parameter *p) {
    size_t filters = (size_t)l->out.channels;
    if (!l->type->takes_numload || l->num_load <= 0 || (size_t)l->num_load >= filters ||
        p->count % filters != 0)
        return p->count;
    return p->count / filters * (size_t)l->num_load;
}

/* to[column][row] = from[row][column], value by value from bytes. */
static void copy_transposed(const unsigned char *from, size_t rows, size_t count, float *to) {
    size_t columns = count / rows;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            memcpy(&to[c * rows + r], from + (r * columns + c) * sizeof(float), sizeof(float));
}

static size_t first_not_finite(const unsigned char *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, values + i * sizeof value, sizeof value);
        if (!isfinite(value)) return i;
    }
    return count;
}

/* Rows of the matrix that the file holds in place of p, transposed; 0 when it holds p as it is. */
static size_t transposed_rows(const reader *r, const parameter *p) {
    if (p->flipped_rows) return p->flipped_rows;
    return r->transposed ? p->transpose_rows : 0;
}

static bool check_size(const reader *r, const network *net, const layer *l, const parameter *p, error *e) {
    size_t count = load_count(l, p), left = r->size - r->place;
    if (left < count * sizeof(float))
        return error_set(e,
                         "%s: ends after %zu bytes, inside layer %d (%s, %s:%d), which wants %zu bytes "
                         "of %s from byte %zu",
                         r->path, r->size, l->index, l->type->name, cfg_path(net->source), l->line,
                         count * sizeof(float), p->name, r->place);
    return true;
}

static bool check_values(const reader *r, const network *net, const layer *l, const parameter *p,
                         const unsigned char *bytes, error *e) {
    size_t count = load_count(l, p), bad = first_not_finite(bytes, count);
    if (bad < count)
        return error_set(e, "%s: value %zu of %s of layer %d (%s, %s:%d) is not a finite number", r->path,
                         bad, p->name, l->index, l->type->name, cfg_path(net->source), l->line);
    return true;
}

/* One layer's arrays, checked, or with apply taken over. */
static bool walk_layer(reader *r, const network *net, const layer *l, bool apply, error *e) {
    for (int j = 0; j < l->parameter_count; j++) {
        const parameter *p = &l->parameters[j];
        if (!in_file(l, p)) continue;
        size_t count = load_count(l, p), rows = transposed_rows(r, p);
        if (!check_size(r, net, l, p, e)) return false;
        const unsigned char *bytes = fetch(r, count * sizeof(float));
        if (!bytes) return error_set(e, "%s: cannot be read: %s", r->path, strerror(errno));
        if (!apply && !check_values(r, net, l, p, bytes, e)) return false;
        if (apply && rows)
            copy_transposed(bytes, rows, count, p->values);
        else if (apply)
            memcpy(p->values, bytes, count * sizeof(float));
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

/* Which layers a load is about, and how its file may end. */
typedef struct selection {
    int start, cutoff;
    bool partial; /* it may end at a layer's border */
    bool longer;  /* it may go on behind the last layer */
} selection;

/* The selected layers, checked against the file, or with apply taken over. */
static bool walk_all(reader *r, network *net, const selection *s, bool apply, load_report *report, error *e) {
    for (int i = s->start; i < s->cutoff && i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        if (l->parameter_count == 0) continue;
        bool ended = s->partial && r->place == r->size && report->loaded > 0;
        if (l->dont_load || ended) {
            note_kept(report, l);
            continue;
        }
        if (!walk_layer(r, net, l, apply, e)) return false;
        if (apply && !l->dont_load_scales) l->fresh_statistics = false;
        report->loaded++;
    }
    if (r->place != r->size && !s->longer)
        return error_set(e, "%s: has %zu bytes more than %s takes (%zu): it belongs to another network",
                         r->path, r->size - r->place, cfg_path(net->source), r->place);
    return true;
}

static bool check_and_apply(reader *r, network *net, const selection *s, load_report *report, error *e) {
    *report = (load_report){0};
    if (!read_header(r, &report->seen, e)) return false;
    size_t start = r->place;
    load_report trial = *report;
    if (!walk_all(r, net, s, false, &trial, e)) return false;
    r->place = start;
    if (fseek(r->stream, (long)start, SEEK_SET) != 0 || !walk_all(r, net, s, true, report, e))
        return error_set(e, "%s: changed or failed while it was read", r->path);
    net->seen = report->seen;
    return true;
}

static bool load_selection(network *net, const char *path, const selection *s, load_report *report,
                           error *e) {
    load_report own;
    reader r = {.path = path};
    struct stat status;
    r.stream = fopen(path, "rb");
    if (!r.stream) return error_set(e, "%s: cannot be opened: %s", path, strerror(errno));
    bool good = fstat(fileno(r.stream), &status) == 0 && S_ISREG(status.st_mode);
    if (!good) error_set(e, "%s: is no regular file", path);
    if (good) {
        r.size = (size_t)status.st_size;
        network_unpack_weights(net);
        good = check_and_apply(&r, net, s, report ? report : &own, e);
    }
    (void)fclose(r.stream);
    free(r.buffer);
    return good;
}

bool network_load_weights(network *net, const char *path, bool partial, load_report *report, error *e) {
    return load_selection(net, path, &(selection){.cutoff = net->layer_count, .partial = partial}, report, e);
}

bool network_load_weights_upto(network *net, const char *path, int start, int cutoff, load_report *report,
                               error *e) {
    return load_selection(net, path, &(selection){.start = start, .cutoff = cutoff, .longer = true}, report,
                          e);
}

static bool write_parameter(file_writer *w, const parameter *p, error *e) {
    if (!p->flipped_rows) return file_writer_write(w, p->values, p->count * sizeof(float), e);
    float *flipped = memory_allocate(p->count, sizeof(float));
    if (!flipped) return error_set(e, "out of memory for %zu weights", p->count);
    copy_transposed((const unsigned char *)p->values, p->count / p->flipped_rows, p->count, flipped);
    bool good = file_writer_write(w, flipped, p->count * sizeof(float), e);
    memory_free(flipped);
    return good;
}

static bool write_layers(file_writer *w, const network *net, int upto, error *e) {
    int32_t version[3] = {MAJOR, MINOR, net->options.bn == BATCH_NORM_ALEXEY ? REVISION_ALEXEY : REVISION};
    if (!file_writer_write(w, version, sizeof version, e) ||
        !file_writer_write(w, &net->seen, sizeof net->seen, e))
        return false;
    for (int i = 0; i < upto; i++) {
        const layer *l = &net->layers[i];
        if (l->dont_save) continue;
        for (int j = 0; j < l->parameter_count; j++) {
            const parameter *p = &l->parameters[j];
            if (!p->not_in_file && !write_parameter(w, p, e)) return false;
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
