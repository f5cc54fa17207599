/* What the kernel tests share: random tensors, maps and gradients, and comparison relative to the largest
 * value. */
#ifndef TEST_KERNELS_SUPPORT_H
#define TEST_KERNELS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/isa.h"
#include "core/memory.h"
#include "core/random.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

#include <math.h>
#include <string.h>

/* Values after the end of every array, which nothing may touch. */
#define GUARD_VALUES 16
#define GUARD 12345.0f

static inline float *check_floats(size_t count) {
    float *v = memory_allocate(count + GUARD_VALUES, sizeof(float));
    assert_non_null(v);
    for (size_t i = 0; i < GUARD_VALUES; i++) v[count + i] = GUARD;
    return v;
}

static inline void check_free(float *v, size_t count) {
    if (v)
        for (size_t i = 0; i < GUARD_VALUES; i++) assert_true(v[count + i] == GUARD);
    memory_free(v);
}

static inline float *check_random(random_state *r, size_t count, float low, float high) {
    float *v = check_floats(count);
    for (size_t i = 0; i < count; i++) v[i] = random_uniform(r, low, high);
    return v;
}

static inline float *check_copy(const float *source, size_t count) {
    float *v = check_floats(count);
    memcpy(v, source, count * sizeof(float));
    return v;
}

/* Largest difference, relative to the largest expected magnitude, at most `tolerance`. */
static inline void check_close(const char *what, const float *got, const float *expected, size_t count,
                               double tolerance) {
    double largest = 1e-30, worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - (double)expected[i]);
        largest = fmax(largest, fabs((double)expected[i]));
        if (!(d <= worst)) {
            worst = d;
            at = i;
        }
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s: value %zu of %zu is %.9g, expected %.9g (largest %.3g)", what, at, count,
                 (double)got[at], (double)expected[at], largest);
}

static inline channel_map check_map(random_state *r, size_t channels, activation_kind kind, bool scaled) {
    return (channel_map){.scale = scaled ? check_random(r, channels, .5f, 1.5f) : NULL,
                         .shift = scaled ? check_random(r, channels, -.5f, .5f) : NULL,
                         .activation = kind};
}

static inline void check_free_map(channel_map *m, size_t channels) {
    check_free((float *)(uintptr_t)m->scale, channels);
    check_free((float *)(uintptr_t)m->shift, channels);
}

static inline lazy_gradient check_gradient(random_state *r, size_t count, size_t channels,
                                           activation_kind kind, bool scaled, bool affine) {
    lazy_gradient g = {.delta = check_random(r, count, -1, 1), .map = check_map(r, channels, kind, scaled)};
    if (affine || kind != ACTIVATION_LINEAR) g.data = check_random(r, count, -2, 2);
    if (!affine) return g;
    g.a = check_random(r, channels, .5f, 1.5f);
    g.b = check_random(r, channels, -.2f, .2f);
    g.c = check_random(r, channels, -.2f, .2f);
    return g;
}

static inline void check_free_gradient(lazy_gradient *g, size_t count, size_t channels) {
    check_free((float *)(uintptr_t)g->delta, count);
    check_free((float *)(uintptr_t)g->data, count);
    check_free((float *)(uintptr_t)g->a, channels);
    check_free((float *)(uintptr_t)g->b, channels);
    check_free((float *)(uintptr_t)g->c, channels);
    check_free_map(&g->map, channels);
}

#endif
