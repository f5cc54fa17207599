/* Data sets: a part of what a .data file names, decoded into memory, without or with only the held-out
 * images. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/random.h"
#include "data/streams.h"

/* ---- filling ---- */

bool dataset_reserve(dataset *d, size_t more, const char *name, error *e) {
    size_t wanted, bytes;
    if (__builtin_add_overflow(d->count, more, &wanted) || !size_multiply(wanted, sizeof *d->images, &bytes))
        return error_set(e, "%s: too many images", name);
    if (wanted <= d->capacity) return true;
    stored_image *grown = realloc(d->images, bytes);
    if (!grown) return error_set(e, "%s: out of memory for %zu images", name, wanted);
    d->images = grown;
    d->capacity = wanted;
    return true;
}

bool dataset_own_block(dataset *d, uint8_t *block, const char *name, error *e) {
    if (d->block_count == d->block_capacity) {
        size_t capacity = d->block_capacity ? d->block_capacity * 2 : 8;
        uint8_t **grown = realloc(d->blocks, capacity * sizeof *grown);
        if (!grown) {
            free(block);
            return error_set(e, "%s: out of memory", name);
        }
        d->blocks = grown;
        d->block_capacity = capacity;
    }
    d->blocks[d->block_count++] = block;
    return true;
}

static uint64_t most_bytes_of(const dataset *d) {
    return d->most_bytes ? d->most_bytes : memory_of_machine();
}

bool dataset_has_room(const dataset *d, uint64_t bytes, const char *name, error *e) {
    uint64_t most = most_bytes_of(d), all;
    if (!__builtin_add_overflow(d->bytes, bytes, &all) && all <= most) return true;
    return error_set(e,
                     "%s: wants %.2f MB of memory for images, more than the %.2f MB allowed beside the rest",
                     name, (double)d->bytes / 1e6 + (double)bytes / 1e6, (double)most / 1e6);
}

/* ---- formats ---- */

typedef enum file_format { FORMAT_LIST, FORMAT_CIFAR_10, FORMAT_CIFAR_100, FORMAT_IDX } file_format;

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), wanted = strlen(ending);
    return length >= wanted && strcasecmp(text + length - wanted, ending) == 0;
}

/* By the file's name: .gz and the MNIST family's names are IDX, .bin is CIFAR, of the kind whose records fit
 * the file's size or, when both or neither do, the number of classes. Everything else is a list. */
static file_format guess_format(const char *path, int classes) {
    const char *name = path_base(path);
    struct stat status;
    if (ends_with(name, ".gz") || ends_with(name, "-ubyte") || strstr(name, "idx3") ||
        ends_with(name, ".idx"))
        return FORMAT_IDX;
    if (!ends_with(name, ".bin")) return FORMAT_LIST;
    bool known = stat(path, &status) == 0;
    bool fits_10 = known && status.st_size % 3073 == 0, fits_100 = known && status.st_size % 3074 == 0;
    if (fits_10 != fits_100) return fits_10 ? FORMAT_CIFAR_10 : FORMAT_CIFAR_100;
    return classes == 10 ? FORMAT_CIFAR_10 : FORMAT_CIFAR_100;
}

static file_format format_of(const data_options *o, const char *path) {
    if (!o->format || strcmp(o->format, "auto") == 0) return guess_format(path, o->classes);
    if (strcmp(o->format, "cifar10") == 0) return FORMAT_CIFAR_10;
    if (strcmp(o->format, "cifar100") == 0) return FORMAT_CIFAR_100;
    return strcmp(o->format, "idx") == 0 ? FORMAT_IDX : FORMAT_LIST;
}

bool data_is_list(const data_options *o, const char *path) {
    return format_of(o, path) == FORMAT_LIST;
}

/* One file of a part; labels_path serves IDX alone. */
static bool read_one(dataset *d, const data_options *o, const char *path, const char *labels_path,
                     const char *labels_key, error *e) {
    switch (format_of(o, path)) {
    case FORMAT_CIFAR_10:
        return cifar_read(d, path, CIFAR_10, e);
    case FORMAT_CIFAR_100:
        return cifar_read(d, path, CIFAR_100, e);
    case FORMAT_IDX:
        if (!labels_path)
            return error_set(e, "%s: %s: the IDX file %.300s needs a file of labels there", o->path,
                             labels_key, path);
        return idx_read(d, path, labels_path, e);
    case FORMAT_LIST:
        return list_read(d, path, o, e);
    }
    return false;
}

/* The i-th item of a comma-separated list, malloc'ed; NULL when there is none or memory is out. */
static char *item_at(const char *list, size_t i) {
    while (list && i--) {
        list = strchr(list, ',');
        if (list) list++;
    }
    return list ? strndup(list, strcspn(list, ",")) : NULL;
}

static size_t item_count(const char *list) {
    size_t count = 1;
    for (; *list; list++) count += *list == ',';
    return count;
}

static bool read_files(dataset *d, const data_options *o, const char *paths, const char *labels_paths,
                       const char *labels_key, error *e) {
    for (size_t i = 0, count = item_count(paths); i < count; i++) {
        char *path = item_at(paths, i), *labels_path = item_at(labels_paths, i);
        bool good = path ? read_one(d, o, path, labels_path, labels_key, e)
                         : error_set(e, "%s: out of memory", o->path);
        free(path);
        free(labels_path);
        if (!good) return false;
    }
    return true;
}

/* ---- holding images out ---- */

/* Marks `held` of `count` images: the first of a permutation that depends on the seed and the count alone, so
 * that a smaller split is part of a larger one. */
static bool mark_held_out(size_t count, size_t held, uint64_t seed, bool *marks) {
    size_t *order = malloc(count * sizeof *order);
    if (!order) return false;
    random_state r = random_seeded(seed, DATA_STREAM_SPLIT);
    for (size_t i = 0; i < count; i++) order[i] = i;
    for (size_t i = 0; i < held; i++) {
        size_t j = i + (size_t)random_below(&r, count - i), drawn = order[j];
        order[j] = order[i];
        marks[drawn] = true;
    }
    free(order);
    return true;
}

static bool split(dataset *d, const data_options *o, bool keep_held_out, uint64_t seed, error *e) {
    if (o->valid_split >= d->count)
        return error_set(e, "%s: valid_split: %zu of %zu training images held out: fewer are wanted", o->path,
                         o->valid_split, d->count);
    bool *marks = calloc(d->count, sizeof *marks);
    bool good = marks && mark_held_out(d->count, o->valid_split, seed, marks);
    size_t kept = 0;
    for (size_t i = 0; good && i < d->count; i++)
        if (marks[i] == keep_held_out) d->images[kept++] = d->images[i];
    free(marks);
    if (!good) return error_set(e, "%s: out of memory", o->path);
    d->count = kept;
    return true;
}

/* ---- the door ---- */

static bool open_part(dataset *d, const data_options *o, data_part part, uint64_t seed, error *e) {
    bool training = part == DATA_TRAIN || part == DATA_HELD_OUT;
    const char *key = training ? "train" : part == DATA_VALID ? "valid" : "test";
    const char *paths = training ? o->train : part == DATA_VALID ? o->valid : o->test;
    const char *labels = training ? o->train_labels : part == DATA_VALID ? o->valid_labels : o->test_labels;
    const char *labels_key = training ? "train_labels" : part == DATA_VALID ? "valid_labels" : "test_labels";
    if (d->channels != 1 && d->channels != 3)
        return error_set(e, "%s: images have 1 or 3 channels, not the network's %d", o->path, d->channels);
    if (!paths) return error_set(e, "%s: the key %s is missing: it names the images", o->path, key);
    if (part == DATA_HELD_OUT && !o->valid_split)
        return error_set(e, "%s: no image is held out: valid_split = N is wanted", o->path);
    if (!read_files(d, o, paths, labels, labels_key, e)) return false;
    return !training || !o->valid_split || split(d, o, part == DATA_HELD_OUT, seed, e);
}

dataset *dataset_open(const data_options *options, data_part part, int channels, uint64_t seed,
                      uint64_t most_bytes, error *e) {
    dataset *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(e, "%s: out of memory", options->path);
        return NULL;
    }
    d->classes = options->classes;
    d->channels = channels;
    d->most_bytes = most_bytes;
    if (open_part(d, options, part, seed, e)) return d;
    dataset_close(d);
    return NULL;
}

void dataset_close(dataset *d) {
    if (!d) return;
    for (size_t i = 0; i < d->block_count; i++) free(d->blocks[i]);
    free(d->blocks);
    free(d->images);
    free(d);
}

uint64_t dataset_bytes(const dataset *d) {
    return d ? d->bytes + d->capacity * sizeof *d->images : 0;
}

size_t dataset_count(const dataset *d) {
    return d->count;
}

int dataset_classes(const dataset *d) {
    return d->classes;
}

int dataset_label(const dataset *d, size_t i) {
    return d->images[i].label;
}
