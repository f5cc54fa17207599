/* JPEGs: every pixel as stb_image, Darknet's decoder, gives it, for all kinds that are read; sentences for
 * those that are not and for damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/decode.h"
#include "data_files.h"
#include "jpeg_files.h"

/* ---- equality with stb_image ---- */

static void expect_equal_pixels(const char *kind, const uint8_t *bytes, size_t count) {
    for (int channels = 1; channels <= 3; channels += 2) {
        int width, height, wanted_width, wanted_height;
        error e = {{0}};
        uint8_t *wanted = jpeg_reference(bytes, count, channels, &wanted_width, &wanted_height);
        uint8_t *pixels = decode_image(bytes, count, kind, channels, &width, &height, &e);
        if (!pixels || !wanted) {
            fail_msg("%s: %s", kind, e.message);
            return;
        }
        assert_int_equal(width, wanted_width);
        assert_int_equal(height, wanted_height);
        for (int i = 0; i < width * height * channels; i++)
            if (pixels[i] != wanted[i])
                fail_msg("%s, %d channels: %d instead of %d at x %d, y %d, channel %d", kind, channels,
                         pixels[i], wanted[i], i / channels % width, i / channels / width, i % channels);
        free(wanted);
        free(pixels);
    }
}

static const jpeg_kind kinds[] = {
    {"grey", 61, 43, COLORS_GREY, .quality = 75},
    {"grey, progressive", 61, 43, COLORS_GREY, .quality = 30, .progressive = true},
    {"4:4:4", 61, 43, COLORS_YCC, .quality = 90},
    {"4:4:4, steps of 1", 61, 43, COLORS_YCC, .quality = 100},
    {"4:4:4, coarse", 61, 43, COLORS_YCC, .quality = 3},
    {"4:2:2", 61, 43, COLORS_YCC, {2, 1}, .quality = 85},
    {"4:2:2 of even width", 64, 48, COLORS_YCC, {2, 1}, .quality = 85},
    {"4:4:0", 61, 43, COLORS_YCC, {1, 2}, .quality = 85},
    {"4:2:0", 61, 43, COLORS_YCC, {2, 2}, .quality = 75},
    {"4:2:0 of even size", 64, 48, COLORS_YCC, {2, 2}, .quality = 75},
    {"4:2:0, progressive", 133, 97, COLORS_YCC, {2, 2}, .quality = 60, .progressive = true},
    {"4:2:0, restarts", 61, 43, COLORS_YCC, {2, 2}, .quality = 75, .restart = 2},
    {"4:2:0, a scan each", 61, 43, COLORS_YCC, {2, 2}, .quality = 75, .scans_of_one = true},
    {"4:1:1", 61, 43, COLORS_YCC, {4, 1}, .quality = 75},
    {"4:1:0", 61, 43, COLORS_YCC, {4, 2}, .quality = 75},
    {"four down", 61, 43, COLORS_YCC, {1, 4}, .quality = 75},
    {"three across", 61, 43, COLORS_YCC, {3, 1}, .quality = 75},
    {"coarse luma", 61, 43, COLORS_YCC, {1, 1}, {2, 2}, .quality = 75},
    {"one pixel", 1, 1, COLORS_YCC, {2, 2}, .quality = 75},
    {"one column", 1, 40, COLORS_YCC, {2, 2}, .quality = 75},
    {"two columns", 2, 17, COLORS_YCC, {2, 1}, .quality = 75},
    {"three columns", 3, 17, COLORS_YCC, {2, 1}, .quality = 75},
    {"one row", 40, 1, COLORS_YCC, {1, 2}, .quality = 75},
    {"RGB", 61, 43, COLORS_RGB, .quality = 85},
    {"CMYK", 61, 43, COLORS_CMYK, .quality = 85},
    {"YCCK", 61, 43, COLORS_YCCK, {2, 2}, .quality = 85},
    {"YCCK, progressive", 61, 43, COLORS_YCCK, {2, 1}, .quality = 85, .progressive = true},
};

static void every_kind_has_the_pixels_of_stb_image(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (unsigned seed = 0; seed < 3; seed++) {
            size_t count;
            uint8_t *bytes = jpeg_file(&kinds[k], seed, &count);
            expect_equal_pixels(kinds[k].name, bytes, count);
            free(bytes);
        }
    }
    expect_equal_pixels("baseline", jpeg_baseline, sizeof jpeg_baseline);
    expect_equal_pixels("progressive", jpeg_progressive, sizeof jpeg_progressive);
}

/* ---- what is refused ---- */

static void expect_sentence(const uint8_t *bytes, size_t count, const char *sentence) {
    int width, height;
    error e = {{0}};
    uint8_t *pixels = decode_image(bytes, count, "x", 3, &width, &height, &e);
    free(pixels);
    if (pixels) fail_msg("an image, where \"%s\" is wanted", sentence);
    if (strcmp(e.message, sentence) != 0) fail_msg("\"%s\" instead of \"%s\"", e.message, sentence);
}

static void expect_reason(const uint8_t *bytes, size_t count, const char *reason) {
    char sentence[256];
    (void)snprintf(sentence, sizeof sentence, "x: JPEG of %zu bytes: %s", count, reason);
    expect_sentence(bytes, count, sentence);
}

/* Where the next marker of this code stands, `from` there on. */
static size_t find_marker(const uint8_t *bytes, size_t count, uint8_t code, size_t from) {
    for (size_t i = from; i + 1 < count; i++)
        if (bytes[i] == 0xFF && bytes[i + 1] == code) return i;
    fail_msg("no marker %02x", code);
    return 0;
}

/* `bytes` with `cut` of them at `at` replaced by `added`; in a buffer of this size exactly, so that
 * sanitizers see a read past it. */
static uint8_t *replace(const uint8_t *bytes, size_t count, size_t at, size_t cut, const uint8_t *added,
                        size_t more, size_t *length) {
    *length = count - cut + more;
    uint8_t *copy = malloc(*length);
    assert_non_null(copy);
    memcpy(copy, bytes, at);
    if (more) memcpy(copy + at, added, more);
    memcpy(copy + at + more, bytes + at + cut, count - at - cut);
    return copy;
}

static void kinds_that_are_not_read_say_so(void **state) {
    (void)state;
    static const jpeg_kind arithmetic = {"", 20, 20, COLORS_YCC, .quality = 75, .arithmetic = true};
    size_t count;
    uint8_t *bytes = jpeg_file(&arithmetic, 1, &count);
    expect_reason(bytes, count, "arithmetic coding is not read here");
    free(bytes);
    size_t frame = find_marker(jpeg_baseline, sizeof jpeg_baseline, 0xC0, 0);
    bytes = replace(jpeg_baseline, sizeof jpeg_baseline, frame + 4, 1, (const uint8_t[]){12}, 1, &count);
    expect_reason(bytes, count, "Unsupported JPEG data precision 12");
    free(bytes);
    bytes = replace(jpeg_baseline, sizeof jpeg_baseline, frame + 1, 1, (const uint8_t[]){0xC3}, 1, &count);
    expect_reason(bytes, count, "Unsupported JPEG process: SOF type 0xc3");
    free(bytes);
    /* The first of its three components by 3 x 1, the second by 2 x 1. */
    static const uint8_t factors[] = {1, 0x31, 0, 2, 0x21};
    bytes = replace(jpeg_baseline, sizeof jpeg_baseline, frame + 10, 5, factors, 5, &count);
    expect_reason(bytes, count, "samples that stand for no whole number of pixels are not read here");
    free(bytes);
}

static void absurd_sizes_allocate_nothing(void **state) {
    (void)state;
    static const struct {
        uint8_t size[4]; /* height, width */
        const char *sentence;
    } cases[] = {
        {{0xFF, 0xFF, 0xFF, 0xFF}, "x: JPEG of 382 bytes: Maximum supported image dimension is 65500 pixels"},
        {{0xFF, 0xDC, 0xFF, 0xDC},
         "x: an image of 65500 x 65500 pixels: at most 33554432 pixels are decoded"},
        {{0, 0, 0, 20}, "x: JPEG of 382 bytes: Empty JPEG image (DNL not supported)"},
        {{0, 12, 0, 0}, "x: JPEG of 382 bytes: Empty JPEG image (DNL not supported)"},
        {{0x16, 0xA0, 0x16, 0xA0}, "x: JPEG of 382 bytes: Corrupt JPEG data: premature end of data segment"},
    };
    size_t at = find_marker(jpeg_baseline, sizeof jpeg_baseline, 0xC0, 0) + 5, count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *bytes = replace(jpeg_baseline, sizeof jpeg_baseline, at, 4, cases[i].size, 4, &count);
        expect_sentence(bytes, count, cases[i].sentence);
        free(bytes);
    }
}

/* Each is cut at every byte, and no cut file is an image. */
static void truncated_files_are_errors(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k += 4) {
        size_t count;
        uint8_t *bytes = jpeg_file(&kinds[k], 1, &count);
        for (size_t kept = 8; kept < count; kept += kept < 700 || kept + 20 > count ? 1 : 31) {
            size_t length;
            uint8_t *cut = replace(bytes, count, kept, count - kept, NULL, 0, &length);
            error e = {{0}};
            int width, height;
            assert_null(decode_image(cut, length, "cut", 3, &width, &height, &e));
            assert_memory_equal(e.message, "cut: JPEG of ", 13);
            free(cut);
        }
        free(bytes);
    }
    expect_reason(jpeg_baseline, sizeof jpeg_baseline - 2, "Premature end of JPEG file");
    expect_reason(jpeg_baseline, 200, "Premature end of JPEG file");
}

static void damaged_files_are_errors(void **state) {
    (void)state;
    size_t count, tables = find_marker(jpeg_baseline, sizeof jpeg_baseline, 0xC4, 0);
    uint8_t *bytes;
    uint8_t many[16];
    memset(many, 0xFF, sizeof many);
    bytes = replace(jpeg_baseline, sizeof jpeg_baseline, tables + 5, 16, many, 16, &count);
    expect_reason(bytes, count, "Bogus Huffman table definition");
    free(bytes);

    static const jpeg_kind one_each = {"", 20, 20, COLORS_YCC, .quality = 75, .scans_of_one = true};
    size_t whole;
    uint8_t *scans = jpeg_file(&one_each, 1, &whole);
    size_t last = 0;
    for (int scan = 0; scan < 3; scan++) last = find_marker(scans, whole, 0xDA, last + 1);
    bytes = replace(scans, whole, last, whole - 2 - last, NULL, 0, &count);
    expect_reason(bytes, count, "one of its components never comes");
    free(bytes);
    free(scans);
}

/* A scan repeated without end: each repetition visits every block of the image. */
static void very_many_scans_are_refused(void **state) {
    (void)state;
    static const jpeg_kind one_each = {"", 20, 20, COLORS_YCC, .quality = 75, .scans_of_one = true};
    size_t whole, count;
    uint8_t *file = jpeg_file(&one_each, 1, &whole);
    size_t first = find_marker(file, whole, 0xDA, 0);
    size_t length = find_marker(file, whole, 0xC4, first) - first;
    uint8_t *scans = malloc(600 * length);
    assert_non_null(scans);
    for (size_t i = 0; i < 600; i++) memcpy(scans + i * length, file + first, length);
    uint8_t *bytes = replace(file, whole, first, 0, scans, 600 * length, &count);
    expect_reason(bytes, count, "more than 500 scans");
    free(bytes);
    bytes = replace(file, whole, first, 0, scans, 3 * length, &count);
    expect_equal_pixels("a scan four times", bytes, count);
    free(bytes);
    free(scans);
    free(file);
}

/* Cameras and editors leave such bytes; the image is whole. */
static void bytes_beside_the_image_are_passed_over(void **state) {
    (void)state;
    static const uint8_t junk[] = {1, 2, 3, 4, 5}, comment[] = {0xFF, 0xFE, 0, 6, 'e', 'd', 'i', 't'};
    const size_t places[] = {sizeof jpeg_baseline - 2, sizeof jpeg_baseline, 2};
    int width, height;
    uint8_t *wanted = decode_image(jpeg_baseline, sizeof jpeg_baseline, "x", 3, &width, &height, NULL);
    assert_non_null(wanted);
    for (size_t i = 0; i < 3; i++) {
        size_t count;
        uint8_t *bytes = replace(jpeg_baseline, sizeof jpeg_baseline, places[i], 0, i < 2 ? junk : comment,
                                 i < 2 ? sizeof junk : sizeof comment, &count);
        error e = {{0}};
        uint8_t *pixels = decode_image(bytes, count, "x", 3, &width, &height, &e);
        if (!pixels) fail_msg("%s", e.message);
        assert_memory_equal(pixels, wanted, (size_t)(width * height * 3));
        free(pixels);
        free(bytes);
    }
    free(wanted);
}

/* Motion JPEG's frames come without the tables, which are then those of the standard's annex K. */
static void missing_huffman_tables_are_the_standard_ones(void **state) {
    (void)state;
    static const jpeg_kind kind = {"", 40, 30, COLORS_YCC, {2, 2}, .quality = 75};
    size_t whole, count;
    int width, height;
    uint8_t *file = jpeg_file(&kind, 1, &whole);
    uint8_t *wanted = decode_image(file, whole, "x", 3, &width, &height, NULL);
    assert_non_null(wanted);
    size_t first = find_marker(file, whole, 0xC4, 0), scan = find_marker(file, whole, 0xDA, 0);
    uint8_t *bytes = replace(file, whole, first, scan - first, NULL, 0, &count);
    uint8_t *pixels = decode_image(bytes, count, "x", 3, &width, &height, NULL);
    assert_non_null(pixels);
    assert_memory_equal(pixels, wanted, (size_t)(width * height * 3));
    free(pixels);
    free(bytes);
    free(wanted);
    free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_the_pixels_of_stb_image),
        cmocka_unit_test(kinds_that_are_not_read_say_so),
        cmocka_unit_test(absurd_sizes_allocate_nothing),
        cmocka_unit_test(truncated_files_are_errors),
        cmocka_unit_test(damaged_files_are_errors),
        cmocka_unit_test(very_many_scans_are_refused),
        cmocka_unit_test(bytes_beside_the_image_are_passed_over),
        cmocka_unit_test(missing_huffman_tables_are_the_standard_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
