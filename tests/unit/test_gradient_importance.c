/* Importance from gradients: that of a rank-one Fisher information is found again, and small ones are raised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plugin/gradient_importance.h"
#include "random_plan.h"

#include <math.h>

enum { FILTERS = 6, WEIGHTS = 5, COUNT = FILTERS * WEIGHTS };

static void nothing_is_known_at_first(void **state) {
    (void)state;
    gradient_importance g = {0};
    float scales[FILTERS] = {1, 1, 1, 1, 1, 1}, importance[COUNT], still[COUNT] = {0};
    assert_true(gradient_importance_create(&g, FILTERS, WEIGHTS));
    assert_false(gradient_importance_of_words(&g, scales, importance));
    gradient_importance_add(&g, still);
    assert_false(gradient_importance_of_words(&g, scales, importance));
    gradient_importance_free(&g);
}

/* Gradients of deviation row * column: the importance of a word's squared error is in proportion to their squares times the
 * scale's, within the noise of some hundred draws of a filter's or an input's sum. */
static void squares_of_rank_one_are_found(void **state) {
    (void)state;
    static const double row[FILTERS] = {1, 2, .5, 1.5, 3, .7}, column[WEIGHTS] = {1, .6, 2, 1.2, .9};
    float scales[FILTERS] = {.1f, .2f, .3f, .05f, .1f, .4f}, importance[COUNT], gradient[COUNT];
    gradient_importance g = {0};
    test_random r = {3};
    assert_true(gradient_importance_create(&g, FILTERS, WEIGHTS));
    for (int update = 0; update < 2000; update++) {
        for (int i = 0; i < COUNT; i++)
            gradient[i] = (float)(row[i / WEIGHTS] * column[i % WEIGHTS] * test_random_normal(&r));
        gradient_importance_add(&g, gradient);
    }
    assert_true(gradient_importance_of_words(&g, scales, importance));
    double mean = 0;
    for (int i = 0; i < COUNT; i++) {
        double scale = (double)scales[i / WEIGHTS], deviation = row[i / WEIGHTS] * column[i % WEIGHTS];
        mean += (double)importance[i] / (scale * scale * deviation * deviation) / COUNT;
    }
    for (int i = 0; i < COUNT; i++) {
        double scale = (double)scales[i / WEIGHTS], deviation = row[i / WEIGHTS] * column[i % WEIGHTS];
        double ratio = (double)importance[i] / (scale * scale * deviation * deviation) / mean;
        assert_true(ratio > .6 && ratio < 1.5);
    }
    assert_true(fabs(mean - 1) < .2);
    gradient_importance_free(&g);
}

static void little_is_not_nothing(void **state) {
    (void)state;
    float scales[FILTERS] = {1, 1, 1, 1, 1, 1}, importance[COUNT], gradient[COUNT] = {0};
    gradient_importance g = {0};
    assert_true(gradient_importance_create(&g, FILTERS, WEIGHTS));
    gradient[0] = 1;
    gradient_importance_add(&g, gradient);
    assert_true(gradient_importance_of_words(&g, scales, importance));
    double mean = (double)importance[0] / COUNT;
    for (int i = 1; i < COUNT; i++) assert_true(fabs((double)importance[i] / mean - .01) < 1e-5);
    gradient_importance_free(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(squares_of_rank_one_are_found),
        cmocka_unit_test(little_is_not_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
