/* The text formats: what is read, and the sentence for each thing that cannot be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "core/file.h"

static diagnostics *found;

static int set_up(void **state) {
    (void)state;
    found = diagnostics_create();
    return found ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    diagnostics_destroy(found);
    return 0;
}

static cfg *parse(const char *text) {
    error e = {{0}};
    cfg *c = cfg_parse(text, strlen(text), "x.cfg", found, &e);
    assert_non_null(c);
    return c;
}

/* The i-th sentence is exactly this, an error or a warning. */
static void expect(size_t i, bool warning, const char *sentence) {
    bool is_warning = !warning;
    assert_true(i < diagnostics_count(found));
    assert_string_equal(diagnostics_get(found, i, &is_warning), sentence);
    assert_int_equal(is_warning, warning);
}

static void reads_sections_and_keys(void **state) {
    (void)state;
    cfg *c = parse("\xEF\xBB\xBF# a comment\r\n[net]\r\n ba tch = 12 8\r\n\r\n; another\n"
                   "[convolutional]\nfilters=32\nactivation = re\tlu6\n[convolutional]\nfilters=64");
    assert_int_equal(diagnostics_count(found), 0);
    assert_string_equal(cfg_path(c), "x.cfg");
    assert_int_equal(cfg_section_count(c), 3);
    const cfg_section *net = cfg_section_at(c, 0), *first = cfg_section_at(c, 1),
                      *second = cfg_section_at(c, 2);
    assert_null(cfg_section_at(c, 3));
    assert_string_equal(section_name(net), "net");
    assert_string_equal(section_path(net), "x.cfg");
    assert_int_equal(section_line(net), 2);
    assert_int_equal(section_int(net, "batch", 1, 1, 1000, found), 128);
    assert_int_equal(section_key_line(net, "batch"), 3);
    assert_int_equal(section_key_line(net, "absent"), 2);
    assert_true(section_has(net, "batch"));
    assert_false(section_has(net, "filters"));
    assert_string_equal(section_string(first, "activation", NULL), "relu6");
    assert_null(section_string(first, "absent", NULL));
    assert_int_equal(section_int(second, "filters", 1, 1, 1000, found), 64);
    assert_ptr_equal(cfg_find(c, "convolutional"), first);
    assert_null(cfg_find(c, "maxpool"));
    assert_int_equal(diagnostics_count(found), 0);
    cfg_destroy(c);
}

static void grammar_mistakes_are_all_collected(void **state) {
    (void)state;
    cfg *c = parse("lost=1\n[net\n[]\n[a]b]\n[net]\nnonsense\n=5\nbatch=1\nbatch=2\n");
    assert_int_equal(diagnostics_error_count(found), 6);
    expect(0, false, "x.cfg:1: key lost stands before the first [section]");
    expect(1, false, "x.cfg:2: \"[net\" is not a section: [name] is wanted");
    expect(2, false, "x.cfg:3: \"[]\" is not a section: [name] is wanted");
    expect(3, false, "x.cfg:4: \"[a]b]\" is not a section: [name] is wanted");
    expect(4, false, "x.cfg:6: \"nonsense\" is neither [section], key=value nor a comment");
    expect(5, false, "x.cfg:7: \"=5\" is neither [section], key=value nor a comment");
    expect(6, true, "x.cfg:9: batch is already set in line 8: this later value holds");
    assert_int_equal(section_int(cfg_find(c, "net"), "batch", 0, 0, 9, found), 2);
    assert_int_equal(section_key_line(cfg_find(c, "net"), "batch"), 9);
    cfg_destroy(c);
}

static void keys_of_an_unreadable_section_go_nowhere(void **state) {
    (void)state;
    cfg *c = parse("[net]\nbatch=1\n[broken\nbatch=9\n");
    assert_int_equal(cfg_section_count(c), 1);
    assert_int_equal(section_int(cfg_find(c, "net"), "batch", 0, 0, 9, found), 1);
    assert_int_equal(diagnostics_count(found), 1);
    cfg_destroy(c);
}

static void hostile_text_is_bounded(void **state) {
    (void)state;
    static const char zero[] = "[net]\nba\0tch=1\nwidth=3\n";
    error e = {{0}};
    cfg *c = cfg_parse(zero, sizeof zero - 1, "x.cfg", found, &e);
    assert_non_null(c);
    expect(0, false, "x.cfg:2: a zero byte: this is not a text file");
    assert_int_equal(section_int(cfg_find(c, "net"), "width", 0, 0, 9, found), 3);
    cfg_destroy(c);

    size_t bytes = 200000;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'a', bytes);
    c = cfg_parse(text, bytes, "x.cfg", found, &e);
    assert_non_null(c);
    expect(1, false, "x.cfg:1: a line of 200000 bytes: at most 65536 are read");
    cfg_destroy(c);
    for (size_t i = 0; i < bytes; i += 2) memcpy(text + i, "[\n", 2);
    c = cfg_parse(text, bytes, "x.cfg", found, &e);
    assert_non_null(c);
    assert_int_equal(diagnostics_count(found), 100);
    assert_int_equal(diagnostics_error_count(found), 2 + bytes / 2);
    assert_int_equal(diagnostics_dropped(found), 2 + bytes / 2 - 100);
    cfg_destroy(c);
    free(text);

    bytes = ((size_t)4 << 20) + 1;
    text = calloc(bytes, 1);
    assert_non_null(text);
    assert_null(cfg_parse(text, bytes, "x.cfg", found, &e));
    assert_string_equal(e.message, "x.cfg: 4194305 bytes: at most 4194304 are read here");
    free(text);
}

static void errors_push_warnings_out_of_a_full_list(void **state) {
    (void)state;
    for (int i = 0; i < 150; i++) diagnostics_warning(found, "warning %d", i);
    diagnostics_error(found, "bad \x1b[31m %s", "thing");
    assert_int_equal(diagnostics_count(found), 100);
    assert_int_equal(diagnostics_error_count(found), 1);
    assert_int_equal(diagnostics_dropped(found), 51);
    expect(98, true, "warning 98");
    expect(99, false, "bad ?[31m thing");
    assert_null(diagnostics_get(found, 100, NULL));
    diagnostics_error(NULL, "nobody listens");
}

static void whole_numbers_are_whole(void **state) {
    (void)state;
    cfg *c =
        parse("[net]\na=abc\nb=1.5x\nc=99999999999999999999\nd=3000000000\ne=\nf=-7\ng=0x10\nh=12\ni=0\n");
    const cfg_section *s = cfg_find(c, "net");
    for (const char *key = "abcdeg"; *key; key++)
        assert_int_equal(section_int(s, (char[]){*key, 0}, 42, -100, 100, found), 42);
    assert_int_equal(section_int(s, "f", 42, -100, 100, found), -7);
    assert_int_equal(section_int(s, "h", 42, 0, 10, found), 42);
    assert_int_equal(section_int(s, "i", 42, 1, INT32_MAX, found), 42);
    assert_int_equal(section_int(s, "absent", 4242, 0, 10, found), 4242);
    expect(0, false, "x.cfg:2: a: \"abc\" is not a whole number");
    expect(1, false, "x.cfg:3: b: \"1.5x\" is not a whole number");
    expect(2, false, "x.cfg:4: c: \"99999999999999999999\" is not a whole number");
    expect(3, false, "x.cfg:5: d: \"3000000000\" is not a whole number");
    expect(4, false, "x.cfg:6: e: \"\" is not a whole number");
    expect(5, false, "x.cfg:8: g: \"0x10\" is not a whole number");
    expect(6, false, "x.cfg:9: h: \"12\" is not a whole number from 0 to 10");
    expect(7, false, "x.cfg:10: i: \"0\" is not a whole number of at least 1");
    assert_int_equal(diagnostics_error_count(found), 8);
    cfg_destroy(c);
}

static void numbers_and_flags(void **state) {
    (void)state;
    cfg *c = parse("[net]\na=nan\nb=inf\nc=1e999\nd=.5.\ne=-2.5e-3\nf=3\ng=1\nh=yes\ni=0\nj=1,5\n");
    const cfg_section *s = cfg_find(c, "net");
    for (const char *key = "abcdj"; *key; key++)
        assert_true(section_number(s, (char[]){*key, 0}, .25, -10, 10, found) == .25);
    assert_true(section_number(s, "e", .25, -10, 10, found) == -2.5e-3);
    assert_true(section_number(s, "f", .25, 0, 1, found) == .25);
    assert_true(section_number(s, "absent", 77, 0, 1, found) == 77);
    assert_true(section_flag(s, "g", false, found));
    assert_false(section_flag(s, "i", true, found));
    assert_true(section_flag(s, "h", true, found));
    expect(0, false, "x.cfg:2: a: \"nan\" is not a number");
    expect(2, false, "x.cfg:4: c: \"1e999\" is not a number");
    expect(5, false, "x.cfg:7: f: \"3\" is not a number from 0 to 1");
    expect(6, false, "x.cfg:9: h: \"yes\" is not 0 or 1");
    assert_int_equal(diagnostics_error_count(found), 7);
    cfg_destroy(c);
}

static void lists_of_numbers(void **state) {
    (void)state;
    cfg *c = parse("[net]\nlayers=-1, -4,12\nscales=.1,.5\nbad=1,,2\nworse=1,2,\nempty=\n");
    const cfg_section *s = cfg_find(c, "net");
    int *layers, *none;
    double *scales;
    assert_int_equal(section_int_list(s, "layers", &layers, found), 3);
    assert_int_equal(layers[0], -1);
    assert_int_equal(layers[1], -4);
    assert_int_equal(layers[2], 12);
    assert_int_equal(section_number_list(s, "scales", &scales, found), 2);
    assert_true(scales[0] == .1 && scales[1] == .5);
    assert_int_equal(section_int_list(s, "absent", &none, found), 0);
    assert_null(none);
    assert_int_equal(diagnostics_count(found), 0);
    static const char *const bad[] = {"bad", "worse", "empty", "scales"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(section_int_list(s, bad[i], &none, found), 0);
        assert_null(none);
    }
    expect(0, false, "x.cfg:4: bad: \"\", value 2 of the list, is not a whole number");
    expect(1, false, "x.cfg:5: worse: \"\", value 3 of the list, is not a whole number");
    expect(2, false, "x.cfg:6: empty: \"\", value 1 of the list, is not a whole number");
    expect(3, false, "x.cfg:3: scales: \".1\", value 1 of the list, is not a whole number");
    free(layers);
    free(scales);
    cfg_destroy(c);
}

static void unknown_keys_are_reported(void **state) {
    (void)state;
    cfg *c = parse("[convolutional]\nfilers=3\nsize=3\nwholly_other=1\n");
    const cfg_section *s = cfg_find(c, "convolutional");
    section_int(s, "filters", 1, 1, 10, found);
    section_int(s, "size", 1, 1, 10, found);
    section_report_unknown(s, found);
    assert_int_equal(diagnostics_error_count(found), 0);
    assert_int_equal(diagnostics_count(found), 2);
    expect(0, true,
           "x.cfg:2: filers is not a key of [convolutional] and is left aside: did you mean filters?");
    expect(1, true, "x.cfg:4: wholly_other is not a key of [convolutional] and is left aside");
    cfg_destroy(c);
}

static void closest_names(void **state) {
    (void)state;
    static const char *const names[] = {"momentum", "decay", "batch", "pad"};
    assert_string_equal(closest_name("momentun", names, 4), "momentum");
    assert_string_equal(closest_name("bacth", names, 4), "batch");
    assert_string_equal(closest_name("momentum", names, 4), "momentum");
    assert_null(closest_name("mo", names, 4));
    assert_null(closest_name("dot", names, 4));
    assert_null(closest_name("", names, 4));
    assert_null(closest_name("pa", names, 4));
    char huge[500];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    assert_null(closest_name(huge, names, 4));
}

static void overrides_and_implied_sections(void **state) {
    (void)state;
    cfg *c = parse("[net]\nbatch=1\n");
    cfg_section *net = cfg_find(c, "net");
    for (int i = 0; i < 100; i++) assert_non_null(cfg_append(c, "more"));
    cfg_section *implied = cfg_append(c, "hdloss");
    assert_non_null(implied);
    assert_ptr_equal(cfg_find(c, "net"), net);
    assert_int_equal(section_line(implied), 0);
    assert_true(cfg_set(net, "batch", "7"));
    assert_true(cfg_set(implied, "lambda", ".5"));
    assert_int_equal(section_int(net, "batch", 0, 0, 9, found), 7);
    assert_true(section_number(implied, "lambda", 0, 0, 9, found) == .5);
    cfg_destroy(c);
}

static void data_files(void **state) {
    (void)state;
    char path[] = "/tmp/test_config_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    error e = {{0}};
    static const char text[] = "classes = 100\r\ntrain = some where/list.txt\n[net]\nlonely\n";
    assert_true(file_write_atomic(path, text, sizeof text - 1, &e));
    cfg *c = data_file_read(path, found, &e);
    assert_non_null(c);
    assert_int_equal(cfg_section_count(c), 1);
    const cfg_section *s = cfg_find(c, "data");
    assert_int_equal(section_int(s, "classes", 2, 1, 1000, found), 100);
    assert_string_equal(section_string(s, "train", NULL), "somewhere/list.txt");
    assert_int_equal(diagnostics_error_count(found), 2);
    assert_non_null(
        strstr(diagnostics_get(found, 0, NULL), ":3: \"[net]\": a section, where only key = value lines"));
    assert_non_null(
        strstr(diagnostics_get(found, 1, NULL), ":4: \"lonely\" is neither key=value nor a comment"));
    cfg_destroy(c);
    unlink(path);
    assert_null(data_file_read(path, found, &e));
    assert_non_null(strstr(e.message, "cannot be opened: No such file"));
    assert_null(cfg_read("/", found, &e));
    assert_non_null(strstr(e.message, "cannot be read"));
}

static bool read_list(const char *text, size_t bytes, string_list *list, error *e) {
    char path[] = "/tmp/test_config_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(file_write_atomic(path, text, bytes, e));
    bool good = string_list_read(path, list, e);
    unlink(path);
    return good;
}

static void lists(void **state) {
    (void)state;
    string_list list;
    error e = {{0}};
    static const char text[] = "a b/1.png \r\n\n   \n/c/2.png\t\nlast";
    assert_true(read_list(text, sizeof text - 1, &list, &e));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0], "a b/1.png");
    assert_string_equal(list.items[1], "/c/2.png");
    assert_string_equal(list.items[2], "last");
    string_list_free(&list);
    assert_true(read_list("", 0, &list, &e));
    assert_int_equal(list.count, 0);
    string_list_free(&list);
    assert_false(read_list("a\nb\0c\n", 6, &list, &e));
    assert_non_null(strstr(e.message, ":2: a zero byte"));
    char *line = malloc(5000);
    assert_non_null(line);
    memset(line, 'x', 5000);
    assert_false(read_list(line, 5000, &list, &e));
    assert_non_null(strstr(e.message, ":1: a line of 5000 bytes: at most 4096 are read"));
    free(line);
    assert_false(string_list_read("/nowhere/list", &list, &e));
    assert_string_equal(e.message, "/nowhere/list: cannot be opened: No such file or directory");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(reads_sections_and_keys),
        TEST(grammar_mistakes_are_all_collected),
        TEST(keys_of_an_unreadable_section_go_nowhere),
        TEST(hostile_text_is_bounded),
        TEST(errors_push_warnings_out_of_a_full_list),
        TEST(whole_numbers_are_whole),
        TEST(numbers_and_flags),
        TEST(lists_of_numbers),
        TEST(unknown_keys_are_reported),
        TEST(closest_names),
        TEST(overrides_and_implied_sections),
        TEST(data_files),
        TEST(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
