/* Learning-rate policies against their formulas. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/schedule.h"

static void near_to(double a, double b) {
    assert_true(fabs(a - b) <= 1e-12 * fmax(1.0, fabs(b)));
}

static void constant_and_burn_in(void **state) {
    (void)state;
    net_options o = {.learning_rate = .1, .policy = POLICY_CONSTANT, .burn_in = 10, .power = 4};
    near_to(schedule_rate(&o, 5), .1 * pow(.5, 4));
    near_to(schedule_rate(&o, 0), 0.0);
    near_to(schedule_rate(&o, 10), .1);
}

static void steps_and_step(void **state) {
    (void)state;
    int steps[] = {10, 20};
    double scales[] = {.1, .5};
    net_options o = {
        .learning_rate = 1, .policy = POLICY_STEPS, .steps = steps, .scales = scales, .step_count = 2};
    near_to(schedule_rate(&o, 9), 1);
    near_to(schedule_rate(&o, 10), .1);
    near_to(schedule_rate(&o, 20), .05);
    o = (net_options){.learning_rate = 1, .policy = POLICY_STEP, .step = 5, .scale = .5};
    near_to(schedule_rate(&o, 4), 1);
    near_to(schedule_rate(&o, 14), .25);
}

static void exp_poly_sigmoid(void **state) {
    (void)state;
    net_options o = {.learning_rate = .2, .policy = POLICY_EXP, .gamma = .9};
    near_to(schedule_rate(&o, 7), .2 * pow(.9, 7));
    o = (net_options){.learning_rate = .2, .policy = POLICY_POLY, .power = 2, .max_batches = 100};
    near_to(schedule_rate(&o, 25), .2 * .75 * .75);
    o = (net_options){.learning_rate = .2, .policy = POLICY_SIGMOID, .gamma = .1, .step = 50};
    near_to(schedule_rate(&o, 60), .2 / (1 + exp(1.0)));
}

static void cosine_with_restarts(void **state) {
    (void)state;
    net_options o = {.learning_rate = 1,
                     .policy = POLICY_SGDR,
                     .sgdr_minimum = .1,
                     .sgdr_multiplier = 2,
                     .max_batches = 100};
    near_to(schedule_rate(&o, 0), 1);
    near_to(schedule_rate(&o, 50), .55);
    near_to(schedule_rate(&o, 100), .1);
    o.sgdr_cycle = 10;
    near_to(schedule_rate(&o, 10), .1); /* the first cycle's last update */
    near_to(schedule_rate(&o, 20), .55);
    near_to(schedule_rate(&o, 31), .1 + .45 * (1 + cos(3.14159265358979 / 40)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(constant_and_burn_in),
                                       cmocka_unit_test(steps_and_step), cmocka_unit_test(exp_poly_sigmoid),
                                       cmocka_unit_test(cosine_with_restarts)};
    return cmocka_run_group_tests_name("learning rates", tests, NULL, NULL);
}
