/* Convolutions of every form against the reference: odd sizes, strides, groups, dilation, padding, missing
 * options, every level of instruction set, any number of threads. */
#include "test_kernels_support.h"

#include "kernels/convolution.h"

#define TOLERANCE 1e-5
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

typedef struct shape_case {
    size_t batch, height, width, in, out, size, stride_y, stride_x, padding, dilation, groups;
} shape_case;

static const shape_case cases[] = {
    /* 1x1 */
    {2, 5, 7, 16, 96, 1, 1, 1, 0, 1, 1},
    {1, 6, 6, 24, 144, 1, 1, 1, 0, 1, 1},
    {3, 9, 5, 144, 24, 1, 1, 1, 0, 1, 1},
    {5, 4, 4, 160, 100, 1, 1, 1, 0, 1, 1},
    {2, 1, 1, 37, 19, 1, 1, 1, 0, 1, 1},
    {1, 3, 3, 1, 1, 1, 1, 1, 0, 1, 1},
    {9, 8, 8, 32, 16, 1, 1, 1, 0, 1, 1},
    {4, 7, 6, 40, 72, 1, 2, 2, 0, 1, 1},
    {2, 3, 3, 12, 20, 1, 1, 1, 1, 1, 1},
    {17, 4, 4, 96, 320, 1, 1, 1, 0, 1, 1},
    /* depthwise */
    {2, 8, 8, 32, 32, 3, 1, 1, 1, 1, 32},
    {2, 8, 8, 144, 144, 3, 2, 2, 1, 1, 144},
    {3, 7, 5, 37, 37, 3, 2, 2, 1, 1, 37},
    {1, 4, 4, 960, 960, 3, 1, 1, 1, 1, 960},
    {2, 2, 2, 24, 24, 3, 2, 2, 1, 1, 24},
    {1, 1, 1, 24, 24, 3, 1, 1, 1, 1, 24},
    {2, 9, 9, 20, 20, 5, 1, 1, 2, 1, 20},
    {1, 11, 8, 20, 20, 3, 1, 2, 0, 2, 20},
    {18, 6, 6, 40, 40, 3, 1, 1, 1, 1, 40},
    {2, 6, 9, 33, 33, 3, 1, 1, 0, 1, 33},
    {2, 9, 10, 48, 48, 3, 2, 2, 0, 1, 48},
    /* dense */
    {2, 9, 8, 3, 32, 3, 1, 1, 1, 1, 1},
    {2, 16, 16, 16, 16, 3, 1, 1, 1, 1, 1},
    {1, 9, 9, 32, 64, 3, 2, 2, 1, 1, 1},
    {2, 5, 6, 20, 24, 3, 1, 1, 1, 1, 1},
    {3, 8, 8, 64, 64, 3, 1, 1, 1, 1, 1},
    {1, 7, 9, 17, 35, 3, 2, 1, 0, 2, 1},
    {2, 12, 12, 3, 20, 7, 2, 2, 3, 1, 1},
    {1, 10, 6, 48, 33, 5, 1, 1, 2, 1, 1},
    {1, 4, 4, 8, 8, 3, 3, 3, 1, 1, 1},
    {1, 6, 6, 33, 17, 2, 2, 2, 0, 1, 1},
    /* 3x3 on whole blocks of channels: Winograd's; last tiles that stick out, several bands an image, several
       images a band, and extents too small for it */
    {2, 9, 7, 16, 32, 3, 1, 1, 1, 1, 1},
    {3, 5, 10, 48, 16, 3, 1, 1, 1, 1, 1},
    {2, 2, 2, 16, 16, 3, 1, 1, 1, 1, 1},
    {11, 8, 8, 32, 48, 3, 1, 1, 1, 1, 1},
    {2, 33, 34, 16, 16, 3, 1, 1, 1, 1, 1},
    {37, 7, 8, 16, 16, 3, 1, 1, 1, 1, 1},
    {3, 17, 4, 32, 32, 3, 1, 1, 1, 1, 1},
    {1, 6, 5, 64, 48, 3, 1, 1, 1, 1, 1},
    {8, 32, 32, 16, 16, 3, 1, 1, 1, 1, 1},  /* more tiles a band than one outer product takes */
    {1, 131, 66, 32, 16, 3, 1, 1, 1, 1, 1}, /* more bands than records of moments */
    {2, 3, 3, 32, 16, 3, 1, 1, 1, 1, 1},
    /* grouped */
    {2, 6, 7, 12, 20, 3, 1, 1, 1, 1, 4},
    {2, 6, 7, 32, 64, 1, 1, 1, 0, 1, 2},
    {2, 5, 5, 10, 20, 3, 2, 2, 1, 1, 10},
};

static convolution_shape shape_of(const shape_case *c) {
    convolution_shape s = {.batch = c->batch,
                           .in_height = c->height,
                           .in_width = c->width,
                           .in_channels = c->in,
                           .out_channels = c->out,
                           .size = c->size,
                           .stride_y = c->stride_y,
                           .stride_x = c->stride_x,
                           .padding = c->padding,
                           .dilation = c->dilation,
                           .groups = c->groups};
    size_t reach = c->dilation * (c->size - 1) + 1;
    s.out_height = (c->height + 2 * c->padding - reach) / c->stride_y + 1;
    s.out_width = (c->width + 2 * c->padding - reach) / c->stride_x + 1;
    return s;
}

/* All arrays of one case. */
typedef struct fixture {
    convolution_shape shape;
    size_t in_count, out_count, weights_count;
    lazy_tensor in;
    lazy_gradient dy;
    float *weights;
    channel_map store;
} fixture;

static fixture make_fixture(const shape_case *c, size_t variant) {
    static const activation_kind kinds[] = {ACTIVATION_RELU6, ACTIVATION_LINEAR, ACTIVATION_RELU,
                                            ACTIVATION_LEAKY, ACTIVATION_MISH};
    random_state r = random_seeded(3, variant);
    fixture f = {.shape = shape_of(c)};
    const convolution_shape *s = &f.shape;
    activation_kind kind = kinds[variant % COUNT(kinds)];
    f.in_count = s->batch * s->in_height * s->in_width * s->in_channels;
    f.out_count = s->batch * s->out_height * s->out_width * s->out_channels;
    f.weights_count = s->out_channels * (s->in_channels / s->groups) * s->size * s->size;
    f.in = (lazy_tensor){check_random(&r, f.in_count, -1, 3),
                         check_map(&r, s->in_channels, kind, variant % 3 != 1)};
    f.dy = check_gradient(&r, f.out_count, s->out_channels, kinds[variant / 2 % COUNT(kinds)],
                          variant % 4 != 1, variant % 3 != 2);
    f.weights = check_random(&r, f.weights_count, -1, 1);
    f.store = check_map(&r, s->out_channels, kind, true);
    return f;
}

static void free_fixture(fixture *f) {
    check_free((float *)(uintptr_t)f->in.data, f->in_count);
    check_free_map(&f->in.map, f->shape.in_channels);
    check_free_gradient(&f->dy, f->out_count, f->shape.out_channels);
    check_free(f->weights, f->weights_count);
    check_free_map(&f->store, f->shape.out_channels);
}

/* What the reference makes of a fixture, computed once. */
typedef struct expectation {
    float *out, *stored, *mean, *m2;
    float *center, *sums; /* of in_delta once: [in_channels], [2][in_channels] */
    float *delta_start, *delta_once, *delta_twice, *weight_start, *weight_once, *weight_twice;
    bool accumulate;
} expectation;

static expectation expect(const fixture *f, bool accumulate) {
    const convolution_shape *s = &f->shape;
    random_state r = random_seeded(4, f->in_count);
    expectation e = {.accumulate = accumulate};
    e.out = check_floats(f->out_count), e.stored = check_floats(f->out_count);
    e.mean = check_floats(s->out_channels), e.m2 = check_floats(s->out_channels);
    channel_moments moments = {e.mean, e.m2};
    reference_convolution_forward(s, &f->in, f->weights, e.out, NULL, &moments);
    lazy_tensor raw = {e.out, f->store};
    reference_lazy_tensor_store(f->out_count / s->out_channels, s->out_channels, &raw, e.stored);
    e.delta_start = check_random(&r, f->in_count, -1, 1),
    e.weight_start = check_random(&r, f->weights_count, -1, 1);
    e.delta_once = check_copy(e.delta_start, f->in_count),
    e.weight_once = check_copy(e.weight_start, f->weights_count);
    reference_convolution_backward(s, &f->in, &f->dy, f->weights, e.delta_once, accumulate, e.weight_once);
    e.center = check_random(&r, s->in_channels, -1, 1), e.sums = check_floats(2 * s->in_channels);
    lazy_gradient reader = {.delta = e.delta_once, .data = f->in.data, .map = f->in.map};
    reference_lazy_gradient_reduce(f->in_count / s->in_channels, s->in_channels, &reader, e.center, e.sums,
                                   e.sums + s->in_channels);
    e.delta_twice = check_copy(e.delta_once, f->in_count),
    e.weight_twice = check_copy(e.weight_once, f->weights_count);
    reference_convolution_backward(s, &f->in, &f->dy, f->weights, e.delta_twice, accumulate, e.weight_twice);
    return e;
}

static void free_expectation(const fixture *f, expectation *e) {
    check_free(e->out, f->out_count), check_free(e->stored, f->out_count);
    check_free(e->mean, f->shape.out_channels), check_free(e->m2, f->shape.out_channels);
    check_free(e->center, f->shape.in_channels), check_free(e->sums, 2 * f->shape.in_channels);
    check_free(e->delta_start, f->in_count), check_free(e->delta_once, f->in_count);
    check_free(e->delta_twice, f->in_count), check_free(e->weight_start, f->weights_count);
    check_free(e->weight_once, f->weights_count), check_free(e->weight_twice, f->weights_count);
}

/* Packed weights, one image at a time and all at once: the same bytes as those that `made` left in out. */
static void check_packed(const forward_call *made, const convolution_form *form) {
    const convolution_shape *s = made->shape;
    size_t in_image = s->in_height * s->in_width * s->in_channels,
           out_image = s->out_height * s->out_width * s->out_channels;
    float *out = check_floats(s->batch * out_image);
    void *packed = memory_allocate(form->packed_bytes(s, made->level), 1);
    convolution_shape single = *s;
    single.batch = 1;
    assert_true(form->forward_bytes(&single, made->threads) <= form->forward_bytes(s, made->threads));
    form->pack(s, made->weights, packed, made->level);
    forward_call call = *made;
    call.weights = NULL;
    call.packed = packed;
    call.out = out;
    form->forward(&call);
    assert_memory_equal(out, made->out, s->batch * out_image * sizeof(float));
    call.shape = &single;
    for (size_t i = 0; i < s->batch; i++) {
        const lazy_tensor in = {made->in->data + i * in_image, made->in->map};
        call.in = &in;
        form->forward(&call);
        assert_memory_equal(out, made->out + i * out_image, out_image * sizeof(float));
    }
    memory_free(packed);
    check_free(out, s->batch * out_image);
}

static void check_forward(const fixture *f, const expectation *e, const convolution_form *form,
                          isa_level level, int threads) {
    const convolution_shape *s = &f->shape;
    float *out = check_floats(f->out_count), *m = check_floats(2 * s->out_channels);
    channel_moments got = {m, m + s->out_channels};
    size_t bytes = form->forward_bytes(s, threads);
    float *workspace = check_floats(bytes / sizeof(float));
    memset(workspace, 0xff, bytes); /* NaN everywhere */
    forward_call call = {.shape = s,
                         .in = &f->in,
                         .weights = f->weights,
                         .out = out,
                         .moments = &got,
                         .workspace = workspace,
                         .threads = threads,
                         .level = level};
    form->forward(&call);
    check_close("forward", out, e->out, f->out_count, TOLERANCE);
    check_close("mean", got.mean, e->mean, s->out_channels, TOLERANCE);
    check_close("m2", got.m2, e->m2, s->out_channels, TOLERANCE);
    call.store = &f->store;
    call.moments = NULL;
    form->forward(&call);
    check_close("forward, stored", out, e->stored, f->out_count, TOLERANCE);
    check_packed(&call, form);
    check_free(out, f->out_count), check_free(m, 2 * s->out_channels),
        check_free(workspace, bytes / sizeof(float));
}

static void check_backward(const fixture *f, const expectation *e, const convolution_form *form,
                           isa_level level, int threads) {
    const convolution_shape *s = &f->shape;
    float *delta = check_copy(e->delta_start, f->in_count),
          *weights = check_copy(e->weight_start, f->weights_count);
    size_t bytes = form->backward_bytes(s, threads);
    float *workspace = check_floats(bytes / sizeof(float)), *sum = check_floats(2 * s->in_channels);
    const gradient_sums sums = {e->center, sum, sum + s->in_channels};
    memset(workspace, 0xff, bytes);
    backward_call call = {s,       &f->in, &f->dy,    f->weights, delta, e->accumulate,
                          weights, &sums,  workspace, threads,    level};
    form->backward(&call);
    check_close("in_delta", delta, e->delta_once, f->in_count, TOLERANCE);
    check_close("weight_delta", weights, e->weight_once, f->weights_count, TOLERANCE);
    check_close("sum of dz", sum, e->sums, s->in_channels, TOLERANCE);
    check_close("sum of dz x", sum + s->in_channels, e->sums + s->in_channels, s->in_channels, TOLERANCE);
    call.in_delta = NULL;
    call.sums = NULL;
    form->backward(&call);
    check_close("weight_delta alone", weights, e->weight_twice, f->weights_count, TOLERANCE);
    call.in_delta = delta;
    call.weight_delta = NULL;
    form->backward(&call);
    check_close("in_delta alone", delta, e->delta_twice, f->in_count, TOLERANCE);
    check_free(delta, f->in_count), check_free(weights, f->weights_count);
    check_free(workspace, bytes / sizeof(float)), check_free(sum, 2 * s->in_channels);
}

static void every_form_matches_the_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t variant = i; variant < i + 2; variant++) {
            fixture f = make_fixture(&cases[i], variant);
            expectation e = expect(&f, variant % 2);
            const convolution_form *form = convolution_form_of(&f.shape);
            int threads = 1 + (int)variant % 3;
            for (int level = ISA_PORTABLE; level <= (int)isa_best(); level++) {
                check_forward(&f, &e, form, (isa_level)level, threads);
                check_backward(&f, &e, form, (isa_level)level, threads);
            }
            if (form == &convolution_winograd) {
                check_forward(&f, &e, &convolution_dense, isa_best(), threads);
                check_backward(&f, &e, &convolution_dense, isa_best(), threads);
            }
            if (form != &convolution_general && variant == i) {
                check_forward(&f, &e, &convolution_general, isa_best(), threads);
                check_backward(&f, &e, &convolution_general, isa_best(), threads);
            }
            free_expectation(&f, &e);
            free_fixture(&f);
        }
}

static void equal_to_the_byte_on_any_number_of_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = make_fixture(&cases[i], i);
        const convolution_shape *s = &f.shape;
        size_t each = f.out_count + 2 * s->out_channels + f.in_count + f.weights_count;
        float *results = check_floats(3 * each);
        for (int t = 0; t < 3; t++) {
            static const int threads[] = {1, 2, 5};
            float *out = results + (size_t)t * each, *m = out + f.out_count, *delta = m + 2 * s->out_channels;
            float *weights = delta + f.in_count;
            channel_moments moments = {m, m + s->out_channels};
            size_t forward_bytes = convolution_forward_workspace_bytes(s, threads[t]);
            size_t backward_bytes = convolution_backward_workspace_bytes(s, threads[t]);
            void *workspace =
                memory_allocate(forward_bytes > backward_bytes ? forward_bytes : backward_bytes, 1);
            memset(weights, 0, f.weights_count * sizeof(float));
            convolution_forward(s, &f.in, f.weights, out, NULL, &moments, workspace, threads[t]);
            convolution_backward(s, &f.in, &f.dy, f.weights, delta, false, weights, workspace, threads[t]);
            memory_free(workspace);
        }
        assert_memory_equal(results, results + each, each * sizeof(float));
        assert_memory_equal(results, results + 2 * each, each * sizeof(float));
        check_free(results, 3 * each);
        free_fixture(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form_matches_the_reference),
                                       cmocka_unit_test(equal_to_the_byte_on_any_number_of_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
