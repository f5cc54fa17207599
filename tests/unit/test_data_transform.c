/* Image transforms: colour, windows, flips and crops against plain references. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "data/resample.h"
#include "data/transform.h"

enum { MOST = 64 * 64 * 3 };

static uint8_t bytes[MOST];

static stored_image random_image(int width, int height, int channels, uint64_t seed) {
    random_state r = random_seeded(seed, 1);
    for (int i = 0; i < width * height * channels; i++) bytes[i] = (uint8_t)random_below(&r, 256);
    return (stored_image){bytes, width, height, 0};
}

static double source(const stored_image *image, int channels, int y, int x, int c) {
    return image->pixels[(y * image->width + x) * channels + c] / 255.0;
}

/* ---- colour ---- */

/* Straight from the definition of HSV, in double; hue in turns. */
static void reference_to_hsv(const double rgb[3], double hsv[3]) {
    double most = fmax(rgb[0], fmax(rgb[1], rgb[2])), least = fmin(rgb[0], fmin(rgb[1], rgb[2]));
    double range = most - least, hue = 0;
    if (range > 0) {
        if (most == rgb[0])
            hue = (rgb[1] - rgb[2]) / range;
        else if (most == rgb[1])
            hue = 2 + (rgb[2] - rgb[0]) / range;
        else
            hue = 4 + (rgb[0] - rgb[1]) / range;
    }
    hsv[0] = hue / 6 - floor(hue / 6);
    hsv[1] = most > 0 ? range / most : 0;
    hsv[2] = most;
}

/* The other well-known form: v - v s max(0, min(k, 4 - k, 1)) with k = (n + 6 h) mod 6, n = 5, 3, 1. */
static void reference_to_rgb(const double hsv[3], double rgb[3]) {
    for (int c = 0; c < 3; c++) {
        double k = fmod(5 - 2 * c + 6 * hsv[0], 6), ramp = fmax(0, fmin(fmin(k, 4 - k), 1));
        rgb[c] = fmax(0, fmin(1, hsv[2] - hsv[2] * hsv[1] * ramp));
    }
}

static void colours_follow_hsv(void **state) {
    (void)state;
    random_state r = random_seeded(3, 3);
    for (int round = 0; round < 20000; round++) {
        float pixel[3], hue = random_uniform(&r, -1, 1);
        float saturation = random_uniform(&r, .3f, 3), value = random_uniform(&r, .3f, 3);
        double rgb[3], hsv[3];
        for (int c = 0; c < 3; c++)
            pixel[c] = round % 5 ? random_uniform(&r, 0, 1) : (float)random_below(&r, 2);
        if (round % 7 == 0) pixel[1] = pixel[0];
        for (int c = 0; c < 3; c++) rgb[c] = pixel[c];
        reference_to_hsv(rgb, hsv);
        hsv[0] += hue;
        hsv[0] -= floor(hsv[0]);
        hsv[1] *= saturation;
        hsv[2] *= value;
        reference_to_rgb(hsv, rgb);
        transform_color(pixel, 1, 3, hue, saturation, value);
        for (int c = 0; c < 3; c++) assert_float_equal(pixel[c], rgb[c], 1e-4f);
    }
}

static void neutral_colours_change_nothing(void **state) {
    (void)state;
    random_state r = random_seeded(4, 4);
    for (int round = 0; round < 1000; round++) {
        float pixel[3], before[3];
        for (int c = 0; c < 3; c++) before[c] = pixel[c] = random_uniform(&r, 0, 1);
        transform_color(pixel, 1, 3, 0, 1, 1);
        for (int c = 0; c < 3; c++) assert_float_equal(pixel[c], before[c], 1e-6f);
    }
    float grey[] = {.5f, .9f};
    transform_color(grey, 2, 1, .3f, 2, 1.5f);
    assert_float_equal(grey[0], .75f, 1e-6f);
    assert_float_equal(grey[1], 1, 0);
}

/* ---- space ---- */

static void windows_pad_with_zero_bytes(void **state) {
    (void)state;
    byte_table table;
    float out[MOST], mirrored[MOST], floats[MOST], from_floats[MOST];
    for (int c = 0; c < 3; c++)
        for (int b = 0; b < 256; b++) table.value[c][b] = (float)(b + 1000 * (c + 1));
    for (int channels = 1; channels <= 3; channels += 2) {
        stored_image image = random_image(9, 9, channels, 5);
        for (int i = 0; i < 81 * channels; i++) floats[i] = (float)image.pixels[i];
        for (int left = -11; left <= 11; left++) {
            for (int top = -11; top <= 11; top++) {
                transform_window(&image, channels, left, top, false, &table, 9, 9, out);
                transform_window(&image, channels, left, top, true, &table, 9, 9, mirrored);
                transform_window_floats(floats, channels, left, top, 9, 9, from_floats);
                for (int i = 0; i < 81 * channels; i++) {
                    int c = i % channels, x = i / channels % 9, y = i / channels / 9, from_x = x + left,
                        from_y = y + top;
                    bool inside = from_x >= 0 && from_x < 9 && from_y >= 0 && from_y < 9;
                    int byte = inside ? image.pixels[(from_y * 9 + from_x) * channels + c] : 0;
                    assert_true(out[i] == table.value[c][byte]);
                    assert_true(mirrored[(y * 9 + 8 - x) * channels + c] == out[i]);
                    assert_true(from_floats[i] == (float)byte);
                }
            }
        }
    }
}

static void flips_mirror(void **state) {
    (void)state;
    for (int width = 1; width < 8; width++) {
        float pixels[7 * 4 * 3], before[7 * 4 * 3];
        for (int i = 0; i < width * 4 * 3; i++) before[i] = pixels[i] = (float)i;
        transform_flip(pixels, width, 4, 3);
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < width; x++)
                for (int c = 0; c < 3; c++)
                    assert_true(pixels[(y * width + x) * 3 + c] ==
                                before[(y * width + width - 1 - x) * 3 + c]);
    }
}

/* Bilinear with clamped neighbours at a real position. */
static double reference_sample(const stored_image *image, int channels, double x, double y, int c) {
    int left = (int)floor(x), top = (int)floor(y);
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            int px = left + j, py = top + i;
            px = px < 0 ? 0 : px >= image->width ? image->width - 1 : px;
            py = py < 0 ? 0 : py >= image->height ? image->height - 1 : py;
            double weight = (j ? x - left : 1 - (x - left)) * (i ? y - top : 1 - (y - top));
            sum += weight * source(image, channels, py, px, c);
        }
    }
    return sum;
}

static void crops_follow_their_geometry(void **state) {
    (void)state;
    random_state r = random_seeded(6, 6);
    float out[MOST];
    for (int round = 0; round < 200; round++) {
        int channels = round % 2 ? 3 : 1, width = 5 + round % 13, height = 4 + round % 11;
        stored_image image = random_image(1 + round % 31, 1 + round % 23, channels, (uint64_t)round);
        crop_geometry g = {random_uniform(&r, .3f, 3), random_uniform(&r, .5f, 2), random_uniform(&r, -3, 3),
                           random_uniform(&r, -9, 9), random_uniform(&r, -9, 9)};
        transform_crop(&image, channels, &g, width, height, out);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                double u = ((x - width / 2.0) / g.scale + g.dx / g.scale) * g.aspect;
                double v = (y - height / 2.0) / g.scale + g.dy / g.scale;
                double from_x = cos(g.angle) * u - sin(g.angle) * v + image.width / 2.0;
                double from_y = sin(g.angle) * u + cos(g.angle) * v + image.height / 2.0;
                for (int c = 0; c < channels; c++)
                    assert_float_equal(out[(y * width + x) * channels + c],
                                       reference_sample(&image, channels, from_x, from_y, c), 1e-4f);
            }
        }
    }
    stored_image image = random_image(16, 12, 3, 9); /* nothing moved: the image itself */
    transform_crop(&image, 3, &(crop_geometry){1, 1, 0, 0, 0}, 16, 12, out);
    for (int i = 0; i < 16 * 12 * 3; i++) assert_float_equal(out[i], (float)image.pixels[i] / 255, 1e-6f);
}

static void centre_crops_equal_the_public_one(void **state) {
    (void)state;
    stored_image image = random_image(40, 25, 3, 10);
    image_f32 planar, cropped;
    float out[32 * 30 * 3], scratch[32 * 25];
    assert_true(image_make(40, 25, 3, &planar, NULL));
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 1000; i++) planar.data[c * 1000 + i] = pixel_from_byte(image.pixels[3 * i + c]);
    assert_true(image_center_crop(&planar, 32, 30, &cropped, NULL));
    transform_center_crop(&image, 3, 32, 30, scratch, out);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 32 * 30; i++) assert_true(out[3 * i + c] == cropped.data[c * 32 * 30 + i]);
    image_free(&planar);
    image_free(&cropped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_follow_hsv),          cmocka_unit_test(neutral_colours_change_nothing),
        cmocka_unit_test(windows_pad_with_zero_bytes), cmocka_unit_test(flips_mirror),
        cmocka_unit_test(crops_follow_their_geometry), cmocka_unit_test(centre_crops_equal_the_public_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
