/* Seeded random accelerators, layers, orders and words for the tests of libhdloss. */
#include "random_plan.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

static uint64_t next(test_random *r) { /* splitmix64 */
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t test_random_below(test_random *r, uint32_t bound) {
    return (uint32_t)((next(r) >> 32) * bound >> 32);
}

double test_random_unit(test_random *r) {
    return (double)(next(r) >> 11) * 0x1p-53;
}

double test_random_normal(test_random *r) {
    double radius = sqrt(-2 * log(1 - test_random_unit(r)));
    return radius * cos(6.283185307179586 * test_random_unit(r));
}

hd_accelerator test_random_accelerator(test_random *r, hd_dataflow dataflow) {
    hd_accelerator a = hd_accelerator_default();
    a.dataflow = dataflow;
    a.rows = 1 + (int)test_random_below(r, 20);
    a.cols = 1 + (int)test_random_below(r, 9);
    a.weight_bits = test_random_below(r, 2) ? 8 : 2 + (int)test_random_below(r, 7);
    a.representation = test_random_below(r, 2) ? HD_SIGN_MAGNITUDE : HD_TWOS_COMPLEMENT;
    a.encoding = test_random_below(r, 3) ? HD_ENCODING_NONE : HD_BUS_INVERT;
    a.kernel_orders = test_random_below(r, 2) ? HD_KERNEL_ORDERS_SHARED : HD_KERNEL_ORDERS_EACH;
    return a;
}

hd_layer_shape test_random_shape(test_random *r) {
    hd_layer_shape s = {.groups = 1, .size = 1, .output_pixels = 1 + test_random_below(r, 200)};
    uint32_t kind = test_random_below(r, 5);
    s.filters = 1 + test_random_below(r, 40);
    s.channels = 1 + test_random_below(r, 40);
    if (kind == 1 || kind == 2) s.size = 1 + 2 * test_random_below(r, 3);
    if (kind == 2) { /* groups */
        s.groups = 1 + test_random_below(r, 5);
        s.filters = s.groups * (1 + test_random_below(r, 9));
        s.channels = s.groups * (1 + test_random_below(r, 9));
    } else if (kind == 3) { /* depthwise */
        s.groups = s.channels;
        s.filters = s.channels * (1 + test_random_below(r, 2));
        s.size = 3;
    } else if (kind == 4) { /* connected */
        s.output_pixels = 1;
    }
    return s;
}

static uint32_t *random_permutations(test_random *r, size_t count, size_t length) {
    uint32_t *values = malloc(count * length * sizeof *values);
    assert_non_null(values);
    for (size_t c = 0; c < count; c++)
        for (uint32_t i = 0; i < length; i++) {
            uint32_t j = test_random_below(r, i + 1);
            values[c * length + i] = values[c * length + j];
            values[c * length + j] = i;
        }
    return values;
}

void test_random_orders(test_random *r, hd_plan *plan) {
    hd_error e;
    if (test_random_below(r, 2)) {
        uint32_t *orders = random_permutations(r, plan->order_count, plan->order_length);
        assert_true(hd_plan_set_orders(plan, orders, &e));
        free(orders);
    }
    if (test_random_below(r, 2)) {
        uint32_t *channels = random_permutations(r, plan->groups, plan->lane_axis);
        assert_true(hd_plan_set_lane_channels(plan, channels, &e));
        free(channels);
    }
}

int8_t *test_random_words(test_random *r, const hd_plan *plan) {
    int limit = hd_largest_word(plan->accelerator.weight_bits);
    int8_t *words = malloc(plan->weights);
    assert_non_null(words);
    for (size_t i = 0; i < plan->weights; i++) {
        double value = round(test_random_normal(r) * (limit + 1) / 3);
        words[i] = (int8_t)fmax(-limit, fmin(limit, value));
    }
    return words;
}

static void dump_table(FILE *out, const char *key, const uint32_t *values, size_t count, size_t length) {
    if (!values) return;
    fprintf(out, "%s %zu %zu", key, count, length);
    for (size_t i = 0; i < count * length; i++) fprintf(out, " %u", values[i]);
    fprintf(out, "\n");
}

void test_dump_plan(FILE *out, const hd_plan *plan, const int8_t *words) {
    const hd_accelerator *a = &plan->accelerator;
    fprintf(out, "%s %d %d %d %s %s %s\n", hd_dataflow_name(a->dataflow), a->rows, a->cols, a->weight_bits,
            hd_representation_name(a->representation), hd_encoding_name(a->encoding),
            hd_kernel_orders_name(a->kernel_orders));
    fprintf(out, "%zu %zu %zu %zu %zu\n", plan->shape.filters, plan->shape.channels, plan->shape.groups,
            plan->shape.size, plan->shape.output_pixels);
    for (size_t i = 0; i < plan->weights; i++) fprintf(out, "%d ", words[i]);
    fprintf(out, "\n");
    dump_table(out, "orders", plan->orders, plan->order_count, plan->order_length);
    dump_table(out, "lanes", plan->lane_channels, plan->groups, plan->lane_axis);
}
