/* Every mistake of a cfg or of a .data file is told at once, with its place, what was read and what would be
 * right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/data.h"
#include "internal.h"
#include "made_cfg.h"
#include "network/network.h"

#include <cmocka.h> /* after headers that use its words */

static diagnostics *found;

/* Reads the text as a cfg, which must be refused; all sentences are then in `found`. */
static void refuse(const char *text) {
    const char *path = made_path("mistakes.cfg");
    error e = {{0}};
    plugin p = {0};
    darknet_layer_type type;
    hdloss_layer_type_fill(&p, &type);
    const darknet_extension extension = {.name = "hdloss", .user = &p, .layer_type = &type},
                            *extensions[] = {&extension};
    network_settings settings = {
        .training = true, .threads = 1, .extensions = extensions, .extension_count = 1};
    diagnostics_destroy(found);
    found = diagnostics_create();
    assert_true(file_write_atomic(path, text, strlen(text), &e));
    assert_null(network_create(path, &settings, found, &e));
    assert_non_null(strstr(e.message, "mistakes.cfg:"));
}

/* Entry i says this behind the file's path. */
static void expect(size_t i, bool warning, const char *sentence) {
    bool is_warning = !warning;
    const char *got = diagnostics_get(found, i, &is_warning);
    if (!got) fail_msg("%zu sentences, \"%s\" is missing", i, sentence);
    const char *behind = strstr(got, "mistakes.");
    if (!behind || strcmp(behind + strlen("mistakes.xxx"), sentence) != 0)
        fail_msg("\"%s\" instead of \"%s\"", behind ? behind : got, sentence);
    assert_int_equal(is_warning, warning);
}

/* The sentences in order; those that begin with '?' are warnings. */
static void expect_all(const char *const *sentences) {
    size_t count = 0, errors = 0;
    for (; sentences[count]; count++) {
        bool warning = sentences[count][0] == '?';
        expect(count, warning, sentences[count] + warning);
        errors += !warning;
    }
    if (diagnostics_count(found) > count) fail_msg("also: \"%s\"", diagnostics_get(found, count, NULL));
    assert_int_equal(diagnostics_error_count(found), errors);
}

static void a_cfg_full_of_mistakes(void **state) {
    (void)state;
    refuse("[net]\nbacth=4\nmomentum=fast\nheight=16\nwidth=16\nchannels=3\npolicy=stpes\nlearning_rate=-1\n"
           "batch=6\nsubdivisions=4\nmax_batches=1e3\nangle=\n"
           "[convolutionl]\nfilters=2\n"
           "[convolutional]\nfilters=many\nsise=3\npad=2\nactivation=lineer\nbatch_normalise=1\n"
           "[yolo]\n"
           "[dropout]\nprobability=1.5\n"
           "[cost]\ntype=ss\n"
           "[connected]\noutput=\n"
           "[hdloss]\nlamda=2\nlambda=x\nreorder=segmnt\n"
           "[softmax\ngroups=3\nlonely\n");
    static const char *const sentences[] = {
        ":32: \"[softmax\" is not a section: [name] is wanted",
        ":34: \"lonely\" is neither [section], key=value nor a comment",
        ":10: subdivisions: 4 does not divide batch 6",
        ":8: learning_rate: \"-1\" is not a number from 0 to 1e+06",
        ":3: momentum: \"fast\" is not a number",
        ":7: policy: \"stpes\" is not one of constant, step, steps, exp, poly, random, sigmoid, sgdr; did "
        "you mean "
        "\"steps\"?",
        ":11: max_batches: \"1e3\" is not a whole number",
        ":12: angle: \"\" is not a number",
        "?:2: bacth is not a key of [net] and is left aside: did you mean batch?",
        ":13: [convolutionl] is no layer type; did you mean [convolutional]?",
        ":16: filters: \"many\" is not a whole number",
        ":18: pad: \"2\" is not 0 or 1",
        ":19: activation: \"lineer\" is no activation; did you mean \"linear\"?",
        "?:17: sise is not a key of [convolutional] and is left aside: did you mean size?",
        "?:20: batch_normalise is not a key of [convolutional] and is left aside: did you mean "
        "batch_normalize?",
        ":21: layer type yolo is not supported: this build trains classifiers",
        ":23: probability: \"1.5\" is not a number from 0 to 0.999999",
        ":25: type: \"ss\" is not one of sse, masked, smooth, L1, seg, wgan",
        ":27: output: \"\" is not a whole number",
        ":30: lambda: \"x\" is not a number from 0 to 1e+09",
        ":31: reorder: \"segmnt\" is not one of none, direct, segment, both",
        "?:29: lamda is not a key of [hdloss] and is left aside: did you mean lambda?",
        NULL};
    expect_all(sentences);
}

static void shapes_that_do_not_fit_name_both_layers(void **state) {
    (void)state;
    refuse("[net]\nheight=12\nwidth=12\nchannels=3\n"
           "[convolutional]\nfilters=4\nsize=25\npadding=2\n" /* layer 0 */
           "[crop]\ncrop_width=40\ncrop_height=1\n"           /* 1: layer 0 gives 1x1 by then */
           "[convolutional]\nfilters=8\ngroups=3\n"           /* 2: reads a crop of 40x1 */
           "[route]\nlayers=-1,0\n"                           /* 3 */
           "[route]\nlayers=5,-9\n"                           /* 4 */
           "[route]\n"                                        /* 5 */
           "[shortcut]\n"                                     /* 6 */
           "[sam]\nfrom=0\n"                                  /* 7 */
           "[reorg]\nstride=3\n"                              /* 8 */
           "[softmax]\ngroups=7\n");
    static const char *const sentences[] = {":7: size: a window of 25x25 does not fit the 12x12 input with "
                                            "padding 2 (layer 0 reads the network's input)",
                                            NULL};
    expect(0, false, sentences[0]);
    static const char *const parts[] = {
        ":11: crop_height: a crop of 40x1 does not fit the 1x1 input (layer 1 reads layer 0)",
        ":14: groups: 3 does not divide both the 4 input channels and the 8 filters (layer 2 reads layer 1)",
        ":16: layers: layer 2 gives 40x1, layer 0 1x1: only equal sizes can be joined",
        ":18: layers: 5 names layer 5, but layer 4 can only read layers 0 to 3",
        ":18: layers: -9 names layer -5, but layer 4 can only read layers 0 to 3",
        ":19: layers: is missing: it names the layers to join",
        ":20: from: is missing: it names the other layer that [shortcut] reads",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) expect(i + 1, false, parts[i]);
    size_t named = 0;
    for (size_t i = 0; i < diagnostics_count(found); i++)
        named += strstr(diagnostics_get(found, i, NULL), "layer ") != NULL;
    assert_true(diagnostics_error_count(found) >= 10);
    assert_true(named >= 9);
}

static void losses_share_one_truth(void **state) {
    (void)state;
    refuse("[net]\ninputs=6\n[connected]\noutput=4\n[softmax]\n[connected]\noutput=3\n[softmax]\n");
    static const char *const sentences[] = {
        ":5: layer 1 is a loss of 4 values, but layer 3, the network's answer, has 3", NULL};
    expect_all(sentences);
}

static void the_first_section_is_net(void **state) {
    (void)state;
    refuse("[nett]\nheight=4\nwidth=four\nchannels=1\n[avgpol]\n");
    static const char *const misspelt[] = {
        ":1: the first section must be [net] or [network], not [nett]",
        ":3: width: \"four\" is not a whole number",
        ":1: height, width, channels: all three are wanted (or inputs), here 0, 4, 1",
        ":5: [avgpol] is no layer type; did you mean [avgpool]?", NULL};
    expect(0, false, misspelt[0]);
    expect(1, false, misspelt[1]);
    expect(diagnostics_count(found) - 1, false, misspelt[3]);
    refuse("[convolutional]\nfilters=2\n");
    static const char *const missing[] = {":1: the first section must be [net] or [network]", NULL};
    expect_all(missing);
}

static void a_data_file_full_of_mistakes(void **state) {
    (void)state;
    static const char text[] =
        "clases=10\nclasses=ten\ntop=0\ntrain=,a\nvalid=$NOT_SET_ANYWHERE/a\nformat=cifr10\n"
        "valid_split=-1\n[net]\nlonely\n";
    const char *path = made_path("mistakes.dat");
    error e = {{0}};
    data_options options;
    diagnostics_destroy(found);
    found = diagnostics_create();
    assert_true(file_write_atomic(path, text, strlen(text), &e));
    assert_false(data_options_diagnose(path, &options, found, &e));
    assert_string_equal(e.message, diagnostics_get(found, 0, NULL));
    static const char *const sentences[] = {
        ":8: \"[net]\": a section, where only key = value lines belong",
        ":9: \"lonely\" is neither key=value nor a comment",
        ":2: classes: \"ten\" is not a whole number",
        ":3: top: \"0\" is not a whole number from 1 to 1000000",
        ":7: valid_split: \"-1\" is not a whole number of at least 0",
        ":6: format: \"cifr10\" is none of auto, list, cifar10, cifar100, idx; did you mean \"cifar10\"?",
        ":4: train: an empty path",
        ":5: valid: \"$NOT_SET_ANYWHERE/a\": the environment variable NOT_SET_ANYWHERE is not set",
        "?:1: clases is not a key of [data] and is left aside: did you mean classes?",
        NULL};
    expect_all(sentences);
}

static int tear_down(void **state) {
    (void)state;
    diagnostics_destroy(found);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cfg_full_of_mistakes), cmocka_unit_test(shapes_that_do_not_fit_name_both_layers),
        cmocka_unit_test(losses_share_one_truth), cmocka_unit_test(the_first_section_is_net),
        cmocka_unit_test(a_data_file_full_of_mistakes)};
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
