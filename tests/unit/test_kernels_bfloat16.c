/* Convolutions on bfloat16: what the reference makes of operands rounded beforehand, on any number of
 * threads, and the same packed. Runs where the machine multiplies bfloat16. */
#include "test_kernels_support.h"

#include "kernels/convolution.h"

#define TOLERANCE 1e-5

typedef struct shape_case {
    size_t batch, height, width, in, out, size, stride, padding;
} shape_case;

static const shape_case cases[] = {
    {2, 5, 7, 16, 96, 1, 1, 0},  {1, 6, 6, 24, 144, 1, 1, 0},  {3, 9, 5, 144, 24, 1, 1, 0},
    {2, 1, 1, 38, 19, 1, 1, 0},  {1, 3, 3, 1, 3, 1, 1, 0},     {2, 7, 7, 37, 40, 1, 1, 0},
    {4, 7, 6, 40, 72, 1, 2, 0},  {17, 4, 4, 96, 320, 1, 1, 0}, {5, 16, 16, 64, 66, 1, 1, 0},
    {2, 9, 8, 3, 32, 3, 1, 1},   {1, 9, 9, 32, 64, 3, 2, 1},   {2, 5, 6, 20, 24, 3, 1, 1},
    {2, 12, 12, 4, 20, 7, 2, 3}, {1, 10, 6, 48, 34, 5, 1, 2},  {40, 4, 4, 32, 8, 1, 1, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

/* To the nearest of 8 bits of fraction, ties to even; for values that are neither tiny nor huge. */
static float round_to_bfloat16(float x) {
    int exponent;
    float fraction = frexpf(x, &exponent);
    return ldexpf(rintf(ldexpf(fraction, 8)), exponent - 8);
}

static float *rounded(const float *values, size_t count) {
    float *r = check_floats(count);
    for (size_t i = 0; i < count; i++) r[i] = round_to_bfloat16(values[i]);
    return r;
}

static convolution_shape shape_of(const shape_case *c) {
    return (convolution_shape){.batch = c->batch,
                               .in_height = c->height,
                               .in_width = c->width,
                               .in_channels = c->in,
                               .out_height = (c->height + 2 * c->padding - c->size) / c->stride + 1,
                               .out_width = (c->width + 2 * c->padding - c->size) / c->stride + 1,
                               .out_channels = c->out,
                               .size = c->size,
                               .stride_y = c->stride,
                               .stride_x = c->stride,
                               .padding = c->padding,
                               .dilation = 1,
                               .groups = 1,
                               .bfloat16 = true};
}

/* Operands of one case, and what passes make of them. */
typedef struct operands {
    convolution_shape s;
    size_t in_count, out_count, weight_count;
    float *in, *weights, *dy;
} operands;

static operands make_operands(const shape_case *c, uint64_t seed) {
    random_state r = random_seeded(7, seed);
    operands o = {.s = shape_of(c)};
    o.in_count = c->batch * c->height * c->width * c->in;
    o.out_count = c->batch * o.s.out_height * o.s.out_width * c->out;
    o.weight_count = c->out * c->in * c->size * c->size;
    o.in = check_random(&r, o.in_count, -1, 7);
    o.weights = check_random(&r, o.weight_count, -1, 1);
    o.dy = check_random(&r, o.out_count, -1, 1);
    return o;
}

static void free_operands(operands *o) {
    check_free(o->in, o->in_count), check_free(o->weights, o->weight_count), check_free(o->dy, o->out_count);
}

static const channel_map relu6 = {.activation = ACTIVATION_RELU6};

/* The reference on rounded operands; those of products whose depth is odd stay as they are. */
static void expect(const operands *o, float *out, float *delta, float *weight_delta) {
    const convolution_shape *s = &o->s;
    float *mapped = check_floats(o->in_count), *raw_delta = check_floats(o->in_count),
          *unused = check_floats(o->weight_count);
    lazy_tensor in = {o->in, relu6};
    reference_lazy_tensor_store(o->in_count / s->in_channels, s->in_channels, &in, mapped);
    float *x = rounded(mapped, o->in_count), *w = rounded(o->weights, o->weight_count),
          *dy = rounded(o->dy, o->out_count);
    bool plain = s->size == 1 && s->stride_y == 1, even_in = s->in_channels % 2 == 0,
         even_out = s->out_channels % 2 == 0;
    lazy_tensor narrow = {even_in ? x : mapped, {0}}, for_weights = {plain ? x : mapped, {0}};
    reference_convolution_forward(s, &narrow, even_in ? w : o->weights, out, NULL, NULL);
    lazy_gradient g = {.delta = even_out ? dy : o->dy};
    memset(unused, 0, o->weight_count * sizeof(float));
    reference_convolution_backward(s, &narrow, &g, even_out ? w : o->weights, delta, false, unused);
    memset(weight_delta, 0, o->weight_count * sizeof(float));
    g.delta = plain ? dy : o->dy;
    reference_convolution_backward(s, &for_weights, &g, w, raw_delta, false, weight_delta);
    check_free(mapped, o->in_count), check_free(raw_delta, o->in_count), check_free(unused, o->weight_count);
    check_free(x, o->in_count), check_free(w, o->weight_count), check_free(dy, o->out_count);
}

static void passes_multiply_rounded_operands(void **state) {
    (void)state;
    if (!bfloat16_is_there()) skip();
    for (size_t i = 0; i < CASES; i++) {
        operands o = make_operands(&cases[i], i);
        size_t each = o.out_count + o.in_count + o.weight_count;
        float *expected = check_floats(each), *got = check_floats(2 * each);
        expect(&o, expected, expected + o.out_count, expected + o.out_count + o.in_count);
        const lazy_tensor in = {o.in, relu6};
        const lazy_gradient dy = {.delta = o.dy};
        for (int run = 0; run < 2; run++) {
            int threads = run ? 3 : 1;
            float *out = got + (size_t)run * each, *delta = out + o.out_count, *weights = delta + o.in_count;
            size_t forward = convolution_forward_workspace_bytes(&o.s, threads),
                   backward = convolution_backward_workspace_bytes(&o.s, threads);
            size_t bytes = size_larger(forward, backward);
            float *workspace = check_floats(bytes / sizeof(float));
            memset(workspace, 0xff, bytes); /* NaN everywhere */
            memset(weights, 0, o.weight_count * sizeof(float));
            convolution_forward(&o.s, &in, o.weights, out, NULL, NULL, workspace, threads);
            convolution_backward(&o.s, &in, &dy, o.weights, delta, false, weights, workspace, threads);
            check_close("forward", out, expected, o.out_count, TOLERANCE);
            check_close("in_delta", delta, expected + o.out_count, o.in_count, TOLERANCE);
            check_close("weight_delta", weights, expected + o.out_count + o.in_count, o.weight_count,
                        TOLERANCE);
            void *packed = memory_allocate(convolution_packed_bytes(&o.s), 1);
            float *again = check_floats(o.out_count);
            convolution_pack(&o.s, o.weights, packed);
            convolution_forward_packed(&o.s, &in, packed, again, NULL, workspace, threads);
            assert_memory_equal(again, out, o.out_count * sizeof(float));
            memory_free(packed);
            check_free(again, o.out_count), check_free(workspace, bytes / sizeof(float));
        }
        assert_memory_equal(got, got + each, each * sizeof(float));
        check_free(expected, each), check_free(got, 2 * each);
        free_operands(&o);
    }
}

/* What float32 makes of the same operands lies about 2^-9 away, and not nearer. */
static void operands_are_rounded_at_all(void **state) {
    (void)state;
    if (!bfloat16_is_there()) skip();
    operands o = make_operands(&cases[0], 5);
    const lazy_tensor in = {o.in, relu6};
    float *out[2];
    double off = 0, size = 0;
    for (int narrow = 0; narrow < 2; narrow++) {
        convolution_shape s = o.s;
        s.bfloat16 = narrow;
        void *workspace = memory_allocate(convolution_forward_workspace_bytes(&s, 1), 1);
        out[narrow] = check_floats(o.out_count);
        convolution_forward(&s, &in, o.weights, out[narrow], NULL, NULL, workspace, 1);
        memory_free(workspace);
    }
    for (size_t i = 0; i < o.out_count; i++) {
        off += pow((double)(out[0][i] - out[1][i]), 2);
        size += pow((double)out[0][i], 2);
    }
    assert_true(sqrt(off / size) < 1e-2 && sqrt(off / size) > 1e-4);
    check_free(out[0], o.out_count), check_free(out[1], o.out_count);
    free_operands(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(passes_multiply_rounded_operands),
                                       cmocka_unit_test(operands_are_rounded_at_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
