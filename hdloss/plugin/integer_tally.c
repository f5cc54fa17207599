/* Accuracy of the integer network on a source of images, and, where wanted, what went in and came out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "export.h"
#include "integer_tally.h"

typedef struct integer_tally {
    const hd_integer_network *net;
    float *logits;
    size_t classes, images, first, among, capacity;
    int top, threads;
    integer_records *records; /* or NULL */
    double loss, seconds;
    error *e;
    bool failed;
} integer_tally;

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void tally_row(integer_tally *t, const float *row, int class_index) {
    int rank = 0;
    double sum = 0.0, largest = row[0];
    for (size_t i = 1; i < t->classes; i++) largest = fmax(largest, (double)row[i]);
    for (size_t i = 0; i < t->classes; i++) {
        rank += row[i] > row[class_index] || (row[i] == row[class_index] && (int)i < class_index);
        sum += exp((double)row[i] - largest);
    }
    t->first += rank == 0;
    t->among += rank < t->top;
    t->loss += log(fmax(sum, 1.0)) + largest - (double)row[class_index];
}

/* Room for `more` bytes behind `used`. */
static bool grow(void **bytes, size_t used, size_t more, size_t *capacity) {
    if (*capacity - used >= more) return true;
    size_t wanted = *capacity + *capacity / 2 + more;
    void *grown = realloc(*bytes, wanted);
    if (!grown) return false;
    *bytes = grown;
    *capacity = wanted;
    return true;
}

static bool record(integer_tally *t, const float *images, size_t count) {
    integer_records *r = t->records;
    hd_integer_tensor in = hd_integer_network_tensor(t->net, -1);
    r->classes = t->classes;
    r->height = (size_t)in.height;
    r->width = (size_t)in.width;
    r->channels = (size_t)in.channels;
    size_t row = t->classes * sizeof *r->logits, image = r->height * r->width * r->channels;
    if (r->keep_logits) {
        if (!grow((void **)&r->logits, r->images * row, count * row, &r->logits_capacity)) return false;
        memcpy(r->logits + r->images * t->classes, t->logits, count * row);
    }
    if (r->keep_inputs) {
        if (!grow((void **)&r->inputs, r->images * image, count * image, &r->inputs_capacity)) return false;
        uint8_t *to = r->inputs + r->images * image;
        const int input = -1;
        if (!hd_integer_network_activations(t->net, images, count, &input, 1, &to, t->threads, NULL))
            return false;
    }
    r->images += count;
    return true;
}

static bool tally_batch(void *user, const float *images, const int *classes, size_t count) {
    integer_tally *t = user;
    hd_error h = {0};
    double start = now_seconds();
    if (count > t->capacity) {
        free(t->logits);
        t->logits = malloc(count * t->classes * sizeof *t->logits);
        t->capacity = count;
    }
    if (!t->logits || !hd_integer_network_run(t->net, images, count, t->logits, NULL, t->threads, &h)) {
        t->failed = true;
        return error_set(t->e, "%s", t->logits ? h.message : "out of memory");
    }
    t->seconds += now_seconds() - start;
    if (t->records && !record(t, images, count)) {
        t->failed = true;
        return error_set(t->e, "out of memory for the records of %zu images", t->images + count);
    }
    for (size_t n = 0; n < count; n++) tally_row(t, t->logits + n * t->classes, classes[n]);
    t->images += count;
    return true;
}

bool tally_integer(const hd_integer_network *n, int threads, image_source source, void *user, int top,
                   integer_records *records, evaluation *result, error *e) {
    integer_tally t = {.net = n,
                       .classes = hd_integer_network_classes(n),
                       .top = top,
                       .threads = threads,
                       .records = records,
                       .e = e};
    bool good = source(user, 0, tally_batch, &t, e) && !t.failed;
    free(t.logits);
    double images = t.images ? (double)t.images : 1.0;
    *result = (evaluation){.images = t.images,
                           .top1 = (double)t.first / images,
                           .topk = (double)t.among / images,
                           .loss = t.loss / images,
                           .seconds = t.seconds};
    return good;
}

bool evaluate_integer(const hd_integer_network *n, const network *net, image_source source, void *user,
                      int top, evaluation *result, error *e) {
    return tally_integer(n, network_threads(net), source, user, top, NULL, result, e);
}

void integer_records_free(integer_records *r) {
    free(r->logits);
    free(r->inputs);
    *r = (integer_records){0};
}

static bool write_npy(const hd_array *array, const char *path, error *e) {
    uint8_t *bytes = NULL;
    size_t count = 0;
    hd_error h = {0};
    bool good = (hd_npy_encode(array, &bytes, &count, &h) || from_hd(&h, e)) &&
                file_write_atomic(path, bytes, count, e);
    free(bytes);
    return good;
}

bool integer_records_write_logits(const integer_records *r, const char *path, error *e) {
    hd_array array = {
        .type = HD_ARRAY_FLOAT32, .rank = 2, .shape = {r->images, r->classes}, .values = r->logits};
    return write_npy(&array, path, e);
}

bool integer_records_write_inputs(const integer_records *r, const char *path, error *e) {
    hd_array array = {.type = HD_ARRAY_INT8,
                      .rank = 4,
                      .shape = {r->images, r->height, r->width, r->channels},
                      .values = r->inputs};
    return write_npy(&array, path, e);
}
