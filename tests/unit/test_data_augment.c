/* Augmentation: each transform against a plain reference, and what their draws add up to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/random.h"
#include "data/augment.h"
#include "data/resample.h"

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

/* ---- whole images ---- */

enum { SIDE = 16, COUNT = 10, CLASSES = 4, FLOATS = SIDE * SIDE * 3 };

static stored_image set_images[COUNT];
static uint8_t set_bytes[COUNT][SIDE * SIDE * 3];
static const dataset set = {.images = set_images, .count = COUNT, .classes = CLASSES, .channels = 3};
static augmentor a;
static augment_scratch scratch;
static float pixels[FLOATS], truth[CLASSES];

static int make_set(void **state) {
    (void)state;
    random_state r = random_seeded(11, 11);
    for (int i = 0; i < COUNT; i++) {
        for (int p = 0; p < SIDE * SIDE * 3; p++) set_bytes[i][p] = (uint8_t)(1 + random_below(&r, 255));
        set_images[i] = (stored_image){set_bytes[i], SIDE, SIDE, i % CLASSES};
    }
    return 0;
}

static augmentation plain(void) {
    return (augmentation){.enabled = true, .width = SIDE, .height = SIDE, .channels = 3};
}

static void prepare(const augmentation *o) {
    error e = {{0}};
    augment_scratch_free(&scratch);
    if (!augmentor_set_up(&a, o, &e)) fail_msg("%s", e.message);
    assert_true(augment_scratch_make(&scratch, &a, &set, &e));
}

static void augment(size_t index, uint64_t position) {
    augment_image(&a, &set, index, 77, position, &scratch, pixels, truth);
}

static int free_scratch(void **state) {
    (void)state;
    augment_scratch_free(&scratch);
    return 0;
}

static float value_of(size_t image, int y, int x, int c) {
    return pixel_from_byte(set_bytes[image][(y * SIDE + x) * 3 + c]);
}

/* Whether the pixels are the image moved by (left, top), mirrored or not. */
static bool is_window(size_t image, int left, int top, bool flip) {
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            int from_x = (flip ? SIDE - 1 - x : x) + left, from_y = y + top;
            bool inside = from_x >= 0 && from_x < SIDE && from_y >= 0 && from_y < SIDE;
            for (int c = 0; c < 3; c++)
                if (pixels[(y * SIDE + x) * 3 + c] != (inside ? value_of(image, from_y, from_x, c) : 0))
                    return false;
        }
    }
    return true;
}

static void everything_off_leaves_the_image(void **state) {
    (void)state;
    augmentation o = plain();
    prepare(&o);
    for (size_t i = 0; i < COUNT; i++) {
        augment(i, i);
        assert_true(is_window(i, 0, 0, false));
        for (int k = 0; k < CLASSES; k++) assert_true(truth[k] == (k == (int)i % CLASSES));
    }
}

static void pad_crop_draws_every_place_alike(void **state) {
    (void)state;
    enum { PAD = 2, PLACES = (2 * PAD + 1) * (2 * PAD + 1) * 2, DRAWS = 4000 };
    augmentation o = plain();
    o.pad_crop = PAD;
    o.flip = true;
    prepare(&o);
    int seen[PLACES] = {0};
    for (uint64_t position = 0; position < DRAWS; position++) {
        augment(3, position);
        bool found = false;
        for (int place = 0; place < PLACES && !found; place++) {
            found = is_window(3, place / 2 % (2 * PAD + 1) - PAD, place / 2 / (2 * PAD + 1) - PAD, place % 2);
            seen[place] += found;
        }
        assert_true(found);
    }
    for (int place = 0; place < PLACES; place++) { /* 80 on average; 5 standard deviations are 45 */
        assert_true(seen[place] > 35);
        assert_true(seen[place] < 125);
    }
}

static void normalisation_comes_last(void **state) {
    (void)state;
    const float mean[] = {.5f, .4f, .3f}, deviation[] = {.2f, .25f, .3f};
    augmentation settings[5];
    for (int s = 0; s < 5; s++) settings[s] = plain();
    settings[0].pad_crop = 3;
    settings[1].exposure = 1.5f;
    settings[2].min_crop = settings[2].max_crop = SIDE;
    settings[3].mixup = 1;
    settings[4].enabled = false;
    for (int s = 0; s < 5; s++) {
        float before[FLOATS];
        for (uint64_t position = 0; position < 5; position++) {
            settings[s].mean = settings[s].deviation = NULL;
            prepare(&settings[s]);
            augment(1, position);
            memcpy(before, pixels, sizeof before);
            settings[s].mean = mean;
            settings[s].deviation = deviation;
            prepare(&settings[s]);
            augment(1, position);
            for (int i = 0; i < FLOATS; i++)
                assert_true(pixels[i] == (before[i] - mean[i % 3]) / deviation[i % 3]);
        }
    }
}

static void images_of_another_size_are_brought_to_it(void **state) {
    (void)state;
    augmentation o = plain();
    o.width = 24;
    o.height = 20;
    float whole[24 * 20 * 3], padded[24 * 20 * 3], rows[24 * SIDE], target[CLASSES];
    transform_center_crop(&set_images[2], 3, 24, 20, rows, whole);
    prepare(&o);
    augment_image(&a, &set, 2, 77, 0, &scratch, padded, target);
    assert_memory_equal(whole, padded, sizeof whole);
    o.pad_crop = 1;
    prepare(&o);
    for (uint64_t position = 0; position < 20; position++) {
        augment_image(&a, &set, 2, 77, position, &scratch, padded, target);
        bool found = false;
        for (int left = -1; left <= 1 && !found; left++) {
            for (int top = -1; top <= 1 && !found; top++) {
                float wanted[24 * 20 * 3];
                transform_window_floats(whole, 3, left, top, 24, 20, wanted);
                found = memcmp(wanted, padded, sizeof wanted) == 0;
            }
        }
        assert_true(found);
    }
}

static void random_crops_stay_in_range_and_differ(void **state) {
    (void)state;
    augmentation o = plain();
    o.min_crop = SIDE;
    o.max_crop = 2 * SIDE;
    o.angle_degrees = 7;
    o.aspect = .75f;
    o.hue = .1f;
    o.saturation = .75f;
    o.exposure = .75f;
    o.flip = true;
    prepare(&o);
    float first[FLOATS];
    augment(0, 0);
    memcpy(first, pixels, sizeof first);
    int different = 0;
    for (uint64_t position = 1; position < 50; position++) {
        augment(0, position);
        different += memcmp(first, pixels, sizeof first) != 0;
        for (int i = 0; i < FLOATS; i++) assert_true(pixels[i] >= 0 && pixels[i] <= 1);
    }
    assert_int_equal(different, 49);
    augment(0, 0);
    assert_memory_equal(first, pixels, sizeof first);
}

/* With crops of exactly the input's size nothing is left to draw but the shift, which is then zero. */
static void a_crop_of_the_images_size_is_the_image(void **state) {
    (void)state;
    augmentation o = plain();
    o.min_crop = o.max_crop = SIDE;
    prepare(&o);
    augment(4, 9);
    for (int i = 0; i < FLOATS; i++) assert_float_equal(pixels[i], pixel_from_byte(set_bytes[4][i]), 1e-6f);
}

static void mixup_blends_pixels_and_labels(void **state) {
    (void)state;
    augmentation o = plain();
    o.mixup = 1;
    prepare(&o);
    double sum = 0;
    int mixed = 0;
    for (uint64_t position = 0; position < 400; position++) {
        augment(1, position);
        bool found = false;
        double total = 0;
        for (int k = 0; k < CLASSES; k++) total += truth[k];
        assert_float_equal(total, 1, 1e-6f);
        if (truth[1] == 1) continue; /* a partner of the same class */
        for (size_t partner = 0; partner < COUNT && !found; partner++) {
            bool fits = (int)partner % CLASSES != 1;
            float share = truth[1];
            for (int i = 0; i < FLOATS && fits; i++) {
                float wanted = share * pixel_from_byte(set_bytes[1][i]) +
                               (1 - share) * pixel_from_byte(set_bytes[partner][i]);
                fits = fabsf(pixels[i] - wanted) < 1e-5f;
            }
            found = fits && fabsf(truth[partner % CLASSES] - (1 - share)) < 1e-6f;
        }
        assert_true(found);
        sum += truth[1];
        mixed++;
    }
    assert_true(mixed > 200);
    assert_true(fabs(sum / mixed - .5) < .1); /* uniform shares */
}

static void cutmix_pastes_a_rectangle_and_mixes_by_area(void **state) {
    (void)state;
    augmentation o = plain();
    o.cutmix = 1;
    prepare(&o);
    int pasted_some = 0;
    for (uint64_t position = 0; position < 300; position++) {
        augment(2, position);
        if (truth[2] == 1) continue;
        int kept = 0, x0 = SIDE, x1 = -1, y0 = SIDE, y1 = -1;
        for (int i = 0; i < SIDE * SIDE; i++) {
            bool own = true;
            for (int c = 0; c < 3; c++)
                own = own && pixels[3 * i + c] == pixel_from_byte(set_bytes[2][3 * i + c]);
            kept += own;
            if (own) continue;
            int x = i % SIDE, y = i / SIDE;
            x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1, y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1;
        }
        assert_int_equal(SIDE * SIDE - kept, (x1 - x0 + 1) * (y1 - y0 + 1)); /* a full rectangle */
        assert_float_equal(truth[2], (float)kept / (SIDE * SIDE), 1e-6f);
        bool found = false;
        for (size_t partner = 0; partner < COUNT && !found; partner++) {
            found = truth[partner % CLASSES] > 0;
            for (int y = y0; y <= y1 && found; y++)
                for (int x = x0; x <= x1 && found; x++)
                    for (int c = 0; c < 3; c++)
                        found = found && pixels[(y * SIDE + x) * 3 + c] == value_of(partner, y, x, c);
        }
        assert_true(found);
        pasted_some++;
    }
    assert_true(pasted_some > 150);
}

static void mixing_happens_as_often_as_asked(void **state) {
    (void)state;
    augmentation o = plain();
    o.mixup = .25f;
    o.cutmix = .25f;
    prepare(&o);
    int untouched = 0;
    for (uint64_t position = 0; position < 2000; position++) {
        augment(0, position);
        untouched += is_window(0, 0, 0, false);
    }
    /* Half, and of the other half the tenth that draws itself for a partner. */
    assert_true(untouched > 970);
    assert_true(untouched < 1250);
}

static void label_smoothing_follows_its_formula(void **state) {
    (void)state;
    augmentation o = plain();
    o.label_smooth = .1f;
    prepare(&o);
    augment(1, 0);
    for (int k = 0; k < CLASSES; k++) assert_float_equal(truth[k], (k == 1 ? .9f : 0) + .1f / CLASSES, 1e-7f);
    o.enabled = false; /* evaluation keeps the plain truth */
    prepare(&o);
    augment(1, 0);
    for (int k = 0; k < CLASSES; k++) assert_true(truth[k] == (k == 1));
}

static void evaluation_draws_nothing(void **state) {
    (void)state;
    augmentation o = plain();
    o.enabled = false;
    o.flip = true;
    o.pad_crop = 4;
    o.hue = .5f;
    o.saturation = o.exposure = 2;
    o.mixup = .5f;
    prepare(&o);
    for (uint64_t position = 0; position < 20; position++) {
        augment(5, position);
        assert_true(is_window(5, 0, 0, false));
    }
}

static void wrong_options_are_errors(void **state) {
    (void)state;
    static const float bad_deviation[] = {1, 0, 1};
    struct {
        augmentation o;
        const char *sentence;
    } cases[] = {
        {{.width = 0, .height = 1, .channels = 3},
         "input of 0 x 1 pixels: 1 x 1 to 65536 x 65536 are possible"},
        {{.width = 1, .height = 1, .channels = 2}, "input of 2 channels: images have 1 or 3"},
        {{.width = 1, .height = 1, .channels = 3, .mixup = .6f, .cutmix = .6f},
         "mixup 0.6 and cutmix 0.6: probabilities whose sum is at most 1 are wanted"},
        {{.width = 1, .height = 1, .channels = 3, .aspect = -1},
         "aspect -1, saturation 0, exposure 0: ratios from 0 (off) to 1000 are wanted"},
        {{.width = 1, .height = 1, .channels = 3, .label_smooth = 2},
         "label smoothing 2: a share from 0 to 1 is wanted"},
        {{.width = 1, .height = 1, .channels = 3, .deviation = bad_deviation},
         "deviation 0 of channel 1: more than 0 is wanted"},
        {{.width = 1, .height = 1, .channels = 3, .pad_crop = -1},
         "pad_crop -1, min_crop 0, max_crop 0: 0 to 65536 pixels are wanted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error e = {{0}};
        assert_false(augmentor_set_up(&a, &cases[i].o, &e));
        assert_string_equal(e.message, cases[i].sentence);
    }
}

static void single_images_are_prepared_as_in_evaluation(void **state) {
    (void)state;
    const float mean[] = {.5f, .4f, .3f}, deviation[] = {.2f, .25f, .3f};
    augmentation o = {.width = 12, .height = 10, .channels = 3, .mean = mean, .deviation = deviation};
    image_f32 planar, boxed;
    assert_true(image_make(SIDE, SIDE, 3, &planar, NULL));
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < SIDE * SIDE; i++)
            planar.data[c * SIDE * SIDE + i] = pixel_from_byte(set_bytes[6][3 * i + c]);
    float out[12 * 10 * 3], wanted[12 * 10 * 3], target[CLASSES];
    error e = {{0}};
    prepare(&o);
    augment_image(&a, &set, 6, 1, 1, &scratch, wanted, target);
    assert_true(data_prepare_image(&planar, &o, false, out, &e));
    assert_memory_equal(out, wanted, sizeof out);
    assert_true(data_prepare_image(&planar, &o, true, out, &e));
    assert_true(image_letterbox(&planar, 12, 10, &boxed, &e));
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 120; i++)
            assert_true(out[3 * i + c] == (boxed.data[c * 120 + i] - mean[c]) / deviation[c]);
    o.channels = 1;
    assert_false(data_prepare_image(&planar, &o, false, out, &e));
    assert_string_equal(e.message, "an image of 3 channels for a network of 1");
    image_free(&boxed);
    image_free(&planar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_follow_hsv),
        cmocka_unit_test(neutral_colours_change_nothing),
        cmocka_unit_test(windows_pad_with_zero_bytes),
        cmocka_unit_test(flips_mirror),
        cmocka_unit_test(crops_follow_their_geometry),
        cmocka_unit_test(centre_crops_equal_the_public_one),
        cmocka_unit_test(everything_off_leaves_the_image),
        cmocka_unit_test(pad_crop_draws_every_place_alike),
        cmocka_unit_test(normalisation_comes_last),
        cmocka_unit_test(images_of_another_size_are_brought_to_it),
        cmocka_unit_test(random_crops_stay_in_range_and_differ),
        cmocka_unit_test(a_crop_of_the_images_size_is_the_image),
        cmocka_unit_test(mixup_blends_pixels_and_labels),
        cmocka_unit_test(cutmix_pastes_a_rectangle_and_mixes_by_area),
        cmocka_unit_test(mixing_happens_as_often_as_asked),
        cmocka_unit_test(label_smoothing_follows_its_formula),
        cmocka_unit_test(evaluation_draws_nothing),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(single_images_are_prepared_as_in_evaluation),
    };
    return cmocka_run_group_tests(tests, make_set, free_scratch);
}
