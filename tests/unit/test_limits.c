/* Memory: what a network may take is checked from its shapes before any of it is allocated, and no cfg makes
 * a size overflow, a walk endless or the stack deep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "core/file.h"
#include "made_cfg.h"
#include "core/memory.h"
#include "network/network.h"

static error failure;

/* A cfg that is put together from pieces. */
typedef struct text {
    char *start;
    size_t length, capacity;
} text;

static void append(text *t, const char *piece) {
    size_t more = strlen(piece);
    if (t->length + more + 1 > t->capacity) {
        t->capacity = 2 * (t->length + more + 1);
        t->start = realloc(t->start, t->capacity);
        assert_non_null(t->start);
    }
    memcpy(t->start + t->length, piece, more + 1);
    t->length += more;
}

static text repeated(const char *head, const char *piece, int times) {
    text t = {0};
    append(&t, head);
    for (int i = 0; i < times; i++) append(&t, piece);
    return t;
}

static network *build(const char *cfg_text, bool training, uint64_t limit) {
    const char *path = made_path("limits.cfg");
    diagnostics *d = diagnostics_create();
    network_settings settings = {.training = training, .threads = 2, .max_memory_bytes = limit};
    failure.message[0] = 0;
    assert_true(file_write_atomic(path, cfg_text, strlen(cfg_text), &failure));
    network *net = network_create(path, &settings, d, &failure);
    diagnostics_destroy(d);
    return net;
}

static size_t peak_bytes(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Refused with this in the sentence, within a 64 MiB limit and without taking memory on the way. */
static void expect_refused(const char *cfg_text, const char *sentence) {
    for (int training = 0; training < 2; training++) {
        size_t before = peak_bytes();
        network *net = build(cfg_text, training, (uint64_t)64 << 20);
        if (net) fail_msg("accepted where \"%s\" is wanted", sentence);
        if (!strstr(failure.message, sentence))
            fail_msg("\"%s\" does not say \"%s\"", failure.message, sentence);
        assert_non_null(strstr(failure.message, "limits.cfg"));
        assert_true(peak_bytes() - before < (size_t)48 << 20);
    }
}

#define NET "[net]\nheight=32\nwidth=32\nchannels=3\n"

static void absurd_numbers_are_refused(void **state) {
    (void)state;
    expect_refused(NET "[convolutional]\nfilters=1000000000\n",
                   ":6: filters: \"1000000000\" is not a whole number from");
    expect_refused("[net]\nheight=32768\nwidth=32768\nchannels=32768\n[avgpool]\n",
                   ":1: height, width, channels: an input of 32768x32768x32768 is too large");
    expect_refused("[net]\nheight=99999999999999999999\nwidth=1\nchannels=1\n[avgpool]\n", ":2: height:");
    expect_refused("[net]\ninputs=2147483647\n[connected]\n", ":2: inputs:");
    expect_refused("[net]\nheight=1024\nwidth=1024\nchannels=3\nbatch=1048576\nsubdivisions=1\n[softmax]\n",
                   "MB allowed");
    expect_refused(NET "batch=1048576\n[convolutional]\nfilters=1048576\nsize=1\n", "wants");
}

static void products_of_large_numbers_are_refused(void **state) {
    (void)state;
    expect_refused("[net]\nheight=1024\nwidth=1024\nchannels=1024\n[connected]\noutput=16777216\n",
                   "MB allowed");
    expect_refused(NET "[convolutional]\nfilters=1048576\nsize=1024\npad=1\nstride=1024\n", "wants");
    expect_refused(NET "[convolutional]\nfilters=16384\nsize=1\n[convolutional]\nfilters=1048576\nsize="
                       "1023\npad=1\nstride=1024\n",
                   "wants");
    expect_refused(NET "[local]\nfilters=262144\nsize=32\n[local]\nfilters=1048576\nsize=1\n", "wants");
    expect_refused(NET "[deconvolutional]\nfilters=1\nsize=1024\nstride=1024\n", "wants");
    expect_refused(NET "[deconvolutional]\nfilters=1048576\nsize=1024\nstride=1\npadding=511\n", "wants");
    expect_refused(NET "[upsample]\nstride=1024\n[upsample]\nstride=1024\n", "is too large");
    expect_refused(
        NET
        "[upsample]\nstride=512\n[convolutional]\nfilters=64\nsize=3\nstride=1024\npad=1\nantialiasing=1\n",
        ":12: antialiasing: the 16384x16384x64 before the blur are too large");
    expect_refused("[net]\ninputs=1048576\nbatch=1048576\n[maxpool]\nsize=1\nstride="
                   "1024\npadding=1024\n"
                   "antialiasing=1\n",
                   "are too large");
    expect_refused(
        "[net]\nheight=1\nwidth=1\nchannels=1\n[reorg]\nextra=1048576\n[reorg]\nextra=1048576\nreverse=1\n"
        "[connected]\noutput=16777216\n",
        "wants");
}

static void references_lead_backwards_only(void **state) {
    (void)state;
    expect_refused(NET "[route]\nlayers=0\n",
                   ":6: layers: 0 names another layer, but no layer stands before layer 0");
    expect_refused(NET "[route]\nlayers=-1\n", "no layer stands before layer 0");
    expect_refused(NET "[avgpool]\n[route]\nlayers=1\n",
                   ":7: layers: 1 names layer 1, but layer 1 can only read layers 0 to 0");
    expect_refused(NET "[avgpool]\n[shortcut]\nfrom=7\n", ":7: from: 7 names layer 7");
    expect_refused(NET "[avgpool]\n[shortcut]\nfrom=-2147483648\n", ":7: from:");
    expect_refused(NET "[avgpool]\n[scale_channels]\nfrom=2147483647\n", ":7: from:");
    expect_refused(NET "[convolutional]\nshare_index=0\n", ":6: share_index:");
}

static void many_layers_are_bounded(void **state) {
    (void)state;
    text t = repeated(NET, "[dropout]\n", 100000);
    expect_refused(t.start, "sections");
    free(t.start);
    t = repeated(NET, "[avgpool]\n", 10001);
    expect_refused(t.start, "has 10001 layers; 1 to 10000 are wanted");
    free(t.start);
    t = repeated(NET "[convolutional]\nfilters=1024\n[route]\nlayers=0", ",0", 20000);
    expect_refused(t.start, "is too large");
    free(t.start);
}

/* As many layers as are read, of the kinds whose planning looks at other layers, within seconds. */
static void deep_networks_are_planned_in_time(void **state) {
    (void)state;
    static const struct {
        const char *head, *piece;
        int times;
    } deep[] = {
        {"[net]\nheight=2\nwidth=2\nchannels=2\n[convolutional]\n", "[dropout]\n", 9000},
        {"[net]\nheight=2\nwidth=2\nchannels=2\n", "[convolutional]\nfilters=2\nbatch_normalize=1\n", 9000},
        {"[net]\nheight=2\nwidth=2\nchannels=2\n[convolutional]\nfilters=2\n[convolutional]\nfilters=2\n",
         "[convolutional]\nfilters=2\n[shortcut]\nfrom=-2\n", 1500},
        {"[net]\nheight=2\nwidth=2\nchannels=2\n[convolutional]\nfilters=2\n[convolutional]\nfilters=2\n",
         "[shortcut]\nfrom=-2\n", 1500},
        {"[net]\nheight=2\nwidth=2\nchannels=2\n[convolutional]\nfilters=2\n", "[shortcut]\nfrom=0\n", 3000}};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        text t = repeated(deep[i].head, deep[i].piece, deep[i].times);
        append(&t, "[softmax]\n");
        clock_t start = clock();
        network *net = build(t.start, true, 0);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (!net) fail_msg("%s", failure.message);
        assert_true(seconds < 20.0); /* far below one without sanitizers */
        network_destroy(net);
        free(t.start);
    }
}

static const char *const sound[] = {
    NET "batch=4\n[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n[maxpool]"
        "\nsize=2\nstride=2\n"
        "[avgpool]\n[connected]\noutput=10\nactivation=linear\n[softmax]\n",
    NET "batch=4\nadam=1\nema=.9\n[convolutional]\nfilters=8\nsize=3\n[convolutional]\nfilters=8\nsize=1\n["
        "shortcut]\nfrom=-2\n"
        "[connected]\noutput=100\n[softmax]\n",
    NET "[crop]\ncrop_height=8\ncrop_width=8\n[local]\nfilters=4\nsize=3\n[deconvolutional]\nfilters=2\nsize="
        "3\n[softmax]\n",
};

/* What a network says that it takes is enough, and a byte less is refused; what it then has is no more. */
static void the_limit_is_exact(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
        for (int training = 0; training < 2; training++) {
            network *net = build(sound[i], training, 0);
            if (!net) fail_msg("%s", failure.message);
            uint64_t bytes = net->memory_bytes, parameters = net->parameter_total * sizeof(float);
            assert_int_equal(net->memory_limit, memory_of_machine());
            assert_true(bytes >= net->arena_bytes + parameters * (training ? 3 : 1));
            network_destroy(net);
            net = build(sound[i], training, bytes);
            assert_non_null(net);
            assert_int_equal(net->memory_bytes, bytes);
            network_destroy(net);
            assert_null(build(sound[i], training, bytes - 1));
            assert_non_null(strstr(failure.message, "more than the"));
            assert_null(build(sound[i], training, 1));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(absurd_numbers_are_refused),
                                       cmocka_unit_test(products_of_large_numbers_are_refused),
                                       cmocka_unit_test(references_lead_backwards_only),
                                       cmocka_unit_test(many_layers_are_bounded),
                                       cmocka_unit_test(deep_networks_are_planned_in_time),
                                       cmocka_unit_test(the_limit_is_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
