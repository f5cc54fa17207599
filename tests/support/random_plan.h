/* Seeded random accelerators, layers, orders and words for the tests of libhdloss. */
#ifndef TESTS_SUPPORT_RANDOM_PLAN_H
#define TESTS_SUPPORT_RANDOM_PLAN_H

#include <stdio.h>

#include "hdloss.h"

typedef struct test_random {
    uint64_t state;
} test_random;
uint32_t test_random_below(test_random *r, uint32_t bound);
double test_random_unit(test_random *r); /* [0, 1) */
double test_random_normal(test_random *r);

/* A random accelerator of that dataflow and a small random layer: groups, depthwise, kxk, connected, partial
 * tiles. */
hd_accelerator test_random_accelerator(test_random *r, hd_dataflow dataflow);
hd_layer_shape test_random_shape(test_random *r);
/* Random orders and lane channels, each with probability 1/2. Asserts success. */
void test_random_orders(test_random *r, hd_plan *plan);
/* malloc'ed words in the plan's range, roughly normal, some zero. */
int8_t *test_random_words(test_random *r, const hd_plan *plan);
/* What brute_flips reads. */
void test_dump_plan(FILE *out, const hd_plan *plan, const int8_t *words);

#endif
