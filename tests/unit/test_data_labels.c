/* Labels from paths: those that collide, whole words first, the file's name before its directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/labels.h"
#include "data_files.h"

static error failure;

static void expect_message(const char *part) {
    if (!strstr(failure.message, part)) fail_msg("\"%s\" does not say \"%s\"", failure.message, part);
}

static label_matcher *matcher_of(const char *labels, int classes) {
    label_matcher *m = label_matcher_create(files_write_text("labels.txt", labels), classes, &failure);
    assert_non_null(m);
    return m;
}

static void labels_that_collide_are_told_apart(void **state) {
    (void)state;
    static const char *const names[] = {"bee",   "beetle",      "cup",       "porcupine",     "man",
                                        "woman", "sea",         "seal",      "aquarium_fish", "fish",
                                        "cat",   "caterpillar", "lawn_mower"};
    label_matcher *m =
        matcher_of("bee\nbeetle\ncup\nporcupine\nman\nwoman\nsea\nseal\naquarium_fish\nfish\ncat\n"
                   "caterpillar\nlawn_mower\n",
                   13);
    for (int i = 0; i < 13; i++) {
        char path[200];
        static const char *const forms[] = {
            "/data/train/%s_0001.png",       "0001_%s.png",        "%s.jpg", "a/b/12_%s_7.JPEG",
            "/bee/beetle/cup/cat/12%s7.png", "/images/%s/0001.png"};
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(path, sizeof path, forms[f], names[i]);
#pragma GCC diagnostic pop
            if (label_matcher_find(m, path, &failure) != i) fail_msg("%s: %s", path, failure.message);
        }
    }
    /* the file's name before its directories, whole words before parts of words, the innermost directory
     * first */
    assert_int_equal(label_matcher_find(m, "/woman/seal/cat_1.png", &failure), 10);
    assert_int_equal(label_matcher_find(m, "seal_humanity.png", &failure), 7);
    assert_int_equal(label_matcher_find(m, "/woman/seal/1.png", &failure), 7);
    assert_int_equal(label_matcher_find(m, "/woman/sealions/1.png", &failure), 5);
    assert_int_equal(label_matcher_find(m, "/x/sealions/1.cat", &failure), 7);
    assert_int_equal(label_matcher_find(m, "cat_and_seal.png", &failure), -1);
    expect_message("cat_and_seal.png: its path holds two labels of ");
    expect_message("labels.txt, cat and seal, where one is wanted");
    assert_int_equal(label_matcher_find(m, "/data/x/0001.png", &failure), -1);
    expect_message("/data/x/0001.png: its path holds none of the 13 labels of ");
    assert_int_equal(label_matcher_find(m, "", &failure), -1);
    assert_int_equal(label_matcher_find(m, "/", &failure), -1);
    assert_int_equal(label_matcher_find(m, "___", &failure), -1);
    label_matcher_destroy(m);
}

static void labels_files_are_checked(void **state) {
    (void)state;
    const char *path = files_write_text("labels.txt", "a\nb\n");
    assert_null(label_matcher_create(path, 3, &failure));
    expect_message("labels.txt: 2 labels for 3 classes");
    path = files_write_text("labels.txt", "a\nb\na\n");
    assert_null(label_matcher_create(path, 3, &failure));
    expect_message("labels.txt: the label a stands there twice");
    label_matcher *m = label_matcher_create(path, 2, &failure); /* only the first two count */
    assert_non_null(m);
    label_matcher_destroy(m);
    assert_null(label_matcher_create("/nowhere", 3, &failure));
}

static int set_up(void **state) {
    (void)state;
    files_make();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    files_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_that_collide_are_told_apart),
        cmocka_unit_test(labels_files_are_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
