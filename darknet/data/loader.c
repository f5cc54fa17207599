/* The loader: threads that prepare whole batches ahead into a ring. Which images a batch holds is settled
 * under the lock when a worker takes the batch's number; everything drawn for an image depends on its
 * position alone. So the batches are the same for any number of workers, and after a resume. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/random.h"
#include "data/augment.h"
#include "data/streams.h"

#define WORKERS_LIMIT 256
#define DEPTH_LIMIT 4096

typedef struct slot {
    data_batch batch;
    size_t *indices;         /* [batch] images of the data set */
    uint64_t first_position; /* of the batch's first image */
    bool ready;
} slot;

struct data_loader {
    const dataset *d;
    augmentor augmentor;
    data_loader_options options;
    size_t batch_count; /* of a sequential pass */

    pthread_mutex_t lock;
    pthread_cond_t room, filled; /* a slot to fill; a batch to deliver */
    slot *slots;
    uint64_t taken, released; /* batches that workers took, and that the caller is done with */
    bool holds_batch;         /* the caller holds batch number `released` */
    bool stopping;
    size_t *order; /* shuffle: the epoch's permutation */
    uint64_t position;

    pthread_t *threads;
    augment_scratch *scratch; /* [workers] */
    int started;
    double wait_seconds; /* of the caller's thread alone */
};

typedef struct worker {
    data_loader *loader;
    augment_scratch *scratch;
} worker;

/* ---- which images ---- */

static void shuffle_epoch(data_loader *l, uint64_t epoch) {
    size_t count = l->d->count;
    random_state r = {random_hash(l->options.seed, DATA_STREAM_ORDER, epoch)};
    for (size_t i = 0; i < count; i++) l->order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random_below(&r, i), kept = l->order[i - 1];
        l->order[i - 1] = l->order[j];
        l->order[j] = kept;
    }
}

/* Settles the next batch's images and moves on. Under the lock. */
static void assign_images(data_loader *l, slot *s) {
    size_t count = l->d->count, filled = 0;
    s->first_position = l->position;
    for (size_t i = 0; i < l->options.batch; i++, l->position++) {
        if (!l->options.shuffle) {
            bool there = l->position < count;
            s->indices[i] = there ? (size_t)l->position : 0;
            filled += there;
            continue;
        }
        size_t place = (size_t)(l->position % count);
        if (place == 0) shuffle_epoch(l, l->position / count);
        s->indices[i] = l->order[place];
        filled++;
    }
    s->batch.count = filled;
}

/* ---- workers ---- */

static void fill(const data_loader *l, slot *s, augment_scratch *scratch) {
    size_t classes = (size_t)l->d->classes;
    for (size_t i = 0; i < l->options.batch; i++) {
        s->batch.labels[i] = l->d->images[s->indices[i]].label;
        augment_image(&l->augmentor, l->d, s->indices[i], l->options.seed, s->first_position + i, scratch,
                      s->batch.images + i * l->augmentor.image_floats, s->batch.truth + i * classes);
    }
}

static bool all_taken(const data_loader *l) {
    return !l->options.shuffle && l->taken == l->batch_count;
}

static void *work(void *argument) {
    worker *w = argument;
    data_loader *l = w->loader;
    augment_scratch *scratch = w->scratch;
    free(w);
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stopping && !all_taken(l) && l->taken == l->released + (uint64_t)l->options.depth)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->stopping || all_taken(l)) break;
        slot *s = l->slots + l->taken % (uint64_t)l->options.depth;
        l->taken++;
        assign_images(l, s);
        pthread_mutex_unlock(&l->lock);
        fill(l, s, scratch);
        pthread_mutex_lock(&l->lock);
        s->ready = true;
        pthread_cond_signal(&l->filled);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Signals are the program's: its workers leave them to the thread that waits for them. */
static bool start_workers(data_loader *l, error *e) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = true;
    for (int i = 0; good && i < l->options.workers; i++) {
        worker *w = malloc(sizeof *w);
        if (w) *w = (worker){l, l->scratch + i};
        good = w && pthread_create(l->threads + i, NULL, work, w) == 0;
        if (good)
            l->started++;
        else
            free(w);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good ||
           error_set(e, "data loader: thread %d of %d cannot be started", l->started + 1, l->options.workers);
}

/* ---- creation ---- */

static bool check_options(const dataset *d, const augmentation *a, const data_loader_options *o, error *e) {
    if (d->count == 0) return error_set(e, "data loader: the data set is empty");
    if (a->channels != d->channels)
        return error_set(e, "data loader: images of %d channels for a network of %d", d->channels,
                         a->channels);
    if (o->batch < 1 || o->workers < 1 || o->workers > WORKERS_LIMIT || o->depth < 2 ||
        o->depth > DEPTH_LIMIT)
        return error_set(
            e, "data loader: batch %zu, %d workers, depth %d: at least 1, 1 to %d and 2 to %d are wanted",
            o->batch, o->workers, o->depth, WORKERS_LIMIT, DEPTH_LIMIT);
    return true;
}

static bool make_slots(data_loader *l, error *e) {
    size_t batch = l->options.batch, depth = (size_t)l->options.depth, pixels, truths;
    l->slots = calloc(depth, sizeof *l->slots);
    bool good = l->slots && size_multiply(batch, l->augmentor.image_floats, &pixels) &&
                size_multiply(batch, (size_t)l->d->classes, &truths);
    for (size_t i = 0; good && i < depth; i++) {
        slot *s = l->slots + i;
        s->batch.images = memory_allocate(pixels, sizeof(float));
        s->batch.truth = memory_allocate(truths, sizeof(float));
        s->batch.labels = memory_allocate(batch, sizeof(int));
        s->indices = memory_allocate(batch, sizeof *s->indices);
        good = s->batch.images && s->batch.truth && s->batch.labels && s->indices;
    }
    return good || error_set(e, "data loader: out of memory for %zu batches of %zu images", depth, batch);
}

static bool make_workers_needs(data_loader *l, error *e) {
    size_t workers = (size_t)l->options.workers;
    l->threads = calloc(workers, sizeof *l->threads);
    l->scratch = calloc(workers, sizeof *l->scratch);
    if (l->options.shuffle) l->order = memory_allocate(l->d->count, sizeof *l->order);
    if (!l->threads || !l->scratch || (l->options.shuffle && !l->order))
        return error_set(e, "data loader: out of memory for %zu workers", workers);
    for (size_t i = 0; i < workers; i++)
        if (!augment_scratch_make(l->scratch + i, &l->augmentor, l->d, e)) return false;
    return true;
}

data_loader *data_loader_create(const dataset *d, const augmentation *a, const data_loader_options *o,
                                error *e) {
    if (!check_options(d, a, o, e)) return NULL;
    data_loader *l = memory_allocate_zeroed(1, sizeof *l);
    if (!l) {
        error_set(e, "data loader: out of memory");
        return NULL;
    }
    l->d = d;
    l->options = *o;
    l->batch_count = d->count / o->batch + (d->count % o->batch != 0);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    pthread_cond_init(&l->filled, NULL);
    bool good = augmentor_set_up(&l->augmentor, a, e) && make_slots(l, e) && make_workers_needs(l, e);
    if (good && o->shuffle) {
        l->position = o->start_image;
        shuffle_epoch(l, o->start_image / d->count);
    }
    if (good && start_workers(l, e)) return l;
    data_loader_destroy(l);
    return NULL;
}

void data_loader_destroy(data_loader *l) {
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->started; i++) pthread_join(l->threads[i], NULL);
    for (int i = 0; l->slots && i < l->options.depth; i++) {
        memory_free(l->slots[i].batch.images);
        memory_free(l->slots[i].batch.truth);
        memory_free(l->slots[i].batch.labels);
        memory_free(l->slots[i].indices);
    }
    for (int i = 0; l->scratch && i < l->options.workers; i++) augment_scratch_free(l->scratch + i);
    free(l->slots);
    free(l->scratch);
    free(l->threads);
    memory_free(l->order);
    pthread_cond_destroy(&l->filled);
    pthread_cond_destroy(&l->room);
    pthread_mutex_destroy(&l->lock);
    memory_free(l);
}

/* ---- delivery ---- */

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void release_batch(data_loader *l) {
    if (!l->holds_batch) return;
    l->slots[l->released % (uint64_t)l->options.depth].ready = false;
    l->released++;
    l->holds_batch = false;
    pthread_cond_signal(&l->room);
}

const data_batch *data_loader_next(data_loader *l) {
    pthread_mutex_lock(&l->lock);
    release_batch(l);
    const data_batch *delivered = NULL;
    if (l->options.shuffle || l->released < l->batch_count) {
        slot *s = l->slots + l->released % (uint64_t)l->options.depth;
        if (!s->ready) {
            double begin = seconds_now();
            while (!s->ready) pthread_cond_wait(&l->filled, &l->lock);
            l->wait_seconds += seconds_now() - begin;
        }
        l->holds_batch = true;
        delivered = &s->batch;
    }
    pthread_mutex_unlock(&l->lock);
    return delivered;
}

double data_loader_wait_seconds(const data_loader *l) {
    return l->wait_seconds;
}
