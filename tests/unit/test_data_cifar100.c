/* The real CIFAR-100, where it is: CIFAR100_DIR names the directory of train.bin and test.bin. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "data/data.h"
#include "data/dataset.h"

static dataset *open_real(const char *name, data_part part) {
    char path[4096];
    error e = {{0}};
    (void)snprintf(path, sizeof path, "%s/%s", getenv("CIFAR100_DIR"), name);
    data_options o = {.classes = 100, .train = path, .test = path, .format = "auto", .path = "cifar100.data"};
    dataset *d = dataset_open(&o, part, 3, 1, 0, &e);
    if (!d) fail_msg("%s", e.message);
    return d;
}

static bool is_absent(void) {
    if (getenv("CIFAR100_DIR")) return false;
    print_message("CIFAR100_DIR is not set: the real CIFAR-100 is not checked\n");
    return true;
}

static void expect_equal_classes(const dataset *d, int images_each) {
    int seen[100] = {0};
    for (size_t i = 0; i < dataset_count(d); i++) seen[dataset_label(d, i)]++;
    for (int k = 0; k < 100; k++) assert_int_equal(seen[k], images_each);
}

/* Mean and deviation of the training pixels are published figures. */
static void training_images_have_the_known_statistics(void **state) {
    (void)state;
    if (is_absent()) skip();
    static const double means[] = {.5071, .4865, .4409}, deviations[] = {.2673, .2564, .2762};
    dataset *d = open_real("train.bin", DATA_TRAIN);
    assert_int_equal(dataset_count(d), 50000);
    expect_equal_classes(d, 500);
    for (size_t c = 0; c < 3; c++) {
        uint64_t sum = 0, squares = 0, count = 50000 * 1024;
        for (size_t i = 0; i < 50000; i++) {
            for (size_t p = 0; p < 1024; p++) {
                uint64_t value = d->images[i].pixels[3 * p + c];
                sum += value;
                squares += value * value;
            }
        }
        double mean = (double)sum / (double)count;
        double deviation = sqrt((double)squares / (double)count - mean * mean);
        assert_true(fabs(mean / 255 - means[c]) < 1e-4);
        assert_true(fabs(deviation / 255 - deviations[c]) < 1e-4);
    }
    dataset_close(d);
}

static void test_images_are_complete(void **state) {
    (void)state;
    if (is_absent()) skip();
    dataset *d = open_real("test.bin", DATA_TEST);
    assert_int_equal(dataset_count(d), 10000);
    expect_equal_classes(d, 100);
    dataset_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_images_have_the_known_statistics),
        cmocka_unit_test(test_images_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
