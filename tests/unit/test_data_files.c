/* Data files: CIFAR, IDX, lists and the .data file that names them; what is read, and the sentence for what
 * cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/random.h"
#include "data/data.h"
#include "data/dataset.h"
#include "data_files.h"

static data_options options;
static error failure;

/* Reads a .data file of this text. */
static bool read_options(const char *text) {
    data_options_free(&options);
    failure.message[0] = 0;
    return data_options_read(files_write_text("x.data", text), &options, &failure);
}

static dataset *open_part(data_part part, int channels) {
    failure.message[0] = 0;
    return dataset_open(&options, part, channels, 1, 0, &failure);
}

static void expect_message(const char *part) {
    if (!strstr(failure.message, part)) fail_msg("\"%s\" does not say \"%s\"", failure.message, part);
}

static void expect_no_part(data_part part, const char *sentence) {
    dataset *d = open_part(part, 3);
    assert_null(d);
    expect_message(sentence);
}

static void fill_random(uint8_t *bytes, size_t count, uint64_t seed) {
    random_state r = random_seeded(seed, 1);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)random_below(&r, 256);
}

/* ---- CIFAR ---- */

enum { PLANE = 1024, RECORD_10 = 3073, RECORD_100 = 3074 };

static void cifar_100_is_read(void **state) {
    (void)state;
    static uint8_t file[5 * RECORD_100];
    fill_random(file, sizeof file, 1);
    for (int i = 0; i < 5; i++) {
        file[i * RECORD_100] = (uint8_t)(i + 3);
        file[i * RECORD_100 + 1] = (uint8_t)(99 - i);
    }
    files_write("train.bin", file, sizeof file);
    assert_true(read_options("classes=100\ntrain=train.bin\n"));
    dataset *d = open_part(DATA_TRAIN, 3);
    assert_non_null(d);
    assert_int_equal(dataset_count(d), 5);
    assert_int_equal(dataset_classes(d), 100);
    for (int i = 0; i < 5; i++) {
        const uint8_t *planes = file + i * RECORD_100 + 2;
        assert_int_equal(dataset_label(d, (size_t)i), 99 - i);
        assert_int_equal(d->images[i].width, 32);
        for (int p = 0; p < PLANE; p++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(d->images[i].pixels[3 * p + c], planes[c * PLANE + p]);
    }
    dataset_close(d);
    assert_true(read_options("classes=20\ntrain=train.bin\n"));
    d = open_part(DATA_TRAIN, 1);
    assert_non_null(d);
    assert_int_equal(dataset_label(d, 2), 5);
    const uint8_t *planes = file + 2;
    double grey = .299 * planes[7] + .587 * planes[PLANE + 7] + .114 * planes[2 * PLANE + 7];
    assert_float_equal(d->images[0].pixels[7], grey, 2);
    dataset_close(d);
}

static void cifar_10_is_read_from_several_files(void **state) {
    (void)state;
    static uint8_t file[3 * RECORD_10];
    fill_random(file, sizeof file, 2);
    for (int i = 0; i < 3; i++) file[i * RECORD_10] = (uint8_t)i;
    files_write("data_batch_1.bin", file, sizeof file);
    files_write("data_batch_2.bin", file, RECORD_10);
    assert_true(read_options("classes=10\ntrain=data_batch_1.bin, data_batch_2.bin\nformat=cifar10\n"));
    dataset *d = open_part(DATA_TRAIN, 3);
    assert_non_null(d);
    assert_int_equal(dataset_count(d), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(dataset_label(d, (size_t)i), i % 3);
    assert_int_equal(d->images[3].pixels[1], file[1 + PLANE]);
    dataset_close(d);
    assert_true(read_options("classes=10\ntrain=data_batch_1.bin\n")); /* by its size */
    d = open_part(DATA_TRAIN, 3);
    assert_non_null(d);
    assert_int_equal(dataset_count(d), 3);
    dataset_close(d);
}

static void wrong_cifar_files_are_errors(void **state) {
    (void)state;
    static uint8_t file[3 * RECORD_100];
    files_write("short.bin", file, RECORD_100 + 1000);
    files_write("empty.bin", file, 0);
    file[RECORD_100 + 1] = 100;
    files_write("label.bin", file, sizeof file);
    assert_true(read_options("classes=100\ntrain=short.bin\nvalid=empty.bin\ntest=label.bin\n"));
    expect_no_part(DATA_TRAIN,
                   "short.bin: 4074 bytes are no whole number of CIFAR-100 records of 3074 bytes: 1 "
                   "records would be 3074 bytes, 2 would be 6148");
    expect_no_part(DATA_VALID, "empty.bin: 0 bytes are no whole number of CIFAR-100 records");
    expect_no_part(DATA_TEST, "label.bin: record 1 (byte 3075) has label 100, but there are 100 classes");
    assert_true(read_options("classes=100\ntrain=absent.bin\n"));
    expect_no_part(DATA_TRAIN, "absent.bin: cannot be opened: No such file or directory");
    expect_no_part(DATA_VALID, "x.data: the key valid is missing: it names the images");
    expect_no_part(DATA_HELD_OUT, "x.data: no image is held out: valid_split = N is wanted");
    assert_null(open_part(DATA_TRAIN, 4));
    expect_message("images have 1 or 3 channels, not the network's 4");
}

/* ---- IDX ---- */

enum { IDX_IMAGES = 4, IDX_HEIGHT = 3, IDX_WIDTH = 5, IDX_PIXELS = IDX_IMAGES * IDX_HEIGHT * IDX_WIDTH };

static void write_idx(const char *images, const char *labels, uint8_t count) {
    uint8_t image_file[16 + IDX_PIXELS] = {0, 0, 8, 3,          0, 0, 0, IDX_IMAGES,
                                           0, 0, 0, IDX_HEIGHT, 0, 0, 0, IDX_WIDTH};
    uint8_t label_file[8 + IDX_IMAGES] = {0, 0, 8, 1, 0, 0, 0, count, 7, 0, 9, 2};
    for (int i = 0; i < IDX_PIXELS; i++) image_file[16 + i] = (uint8_t)(i * 3);
    files_write_gzip(images, image_file, sizeof image_file);
    files_write(labels, label_file, 8 + (size_t)count);
}

static void idx_is_read_plain_and_compressed(void **state) {
    (void)state;
    write_idx("images.gz", "labels-ubyte", IDX_IMAGES);
    assert_true(read_options("classes=10\ntest=images.gz\ntest_labels=labels-ubyte\n"));
    static const int wanted[] = {7, 0, 9, 2};
    for (int channels = 1; channels <= 3; channels += 2) {
        dataset *d = open_part(DATA_TEST, channels);
        assert_non_null(d);
        assert_int_equal(dataset_count(d), IDX_IMAGES);
        for (int i = 0; i < IDX_IMAGES; i++) {
            assert_int_equal(dataset_label(d, (size_t)i), wanted[i]);
            assert_int_equal(d->images[i].width, IDX_WIDTH);
            assert_int_equal(d->images[i].height, IDX_HEIGHT);
            for (int p = 0; p < IDX_HEIGHT * IDX_WIDTH; p++)
                for (int c = 0; c < channels; c++)
                    assert_int_equal(d->images[i].pixels[p * channels + c],
                                     (uint8_t)((i * IDX_HEIGHT * IDX_WIDTH + p) * 3));
        }
        dataset_close(d);
    }
}

static void wrong_idx_files_are_errors(void **state) {
    (void)state;
    write_idx("images.gz", "labels-ubyte", 3);
    assert_true(read_options("classes=10\ntest=images.gz\ntest_labels=labels-ubyte\n"));
    expect_no_part(DATA_TEST, "labels-ubyte has 3 labels, but ");
    expect_message("images.gz has 4 images");
    assert_true(read_options("classes=9\ntest=images.gz\ntest_labels=labels-ubyte\n"));
    write_idx("images.gz", "labels-ubyte", IDX_IMAGES);
    expect_no_part(DATA_TEST, "labels-ubyte: label 2 (byte 10) is 9, but there are 9 classes");
    assert_true(read_options("classes=10\ntest=images.gz\n"));
    expect_no_part(DATA_TEST, "x.data: test_labels: the IDX file ");
    assert_true(read_options("classes=10\ntest=images.gz\ntest_labels=images.gz\n"));
    expect_no_part(DATA_TEST,
                   "images.gz: begins with 00 00 08 03: an IDX file of 1-dimensional bytes with 00 00 08 01");

    static const uint8_t huge[] = {0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
    static const uint8_t many[] = {0, 0, 8, 3, 0, 0, 255, 255, 0, 0, 0, 64, 0, 0, 0, 64, 1, 2, 3};
    static const uint8_t none[] = {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 64};
    uint8_t longer[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 1, 1};
    files_write("i.gz", huge, sizeof huge);
    assert_true(read_options("classes=10\ntest=i.gz\ntest_labels=labels-ubyte\n"));
    expect_no_part(DATA_TEST, "i.gz: its header claims more than 2147483648 bytes of data");
    files_write_gzip("i.gz", many, sizeof many);
    expect_no_part(DATA_TEST, "i.gz: truncated: it ends after 19 bytes, before its data do");
    files_write("i.gz", none, sizeof none);
    expect_no_part(DATA_TEST, "i.gz: its header claims no data");
    files_write("i.gz", none, 9);
    expect_no_part(DATA_TEST, "i.gz: truncated: it ends after 9 bytes, inside its header");
    files_write("labels-ubyte", longer, sizeof longer);
    expect_no_part(DATA_TEST, "labels-ubyte: goes on after the 2 bytes of data that its header claims");
    assert_true(read_options("classes=10\ntest=i.gz\ntest_labels=absent\n"));
    expect_no_part(DATA_TEST, "absent: cannot be opened: No such file or directory");
}

static void truncated_gzip_is_an_error(void **state) {
    (void)state;
    write_idx("images.gz", "labels-ubyte", IDX_IMAGES);
    struct stat status;
    const char *path = files_path("images.gz");
    assert_int_equal(stat(path, &status), 0);
    assert_true(read_options("classes=10\ntest=images.gz\ntest_labels=labels-ubyte\n"));
    for (off_t kept = status.st_size - 1; kept > 12; kept--) {
        assert_int_equal(truncate(path, kept), 0);
        expect_no_part(DATA_TEST, "images.gz: ");
    }
}

/* ---- lists ---- */

static void lists_are_decoded(void **state) {
    (void)state;
    enum { IMAGES = 23 };
    char list[IMAGES * 40], name[40];
    size_t used = 0;
    for (int i = 0; i < IMAGES; i++) {
        uint8_t pixels[40 * 9 * 3];
        size_t count;
        fill_random(pixels, sizeof pixels, (uint64_t)i);
        (void)snprintf(name, sizeof name, "%d_%s.%s", i, i % 3 ? "dog" : "cat", i % 2 ? "png" : "ppm");
        uint8_t *bytes = files_encode(i % 2 ? IMAGE_PNG : IMAGE_PPM, pixels, 10 + i, 9, 3, &count);
        files_write(name, bytes, count);
        free(bytes);
        used += (size_t)snprintf(list + used, sizeof list - used, "%s\r\n", name);
    }
    files_write_text("train.txt", list);
    files_write_text("labels.txt", "cat\ndog\n");
    assert_true(read_options("train = train.txt\nlabels = labels.txt\n"));
    assert_string_equal(options.names, options.labels);
    dataset *d = open_part(DATA_TRAIN, 3);
    if (!d) fail_msg("%s", failure.message);
    assert_int_equal(dataset_count(d), IMAGES);
    for (int i = 0; i < IMAGES; i++) {
        uint8_t pixels[40 * 9 * 3];
        fill_random(pixels, sizeof pixels, (uint64_t)i);
        assert_int_equal(dataset_label(d, (size_t)i), i % 3 ? 1 : 0);
        assert_int_equal(d->images[i].width, 10 + i);
        assert_int_equal(d->images[i].height, 9);
        assert_memory_equal(d->images[i].pixels, pixels, (size_t)(10 + i) * 9 * 3);
    }
    dataset_close(d);
}

static void wrong_lists_are_errors(void **state) {
    (void)state;
    files_write_text("labels.txt", "cat\ndog\n");
    files_write_text("empty.txt", "\n\n");
    files_write_text("bad.txt", "1_cat.ppm\n2_dog.ppm\n3_horse.ppm\n4_horse.ppm\n");
    files_write_text("1_cat.ppm", "P6 1 1 255\nabc");
    files_write_text("2_dog.ppm", "P6 1 1 255\nab");
    assert_true(read_options("train=empty.txt\nvalid=bad.txt\ntest=absent.txt\nlabels=labels.txt\n"));
    expect_no_part(DATA_TRAIN, "empty.txt: the list is empty: one image path a line is wanted");
    expect_no_part(DATA_VALID, "bad.txt: entry 2: ");
    expect_message("2_dog.ppm: truncated: 2 bytes of pixels where 1 x 1 need 3");
    expect_no_part(DATA_TEST, "absent.txt: cannot be opened");
    assert_true(read_options("valid=bad.txt\n"));
    expect_no_part(DATA_VALID, "x.data: labels: a list of images needs a labels file");
}

/* ---- memory ---- */

/* A part of exactly `bytes` is within a limit of that and beyond one of a byte less. */
static void expect_limit(data_part part, int channels, uint64_t bytes, uint64_t pixel_bytes,
                         const char *name) {
    dataset *d = dataset_open(&options, part, channels, 1, bytes, &failure);
    if (!d) {
        fail_msg("%s", failure.message);
        return;
    }
    assert_int_equal(d->bytes, pixel_bytes);
    assert_true(dataset_bytes(d) >= pixel_bytes + dataset_count(d) * sizeof(stored_image));
    dataset_close(d);
    assert_null(dataset_open(&options, part, channels, 1, bytes - 1, &failure));
    expect_message(name);
    expect_message(" MB of memory for images, more than the ");
}

static void no_format_takes_more_than_is_allowed(void **state) {
    (void)state;
    static uint8_t records[3 * RECORD_100];
    files_write("two.bin", records, 2 * sizeof records / 3);
    files_write("three.bin", records, sizeof records);
    write_idx("images.gz", "labels-ubyte", IDX_IMAGES);
    files_write_text("labels.txt", "cat\ndog\n");
    files_write_text("both.txt", "1_cat.pgm\n2_dog.pgm\n");
    files_write_text("1_cat.pgm", "P5 3 2 255\nabcdef");
    files_write_text("2_dog.pgm", "P5 2 2 255\nabcd");
    assert_true(read_options("classes=100\ntrain=two.bin,three.bin\nvalid=both.txt\nlabels=labels.txt\n"
                             "test=images.gz\ntest_labels=labels-ubyte\n"));
    /* CIFAR's files are read whole before their pixels are taken from them. */
    expect_limit(DATA_TRAIN, 3, (uint64_t)2 * 3 * PLANE + 3 * RECORD_100, (uint64_t)5 * 3 * PLANE,
                 "three.bin: wants");
    expect_limit(DATA_TEST, 1, IDX_PIXELS, IDX_PIXELS, "images.gz: wants");
    expect_limit(DATA_TEST, 3, (uint64_t)3 * IDX_PIXELS, (uint64_t)3 * IDX_PIXELS, "images.gz: wants");
    options.classes = 2;
    expect_limit(DATA_VALID, 1, 10, 10, "both.txt: entry ");
    expect_limit(DATA_VALID, 3, 30, 30, "both.txt: entry ");
    assert_int_equal(dataset_bytes(NULL), 0);
}

/* ---- .data files ---- */

static void options_have_defaults(void **state) {
    (void)state;
    assert_true(read_options(""));
    assert_int_equal(options.classes, 2);
    assert_int_equal(options.top, 1);
    assert_int_equal(options.valid_split, 0);
    assert_string_equal(options.format, "auto");
    assert_string_equal(options.backup, "/backup/");
    assert_null(options.train);
    assert_null(options.names);
    assert_non_null(strstr(options.path, "x.data"));
}

static void paths_are_found(void **state) {
    (void)state;
    files_write_text("here.bin", "");
    assert_int_equal(setenv("TEST_DATA_DIR", "/some/where", 1), 0);
    assert_int_equal(unsetenv("TEST_DATA_ABSENT"), 0);
    assert_true(
        read_options("train=here.bin,nowhere.bin,$TEST_DATA_DIR/a.bin\nvalid=/abs/b.bin\nbackup=here.bin\n"
                     "names=$TEST_DATA_DIR\n"));
    char wanted[1000];
    (void)snprintf(wanted, sizeof wanted, "%s,nowhere.bin,/some/where/a.bin", files_path("here.bin"));
    assert_string_equal(options.train, wanted);
    assert_string_equal(options.valid, "/abs/b.bin");
    assert_string_equal(options.names, "/some/where");
    assert_string_equal(options.backup, "here.bin");
    assert_false(read_options("\ntrain=$TEST_DATA_ABSENT/a.bin\n"));
    expect_message(
        "x.data:2: train: \"$TEST_DATA_ABSENT/a.bin\": the environment variable TEST_DATA_ABSENT is not set");
}

static void wrong_options_are_errors(void **state) {
    (void)state;
    assert_false(read_options("classes=many\n"));
    expect_message("x.data:1: classes: \"many\" is not a whole number");
    assert_false(read_options("classes=0\n"));
    assert_false(read_options("classes=3\ntop=5\n"));
    expect_message("x.data:2: top: 5 is more than the 3 classes");
    assert_false(read_options("format=mnist\n"));
    expect_message("x.data:1: format: \"mnist\" is none of auto, list, cifar10, cifar100, idx");
    assert_false(read_options("train=a.bin,,b.bin\n"));
    expect_message("x.data:1: train: an empty path");
    assert_false(read_options("nonsense\n"));
    expect_message("x.data:1: \"nonsense\" is neither key=value nor a comment");
    assert_null(options.path);
    assert_false(data_options_read("/nowhere/x.data", &options, &failure));
    expect_message("/nowhere/x.data: cannot be opened");

    diagnostics *d = diagnostics_create();
    assert_true(data_options_diagnose(files_write_text("x.data", "vaild_split=5\n"), &options, d, &failure));
    assert_int_equal(diagnostics_count(d), 1);
    assert_non_null(strstr(diagnostics_get(d, 0, NULL), "did you mean valid_split?"));
    diagnostics_destroy(d);
}

/* ---- held-out images ---- */

enum { SPLIT_IMAGES = 60 };

/* Which of the records, told by their first pixel, a part has. */
static void record_members(data_part part, uint64_t seed, bool *members, size_t count) {
    dataset *d = dataset_open(&options, part, 3, seed, 0, &failure);
    assert_non_null(d);
    assert_int_equal(dataset_count(d), count);
    memset(members, 0, SPLIT_IMAGES);
    int last = -1;
    for (size_t i = 0; i < count; i++) {
        int id = d->images[i].pixels[0];
        assert_true(id < SPLIT_IMAGES && id > last); /* in the file's order */
        assert_int_equal(dataset_label(d, i), id);
        members[id] = true;
        last = id;
    }
    dataset_close(d);
}

static void splits_are_disjoint_and_complete(void **state) {
    (void)state;
    static uint8_t file[SPLIT_IMAGES * RECORD_100];
    bool train[SPLIT_IMAGES], held[SPLIT_IMAGES], more[SPLIT_IMAGES], other[SPLIT_IMAGES];
    for (int i = 0; i < SPLIT_IMAGES; i++) {
        file[i * RECORD_100 + 1] = (uint8_t)i;
        file[i * RECORD_100 + 2] = (uint8_t)i;
    }
    files_write("split.bin", file, sizeof file);
    assert_true(read_options("classes=100\ntrain=split.bin\nvalid_split=17\n"));
    record_members(DATA_TRAIN, 5, train, SPLIT_IMAGES - 17);
    record_members(DATA_HELD_OUT, 5, held, 17);
    for (int i = 0; i < SPLIT_IMAGES; i++) assert_true(train[i] != held[i]);
    record_members(DATA_HELD_OUT, 6, other, 17);
    assert_memory_not_equal(held, other, sizeof held);
    assert_true(read_options("classes=100\ntrain=split.bin\nvalid_split=30\n"));
    record_members(DATA_HELD_OUT, 5, more, 30);
    for (int i = 0; i < SPLIT_IMAGES; i++) assert_true(!held[i] || more[i]);
    assert_true(read_options("classes=100\ntrain=split.bin\nvalid_split=60\n"));
    expect_no_part(DATA_TRAIN, "x.data: valid_split: 60 of 60 training images held out: fewer are wanted");
}

static int set_up(void **state) {
    (void)state;
    files_make();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    data_options_free(&options);
    files_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cifar_100_is_read),
        cmocka_unit_test(cifar_10_is_read_from_several_files),
        cmocka_unit_test(wrong_cifar_files_are_errors),
        cmocka_unit_test(idx_is_read_plain_and_compressed),
        cmocka_unit_test(wrong_idx_files_are_errors),
        cmocka_unit_test(truncated_gzip_is_an_error),
        cmocka_unit_test(lists_are_decoded),
        cmocka_unit_test(wrong_lists_are_errors),
        cmocka_unit_test(no_format_takes_more_than_is_allowed),
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(paths_are_found),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(splits_are_disjoint_and_complete),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
