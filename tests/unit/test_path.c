/* The path solver against exhaustive search, its determinism, and the lower bound it is certified with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reordering.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static uint32_t draw(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

/* Distances of random words of `bytes` bytes when bytes > 0, else of numbers below `range`, in a matrix with
 * a margin. */
static uint32_t *random_distances(size_t count, size_t stride, size_t bytes, uint32_t range) {
    uint32_t *distances = malloc(stride * (count + 1) * sizeof *distances);
    uint8_t *words = malloc(count * bytes + 1);
    for (size_t i = 0; i < count * bytes; i++) words[i] = (uint8_t)draw(256);
    for (size_t i = 0; i < stride * (count + 1); i++) distances[i] = 0xfffffff0u;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            uint32_t d = bytes ? 0 : draw(range);
            for (size_t b = 0; b < bytes; b++)
                d += (uint32_t)__builtin_popcount((unsigned)(words[i * bytes + b] ^ words[j * bytes + b]));
            distances[i * stride + j] = distances[j * stride + i] = d;
        }
    free(words);
    return distances;
}

static uint64_t length_of(const hd_path_problem *p, const uint32_t *order) {
    uint64_t length = 0;
    for (size_t i = 0; i + 1 < p->count; i++) length += p->distances[order[i] * p->stride + order[i + 1]];
    if (p->closed && p->count > 1) length += p->distances[order[p->count - 1] * p->stride + order[0]];
    if (p->start_costs) length += p->start_costs[order[0]];
    if (p->end_costs) length += p->end_costs[order[p->count - 1]];
    return length;
}

static uint64_t shortest_from(const hd_path_problem *p, uint32_t *order, size_t done) {
    if (done == p->count) return length_of(p, order);
    uint64_t shortest = UINT64_MAX;
    for (size_t i = done; i < p->count; i++) {
        uint32_t swap = order[done];
        order[done] = order[i];
        order[i] = swap;
        uint64_t length = shortest_from(p, order, done + 1);
        if (length < shortest) shortest = length;
        order[i] = order[done];
        order[done] = swap;
    }
    return shortest;
}

static void assert_permutation(const uint32_t *order, size_t count) {
    uint8_t *seen = calloc(count + 1, 1);
    for (size_t i = 0; i < count; i++) {
        assert_true(order[i] < count);
        assert_int_equal(seen[order[i]], 0);
        seen[order[i]] = 1;
    }
    free(seen);
}

static void solver_is_optimal_on_few_points(void **state) {
    (void)state;
    random_state = 7;
    for (size_t count = 1; count <= 9; count++)
        for (int trial = 0; trial < (count == 9 ? 2 : 6); trial++) {
            size_t stride = count + draw(3);
            uint32_t *distances = random_distances(count, stride, trial % 2 ? 3 : 0, 20), ends[2][9],
                     order[9], all[9];
            for (size_t i = 0; i < count; i++) {
                ends[0][i] = draw(20);
                ends[1][i] = draw(20);
                all[i] = (uint32_t)i;
            }
            hd_path_problem problems[] = {{distances, stride, count, NULL, NULL, false, NULL},
                                          {distances, stride, count, NULL, NULL, true, NULL},
                                          {distances, stride, count, ends[0], ends[1], false, NULL},
                                          {distances, stride, count, ends[0], NULL, false, NULL},
                                          {distances, stride, count, NULL, ends[1], false, NULL}};
            for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
                uint64_t length, shortest = shortest_from(&problems[i], all, 0), bound;
                assert_true(hd_solve_path(&problems[i], NULL, order, &length, NULL));
                assert_permutation(order, count);
                assert_int_equal(length, length_of(&problems[i], order));
                assert_int_equal(hd_path_length(&problems[i], order), length);
                assert_int_equal(length, shortest);
                if (i != 0) continue;
                assert_true(hd_path_bound(&problems[i], NULL, length + draw(5), &bound, NULL));
                assert_true(bound <= shortest);
            }
            free(distances);
        }
}

/* Points on a line, shuffled: the best path is known at any size, and the local search must find it. */
static void solver_sorts_a_line(void **state) {
    (void)state;
    enum { COUNT = 200 };
    uint32_t places[COUNT], order[COUNT], *distances = malloc(sizeof(uint32_t[COUNT][COUNT]));
    random_state = 3;
    for (uint32_t i = 0; i < COUNT; i++) places[i] = i * i;
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t j = draw(i + 1), swap = places[i];
        places[i] = places[j];
        places[j] = swap;
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++)
            distances[i * COUNT + j] = places[i] > places[j] ? places[i] - places[j] : places[j] - places[i];
    const uint64_t span = (COUNT - 1) * (COUNT - 1);
    uint64_t length, bound;
    hd_path_problem open = {.distances = distances, .stride = COUNT, .count = COUNT};
    assert_true(hd_solve_path(&open, NULL, order, &length, NULL));
    assert_int_equal(length, span);
    assert_true(hd_path_bound(&open, NULL, length, &bound, NULL));
    assert_true(bound <= span && bound >= span * 99 / 100);
    hd_path_problem closed = open;
    closed.closed = true;
    assert_true(hd_solve_path(&closed, NULL, order, &length, NULL));
    assert_int_equal(length, 2 * span);
    free(distances);
}

/* Ends' costs that outweigh everything force the ends. */
static void ends_are_where_they_are_cheap(void **state) {
    (void)state;
    enum { COUNT = 60 };
    random_state = 11;
    uint32_t *distances = random_distances(COUNT, COUNT, 4, 0), starts[COUNT], ends[COUNT], order[COUNT];
    for (size_t i = 0; i < COUNT; i++) starts[i] = ends[i] = 5000;
    starts[17] = ends[41] = 0;
    hd_path_problem p = {distances, COUNT, COUNT, starts, ends, false, NULL};
    uint64_t length;
    assert_true(hd_solve_path(&p, NULL, order, &length, NULL));
    assert_permutation(order, COUNT);
    assert_int_equal(order[0], 17);
    assert_int_equal(order[COUNT - 1], 41);
    assert_int_equal(length, length_of(&p, order));
    free(distances);
}

static void large_paths_are_certified(void **state) {
    (void)state;
    static const size_t counts[] = {11, 12, 24, 100, 400};
    random_state = 5;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t count = counts[i];
        uint32_t *distances = random_distances(count, count, 16, 0), *order = malloc(count * sizeof *order);
        hd_path_problem p = {.distances = distances, .stride = count, .count = count};
        hd_path_options none = hd_path_defaults();
        none.kicks_per_point = 0;
        uint64_t length, quick, bound;
        assert_true(hd_solve_path(&p, &none, order, &quick, NULL));
        assert_permutation(order, count);
        assert_true(hd_solve_path(&p, NULL, order, &length, NULL));
        assert_permutation(order, count);
        assert_int_equal(length, length_of(&p, order));
        assert_true(length <= quick);
        assert_true(hd_path_bound(&p, NULL, length, &bound, NULL));
        assert_true(bound <= length);
        assert_true((double)length <= 1.015 * (double)bound);
        free(order);
        free(distances);
    }
}

static void answers_depend_on_the_seed_alone(void **state) {
    (void)state;
    enum { COUNT = 90, SOLVES = 6 };
    random_state = 13;
    uint32_t *distances = random_distances(COUNT, COUNT, 8, 0);
    static uint32_t orders[2][SOLVES][COUNT];
    for (int round = 0; round < 2; round++) {
#pragma omp parallel for num_threads(round == 0 ? 1 : 3) schedule(dynamic, 1)
        for (int i = 0; i < SOLVES; i++) {
            hd_path_problem p = {.distances = distances, .stride = COUNT, .count = COUNT};
            hd_path_options options = hd_path_defaults();
            options.seed = (uint64_t)i;
            if (!hd_solve_path(&p, &options, orders[round][i], NULL, NULL)) abort();
        }
    }
    assert_memory_equal(orders[0], orders[1], sizeof orders[0]);
    free(distances);
}

static void impossible_problems_are_refused(void **state) {
    (void)state;
    hd_error error;
    uint32_t distances[4] = {0, 1, 1, 0}, order[2];
    uint64_t length, bound;
    hd_path_problem p = {distances, 1, 2, NULL, NULL, false, NULL};
    assert_false(hd_solve_path(&p, NULL, order, &length, &error));
    assert_non_null(strstr(error.message, "stride"));
    p = (hd_path_problem){distances, 2, 2, distances, NULL, true, NULL};
    assert_false(hd_solve_path(&p, NULL, order, &length, &error));
    assert_non_null(strstr(error.message, "closed"));
    assert_false(hd_path_bound(&p, NULL, 1, &bound, &error));
    p = (hd_path_problem){distances, 100000, 100000, NULL, NULL, false, NULL};
    assert_false(hd_solve_path(&p, NULL, order, &length, &error));
    assert_non_null(strstr(error.message, "100000"));
    p = (hd_path_problem){distances, 2, 0, NULL, NULL, false, NULL};
    assert_true(hd_solve_path(&p, NULL, order, &length, &error));
    assert_int_equal(length, 0);
    enum { COUNT = 12 };
    uint32_t huge[COUNT * COUNT], long_order[COUNT];
    for (size_t i = 0; i < COUNT * COUNT; i++) huge[i] = UINT32_MAX;
    p = (hd_path_problem){huge, COUNT, COUNT, NULL, NULL, false, NULL};
    assert_false(hd_solve_path(&p, NULL, long_order, &length, &error));
    assert_non_null(strstr(error.message, "2^32"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solver_is_optimal_on_few_points),  cmocka_unit_test(solver_sorts_a_line),
        cmocka_unit_test(ends_are_where_they_are_cheap),    cmocka_unit_test(large_paths_are_certified),
        cmocka_unit_test(answers_depend_on_the_seed_alone), cmocka_unit_test(impossible_problems_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
