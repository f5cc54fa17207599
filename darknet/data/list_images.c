/* Image lists: every image of a list decoded once, by several threads, its label taken from its path. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "data/dataset.h"
#include "data/decode.h"
#include "data/labels.h"
#include "data/paths.h"

#define THREADS_LIMIT 16

/* What the decoding threads share. Each entry is one thread's alone; the first mistake in the list's order is
 * kept. */
typedef struct decoding {
    const string_list *list;
    const label_matcher *labels;
    const char *list_path, *data_path;
    int channels;
    stored_image *images;
    uint8_t **blocks;
    const dataset *set;
    atomic_size_t next;
    atomic_ullong bytes;
    pthread_mutex_t lock;
    size_t failed; /* the lowest entry that failed; list->count: none */
    error failure;
} decoding;

/* From the working directory, else beside the .data file, else beside the list. malloc'ed. */
static char *find_image(const decoding *w, const char *entry) {
    char *found = path_find(entry, w->data_path);
    if (!found || access(found, F_OK) == 0) return found;
    free(found);
    return path_find(entry, w->list_path);
}

static bool decode_entry(decoding *w, size_t i, error *e) {
    const char *entry = w->list->items[i];
    stored_image *image = w->images + i;
    image->label = label_matcher_find(w->labels, entry, e);
    if (image->label < 0) return false;
    char *path = find_image(w, entry);
    if (!path) return error_set(e, "%s: out of memory", entry);
    uint8_t *pixels = decode_image_file(path, w->channels, &image->width, &image->height, e);
    free(path);
    if (!pixels) return false;
    w->blocks[i] = pixels;
    image->pixels = pixels;
    uint64_t bytes = (uint64_t)image->width * (uint64_t)image->height * (uint64_t)w->channels;
    return dataset_has_room(w->set, atomic_fetch_add(&w->bytes, bytes) + bytes, entry, e);
}

static void note_failure(decoding *w, size_t i, const error *e) {
    pthread_mutex_lock(&w->lock);
    if (i < w->failed) {
        w->failed = i;
        (void)error_set(&w->failure, "%.300s: entry %zu: %.700s", w->list_path, i + 1, e->message);
    }
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->next,
                 w->list->count); /* nobody starts another one; those before i are under way already */
}

static void *decode_entries(void *argument) {
    decoding *w = argument;
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        error e = {{0}};
        if (i >= w->list->count) return NULL;
        if (!decode_entry(w, i, &e)) note_failure(w, i, &e);
    }
}

/* As many threads as there are processors; none can be started: the caller's alone. */
static void decode_all(decoding *w) {
    pthread_t threads[THREADS_LIMIT];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted = processors > THREADS_LIMIT ? THREADS_LIMIT : (int)processors, started = 0;
    while (started + 1 < wanted && (size_t)started + 1 < w->list->count &&
           pthread_create(threads + started, NULL, decode_entries, w) == 0)
        started++;
    (void)decode_entries(w);
    for (int i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
}

/* Decodes into arrays of its own and hands them over whole, or not at all. */
static bool read_images(dataset *d, decoding *w, error *e) {
    size_t count = w->list->count;
    if (!dataset_reserve(d, count, w->list_path, e)) return false;
    w->images = d->images + d->count;
    w->blocks = calloc(count, sizeof *w->blocks);
    if (!w->blocks) return error_set(e, "%s: out of memory", w->list_path);
    w->failed = count;
    decode_all(w);
    bool good = w->failed == count || error_set(e, "%s", w->failure.message);
    for (size_t i = 0; i < count; i++)
        if (w->blocks[i] && !dataset_own_block(d, w->blocks[i], w->list_path, good ? e : NULL)) good = false;
    d->bytes += atomic_load(&w->bytes);
    if (good) d->count += count;
    free(w->blocks);
    return good;
}

bool list_read(dataset *d, const char *list_path, const data_options *options, error *e) {
    if (!options->labels)
        return error_set(e, "%s: labels: a list of images needs a labels file", options->path);
    string_list list;
    if (!string_list_read(list_path, &list, e)) return false;
    label_matcher *labels = NULL;
    bool good =
        list.count > 0 || error_set(e, "%s: the list is empty: one image path a line is wanted", list_path);
    good = good && (labels = label_matcher_create(options->labels, options->classes, e)) != NULL;
    if (good) {
        decoding w = {.list = &list,
                      .labels = labels,
                      .list_path = list_path,
                      .data_path = options->path,
                      .channels = d->channels,
                      .set = d};
        pthread_mutex_init(&w.lock, NULL);
        good = read_images(d, &w, e);
        pthread_mutex_destroy(&w.lock);
    }
    label_matcher_destroy(labels);
    string_list_free(&list);
    return good;
}
