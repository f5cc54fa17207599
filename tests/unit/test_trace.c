/* The trace level against the RTL's own counts (tests/golden/trace), against a plain register-by-register
 * reference on random layers, and each instruction set's kernels against the portable ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glob.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy/trace_kernel.h"
#include "random_plan.h"
#include "trace_reference.h"
#include "words/isa.h"

/* ---- a layer with everything that it borrows ---- */
typedef struct made_layer {
    hd_plan plan;
    int8_t *words;
    uint8_t *activations;
    hd_trace_layer layer;
} made_layer;

static void free_layer(made_layer *m) {
    hd_plan_free(&m->plan);
    free(m->words);
    free(m->activations);
}

static void expect_equal(const char *name, const char *what, uint64_t got, uint64_t right) {
    if (got != right)
        fail_msg("%s: %s: %llu, %llu is right", name, what, (unsigned long long)got,
                 (unsigned long long)right);
}

static void expect_equal_counts(const char *name, const hd_trace_counts *got, const hd_trace_counts *right) {
#define COMPARE(field) expect_equal(name, #field, got->field, right->field)
    COMPARE(tiles);
    COMPARE(macs);
    COMPARE(cycles);
    COMPARE(array_pe_cycles);
    COMPARE(enabled_pe_cycles);
    COMPARE(weight);
    COMPARE(activation);
    COMPARE(psum);
    COMPARE(product);
    COMPARE(psum_in);
    COMPARE(psum_out);
    COMPARE(carry);
    COMPARE(sign);
    COMPARE(activation_sign);
    COMPARE(partial_products);
#undef COMPARE
    for (size_t i = 0; i <= HD_PARTIAL_PRODUCTS; i++)
        expect_equal(name, "partial_product_histogram", got->partial_product_histogram[i],
                     right->partial_product_histogram[i]);
}

/* ---- the RTL's references ---- */
static long long integer(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    assert_true(json_is_integer(value) || json_is_boolean(value));
    return json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
}

/* order: one permutation for every tile, or a list of them. */
static void set_order(hd_plan *plan, const json_t *order) {
    if (json_is_null(order)) return;
    size_t count = plan->order_count * plan->order_length;
    bool one = json_is_integer(json_array_get(order, 0));
    uint32_t *orders = malloc(count * sizeof *orders);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = one ? order : json_array_get(order, i / plan->order_length);
        orders[i] = (uint32_t)json_integer_value(json_array_get(row, i % plan->order_length));
    }
    assert_true(hd_plan_set_orders(plan, orders, NULL));
    free(orders);
}

static made_layer layer_of_reference(const json_t *ref) {
    const json_t *l = json_object_get(ref, "layer");
    made_layer m;
    hd_accelerator a = hd_accelerator_default();
    a.rows = (int)integer(ref, "rows");
    a.cols = (int)integer(ref, "cols");
    assert_true(hd_dataflow_parse(json_string_value(json_object_get(ref, "dataflow")), &a.dataflow, NULL));
    assert_true(hd_representation_parse(json_string_value(json_object_get(ref, "representation")),
                                        &a.representation, NULL));
    size_t height = (size_t)integer(l, "height"), width = (size_t)integer(l, "width");
    size_t size = (size_t)integer(l, "size"), stride = (size_t)integer(l, "stride");
    size_t padding = (size_t)integer(l, "padding"), channels = (size_t)integer(l, "channels");
    if (!height || !width || !channels || !size || !stride) {
        fail();
        abort();
    }
    size_t pixels =
        ((height + 2 * padding - size) / stride + 1) * ((width + 2 * padding - size) / stride + 1);
    hd_layer_shape shape = {(size_t)integer(l, "filters"), channels, (size_t)integer(l, "groups"), size,
                            pixels};
    assert_true(hd_plan_init(&m.plan, &a, &shape, NULL));
    set_order(&m.plan, json_object_get(ref, "order"));
    m.words = malloc(m.plan.weights);
    m.activations = malloc(height * width * channels);
    for (size_t i = 0; i < m.plan.weights; i++)
        m.words[i] = (int8_t)json_integer_value(json_array_get(json_object_get(ref, "weights"), i));
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < height * width; p++)
            m.activations[p * channels + c] = (uint8_t)json_integer_value(
                json_array_get(json_object_get(ref, "activations"), c * height * width + p));
    m.layer = (hd_trace_layer){.words = m.words,
                               .activations = m.activations,
                               .height = height,
                               .width = width,
                               .stride = stride,
                               .padding = padding,
                               .dilation = 1,
                               .activation_signed = integer(l, "activation_signed") != 0,
                               .accumulator_bits = (int)integer(ref, "accumulator_bits")};
    return m;
}

static void compare_elements(const char *path, const json_t *by_element, const char *name,
                             const uint64_t *got, size_t rows, size_t cols) {
    const json_t *grid = json_object_get(by_element, name);
    assert_int_equal(json_array_size(grid), rows);
    for (size_t i = 0; i < rows * cols; i++)
        expect_equal(path, name, got[i],
                     (uint64_t)json_integer_value(json_array_get(json_array_get(grid, i / cols), i % cols)));
}

static void compare_with_rtl(const char *path, const json_t *ref, const hd_trace_counts *got) {
    const json_t *toggles = json_object_get(ref, "toggles");
#define COMPARE(object, key, field) expect_equal(path, key, got->field, (uint64_t)integer(object, key))
    COMPARE(ref, "tiles", tiles);
    COMPARE(ref, "cycles", cycles);
    COMPARE(toggles, "weight", weight);
    COMPARE(toggles, "activation", activation);
    COMPARE(toggles, "psum", psum);
    COMPARE(toggles, "product", product);
    COMPARE(toggles, "psum_in", psum_in);
    COMPARE(toggles, "psum_out", psum_out);
    COMPARE(ref, "partial_product_flips", partial_products);
    COMPARE(ref, "sign_flips", sign);
    COMPARE(ref, "carry_flips", carry);
    COMPARE(ref, "activation_sign_flips", activation_sign);
#undef COMPARE
}

/* References elsewhere, such as a run's own: TRACE_REFERENCES=DIRECTORY. */
static void counts_equal_the_rtl(void **state) {
    (void)state;
    const char *directory = getenv("TRACE_REFERENCES");
    char pattern[4096];
    glob_t files;
    snprintf(pattern, sizeof pattern, "%s/*.json", directory ? directory : "tests/golden/trace");
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    assert_true(files.gl_pathc > 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *path = files.gl_pathv[i];
        json_error_t mistake;
        json_t *ref = json_load_file(path, 0, &mistake);
        assert_non_null(ref);
        made_layer m = layer_of_reference(ref);
        m.layer.plan = &m.plan;
        hd_trace_counts traced, plain;
        hd_error e = {""};
        size_t rows = (size_t)m.plan.accelerator.rows, cols = (size_t)m.plan.accelerator.cols;
        uint64_t *elements = calloc(3 * rows * cols, sizeof *elements);
        if (!hd_trace_layers(&m.layer, 1, 1, &traced, &e)) fail_msg("%s: %s", path, e.message);
        compare_with_rtl(path, ref, &traced);
        test_trace_reference(&m.layer, &plain, elements, elements + rows * cols, elements + 2 * rows * cols);
        compare_with_rtl(path, ref, &plain);
        expect_equal_counts(path, &traced, &plain);
        const json_t *by_element = json_object_get(ref, "toggles_by_element");
        compare_elements(path, by_element, "weight", elements, rows, cols);
        compare_elements(path, by_element, "activation", elements + rows * cols, rows, cols);
        compare_elements(path, by_element, "psum", elements + 2 * rows * cols, rows, cols);
        free(elements);
        free_layer(&m);
        json_decref(ref);
    }
    print_message("%zu layers equal the RTL's counts\n", files.gl_pathc);
    globfree(&files);
}

/* ---- random layers ---- */
static made_layer random_layer(test_random *r, hd_dataflow dataflow) {
    made_layer m;
    hd_accelerator a = test_random_accelerator(r, dataflow);
    hd_layer_shape shape = test_random_shape(r);
    a.encoding = HD_ENCODING_NONE;
    a.cols = 1 + (int)test_random_below(r, 40); /* whole blocks of columns and parts */
    a.activation_bits = test_random_below(r, 3) ? 8 : 2 + (int)test_random_below(r, 7);
    size_t dilation = 1 + test_random_below(r, 2), reach = dilation * (shape.size - 1);
    size_t padding = test_random_below(r, (uint32_t)reach + 1), stride = 1 + test_random_below(r, 3);
    size_t height = reach + 1 + test_random_below(r, 8), width = reach + 1 + test_random_below(r, 8);
    if (shape.output_pixels == 1 && shape.size == 1) height = width = stride = 1;
    shape.output_pixels =
        ((height + 2 * padding - reach - 1) / stride + 1) * ((width + 2 * padding - reach - 1) / stride + 1);
    assert_true(hd_plan_init(&m.plan, &a, &shape, NULL));
    test_random_orders(r, &m.plan);
    m.words = test_random_words(r, &m.plan);
    m.activations = malloc(height * width * shape.channels);
    for (size_t i = 0; i < height * width * shape.channels; i++)
        m.activations[i] = (uint8_t)(test_random_below(r, 2) ? test_random_below(r, 256) : 0);
    m.layer = (hd_trace_layer){.words = m.words,
                               .activations = m.activations,
                               .height = height,
                               .width = width,
                               .stride = stride,
                               .padding = padding,
                               .dilation = dilation,
                               .activation_signed = test_random_below(r, 2) != 0,
                               .accumulator_bits = 17 + (int)test_random_below(r, 16)};
    return m;
}

static void counts_equal_the_reference(void **state) {
    (void)state;
    test_random random = {20201};
    hd_trace_counts sum = {0}, sum_by_threads = {0};
    for (int i = 0; i < 150; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer %d", i);
        made_layer m = random_layer(&random, (hd_dataflow)(i % 3));
        m.layer.plan = &m.plan;
        hd_trace_counts plain, both[2];
        hd_trace_layer twice[2] = {m.layer, m.layer};
        hd_error e = {""};
        test_trace_reference(&m.layer, &plain, NULL, NULL, NULL);
        if (!hd_trace_layers(twice, 2, 2, both, &e)) fail_msg("%s: %s", name, e.message);
        expect_equal_counts(name, &both[0], &plain);
        expect_equal_counts(name, &both[1], &plain);
        expect_equal(name, "macs", plain.macs, m.plan.weights * m.plan.shape.output_pixels);
        hd_trace_counts_add(&sum, &plain);
        hd_trace_counts_add(&sum_by_threads, &both[1]);
        free_layer(&m);
    }
    expect_equal_counts("sum", &sum, &sum_by_threads);
    assert_true(sum.weight > 0 && sum.carry > 0 && sum.activation_sign > 0);
}

/* ---- kernels ---- */
enum { ROWS = 5, STEPS = 301 };

typedef struct kernel_case {
    int32_t left[ROWS * STEPS], top[ROWS * STEPS * TRACE_BLOCK];
    uint32_t left_ones[ROWS * STEPS], top_ones[ROWS * STEPS * TRACE_BLOCK];
    uint32_t signals[4][ROWS * TRACE_BLOCK];
    uint64_t histograms[TRACE_HISTOGRAMS][TRACE_HISTOGRAM];
    trace_flips flips;
} kernel_case;

static uint32_t random_ones(test_random *r) {
    uint32_t a = test_random_below(r, 9), b = test_random_below(r, 9 - a),
             c = test_random_below(r, 9 - a - b);
    return a | b << 8 | c << 16;
}

static void fill_case(test_random *r, kernel_case *k) {
    memset(k, 0, sizeof *k);
    for (size_t i = 0; i < ROWS * STEPS; i++) {
        k->left[i] = (int32_t)test_random_below(r, 256) - 128;
        k->left_ones[i] = random_ones(r);
    }
    for (size_t i = 0; i < ROWS * STEPS * TRACE_BLOCK; i++) {
        k->top[i] = (int32_t)test_random_below(r, 256);
        k->top_ones[i] =
            test_random_below(r, 9) | test_random_below(r, 9) << 8 | test_random_below(r, 9) << 16;
    }
    for (size_t i = 0; i < 4 * ROWS * TRACE_BLOCK; i++)
        (&k->signals[0][0])[i] = test_random_below(r, 1 << 24);
}

static void run_case(kernel_case *k, trace_kernel *kernel, size_t columns, bool own_rows) {
    trace_block block = {.rows = ROWS,
                         .steps = STEPS,
                         .columns = columns,
                         .mask = 0xffffff,
                         .left = k->left,
                         .top = k->top,
                         .top_row = own_rows ? STEPS * TRACE_BLOCK : 0,
                         .top_step = TRACE_BLOCK,
                         .product = k->signals[0],
                         .base = k->signals[1],
                         .sum = k->signals[2],
                         .carry = k->signals[3],
                         .state_row = TRACE_BLOCK,
                         .left_ones = k->left_ones,
                         .top_ones = k->top_ones,
                         .histograms = k->histograms};
    kernel(&block, &k->flips);
}

static void expect_equal_cases(const kernel_case *a, const kernel_case *b, size_t columns) {
    for (size_t c = 0; c < columns; c++) {
        assert_int_equal(a->flips.product[c], b->flips.product[c]);
        assert_int_equal(a->flips.base[c], b->flips.base[c]);
        assert_int_equal(a->flips.sum[c], b->flips.sum[c]);
        assert_int_equal(a->flips.carry[c], b->flips.carry[c]);
        assert_int_equal(a->flips.last_sum[c], b->flips.last_sum[c]);
        for (size_t i = 0; i < 4 * ROWS; i++)
            assert_int_equal((&a->signals[0][0])[i * TRACE_BLOCK + c],
                             (&b->signals[0][0])[i * TRACE_BLOCK + c]);
    }
    for (size_t i = 0; i < TRACE_HISTOGRAM; i++) {
        uint64_t of_a = 0, of_b = 0;
        for (size_t h = 0; h < TRACE_HISTOGRAMS; h++) {
            of_a += a->histograms[h][i];
            of_b += b->histograms[h][i];
        }
        assert_int_equal(of_a, of_b);
    }
}

static void compare_kernels(trace_kernel *portable, trace_kernel *other, bool own_rows) {
    test_random random = {77};
    kernel_case *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    for (size_t columns = 1; columns <= TRACE_BLOCK; columns++) {
        fill_case(&random, a);
        *b = *a;
        run_case(a, portable, columns, own_rows);
        run_case(b, other, columns, own_rows);
        expect_equal_cases(a, b, columns);
    }
    free(a);
    free(b);
}

static void kernels_agree(void **state) {
    (void)state;
#if defined(__x86_64__)
    if (hd_isa_best() >= HD_ISA_AVX2) {
        compare_kernels(hd_trace_flowing_portable, hd_trace_flowing_avx2, true);
        compare_kernels(hd_trace_local_portable, hd_trace_local_avx2, true);
        compare_kernels(hd_trace_local_portable, hd_trace_local_avx2, false);
    }
    if (hd_isa_best() == HD_ISA_AVX512) {
        compare_kernels(hd_trace_flowing_portable, hd_trace_flowing_avx512, true);
        compare_kernels(hd_trace_local_portable, hd_trace_local_avx512, true);
        compare_kernels(hd_trace_local_portable, hd_trace_local_avx512, false);
    }
#endif
    compare_kernels(hd_trace_flowing_portable, hd_trace_flowing_portable, true);
}

/* ---- edges ---- */
static made_layer plain_layer(hd_dataflow dataflow, hd_layer_shape shape, size_t height, size_t width) {
    made_layer m;
    hd_accelerator a = hd_accelerator_default();
    a.dataflow = dataflow;
    assert_true(hd_plan_init(&m.plan, &a, &shape, NULL));
    m.words = calloc(m.plan.weights, 1);
    m.activations = calloc(height * width, shape.channels);
    m.layer = (hd_trace_layer){.words = m.words,
                               .activations = m.activations,
                               .height = height,
                               .width = width,
                               .stride = 1,
                               .dilation = 1};
    return m;
}

static void nothing_flips_without_ones(void **state) {
    (void)state;
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++) {
        made_layer m = plain_layer((hd_dataflow)d, (hd_layer_shape){1, 1, 1, 1, 1}, 1, 1);
        m.layer.plan = &m.plan;
        hd_trace_counts n;
        assert_true(hd_trace_layers(&m.layer, 1, 1, &n, NULL));
        assert_int_equal(n.macs, 1);
        assert_int_equal(n.cycles, 16 + 16 + 16);
        assert_int_equal(n.weight + n.activation + n.psum + n.product + n.carry + n.partial_products, 0);
        free_layer(&m);
    }
}

static void accumulators_that_may_overflow_are_known(void **state) {
    (void)state;
    hd_layer_shape shape = {1, 300, 1, 1, 1};
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++) {
        made_layer m = plain_layer((hd_dataflow)d, shape, 1, 1);
        memset(m.words, 127, 300);
        /* 16 or 300 times 127 x 255, or 127 x 127 */
        bool local = d == HD_OUTPUT_STATIONARY;
        assert_int_equal(hd_accumulator_bits_needed(&m.plan, m.words, false), local ? 25 : 20);
        assert_int_equal(hd_accumulator_bits_needed(&m.plan, m.words, true), local ? 24 : 19);
        free_layer(&m);
    }
    made_layer m = plain_layer(HD_INPUT_STATIONARY, (hd_layer_shape){1, 1, 1, 1, 1}, 1, 1);
    assert_int_equal(hd_accumulator_bits_needed(&m.plan, m.words, false), 1);
    free_layer(&m);
}

static void expect_refusal(const hd_trace_layer *layer, const char *what) {
    hd_trace_counts n;
    hd_error e = {""};
    assert_false(hd_trace_layers(layer, 1, 1, &n, &e));
    if (!strstr(e.message, what)) fail_msg("\"%s\" lacks \"%s\"", e.message, what);
}

static void bad_layers_are_refused(void **state) {
    (void)state;
    made_layer m = plain_layer(HD_INPUT_STATIONARY, (hd_layer_shape){4, 3, 1, 3, 4}, 4, 4);
    m.layer.plan = &m.plan;
    hd_trace_layer bad = m.layer;
    bad.padding = 1;
    expect_refusal(&bad, "16 output pixels" + 3);
    bad = m.layer;
    bad.height = 2;
    expect_refusal(&bad, "the plan has 4");
    bad = m.layer;
    bad.stride = 0;
    expect_refusal(&bad, "at least 1");
    bad = m.layer;
    bad.accumulator_bits = 16;
    expect_refusal(&bad, "17 to 32");
    bad = m.layer;
    bad.padding = SIZE_MAX;
    expect_refusal(&bad, "output pixels");
    m.words[5] = -128;
    expect_refusal(&m.layer, "the word -128");
    m.words[5] = 0;
    m.plan.accelerator.encoding = HD_BUS_INVERT;
    expect_refusal(&m.layer, "bus_invert");
    free_layer(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_equal_the_rtl),
        cmocka_unit_test(counts_equal_the_reference),
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(nothing_flips_without_ones),
        cmocka_unit_test(accumulators_that_may_overflow_are_known),
        cmocka_unit_test(bad_layers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
