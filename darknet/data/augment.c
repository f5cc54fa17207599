/* Augmentation: the draws of one image and what they are applied to. Random scale, angle, flip and colour are
 * Darknet's; pad-and-crop as in K. He et al., Deep Residual Learning for Image Recognition, CVPR 2016; mixup:
 * H. Zhang et al., ICLR 2018; cutmix: S. Yun et al., ICCV 2019 (both with the share uniform in [0,1], the
 * Beta(1,1) case); mosaic: A. Bochkovskiy et al., YOLOv4, 2020, in its form for classifiers. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "data/resample.h"
#include "data/streams.h"

#define PI 3.14159265358979f
#define SIDE_LIMIT 65536

/* ---- set-up ---- */

static bool is_ratio(float value) {
    return isfinite(value) && value >= 0 && value <= 1000;
}

static bool is_share(float value) {
    return value >= 0 && value <= 1;
}

static bool check_options(const augmentation *o, error *e) {
    if (o->width < 1 || o->height < 1 || o->width > SIDE_LIMIT || o->height > SIDE_LIMIT)
        return error_set(e, "input of %d x %d pixels: 1 x 1 to %d x %d are possible", o->width, o->height,
                         SIDE_LIMIT, SIDE_LIMIT);
    if (o->channels != 1 && o->channels != 3)
        return error_set(e, "input of %d channels: images have 1 or 3", o->channels);
    if (!is_ratio(o->aspect) || !is_ratio(o->saturation) || !is_ratio(o->exposure))
        return error_set(e, "aspect %g, saturation %g, exposure %g: ratios from 0 (off) to 1000 are wanted",
                         (double)o->aspect, (double)o->saturation, (double)o->exposure);
    if (!isfinite(o->angle_degrees) || !isfinite(o->hue) || fabsf(o->angle_degrees) > 360 ||
        fabsf(o->hue) > 1)
        return error_set(e, "angle %g, hue %g: an angle of up to 360 degrees and a hue of up to 1 are wanted",
                         (double)o->angle_degrees, (double)o->hue);
    if (!is_share(o->mixup) || !is_share(o->cutmix) || !is_share(o->mosaic) ||
        !is_share(o->mixup + o->cutmix + o->mosaic))
        return error_set(e,
                         "mixup %g, cutmix %g and mosaic %g: probabilities whose sum is at most 1 are wanted",
                         (double)o->mixup, (double)o->cutmix, (double)o->mosaic);
    if (!isfinite(o->blur) || o->blur < 0 || o->blur > TRANSFORM_MOST_BLUR)
        return error_set(e, "blur %g: a deviation from 0 (off) to %d pixels is wanted", (double)o->blur,
                         TRANSFORM_MOST_BLUR);
    if (!is_share(o->label_smooth))
        return error_set(e, "label smoothing %g: a share from 0 to 1 is wanted", (double)o->label_smooth);
    if (o->pad_crop < 0 || o->pad_crop > SIDE_LIMIT || o->min_crop > SIDE_LIMIT || o->max_crop > SIDE_LIMIT)
        return error_set(e, "pad_crop %d, min_crop %d, max_crop %d: 0 to %d pixels are wanted", o->pad_crop,
                         o->min_crop, o->max_crop, SIDE_LIMIT);
    for (int c = 0; o->deviation && c < o->channels; c++)
        if (!isfinite(o->deviation[c]) || o->deviation[c] <= 0)
            return error_set(e, "deviation %g of channel %d: more than 0 is wanted", (double)o->deviation[c],
                             c);
    for (int c = 0; o->mean && c < o->channels; c++)
        if (!isfinite(o->mean[c])) return error_set(e, "mean %g of channel %d", (double)o->mean[c], c);
    return true;
}

static float one_if_off(float ratio) {
    return ratio > 0 ? ratio : 1;
}

bool augmentor_set_up(augmentor *a, const augmentation *options, error *e) {
    if (!check_options(options, e)) return false;
    *a = (augmentor){.options = *options};
    a->options.aspect = one_if_off(options->aspect);
    a->options.saturation = one_if_off(options->saturation);
    a->options.exposure = one_if_off(options->exposure);
    if (options->min_crop > options->max_crop) {
        a->options.min_crop = options->max_crop;
        a->options.max_crop = options->min_crop;
    }
    a->normalizes = options->mean || options->deviation;
    a->image_floats = (size_t)options->width * (size_t)options->height * (size_t)options->channels;
    for (int c = 0; c < 3; c++) {
        bool there = c < options->channels;
        a->mean[c] = options->mean && there ? options->mean[c] : 0;
        a->deviation[c] = options->deviation && there ? options->deviation[c] : 1;
        for (int byte = 0; byte < 256; byte++) {
            float value = pixel_from_byte((uint8_t)byte);
            a->plain.value[c][byte] = value;
            a->normalized.value[c][byte] = a->normalizes ? (value - a->mean[c]) / a->deviation[c] : value;
        }
    }
    return true;
}

bool augment_scratch_make(augment_scratch *s, const augmentor *a, const dataset *d, error *e) {
    size_t longest = 1, rows;
    for (size_t i = 0; i < d->count; i++) {
        const stored_image *image = d->images + i;
        size_t side = (size_t)(image->width < image->height ? image->width : image->height);
        if (side > longest) longest = side;
    }
    *s = (augment_scratch){0};
    if (size_multiply(longest, (size_t)a->options.width, &rows)) {
        s->partner = memory_allocate(a->image_floats, sizeof(float));
        s->base = memory_allocate(a->image_floats, sizeof(float));
        s->rows = memory_allocate(rows, sizeof(float));
    }
    if (s->partner && s->base && s->rows) return true;
    augment_scratch_free(s);
    return error_set(e, "out of memory for augmentation");
}

void augment_scratch_free(augment_scratch *s) {
    memory_free(s->partner);
    memory_free(s->base);
    memory_free(s->rows);
    *s = (augment_scratch){0};
}

/* ---- draws ---- */

static bool random_coin(random_state *r) {
    return random_next(r) >> 63;
}

/* Uniform in [1, s], inverted half the time. */
static float random_scale(random_state *r, float s) {
    float scale = random_uniform(r, 1, s);
    return random_coin(r) ? scale : 1 / scale;
}

static int random_offset(random_state *r, int most) {
    return (int)random_below(r, (uint64_t)most + 1);
}

static crop_geometry draw_crop(const augmentation *o, const stored_image *image, random_state *r) {
    float angle = random_uniform(r, -o->angle_degrees, o->angle_degrees) * PI / 180;
    float aspect = random_scale(r, o->aspect);
    int side = o->min_crop + random_offset(r, o->max_crop - o->min_crop);
    float shorter = fminf((float)image->height, (float)image->width * aspect), scale = (float)side / shorter;
    float across = ((float)image->width * scale / aspect - (float)o->width) / 2;
    float down = ((float)image->height * scale - (float)o->height) / 2;
    float dx = random_uniform(r, -across, across), dy = random_uniform(r, -down, down);
    return (crop_geometry){scale, aspect, angle, dx, dy};
}

/* ---- geometry ---- */

static bool is_exact(const augmentation *o, const stored_image *image) {
    return image->width == o->width && image->height == o->height && o->width == o->height;
}

static void place_center(const augmentor *a, const stored_image *image, bool flip, const byte_table *table,
                         augment_scratch *s, float *out) {
    const augmentation *o = &a->options;
    if (is_exact(o, image)) {
        transform_window(image, o->channels, 0, 0, flip, table, o->width, o->height, out);
        return;
    }
    transform_center_crop(image, o->channels, o->width, o->height, s->rows, out);
    if (flip) transform_flip(out, o->width, o->height, o->channels);
}

static void place_padded(const augmentor *a, const stored_image *image, int left, int top, bool flip,
                         const byte_table *table, augment_scratch *s, float *out) {
    const augmentation *o = &a->options;
    if (is_exact(o, image)) {
        transform_window(image, o->channels, left, top, flip, table, o->width, o->height, out);
        return;
    }
    transform_center_crop(image, o->channels, o->width, o->height, s->rows, s->base);
    transform_window_floats(s->base, o->channels, left, top, o->width, o->height, out);
    if (flip) transform_flip(out, o->width, o->height, o->channels);
}

static void normalize(const augmentor *a, float *pixels) {
    size_t channels = (size_t)a->options.channels;
    for (size_t i = 0; i < a->image_floats; i += channels)
        for (size_t c = 0; c < channels; c++) pixels[i + c] = (pixels[i + c] - a->mean[c]) / a->deviation[c];
}

static bool changes_color(const augmentation *o) {
    return o->enabled && (o->hue != 0 || o->saturation != 1 || o->exposure != 1);
}

static void change_colors(const augmentation *o, random_state *r, float *pixels) {
    float hue = random_uniform(r, -o->hue, o->hue);
    float saturation = random_scale(r, o->saturation), exposure = random_scale(r, o->exposure);
    transform_color(pixels, (size_t)o->width * (size_t)o->height, o->channels, hue, saturation, exposure);
}

/* One image with its own draws, in [0,1] or, when `finish`, normalised. */
static void place_image(const augmentor *a, const stored_image *image, random_state *r, bool finish,
                        augment_scratch *s, float *out) {
    const augmentation *o = &a->options;
    bool color = changes_color(o), flip = o->enabled && o->flip && random_coin(r), exact = is_exact(o, image);
    bool blurs = o->enabled && o->blur > 0;
    bool fused = finish && !color && !blurs && exact; /* normalised while bytes are read */
    const byte_table *table = fused ? &a->normalized : &a->plain;
    if (!o->enabled || o->center || (o->pad_crop == 0 && o->min_crop <= 0)) {
        place_center(a, image, flip, table, s, out);
    } else if (o->pad_crop > 0) {
        int left = random_offset(r, 2 * o->pad_crop) - o->pad_crop;
        int top = random_offset(r, 2 * o->pad_crop) - o->pad_crop;
        place_padded(a, image, left, top, flip, table, s, out);
    } else {
        crop_geometry g = draw_crop(o, image, r);
        transform_crop(image, o->channels, &g, o->width, o->height, out);
        if (flip) transform_flip(out, o->width, o->height, o->channels);
        fused = false;
    }
    if (color) change_colors(o, r, out);
    if (blurs) transform_blur(out, o->width, o->height, o->channels, random_uniform(r, 0, o->blur), s->base);
    if (finish && a->normalizes && !fused) normalize(a, out);
}

/* ---- mixing ---- */

typedef enum mixing { MIX_NONE, MIX_BLEND, MIX_CUT, MIX_MOSAIC } mixing;

static mixing draw_mixing(const augmentation *o, random_state *r) {
    if (!o->enabled || o->mixup + o->cutmix + o->mosaic <= 0) return MIX_NONE;
    float drawn = random_uniform(r, 0, 1);
    if (drawn < o->cutmix) return MIX_CUT;
    if (drawn < o->cutmix + o->mixup) return MIX_BLEND;
    return drawn < o->cutmix + o->mixup + o->mosaic ? MIX_MOSAIC : MIX_NONE;
}

/* The first image's share of the blend. */
static float mix_blend(const augmentor *a, const float *partner, random_state *r, float *pixels) {
    float share = random_uniform(r, 0, 1);
    for (size_t i = 0; i < a->image_floats; i++) pixels[i] = share * pixels[i] + (1 - share) * partner[i];
    return share;
}

static int clamp_side(long value, int high) {
    return value < 0 ? 0 : value > high ? high : (int)value;
}

/* Pastes a rectangle of the partner, of the input's proportions, about a point anywhere; what sticks out is
 * cut off. The first image's share is the area that it keeps. */
static float mix_cut(const augmentor *a, const float *partner, random_state *r, float *pixels) {
    const augmentation *o = &a->options;
    float side = sqrtf(1 - random_uniform(r, 0, 1));
    long width = lroundf(side * (float)o->width), height = lroundf(side * (float)o->height);
    long left = (long)random_offset(r, o->width - 1) - width / 2;
    long top = (long)random_offset(r, o->height - 1) - height / 2;
    int x0 = clamp_side(left, o->width), x1 = clamp_side(left + width, o->width);
    int y0 = clamp_side(top, o->height), y1 = clamp_side(top + height, o->height);
    size_t row = (size_t)o->width * (size_t)o->channels, begin = (size_t)x0 * (size_t)o->channels;
    for (size_t y = (size_t)y0; y < (size_t)y1; y++)
        memcpy(pixels + y * row + begin, partner + y * row + begin,
               (size_t)(x1 - x0) * (size_t)o->channels * sizeof *pixels);
    float pasted = (float)(x1 - x0) * (float)(y1 - y0), area = (float)o->width * (float)o->height;
    return 1 - pasted / area;
}

static const stored_image *draw_partner(const dataset *d, random_state *r) {
    return d->images + random_below(r, d->count);
}

/* Two images, the second one blended into the first or pasted onto it. */
static void mix_two(const augmentor *a, const dataset *d, const stored_image *first, mixing how,
                    random_state *r, augment_scratch *s, float *pixels, float *truth) {
    place_image(a, first, r, false, s, pixels);
    const stored_image *partner = draw_partner(d, r);
    place_image(a, partner, r, false, s, s->partner);
    float share = how == MIX_CUT ? mix_cut(a, s->partner, r, pixels) : mix_blend(a, s->partner, r, pixels);
    truth[first->label] += share;
    truth[partner->label] += 1 - share;
}

/* Four images about a point at least a fifth of the sides away from the border, each showing its own part of
 * the picture; the first in any quarter. Shares are areas. */
static void mix_mosaic(const augmentor *a, const dataset *d, const stored_image *first, random_state *r,
                       augment_scratch *s, float *pixels, float *truth) {
    const augmentation *o = &a->options;
    int margin_x = o->width / 5, margin_y = o->height / 5;
    int center_x = margin_x + random_offset(r, o->width - 2 * margin_x);
    int center_y = margin_y + random_offset(r, o->height - 2 * margin_y);
    int quarter = random_offset(r, 3);
    size_t channels = (size_t)o->channels, row = (size_t)o->width * channels;
    for (int k = 0; k < 4; k++, quarter = (quarter + 1) % 4) {
        const stored_image *image = k ? draw_partner(d, r) : first;
        bool right = quarter % 2, lower = quarter / 2;
        int x0 = right ? center_x : 0, x1 = right ? o->width : center_x;
        int y0 = lower ? center_y : 0, y1 = lower ? o->height : center_y;
        place_image(a, image, r, false, s, s->partner);
        for (int y = y0; y < y1; y++) {
            size_t begin = (size_t)y * row + (size_t)x0 * channels;
            memcpy(pixels + begin, s->partner + begin, (size_t)(x1 - x0) * channels * sizeof *pixels);
        }
        truth[image->label] += (float)(x1 - x0) * (float)(y1 - y0) / ((float)o->width * (float)o->height);
    }
}

/* ---- the whole ---- */

static void smooth(float *truth, int classes, float share) {
    for (int i = 0; i < classes; i++) truth[i] = truth[i] * (1 - share) + share / (float)classes;
}

void augment_image(const augmentor *a, const dataset *d, size_t index, uint64_t seed, uint64_t position,
                   augment_scratch *s, float *pixels, float *truth) {
    const augmentation *o = &a->options;
    random_state r = {random_hash(seed, DATA_STREAM_AUGMENT, position)};
    const stored_image *image = d->images + index;
    mixing how = draw_mixing(o, &r);
    memset(truth, 0, (size_t)d->classes * sizeof *truth);
    if (how == MIX_NONE) {
        place_image(a, image, &r, true, s, pixels);
        truth[image->label] = 1;
    } else if (how == MIX_MOSAIC) {
        mix_mosaic(a, d, image, &r, s, pixels, truth);
    } else {
        mix_two(a, d, image, how, &r, s, pixels, truth);
    }
    if (how != MIX_NONE && a->normalizes) normalize(a, pixels);
    if (o->enabled && o->label_smooth > 0) smooth(truth, d->classes, o->label_smooth);
}

bool data_prepare_image(const image_f32 *in, const augmentation *options, bool letterbox, float *out,
                        error *e) {
    augmentor *a = memory_allocate(1, sizeof *a);
    image_f32 sized = {0};
    if (!a) return error_set(e, "out of memory for an image");
    bool good = augmentor_set_up(a, options, e);
    if (good && in->channels != options->channels)
        good = error_set(e, "an image of %d channels for a network of %d", in->channels, options->channels);
    if (good)
        good = letterbox ? image_letterbox(in, options->width, options->height, &sized, e)
                         : image_center_crop(in, options->width, options->height, &sized, e);
    if (good) {
        size_t channels = (size_t)sized.channels, plane = (size_t)sized.width * (size_t)sized.height;
        for (size_t i = 0; i < plane; i++)
            for (size_t c = 0; c < channels; c++) out[i * channels + c] = sized.data[c * plane + i];
        if (a->normalizes) normalize(a, out);
    }
    image_free(&sized);
    memory_free(a);
    return good;
}
