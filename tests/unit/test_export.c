/* Exports: .npy files, words as they stand on the lanes, and whole integer networks, which come back to the
 * same bits or, once damaged or forged, not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "export/internal.h"
#include "made_network.h"
#include "random_plan.h"

static const made_activation linear = {HD_ACTIVATION_LINEAR, NULL}, relu = {HD_ACTIVATION_RELU, NULL},
                             relu6 = {HD_ACTIVATION_RELU6, NULL}, leaky = {HD_ACTIVATION_LEAKY, NULL};

/* ---- arrays ---- */
static void arrays_come_back(void **state) {
    (void)state;
    test_random r = {1};
    for (int i = 0; i < 500; i++) {
        hd_array a = {.type = (hd_array_type)test_random_below(&r, HD_ARRAY_TYPE_COUNT),
                      .rank = test_random_below(&r, HD_ARRAY_MOST_DIMENSIONS + 1)},
                 b;
        for (size_t d = 0; d < a.rank; d++) a.shape[d] = test_random_below(&r, 7);
        size_t bytes = hd_array_count(&a) * hd_array_value_bytes(a.type), count;
        uint8_t *values = malloc(bytes + 1), *file;
        for (size_t at = 0; at < bytes; at++) values[at] = (uint8_t)test_random_below(&r, 256);
        a.values = values;
        hd_error e;
        assert_true(hd_npy_encode(&a, &file, &count, &e));
        assert_int_equal((count - bytes) % 64, 0);
        assert_true(hd_npy_decode(file, count, "a.npy", &b, &e));
        assert_int_equal(a.type, b.type);
        assert_int_equal(a.rank, b.rank);
        for (size_t d = 0; d < a.rank; d++) assert_int_equal(a.shape[d], b.shape[d]);
        assert_memory_equal(values, b.values, bytes);
        free(b.values);
        /* Cut or lengthened, it is refused. */
        assert_false(hd_npy_decode(file, test_random_below(&r, (uint32_t)count), "a.npy", &b, &e));
        assert_non_null(strstr(e.message, "a.npy"));
        free(values);
        free(file);
    }
}

static void forged_headers_are_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '|i1', 'fortran_order': True, 'shape': (2,), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1, 1, 1, 1), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (4294967296, 4294967298), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (18446744073709551615,), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (2",
        "{'descr': '|i1', 'fortran_order': False, 'shape': 2}",
        "{'descr': '|i1', 'fortran_order': False}",
        "{'descr': "};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        uint8_t file[512] = "\x93NUMPY\x01";
        size_t length = strlen(headers[i]);
        file[8] = (uint8_t)length;
        memcpy(file + 10, headers[i], length);
        uint8_t *exact = malloc(10 + length + 2); /* so that a read beyond is seen */
        memcpy(exact, file, 10 + length + 2);
        hd_array a;
        hd_error e;
        assert_false(hd_npy_decode(exact, 10 + length + 2, "a.npy", &a, &e));
        free(exact);
    }
}

static void hex_is_one_value_a_line(void **state) {
    (void)state;
    int32_t values[3] = {-1, 10, INT32_MIN};
    hd_array a = {.type = HD_ARRAY_INT32, .rank = 1, .shape = {3}, .values = values};
    uint8_t *text;
    size_t count;
    hd_error e;
    assert_true(hd_hex_encode(&a, &text, &count, &e));
    assert_int_equal(count, 27);
    assert_memory_equal(text, "ffffffff\n0000000a\n80000000\n", 27);
    free(text);
    uint16_t halves[2] = {0x1234, 7};
    a = (hd_array){.type = HD_ARRAY_UINT16, .rank = 1, .shape = {2}, .values = halves};
    assert_true(hd_hex_encode(&a, &text, &count, &e));
    assert_memory_equal(text, "1234\n0007\n", 10);
    free(text);
    /* Lane 0 lowest; three lanes of 5 bits: -1 -> 11111 or 10001, 2 -> 00010, 15 -> 01111. */
    int8_t words[3] = {-1, 2, 15};
    a = (hd_array){.type = HD_ARRAY_INT8, .rank = 3, .shape = {1, 1, 3}, .values = words};
    assert_true(hd_hex_encode_stream(&a, 5, HD_TWOS_COMPLEMENT, &text, &count, &e));
    assert_memory_equal(text, "3c5f\n", 5);
    free(text);
    assert_true(hd_hex_encode_stream(&a, 5, HD_SIGN_MAGNITUDE, &text, &count, &e));
    assert_memory_equal(text, "3c51\n", 5);
    free(text);
}

/* ---- streams ---- */
/* Flips of rows that follow each other in a ring, written from the definition of bus-invert's wires. */
static uint64_t flips_of_rows(const hd_array *rows, const hd_accelerator *a, uint64_t *inside) {
    size_t steps = rows->shape[1] ? rows->shape[1] : 1, cycles = rows->shape[0] * steps,
           lanes = rows->shape[2];
    const int8_t *words = rows->values;
    unsigned mask = (1u << a->weight_bits) - 1u;
    uint64_t flips = 0;
    *inside = 0;
    assert_true(cycles > 0);
    for (size_t lane = 0; lane < lanes; lane++) {
        unsigned wires = 0;
        for (size_t t = 0; t < 2 * cycles; t++) { /* the first round leaves the wires as the pass does */
            unsigned word =
                hd_encode_word(words[t % cycles * lanes + lane], a->weight_bits, a->representation);
            unsigned inverted = (~word & mask) | (mask + 1), as_it_is = word;
            unsigned plain = (unsigned)__builtin_popcount(wires ^ as_it_is),
                     other = (unsigned)__builtin_popcount(wires ^ inverted);
            bool invert = a->encoding == HD_BUS_INVERT && other < plain;
            wires = invert ? inverted : as_it_is;
            if (t < cycles) continue;
            flips += invert ? other : plain;
            if (t % steps) *inside += invert ? other : plain;
        }
    }
    return flips;
}

static void lanes_show_the_flips_that_are_counted(void **state) {
    (void)state;
    test_random r = {2};
    for (int i = 0; i < 400; i++) {
        hd_accelerator a = test_random_accelerator(&r, (hd_dataflow)(i % HD_DATAFLOW_COUNT));
        hd_layer_shape shape = test_random_shape(&r);
        hd_plan plan;
        hd_error e;
        assert_true(hd_plan_init(&plan, &a, &shape, &e));
        test_random_orders(&r, &plan);
        int8_t *words = test_random_words(&r, &plan), *back = malloc(plan.weights);
        hd_array rows;
        hd_stream_array_shape(&plan, &rows);
        rows.values = malloc(hd_array_count(&rows));
        hd_stream_array_fill(&plan, words, &rows);
        hd_stream_array_read(&plan, &rows, back);
        assert_memory_equal(words, back, plan.weights);
        hd_flips flips;
        uint64_t inside;
        assert_true(hd_count_flips(&plan, words, 1, &flips, &e));
        assert_int_equal(flips_of_rows(&rows, &a, &inside), flips.flips);
        assert_int_equal(inside, flips.flips_inside_tiles);
        free(rows.values);
        free(back);
        free(words);
        hd_plan_free(&plan);
    }
}

/* ---- whole exports ---- */
static bool load(void *user, const char *name, uint8_t **bytes, size_t *count, hd_error *error) {
    const hd_export_files *files = user;
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].name, name) == 0) {
            *count = files->items[i].count;
            *bytes = malloc(*count + 1);
            memcpy(*bytes, files->items[i].bytes, *count);
            return true;
        }
    return hd_fail(error, "here/%s: is not there", name);
}

static void add_stream(hd_export *x, const made_network *made, int node, test_random *r) {
    hd_layer_shape shape;
    hd_plan plan;
    hd_error e;
    if (!hd_layer_shape_of_node(&made->nodes[node], &shape)) return;
    assert_true(hd_plan_init(&plan, &x->accelerator, &shape, &e));
    test_random_orders(r, &plan);
    hd_stream_layer *l = &x->layers[x->layer_count++];
    assert_true(hd_stream_layer_set(l, made->nodes[node].index, &plan, made->weights[node].words,
                                    made->weights[node].scales, &e));
    l->sign_sets = test_random_below(r, 2) ? 0 : test_random_below(r, 2) ? 1 : plan.segments;
    if (l->sign_sets) l->signs = malloc(l->sign_sets * shape.filters);
    for (size_t i = 0; i < l->sign_sets * shape.filters; i++) l->signs[i] = test_random_below(r, 2) ? 1 : -1;
    hd_plan_free(&plan);
}

static hd_export export_of(const made_network *made, test_random *r) {
    hd_error e;
    hd_export x = {.version = "1.2.3", .network = "made", .energy_table = "some-table"};
    x.accelerator = test_random_accelerator(r, (hd_dataflow)test_random_below(r, HD_DATAFLOW_COUNT));
    x.accelerator.weight_bits = x.accelerator.activation_bits = 8;
    x.model = made_model(made, &e);
    assert_non_null(x.model);
    x.layers = calloc((size_t)made->network.node_count, sizeof *x.layers);
    for (int i = 0; i < made->network.node_count; i++) add_stream(&x, made, i, r);
    size_t channels = (size_t)made->network.channels;
    x.mean = malloc(channels * sizeof *x.mean);
    x.deviation = malloc(channels * sizeof *x.deviation);
    for (size_t c = 0; c < channels; c++) {
        x.mean[c] = 0.1f * (float)(c + 1);
        x.deviation[c] = 1.0f / 3.0f;
    }
    return x;
}

/* Every operation: convolutions of all kinds, pools, shortcuts, routes, tables, a stand-alone batch norm. */
static made_network *of_everything(void) {
    made_network *made = made_new(7, 9, 7, 3, 8);
    int a = made_add_convolution(made, (made_convolution){-1, 12, 3, 1, 1, 1, 1, true, relu6});
    int b = made_add_convolution(made, (made_convolution){a, 12, 3, 1, 1, 1, 12, true, leaky});
    int c = made_add_convolution(made, (made_convolution){b, 12, 3, 1, 2, 2, 2, true, linear});
    int d = made_add_shortcut(made, c, a, 1, 1, relu);
    int e = made_add_batchnorm(made, d, leaky);
    int f = made_add_route(made, (int[]){d, e}, 2);
    int g = made_add_maxpool(made, f, 2, 2, 1);
    int h = made_add_activation(made, g, relu);
    int i = made_add_convolution(made, (made_convolution){h, 20, 1, 1, 0, 1, 1, false, linear});
    int j = made_add_connected(made, i, 6, false, linear);
    made_add_softmax(made, j);
    return made;
}

static void raw_logits(const hd_integer_model *model, const float *images, size_t n, int32_t *raw) {
    hd_error e;
    hd_integer_network *net = hd_integer_network_create(model, &e);
    if (!net) fail_msg("%s", e.message);
    assert_true(hd_integer_network_run(net, images, n, NULL, raw, 1, &e));
    hd_integer_network_destroy(net);
}

static void check_comes_back(made_network *made, uint64_t seed) {
    test_random r = {seed};
    hd_export x = export_of(made, &r), y;
    hd_export_files files;
    hd_error e;
    if (!hd_export_encode(&x, &files, &e)) fail_msg("%s", e.message);
    assert_string_equal(files.items[files.count - 1].name, HD_EXPORT_MANIFEST);
    if (!hd_export_decode(load, &files, "here", &y, &e)) fail_msg("%s", e.message);
    assert_string_equal(x.version, y.version);
    assert_string_equal(x.network, y.network);
    assert_string_equal(x.energy_table, y.energy_table);
    assert_memory_equal(&x.accelerator.rows, &y.accelerator.rows,
                        sizeof x.accelerator - offsetof(hd_accelerator, rows));
    assert_int_equal(x.layer_count, y.layer_count);
    assert_memory_equal(x.mean, y.mean, (size_t)made->network.channels * sizeof *x.mean);
    assert_memory_equal(x.deviation, y.deviation, (size_t)made->network.channels * sizeof *x.mean);
    for (size_t i = 0; i < x.layer_count; i++) {
        const hd_stream_layer *a = &x.layers[i], *b = &y.layers[i];
        assert_int_equal(a->index, b->index);
        assert_memory_equal(a->words, b->words, hd_layer_weights(&a->shape));
        assert_memory_equal(a->scales, b->scales, a->shape.filters * sizeof *a->scales);
        assert_int_equal(!a->orders, !b->orders);
        assert_int_equal(!a->lane_channels, !b->lane_channels);
        if (a->orders)
            assert_memory_equal(a->orders, b->orders, a->order_count * a->order_length * sizeof *a->orders);
        if (a->lane_channels)
            assert_memory_equal(a->lane_channels, b->lane_channels,
                                a->lane_channel_count * sizeof *a->lane_channels);
    }
    enum { IMAGES = 3 };
    size_t elements = made_elements(made, -1);
    float *images = malloc(IMAGES * elements * sizeof *images);
    for (size_t i = 0; i < IMAGES * elements; i++) images[i] = made_uniform(made, -1, 1);
    int32_t before[IMAGES * 64], after[IMAGES * 64];
    raw_logits(x.model, images, IMAGES, before);
    raw_logits(y.model, images, IMAGES, after);
    assert_memory_equal(before, after, IMAGES * (size_t)made->network.classes * sizeof *before);
    free(images);
    hd_export_files_free(&files);
    hd_export_free(&x);
    hd_export_free(&y);
}

static void networks_come_back(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        made_network *made = of_everything();
        check_comes_back(made, seed);
        made_free(made);
    }
    made_network *made = made_mobilenet_v2(5, 16, 16, 10);
    check_comes_back(made, 9);
    made_free(made);
}

/* A channel that batch norm has switched off: its words stream, but count as 0. */
static void held_channels_come_back(void **state) {
    (void)state;
    made_network *made = made_new(3, 4, 4, 3, 8);
    int a = made_add_convolution(made, (made_convolution){-1, 8, 1, 1, 0, 1, 1, true, relu});
    made_add_connected(made, a, 4, false, linear);
    made->nodes[a].scales[5] = 0;
    made->nodes[a].biases[5] = 2;
    hd_error e;
    hd_integer_model *model = made_model(made, &e);
    assert_non_null(model);
    assert_int_equal(model->layers[a].words[5 * 3], 0);
    hd_integer_model_destroy(model);
    assert_int_not_equal(made->weights[a].words[5 * 3], 0);
    check_comes_back(made, 1);
    made_free(made);
}

static void foreign_words_are_refused(void **state) {
    (void)state;
    made_network *made = of_everything();
    test_random r = {3};
    hd_export x = export_of(made, &r);
    hd_export_files files;
    hd_error e;
    x.layers[2].words[0] = (int8_t)(x.layers[2].words[0] > 0 ? -1 : 1);
    assert_false(hd_export_encode(&x, &files, &e));
    assert_non_null(strstr(e.message, "layer 2"));
    assert_null(files.items);
    hd_export_free(&x);
    made_free(made);
}

/* ---- damage ---- */
static void assert_refused(hd_export_files *files, const char *name) {
    hd_export y;
    hd_error e = {""};
    assert_false(hd_export_decode(load, files, "here", &y, &e));
    if (!strstr(e.message, name)) fail_msg("\"%s\" does not name %s", e.message, name);
}

static void damage_is_found(void **state) {
    (void)state;
    made_network *made = of_everything();
    test_random r = {4};
    hd_export x = export_of(made, &r);
    hd_export_files files;
    hd_error e;
    assert_true(hd_export_encode(&x, &files, &e));
    for (size_t i = 0; i < files.count; i++) {
        hd_export_file *f = &files.items[i];
        size_t at = test_random_below(&r, (uint32_t)f->count), count = f->count;
        uint8_t bit = (uint8_t)(1u << test_random_below(&r, 8));
        f->bytes[at] ^= bit;
        assert_refused(&files, f->name);
        f->bytes[at] ^= bit;
        f->count = at;
        assert_refused(&files, f->name);
        f->count = count;
        char kept = f->name[0];
        f->name[0] = '!';
        assert_refused(&files, "is not there");
        f->name[0] = kept;
    }
    hd_export y;
    assert_true(hd_export_decode(load, &files, "here", &y, &e));
    hd_export_free(&y);
    hd_export_files_free(&files);
    hd_export_free(&x);
    made_free(made);
}

/* The value number *left among all of a document's, with where it stands. */
static bool find_value(json_t *value, int *left, json_t **parent, const char **key, size_t *at) {
    const char *name;
    json_t *child;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach(value, name, child) {
            if ((*left)-- == 0) {
                *parent = value;
                *key = name;
                return true;
            }
            if (find_value(child, left, parent, key, at)) return true;
        }
    }
    json_array_foreach(value, i, child) {
        if ((*left)-- == 0) {
            *parent = value;
            *key = NULL;
            *at = i;
            return true;
        }
        if (find_value(child, left, parent, key, at)) return true;
    }
    return false;
}

static json_t *another_value(test_random *r) {
    static const json_int_t whole[] = {0, 1, -1, 2, 3, 7, 16, 255, 1 << 20, INT32_MAX, INT64_MAX, INT64_MIN};
    switch (test_random_below(r, 6)) {
    case 0:
        return json_string("pass");
    case 1:
        return json_real(test_random_normal(r));
    case 2:
        return json_array();
    case 3:
        return json_object();
    default:
        return json_integer(whole[test_random_below(r, sizeof whole / sizeof *whole)]);
    }
}

/* A forged manifest with a right checksum is refused or makes a network that can be created or refused; the
 * sanitizers watch. */
static void forged_manifests_do_no_harm(void **state) {
    (void)state;
    made_network *made = of_everything();
    test_random r = {5};
    hd_export x = export_of(made, &r);
    hd_export_files files;
    hd_error e;
    assert_true(hd_export_encode(&x, &files, &e));
    hd_export_file *manifest = &files.items[files.count - 1];
    int refused = 0;
    for (int i = 0; i < 1500; i++) {
        json_t *root = hd_manifest_open(manifest->bytes, manifest->count, "manifest", &e), *parent;
        assert_non_null(root);
        json_object_del(root, "crc32");
        const char *key;
        size_t at;
        int number = (int)test_random_below(&r, 700);
        if (!find_value(root, &number, &parent, &key, &at)) {
            json_decref(root);
            continue;
        }
        if (!key)
            json_array_set_new(parent, at, another_value(&r));
        else if (test_random_below(&r, 4) == 0)
            json_object_del(parent, key);
        else
            json_object_set_new(parent, key, another_value(&r));
        hd_export_file kept = *manifest;
        assert_true(hd_manifest_seal(root, &manifest->bytes, &manifest->count, &e));
        hd_export y;
        if (hd_export_decode(load, &files, "here", &y, &e)) {
            hd_integer_network_destroy(hd_integer_network_create(y.model, &e));
            hd_export_free(&y);
        } else {
            refused++;
            assert_true(e.message[0]);
        }
        free(manifest->bytes);
        *manifest = kept;
    }
    assert_true(refused > 1000);
    hd_export_files_free(&files);
    hd_export_free(&x);
    made_free(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_come_back),           cmocka_unit_test(forged_headers_are_refused),
        cmocka_unit_test(hex_is_one_value_a_line),    cmocka_unit_test(lanes_show_the_flips_that_are_counted),
        cmocka_unit_test(networks_come_back),         cmocka_unit_test(held_channels_come_back),
        cmocka_unit_test(foreign_words_are_refused),  cmocka_unit_test(damage_is_found),
        cmocka_unit_test(forged_manifests_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
