/* Images: decoding of every kind that is read, the sentences for damaged ones, and resize, letterbox and
 * centre crop against plain references. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/random.h"
#include "data/data.h"
#include "data/resample.h"
#include "data_files.h"

static void fill_random(uint8_t *bytes, size_t count, uint64_t seed) {
    random_state r = random_seeded(seed, 1);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)random_below(&r, 256);
}

static image_f32 random_image(int width, int height, int channels, uint64_t seed) {
    image_f32 image;
    assert_true(image_make(width, height, channels, &image, NULL));
    random_state r = random_seeded(seed, 2);
    for (int i = 0; i < width * height * channels; i++) image.data[i] = random_uniform(&r, 0, 1);
    return image;
}

static float at(const image_f32 *image, int c, int y, int x) {
    return image->data[((size_t)c * (size_t)image->height + (size_t)y) * (size_t)image->width + (size_t)x];
}

/* One value of the resized image, straight from the definition, in double. */
static double reference_resize(const image_f32 *in, int c, int y, int x, int width, int height) {
    double from_x = x == width - 1 ? in->width - 1 : x * (in->width - 1.0) / (width - 1.0);
    double from_y = y == height - 1 ? in->height - 1 : y * (in->height - 1.0) / (height - 1.0);
    int left = (int)floor(from_x + 1e-9), top = (int)floor(from_y + 1e-9);
    int right = left + 1 < in->width ? left + 1 : left, below = top + 1 < in->height ? top + 1 : top;
    double dx = from_x - left, dy = from_y - top;
    return (1 - dy) * ((1 - dx) * at(in, c, top, left) + dx * at(in, c, top, right)) +
           dy * ((1 - dx) * at(in, c, below, left) + dx * at(in, c, below, right));
}

static void resize_follows_its_definition(void **state) {
    (void)state;
    static const int sizes[][4] = {{5, 7, 11, 3},  {32, 32, 32, 32}, {1, 1, 4, 4}, {4, 4, 1, 1},
                                   {9, 2, 64, 65}, {3, 1, 7, 7},     {1, 3, 2, 9}, {100, 37, 32, 32}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int width = sizes[s][2], height = sizes[s][3];
        image_f32 in = random_image(sizes[s][0], sizes[s][1], 3, s), out;
        assert_true(image_resize(&in, width, height, &out, NULL));
        assert_int_equal(out.width, width);
        assert_int_equal(out.height, height);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++)
                    assert_float_equal(at(&out, c, y, x), reference_resize(&in, c, y, x, width, height),
                                       2e-5);
        if (in.width == width && in.height == height)
            assert_memory_equal(in.data, out.data, sizeof(float) * 3 * (size_t)(width * height));
        image_free(&in);
        image_free(&out);
    }
}

/* Last column and row are copies, bit for bit: rounding of the positions must not leave them half blended. */
static void resize_ends_on_the_last_pixels(void **state) {
    (void)state;
    for (int old = 2; old < 40; old++) {
        image_f32 in = random_image(old, old, 1, (uint64_t)old), out;
        for (int new = 1; new < 80; new ++) {
            assert_true(image_resize(&in, new, new, &out, NULL));
            assert_true(at(&out, 0, new - 1, new - 1) == at(&in, 0, old - 1, old - 1));
            if (new > 1) assert_true(at(&out, 0, 0, 0) == at(&in, 0, 0, 0));
            image_free(&out);
        }
        image_free(&in);
    }
}

static void letterbox_fits_and_centres(void **state) {
    (void)state;
    static const int sizes[][4] = {{64, 48, 32, 32}, {48, 64, 32, 32}, {20, 20, 32, 16}, {7, 300, 32, 32},
                                   {500, 2, 8, 8},   {33, 32, 32, 33}, {1, 1, 5, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int old_width = sizes[s][0], old_height = sizes[s][1], width = sizes[s][2], height = sizes[s][3];
        int fit_width = width, fit_height = height;
        if ((double)width / old_width < (double)height / old_height)
            fit_height = old_height * width / old_width;
        else
            fit_width = old_width * height / old_height;
        if (fit_height < 1) fit_height = 1;
        if (fit_width < 1) fit_width = 1;
        image_f32 in = random_image(old_width, old_height, 3, s), out;
        assert_true(image_letterbox(&in, width, height, &out, NULL));
        int left = (width - fit_width) / 2, top = (height - fit_height) / 2;
        for (int c = 0; c < 3; c++) {
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    bool inside = x >= left && x < left + fit_width && y >= top && y < top + fit_height;
                    double wanted =
                        inside ? reference_resize(&in, c, y - top, x - left, fit_width, fit_height) : .5;
                    assert_float_equal(at(&out, c, y, x), wanted, 1e-4);
                }
            }
        }
        image_free(&in);
        image_free(&out);
    }
}

static void center_crop_takes_the_largest_square(void **state) {
    (void)state;
    static const int sizes[][4] = {{64, 48, 32, 32}, {31, 64, 32, 24}, {20, 20, 20, 20}, {9, 4, 4, 4}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int width = sizes[s][2], height = sizes[s][3];
        image_f32 in = random_image(sizes[s][0], sizes[s][1], 3, s), out, square;
        int side = in.width < in.height ? in.width : in.height;
        int left = (in.width - side) / 2, top = (in.height - side) / 2;
        assert_true(image_make(side, side, 3, &square, NULL));
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++)
                    square.data[(c * side + y) * side + x] = at(&in, c, y + top, x + left);
        assert_true(image_center_crop(&in, width, height, &out, NULL));
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++)
                    assert_float_equal(at(&out, c, y, x), reference_resize(&square, c, y, x, width, height),
                                       2e-5);
        image_free(&in);
        image_free(&out);
        image_free(&square);
    }
}

static void bytes_and_floats_resample_alike(void **state) {
    (void)state;
    uint8_t bytes[19 * 13];
    float floats[19 * 13], scratch[32 * 13], from_bytes[32 * 24], from_floats[32 * 24];
    fill_random(bytes, sizeof bytes, 5);
    for (size_t i = 0; i < sizeof bytes; i++) floats[i] = pixel_from_byte(bytes[i]);
    byte_plane b = {bytes, 19, 13, 1, 19};
    float_plane f = {floats, 19, 13, 1, 19}, to_b = {from_bytes, 32, 24, 1, 32},
                to_f = {from_floats, 32, 24, 1, 32};
    resample_bytes(&b, &to_b, scratch);
    resample_floats(&f, &to_f, scratch);
    assert_memory_equal(from_bytes, from_floats, sizeof from_bytes);
}

static void every_kind_decodes(void **state) {
    (void)state;
    enum { WIDTH = 17, HEIGHT = 11 };
    static const image_kind lossless[] = {IMAGE_PNG, IMAGE_BMP, IMAGE_PPM};
    uint8_t pixels[WIDTH * HEIGHT * 3];
    fill_random(pixels, sizeof pixels, 6);
    size_t count;
    image_f32 image;
    for (size_t k = 0; k < 3; k++) {
        uint8_t *bytes = files_encode(lossless[k], pixels, WIDTH, HEIGHT, 3, &count);
        assert_true(image_load_memory(bytes, count, "x", 3, &image, NULL));
        assert_int_equal(image.width, WIDTH);
        assert_int_equal(image.height, HEIGHT);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < WIDTH * HEIGHT; i++)
                assert_true(image.data[c * WIDTH * HEIGHT + i] == (float)pixels[3 * i + c] / 255.0f);
        image_free(&image);
        assert_true(image_load_memory(bytes, count, "x", 1, &image, NULL));
        assert_int_equal(image.channels, 1);
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            double grey = .299 * pixels[3 * i] + .587 * pixels[3 * i + 1] + .114 * pixels[3 * i + 2];
            assert_float_equal(image.data[i], grey / 255, 2.0f / 255);
        }
        image_free(&image);
        free(bytes);
    }
    memset(pixels, 77, sizeof pixels);
    uint8_t *bytes = files_encode(IMAGE_PPM, pixels, WIDTH, HEIGHT, 1, &count); /* grey, repeated */
    assert_true(image_load_memory(bytes, count, "x", 3, &image, NULL));
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++) assert_true(image.data[i] == 77 / 255.0f);
    image_free(&image);
    free(bytes);
}

static void jpegs_decode(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *path = k ? files_write("b.jpg", jpeg_progressive, sizeof jpeg_progressive)
                             : files_write("a.jpg", jpeg_baseline, sizeof jpeg_baseline);
        image_f32 image;
        assert_true(image_load(path, 3, &image, NULL));
        assert_int_equal(image.width, 20);
        assert_int_equal(image.height, 12);
        for (int y = 0; y < 12; y++) {
            for (int x = 0; x < 20; x++) {
                assert_float_equal(at(&image, 0, y, x), (float)(12 * x) / 255, 9.0f / 255);
                assert_float_equal(at(&image, 1, y, x), (float)(20 * y) / 255, 9.0f / 255);
                assert_float_equal(at(&image, 2, y, x), 128.0f / 255, 9.0f / 255);
            }
        }
        image_free(&image);
    }
}

static void a_smaller_maximum_is_scaled(void **state) {
    (void)state;
    static const char text[] = "P5 3 1 # three\n3\n\x00\x01\x03";
    image_f32 image;
    assert_true(image_load_memory(text, sizeof text - 1, "x", 1, &image, NULL));
    assert_true(image.data[0] == 0 && image.data[1] == 85 / 255.0f && image.data[2] == 1);
    image_free(&image);
}

/* The three lossless kinds and the two JPEGs, as good files; malloc'ed. */
static uint8_t *good_file(int kind, size_t *count) {
    uint8_t pixels[24 * 24 * 3];
    if (kind < 3) {
        fill_random(pixels, sizeof pixels, 7);
        return files_encode((image_kind)kind, pixels, 24, 24, 3, count);
    }
    *count = kind == 3 ? sizeof jpeg_baseline : sizeof jpeg_progressive;
    uint8_t *copy = malloc(*count);
    assert_non_null(copy);
    memcpy(copy, kind == 3 ? jpeg_baseline : jpeg_progressive, *count);
    return copy;
}

static void truncated_images_are_errors(void **state) {
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        size_t count;
        uint8_t *bytes = good_file(kind, &count);
        for (size_t kept = 0; kept < count; kept += kept < 60 || kept + 60 > count ? 1 : 37) {
            image_f32 image;
            error e = {{0}};
            uint8_t *copy =
                malloc(kept ? kept : 1); /* of this size exactly, so that sanitizers see a read past it */
            assert_non_null(copy);
            memcpy(copy, bytes, kept);
            /* A PNG's end mark may be missing: all its pixels are there. */
            if (image_load_memory(copy, kept, "cut", 3, &image, &e)) {
                assert_true(kind == IMAGE_PNG && kept + 16 >= count);
                image_free(&image);
            } else {
                assert_memory_equal(e.message, "cut: ", 5);
                assert_null(image.data);
            }
            free(copy);
        }
        free(bytes);
    }
}

static void expect_failure(const void *bytes, size_t count, const char *sentence) {
    image_f32 image;
    error e = {{0}};
    assert_false(image_load_memory(bytes, count, "x", 3, &image, &e));
    if (strcmp(e.message, sentence) != 0) fail_msg("\"%s\" instead of \"%s\"", e.message, sentence);
}

static void hostile_headers_allocate_nothing(void **state) {
    (void)state;
    expect_failure("", 0, "x: 0 bytes: too short for an image");
    expect_failure(
        "GIF89a......", 12,
        "x: not an image that is read here (JPEG, PNG, BMP, binary PPM or PGM): unknown image type");
    expect_failure("P6 9 9 255\n", 11, "x: truncated: 0 bytes of pixels where 9 x 9 need 243");
    expect_failure("P6 0 9 255\n", 11, "x: an image of 0 x 9 pixels");
    expect_failure("P6 9 9 65535\n", 13,
                   "x: not a P6 header: width, height and a maximum of 1 to 255 are wanted");
    expect_failure("P6 99999 99999 255\n", 19,
                   "x: an image of 99999 x 99999 pixels: at most 33554432 pixels are decoded");
    expect_failure("P5 999999999999999999999 1 255\n", 31,
                   "x: not a P5 header: width, height and a maximum of 1 to 255 are wanted");
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0,
                                  0,    31,  64,  0,   0,  31, 64, 8,  2, 0, 0, 0,  0,   0,   0,   0};
    expect_failure(png, sizeof png, "x: an image of 8000 x 8000 pixels: at most 33554432 pixels are decoded");
    static const uint8_t bmp[64] = {
        'B', 'M', 64, [10] = 54, [14] = 40, [19] = 16, [23] = 16, [26] = 1, [28] = 24};
    expect_failure(bmp, sizeof bmp, "x: truncated: shorter than its header says (64 bytes)");
    image_f32 image;
    error e = {{0}};
    assert_false(image_load_memory(png, sizeof png, "x", 4, &image, &e));
    assert_string_equal(e.message, "x: images have 1 or 3 channels, not 4");
    assert_false(image_load("/nowhere/x.png", 3, &image, &e));
    assert_string_equal(e.message, "/nowhere/x.png: cannot be opened: No such file or directory");
    assert_false(image_make(0, 3, 3, &image, &e));
    assert_false(image_make(INT32_MAX, INT32_MAX, 3, &image, &e));
}

/* Bytes of a good file changed at random: whatever happens, it is an image or a sentence. */
static void damaged_images_are_images_or_errors(void **state) {
    (void)state;
    random_state r = random_seeded(8, 8);
    for (int round = 0; round < 3000; round++) {
        size_t count;
        uint8_t *bytes = good_file(round % 5, &count);
        for (int change = 0; change < 1 + round % 8; change++)
            bytes[random_below(&r, round % 3 ? (count < 64 ? count : 64) : count)] =
                (uint8_t)random_below(&r, 256);
        image_f32 image;
        error e = {{0}};
        if (image_load_memory(bytes, count, "x", 3, &image, &e)) {
            assert_true(image.width > 0 && image.height > 0 && image.data);
            image_free(&image);
        } else {
            assert_memory_equal(e.message, "x: ", 3);
        }
        free(bytes);
    }
}

static int set_up(void **state) {
    (void)state;
    files_make();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    files_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_follows_its_definition),
        cmocka_unit_test(resize_ends_on_the_last_pixels),
        cmocka_unit_test(letterbox_fits_and_centres),
        cmocka_unit_test(center_crop_takes_the_largest_square),
        cmocka_unit_test(bytes_and_floats_resample_alike),
        cmocka_unit_test(every_kind_decodes),
        cmocka_unit_test(jpegs_decode),
        cmocka_unit_test(a_smaller_maximum_is_scaled),
        cmocka_unit_test(truncated_images_are_errors),
        cmocka_unit_test(hostile_headers_allocate_nothing),
        cmocka_unit_test(damaged_images_are_images_or_errors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
