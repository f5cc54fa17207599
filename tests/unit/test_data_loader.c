/* The loader: the same batches for any number of workers and after a resume, each image exactly once an
 * epoch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/random.h"
#include "data/data.h"
#include "data/dataset.h"

enum { SIDE = 8, COUNT = 103, CLASSES = 7, FLOATS = SIDE * SIDE * 3, BATCH = 16 };

static uint8_t set_bytes[COUNT][SIDE * SIDE * 3];
static stored_image set_images[COUNT];
static const dataset set = {.images = set_images, .count = COUNT, .classes = CLASSES, .channels = 3};

/* Image i's every pixel is i, so that an unaugmented batch tells which images it holds. */
static int make_set(void **state) {
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        memset(set_bytes[i], i, sizeof set_bytes[i]);
        set_images[i] = (stored_image){set_bytes[i], SIDE, SIDE, i % CLASSES};
    }
    return 0;
}

static const augmentation off = {.width = SIDE, .height = SIDE, .channels = 3};
static const augmentation everything = {.enabled = true,
                                        .width = SIDE,
                                        .height = SIDE,
                                        .channels = 3,
                                        .min_crop = SIDE,
                                        .max_crop = 2 * SIDE,
                                        .angle_degrees = 20,
                                        .aspect = .75f,
                                        .hue = .1f,
                                        .saturation = .75f,
                                        .exposure = .75f,
                                        .flip = true,
                                        .mixup = .3f,
                                        .cutmix = .3f,
                                        .mosaic = .3f,
                                        .blur = .5f,
                                        .label_smooth = .1f};

static data_loader *start(const augmentation *a, int workers, int depth, bool shuffle, uint64_t first) {
    error e = {{0}};
    data_loader_options o = {.batch = BATCH,
                             .workers = workers,
                             .depth = depth,
                             .shuffle = shuffle,
                             .seed = 42,
                             .start_image = first};
    data_loader *l = data_loader_create(&set, a, &o, &e);
    if (!l) fail_msg("%s", e.message);
    return l;
}

static int image_in(const data_batch *b, size_t i) {
    return (int)(b->images[i * FLOATS] * 255 + .5f);
}

static void each_epoch_holds_every_image_once(void **state) {
    (void)state;
    enum { EPOCHS = 5 };
    static int order[EPOCHS][COUNT];
    data_loader *l = start(&off, 2, 3, true, 0);
    const data_batch *b = NULL;
    for (size_t position = 0; position < (size_t)EPOCHS * COUNT; position++) {
        if (position % BATCH == 0) b = data_loader_next(l);
        assert_non_null(b);
        assert_int_equal(b->count, BATCH);
        order[position / COUNT][position % COUNT] = image_in(b, position % BATCH);
    }
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int seen[COUNT] = {0}, fixed = 0;
        for (int i = 0; i < COUNT; i++) seen[order[epoch][i]]++;
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(seen[i], 1);
            fixed += order[epoch][i] == i;
        }
        assert_true(fixed < COUNT / 4);
        if (epoch) assert_memory_not_equal(order[epoch], order[epoch - 1], sizeof order[epoch]);
    }
    data_loader_destroy(l);
}

static void labels_and_truth_belong_to_their_images(void **state) {
    (void)state;
    data_loader *l = start(&off, 1, 2, true, 0);
    for (int n = 0; n < 20; n++) {
        const data_batch *b = data_loader_next(l);
        for (size_t i = 0; i < BATCH; i++) {
            assert_int_equal(b->labels[i], image_in(b, i) % CLASSES);
            for (int k = 0; k < CLASSES; k++)
                assert_true(b->truth[i * CLASSES + (size_t)k] == (k == b->labels[i]));
        }
    }
    data_loader_destroy(l);
}

static void assert_same_batch(const data_batch *a, const data_batch *b) {
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->labels, b->labels, BATCH * sizeof *a->labels);
    assert_memory_equal(a->truth, b->truth, BATCH * CLASSES * sizeof *a->truth);
    assert_memory_equal(a->images, b->images, BATCH * FLOATS * sizeof *a->images);
}

static void any_number_of_workers_gives_the_same(void **state) {
    (void)state;
    for (int workers = 2; workers <= 7; workers += 5) {
        data_loader *one = start(&everything, 1, 2, true, 0), *many = start(&everything, workers, 9, true, 0);
        for (int n = 0; n < 40; n++) assert_same_batch(data_loader_next(one), data_loader_next(many));
        data_loader_destroy(one);
        data_loader_destroy(many);
    }
}

static void a_resumed_loader_goes_on_the_same(void **state) {
    (void)state;
    static const int batches[] = {0, 1, 6, 7, 13, 50};
    for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
        data_loader *ran = start(&everything, 2, 3, true, 0);
        for (int n = 0; n < batches[k]; n++) (void)data_loader_next(ran);
        data_loader *resumed = start(&everything, 2, 3, true, (uint64_t)batches[k] * BATCH);
        for (int n = 0; n < 10; n++) assert_same_batch(data_loader_next(ran), data_loader_next(resumed));
        data_loader_destroy(ran);
        data_loader_destroy(resumed);
    }
    /* A start that is no multiple of the batch: image by image the same. */
    data_loader *ran = start(&everything, 1, 2, true, 0),
                *resumed = start(&everything, 1, 2, true, COUNT + 5);
    const data_batch *b = data_loader_next(resumed);
    float images[BATCH * FLOATS];
    memcpy(images, b->images, sizeof images);
    for (size_t position = 0; position < COUNT + 5 + BATCH; position++) {
        if (position % BATCH == 0) b = data_loader_next(ran);
        if (position < COUNT + 5) continue;
        assert_memory_equal(images + (position - COUNT - 5) * FLOATS, b->images + position % BATCH * FLOATS,
                            FLOATS * sizeof *images);
    }
    data_loader_destroy(ran);
    data_loader_destroy(resumed);
}

static void a_pass_in_order_ends(void **state) {
    (void)state;
    for (int workers = 1; workers <= 3; workers += 2) {
        data_loader *l = start(&off, workers, 2, false, 0);
        size_t next = 0;
        for (const data_batch *b; (b = data_loader_next(l));) {
            assert_int_equal(b->count, COUNT - next < BATCH ? COUNT - next : BATCH);
            for (size_t i = 0; i < b->count; i++, next++) {
                assert_int_equal(image_in(b, i), next);
                assert_int_equal(b->labels[i], next % CLASSES);
            }
            for (size_t i = b->count; i < BATCH; i++) assert_int_equal(image_in(b, i), 0);
        }
        assert_int_equal(next, COUNT);
        assert_null(data_loader_next(l));
        assert_null(data_loader_next(l));
        data_loader_destroy(l);
    }
}

static void a_batch_larger_than_the_set_is_filled(void **state) {
    (void)state;
    stored_image three[3] = {set_images[0], set_images[1], set_images[2]};
    dataset small = {.images = three, .count = 3, .classes = CLASSES, .channels = 3};
    data_loader_options o = {.batch = 10, .workers = 1, .depth = 2, .shuffle = true, .seed = 1};
    error e = {{0}};
    data_loader *l = data_loader_create(&small, &off, &o, &e);
    assert_non_null(l);
    int seen[3] = {0};
    for (int n = 0; n < 3; n++) {
        const data_batch *b = data_loader_next(l);
        for (size_t i = 0; i < 10; i++) seen[image_in(b, i)]++;
    }
    for (int i = 0; i < 3; i++) assert_int_equal(seen[i], 10);
    data_loader_destroy(l);
}

static void seeds_change_the_order(void **state) {
    (void)state;
    error e = {{0}};
    data_loader_options o = {.batch = BATCH, .workers = 1, .depth = 2, .shuffle = true, .seed = 43};
    data_loader *one = start(&off, 1, 2, true, 0), *other = data_loader_create(&set, &off, &o, &e);
    const data_batch *a = data_loader_next(one), *b = data_loader_next(other);
    assert_memory_not_equal(a->images, b->images, BATCH * FLOATS * sizeof *a->images);
    data_loader_destroy(one);
    data_loader_destroy(other);
}

static void loaders_stop_at_any_time(void **state) {
    (void)state;
    for (int n = 0; n < 30; n++) {
        data_loader *l = start(&everything, 1 + n % 4, 2 + n % 3, n % 2, 0);
        for (int k = 0; k < n % 6; k++) (void)data_loader_next(l);
        data_loader_destroy(l);
    }
    data_loader_destroy(NULL);
}

static void waiting_is_measured(void **state) {
    (void)state;
    data_loader *l = start(&everything, 1, 2, true, 0);
    for (int n = 0; n < 200; n++) (void)data_loader_next(l); /* faster than any worker */
    double hurried = data_loader_wait_seconds(l);
    assert_true(hurried > 0);
    double least = hurried;
    for (int n = 0; n < 5; n++) { /* slower than any worker that gets to run */
        double before = data_loader_wait_seconds(l);
        struct timespec pause = {0, 40000000};
        (void)nanosleep(&pause, NULL);
        (void)data_loader_next(l);
        double waited = data_loader_wait_seconds(l) - before;
        if (waited < least) least = waited;
    }
    assert_true(least < .02);
    data_loader_destroy(l);
}

static void wrong_options_are_errors(void **state) {
    (void)state;
    const dataset empty = {.classes = CLASSES, .channels = 3};
    augmentation grey = off, flat = off;
    grey.channels = 1;
    flat.height = 0;
    struct {
        const dataset *d;
        const augmentation *a;
        data_loader_options o;
        const char *sentence;
    } cases[] = {
        {&empty, &off, {.batch = 1, .workers = 1, .depth = 2}, "data loader: the data set is empty"},
        {&set,
         &grey,
         {.batch = 1, .workers = 1, .depth = 2},
         "data loader: images of 3 channels for a network of 1"},
        {&set,
         &flat,
         {.batch = 1, .workers = 1, .depth = 2},
         "input of 8 x 0 pixels: 1 x 1 to 65536 x 65536 are possible"},
        {&set,
         &off,
         {.batch = 0, .workers = 1, .depth = 2},
         "data loader: batch 0, 1 workers, depth 2: at least 1, 1 to 256 and 2 to 4096 are wanted"},
        {&set,
         &off,
         {.batch = 1, .workers = 0, .depth = 1},
         "data loader: batch 1, 0 workers, depth 1: at least 1, 1 to 256 and 2 to 4096 are wanted"},
        {&set,
         &off,
         {.batch = SIZE_MAX / 4, .workers = 1, .depth = 2},
         "data loader: out of memory for 2 batches of 4611686018427387903 images"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error e = {{0}};
        assert_null(data_loader_create(cases[i].d, cases[i].a, &cases[i].o, &e));
        assert_string_equal(e.message, cases[i].sentence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_epoch_holds_every_image_once),
        cmocka_unit_test(labels_and_truth_belong_to_their_images),
        cmocka_unit_test(any_number_of_workers_gives_the_same),
        cmocka_unit_test(a_resumed_loader_goes_on_the_same),
        cmocka_unit_test(a_pass_in_order_ends),
        cmocka_unit_test(a_batch_larger_than_the_set_is_filled),
        cmocka_unit_test(seeds_change_the_order),
        cmocka_unit_test(loaders_stop_at_any_time),
        cmocka_unit_test(waiting_is_measured),
        cmocka_unit_test(wrong_options_are_errors),
    };
    return cmocka_run_group_tests(tests, make_set, NULL);
}
