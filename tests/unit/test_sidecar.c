/* .stream sidecars: what goes in comes out, and nothing that is cut, damaged or forged gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"
#include "random_plan.h"

static int8_t *random_signs(test_random *r, size_t count) {
    int8_t *signs = malloc(count);
    for (size_t i = 0; i < count; i++) signs[i] = test_random_below(r, 2) ? 1 : -1;
    return signs;
}

static void add_layer(test_random *r, hd_stream *s, int index) {
    hd_error e;
    hd_plan plan;
    hd_accelerator a = s->accelerator;
    hd_layer_shape shape = test_random_shape(r);
    a.weight_bits = 2 + (int)test_random_below(r, 7); /* per layer selectable */
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    test_random_orders(r, &plan);
    int8_t *words = test_random_words(r, &plan);
    float *scales = malloc(shape.filters * sizeof *scales);
    for (size_t f = 0; f < shape.filters; f++) scales[f] = (float)(0.001 + test_random_unit(r));
    hd_stream_layer *layer = &s->layers[s->layer_count++];
    assert_true(hd_stream_layer_set(layer, index, &plan, words, scales, &e));
    layer->sign_sets = test_random_below(r, 2) ? 0 : test_random_below(r, 2) ? 1 : plan.segments;
    if (layer->sign_sets) layer->signs = random_signs(r, layer->sign_sets * shape.filters);
    free(words);
    free(scales);
    hd_plan_free(&plan);
}

static hd_stream random_stream(test_random *r, size_t layers) {
    hd_stream s = {.version = "1.2.3", .energy_table = "some-table", .weights_crc = 0xdeadbeef};
    s.accelerator = test_random_accelerator(r, (hd_dataflow)test_random_below(r, HD_DATAFLOW_COUNT));
    s.layers = calloc(layers, sizeof *s.layers);
    for (size_t i = 0; i < layers; i++) add_layer(r, &s, (int)(3 * i));
    if (test_random_below(r, 2)) {
        s.node_count = 1 + test_random_below(r, 20);
        s.activation_scales = calloc(s.node_count, sizeof *s.activation_scales);
        s.activation_flags = calloc(s.node_count, 1);
        for (size_t i = 0; i < s.node_count; i++) {
            s.activation_scales[i] = i % 3 ? (float)test_random_unit(r) : 0;
            s.activation_flags[i] = i % 2;
        }
    }
    return s;
}

static void assert_same(const void *a, const void *b, size_t bytes) {
    if (!a || !b)
        assert_true(a == b);
    else
        assert_memory_equal(a, b, bytes);
}

static void assert_equal_layers(const hd_stream_layer *a, const hd_stream_layer *b) {
    assert_int_equal(a->index, b->index);
    assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
    assert_int_equal(a->weight_bits, b->weight_bits);
    assert_int_equal(a->representation, b->representation);
    assert_int_equal(a->order_count, b->order_count);
    assert_int_equal(a->order_length, b->order_length);
    assert_int_equal(a->lane_channel_count, b->lane_channel_count);
    assert_int_equal(a->sign_sets, b->sign_sets);
    assert_same(a->scales, b->scales, a->shape.filters * sizeof(float));
    assert_same(a->words, b->words, hd_layer_weights(&a->shape));
    assert_same(a->orders, b->orders, a->order_count * a->order_length * sizeof(uint32_t));
    assert_same(a->lane_channels, b->lane_channels, a->lane_channel_count * sizeof(uint32_t));
    assert_same(a->signs, b->signs, a->sign_sets * a->shape.filters);
}

static void what_goes_in_comes_out(void **state) {
    (void)state;
    test_random r = {41};
    hd_error e;
    for (int i = 0; i < 60; i++) {
        hd_stream s = random_stream(&r, (size_t)(i % 7)), back;
        uint8_t *bytes = NULL, *again = NULL;
        size_t count = 0, count_again = 0;
        assert_true(hd_stream_encode(&s, &bytes, &count, &e));
        bool good = hd_stream_decode(bytes, count, "x.stream", &back, &e);
        if (!good) print_error("%s\n", e.message);
        assert_true(good);
        assert_string_equal(back.version, s.version);
        assert_string_equal(back.energy_table, s.energy_table);
        assert_int_equal(back.weights_crc, s.weights_crc);
        assert_string_equal(back.accelerator.name, s.accelerator.name);
        assert_int_equal(back.accelerator.rows, s.accelerator.rows);
        assert_int_equal(back.accelerator.cols, s.accelerator.cols);
        assert_int_equal(back.accelerator.dataflow, s.accelerator.dataflow);
        assert_int_equal(back.accelerator.encoding, s.accelerator.encoding);
        assert_int_equal(back.accelerator.kernel_orders, s.accelerator.kernel_orders);
        assert_int_equal(back.layer_count, s.layer_count);
        for (size_t l = 0; l < s.layer_count; l++) assert_equal_layers(&s.layers[l], &back.layers[l]);
        assert_same(s.activation_scales, back.activation_scales, s.node_count * sizeof(float));
        assert_same(s.activation_flags, back.activation_flags, s.node_count);
        assert_true(hd_stream_encode(&back, &again, &count_again, &e));
        assert_int_equal(count, count_again);
        assert_memory_equal(bytes, again, count);
        free(bytes);
        free(again);
        hd_stream_free(&s);
        hd_stream_free(&back);
    }
}

static void the_plan_comes_back_with_its_flips(void **state) {
    (void)state;
    test_random r = {42};
    hd_error e;
    for (int i = 0; i < 40; i++) {
        hd_stream s = {.accelerator = test_random_accelerator(&r, (hd_dataflow)(i % 3))};
        s.layers = calloc(1, sizeof *s.layers);
        add_layer(&r, &s, 4);
        hd_plan plan;
        assert_ptr_equal(hd_stream_find(&s, 4), s.layers);
        assert_null(hd_stream_find(&s, 3));
        assert_true(hd_stream_layer_plan(s.layers, &s.accelerator, &plan, &e));
        assert_int_equal(plan.accelerator.weight_bits, s.layers->weight_bits);
        assert_same(plan.orders, s.layers->orders, s.layers->order_count * s.layers->order_length * 4);
        int8_t *streamed = malloc(plan.weights);
        assert_true(hd_stream_layer_streamed_words(s.layers, &plan, streamed, &e));
        for (size_t w = 0; w < plan.weights;
             w++) { /* which segment a weight is in follows from its channel alone */
            bool negative = false;
            if (s.layers->sign_sets) {
                size_t area = plan.shape.size * plan.shape.size, filter = w / plan.filter_weights, group,
                       place;
                bool rows_are_filters = plan.dataflow == HD_OUTPUT_STATIONARY;
                group = rows_are_filters ? filter / plan.lane_axis : filter / plan.order_length;
                size_t channel = rows_are_filters ? filter % plan.lane_axis : w % plan.filter_weights / area;
                for (place = 0;
                     plan.lane_channels && plan.lane_channels[group * plan.lane_axis + place] != channel;)
                    place++;
                if (!plan.lane_channels) place = channel;
                size_t set = s.layers->sign_sets == 1 ? 0 : place / (size_t)plan.accelerator.rows;
                negative = s.layers->signs[set * plan.shape.filters + filter] < 0;
            }
            assert_int_equal(streamed[w], (negative ? -1 : 1) * s.layers->words[w]);
        }
        free(streamed);
        hd_plan_free(&plan);
        hd_stream_free(&s);
    }
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    test_random r = {43};
    hd_error e;
    hd_stream s = random_stream(&r, 2), back;
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_true(hd_stream_encode(&s, &bytes, &count, &e));
    for (size_t n = 0; n < count; n += n < 200 ? 1 : 13) {
        uint8_t *cut = malloc(n ? n : 1); /* of exact size, so that the sanitizer sees a read beyond it */
        memcpy(cut, bytes, n);
        e.message[0] = 0;
        assert_false(hd_stream_decode(cut, n, "cut.stream", &back, &e));
        assert_memory_equal(e.message, "cut.stream: ", 12);
        assert_null(back.layers);
        free(cut);
    }
    uint8_t *longer = malloc(count + 1);
    memcpy(longer, bytes, count);
    longer[count] = 0;
    assert_false(hd_stream_decode(longer, count + 1, "long.stream", &back, &e));
    assert_non_null(strstr(e.message, "added to"));
    free(longer);
    free(bytes);
    hd_stream_free(&s);
}

static void every_damaged_byte_is_noticed(void **state) {
    (void)state;
    test_random r = {44};
    hd_error e;
    hd_stream s = random_stream(&r, 1), back;
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_true(hd_stream_encode(&s, &bytes, &count, &e));
    for (size_t i = 0; i < count; i++) {
        uint8_t kept = bytes[i];
        bytes[i] = (uint8_t)(kept ^ 1u << test_random_below(&r, 8));
        assert_false(hd_stream_decode(bytes, count, "bad.stream", &back, &e));
        bytes[i] = kept;
    }
    free(bytes);
    hd_stream_free(&s);
}

static void repair(uint8_t *bytes, size_t count) {
    for (int i = 0; i < 8; i++) bytes[16 + i] = (uint8_t)((uint64_t)count >> 8 * i);
    uint32_t crc = hd_crc32(0, bytes + 16, count - 16);
    for (int i = 0; i < 4; i++) bytes[12 + i] = (uint8_t)(crc >> 8 * i);
}

/* Forged contents under a right checksum: either refused in a sentence, or valid through and through. */
static void forged_files_do_no_harm(void **state) {
    (void)state;
    test_random r = {45};
    hd_error e;
    size_t accepted = 0, refused = 0;
    for (int file = 0; file < 6; file++) {
        hd_stream s = random_stream(&r, 2), back;
        uint8_t *bytes = NULL;
        size_t count = 0;
        assert_true(hd_stream_encode(&s, &bytes, &count, &e));
        for (int i = 0; i < 1500; i++) {
            size_t n = i % 3 ? count : 24 + test_random_below(&r, (uint32_t)(count - 24));
            uint8_t *forged = malloc(n);
            memcpy(forged, bytes, n);
            for (uint32_t k = 1 + test_random_below(&r, 3); k > 0; k--) {
                size_t at =
                    24 + test_random_below(&r, (uint32_t)(i % 2 ? (n - 24 < 120 ? n - 24 : 120) : n - 24));
                if (n > 24)
                    forged[at < n ? at : n - 1] =
                        test_random_below(&r, 2) ? 0xff : (uint8_t)test_random_below(&r, 256);
            }
            repair(forged, n);
            e.message[0] = 0;
            if (hd_stream_decode(forged, n, "forged", &back, &e)) {
                uint8_t *again = NULL;
                size_t again_count = 0;
                assert_true(hd_stream_encode(&back, &again, &again_count, &e));
                free(again);
                hd_stream_free(&back);
                accepted++;
            } else {
                assert_true(strlen(e.message) > 10);
                refused++;
            }
            free(forged);
        }
        free(bytes);
        hd_stream_free(&s);
    }
    assert_true(accepted > 0 && refused > 1000);
}

static void bad_layers_are_not_written(void **state) {
    (void)state;
    test_random r = {46};
    hd_error e;
    uint8_t *bytes = NULL;
    size_t count = 0;
    hd_stream s = {.accelerator = hd_accelerator_default()};
    s.layers = calloc(2, sizeof *s.layers);
    add_layer(&r, &s, 4);
    add_layer(&r, &s, 4);
    assert_false(hd_stream_encode(&s, &bytes, &count, &e));
    assert_non_null(strstr(e.message, "cfg's order"));
    s.layers[1].index = 5;
    s.layers[1].words[0] = -128;
    assert_false(hd_stream_encode(&s, &bytes, &count, &e));
    assert_non_null(strstr(e.message, "layer 5: a word is -128"));
    s.layers[1].words[0] = 0;
    s.layers[1].scales[0] = -1;
    assert_false(hd_stream_encode(&s, &bytes, &count, &e));
    assert_null(bytes);
    hd_stream_free(&s);
}

/* The layout of docs/stream-format.md, byte by byte, for a sidecar of one weight. */
static void the_format_is_the_documented_one(void **state) {
    (void)state;
    hd_error e;
    hd_plan plan;
    hd_accelerator a = hd_accelerator_default();
    const hd_layer_shape shape = {1, 1, 1, 1, 5};
    const int8_t word = -3;
    const float scale = 0.5f;
    assert_true(hd_plan_init(&plan, &a, &shape, &e));
    hd_stream s = {
        .version = "v", .energy_table = "", .weights_crc = 0x01020304, .accelerator = a, .layer_count = 1};
    s.layers = calloc(1, sizeof *s.layers);
    assert_true(hd_stream_layer_set(s.layers, 7, &plan, &word, &scale, &e));
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_true(hd_stream_encode(&s, &bytes, &count, &e));
    static const uint8_t rest[] = {
        1,  'v', 0,   4,    3,           2,   1, /* version, energy table, weights' checksum */
        7,  'i', 's', '1',  '6',         'x', '1', '6', 16, 0, 0, 0, /* name, rows */
        16, 0,   0,   0,    0,           8,   8,   0,   0,  0, /* cols, dataflow, bits, bits, representation,
                                                                  encoding, orders */
        1,  0,   0,   0,    0,           0,   0,   0,   0,     /* layers, nodes, no activation scales */
        7,  0,   0,   0,                                       /* index */
        1,  0,   0,   0,    0,           0,   0,   0,   1,  0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
        0,  0,   0,   1,    0,           0,   0,   0,   0,  0, 0, 5, 0, 0, 0, 0, 0, 0, 0, /* filters,
                                                                                             channels, groups,
                                                                                             size, pixels */
        8,  0,   0,   0,    0,           0,   0,   0, /* bits, representation, present, sign sets */
        0,  0,   0,   0x3f, (uint8_t)-3,              /* scale, word */
    };
    assert_int_equal(count, 24 + sizeof rest);
    assert_memory_equal(bytes, "HDSTREAM\1\0\0\0", 12);
    assert_int_equal(bytes[16], count);
    assert_memory_equal(bytes + 24, rest, sizeof rest);
    assert_int_equal(hd_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(hd_crc32(hd_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    free(bytes);
    hd_plan_free(&plan);
    hd_stream_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(the_plan_comes_back_with_its_flips),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte_is_noticed),
        cmocka_unit_test(forged_files_do_no_harm),
        cmocka_unit_test(bad_layers_are_not_written),
        cmocka_unit_test(the_format_is_the_documented_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
