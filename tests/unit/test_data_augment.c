/* Augmentation: what each setting does to whole images, and what the draws add up to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "data/augment.h"
#include "data/resample.h"

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

static bool are_same(const float *x, const float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (x[i] != y[i]) return false;
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
    augmentation settings[7];
    for (int s = 0; s < 7; s++) settings[s] = plain();
    settings[0].pad_crop = 3;
    settings[1].exposure = 1.5f;
    settings[2].min_crop = settings[2].max_crop = SIDE;
    settings[3].mixup = 1;
    settings[4].enabled = false;
    settings[5].mosaic = 1;
    settings[6].blur = 2;
    for (int s = 0; s < 7; s++) {
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
                found = are_same(wanted, padded, sizeof wanted / sizeof *wanted);
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
        different += !are_same(first, pixels, FLOATS);
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

/* The set's image whose pixels fill the rectangle from (x0, y0) to before (x1, y1); -1: none. */
static int image_in(int x0, int y0, int x1, int y1) {
    for (size_t image = 0; image < COUNT; image++) {
        bool same = true;
        for (int y = y0; y < y1 && same; y++)
            for (int i = 3 * x0; i < 3 * x1 && same; i++)
                same = pixels[y * SIDE * 3 + i] == value_of(image, y, i / 3, i % 3);
        if (same) return (int)image;
    }
    return -1;
}

/* Whether the picture is four images about (x, y) with the first one, `own`, in one of the quarters, and the
 * truth the classes' areas. */
static bool is_mosaic(int x, int y, int own, int *own_quarter) {
    float wanted[CLASSES] = {0};
    *own_quarter = -1;
    for (int quarter = 0; quarter < 4; quarter++) {
        bool right = quarter % 2, lower = quarter / 2;
        int x0 = right ? x : 0, x1 = right ? SIDE : x, y0 = lower ? y : 0, y1 = lower ? SIDE : y;
        int image = image_in(x0, y0, x1, y1);
        if (image < 0) return false;
        if (image == own) *own_quarter = quarter;
        wanted[image % CLASSES] += (float)((x1 - x0) * (y1 - y0)) / (SIDE * SIDE);
    }
    for (int k = 0; k < CLASSES; k++)
        if (fabsf(truth[k] - wanted[k]) > 1e-6f) return false;
    return *own_quarter >= 0;
}

static void mosaic_shows_four_images_and_mixes_by_area(void **state) {
    (void)state;
    enum { MARGIN = SIDE / 5, DRAWS = 400 };
    augmentation o = plain();
    o.mosaic = 1;
    prepare(&o);
    int at_x[SIDE + 1] = {0}, at_y[SIDE + 1] = {0}, at_quarter[4] = {0};
    float first[FLOATS];
    for (uint64_t position = 0; position < DRAWS; position++) {
        augment(2, position);
        int quarter, found = 0;
        for (int x = MARGIN; x <= SIDE - MARGIN && !found; x++)
            for (int y = MARGIN; y <= SIDE - MARGIN && !found; y++)
                if (is_mosaic(x, y, 2, &quarter)) found = 1, at_x[x]++, at_y[y]++, at_quarter[quarter]++;
        assert_true(found);
        if (position == 0) memcpy(first, pixels, sizeof first);
    }
    for (int i = MARGIN; i <= SIDE - MARGIN; i++) { /* 36 on average, each */
        assert_true(at_x[i] > 10);
        assert_true(at_y[i] > 10);
    }
    for (int quarter = 0; quarter < 4; quarter++) assert_true(at_quarter[quarter] > 60); /* of 100 */
    augment(2, 0);
    assert_memory_equal(first, pixels, sizeof first);
}

/* The definition: every pixel the weighted mean of those around it, border repeated. */
static void blur_reference(size_t image, double deviation, float *out) {
    int radius = (int)ceil(3 * deviation);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                double sum = 0, weights = 0;
                for (int dy = -radius; dy <= radius; dy++)
                    for (int dx = -radius; dx <= radius; dx++) {
                        double weight = exp(-.5 * (dx * dx + dy * dy) / (deviation * deviation));
                        int from_y = y + dy < 0 ? 0 : y + dy >= SIDE ? SIDE - 1 : y + dy;
                        int from_x = x + dx < 0 ? 0 : x + dx >= SIDE ? SIDE - 1 : x + dx;
                        sum += weight * (double)value_of(image, from_y, from_x, c);
                        weights += weight;
                    }
                out[(y * SIDE + x) * 3 + c] = (float)(sum / weights);
            }
}

static void a_blur_is_its_definition(void **state) {
    (void)state;
    static const float deviations[] = {.3f, 1, 2.5f, 8};
    float wanted[FLOATS], work[FLOATS];
    for (size_t d = 0; d < sizeof deviations / sizeof *deviations; d++) {
        for (int i = 0; i < FLOATS; i++) pixels[i] = pixel_from_byte(set_bytes[7][i]);
        transform_blur(pixels, SIDE, SIDE, 3, deviations[d], work);
        blur_reference(7, (double)deviations[d], wanted);
        for (int i = 0; i < FLOATS; i++) assert_float_equal(pixels[i], wanted[i], 2e-6f);
    }
}

/* The draw of an image with blur alone is uniform: seen from the contrast that is left, which falls with it.
 */
static void blur_has_a_random_strength_up_to_its_own(void **state) {
    (void)state;
    enum { DRAWS = 400 };
    augmentation o = plain();
    float half[FLOATS], whole[FLOATS];
    o.blur = 2;
    prepare(&o);
    blur_reference(5, 1, half);
    blur_reference(5, 2, whole);
    double mean = 0, spread_half = 0, spread_whole = 0;
    for (int i = 0; i < FLOATS; i++) mean += (double)pixel_from_byte(set_bytes[5][i]) / FLOATS;
    for (int i = 0; i < FLOATS; i++) {
        spread_half += pow((double)half[i] - mean, 2);
        spread_whole += pow((double)whole[i] - mean, 2);
    }
    int weaker = 0;
    for (uint64_t position = 0; position < DRAWS; position++) {
        augment(5, position);
        assert_true(truth[1] == 1);
        double spread = 0;
        for (int i = 0; i < FLOATS; i++) spread += pow((double)pixels[i] - mean, 2);
        assert_true(spread > spread_whole * .999);
        weaker += spread > spread_half;
    }
    assert_true(weaker > DRAWS / 2 - 50); /* 5 standard deviations */
    assert_true(weaker < DRAWS / 2 + 50);
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
    o.mixup = o.mosaic = .5f;
    o.blur = 3;
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
         "mixup 0.6, cutmix 0.6 and mosaic 0: probabilities whose sum is at most 1 are wanted"},
        {{.width = 1, .height = 1, .channels = 3, .mosaic = -1},
         "mixup 0, cutmix 0 and mosaic -1: probabilities whose sum is at most 1 are wanted"},
        {{.width = 1, .height = 1, .channels = 3, .blur = 65},
         "blur 65: a deviation from 0 (off) to 64 pixels is wanted"},
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
        cmocka_unit_test(everything_off_leaves_the_image),
        cmocka_unit_test(pad_crop_draws_every_place_alike),
        cmocka_unit_test(normalisation_comes_last),
        cmocka_unit_test(images_of_another_size_are_brought_to_it),
        cmocka_unit_test(random_crops_stay_in_range_and_differ),
        cmocka_unit_test(a_crop_of_the_images_size_is_the_image),
        cmocka_unit_test(mixup_blends_pixels_and_labels),
        cmocka_unit_test(cutmix_pastes_a_rectangle_and_mixes_by_area),
        cmocka_unit_test(mosaic_shows_four_images_and_mixes_by_area),
        cmocka_unit_test(a_blur_is_its_definition),
        cmocka_unit_test(blur_has_a_random_strength_up_to_its_own),
        cmocka_unit_test(mixing_happens_as_often_as_asked),
        cmocka_unit_test(label_smoothing_follows_its_formula),
        cmocka_unit_test(evaluation_draws_nothing),
        cmocka_unit_test(wrong_options_are_errors),
        cmocka_unit_test(single_images_are_prepared_as_in_evaluation),
    };
    return cmocka_run_group_tests(tests, make_set, free_scratch);
}
