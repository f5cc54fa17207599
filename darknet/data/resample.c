/* Separable bilinear resampling, Darknet's numerics: columns first, then rows. */
#include "data/resample.h"

/* The two neighbours' first and the second's weight. */
typedef struct tap {
    int low;
    float fraction;
} tap;

static float scale_of(int old, int new) {
    return new > 1 ? (float)(old - 1) / (float)(new - 1) : 0;
}

static tap tap_at(int i, int old, int new, float scale) {
    if (i == new - 1 || old == 1) return (tap){old - 1, 0};
    float position = (float)i * scale;
    int low = (int)position;
    if (low > old - 2) low = old - 2;
    return (tap){low, position - (float)low};
}

static float blend(float a, float b, float fraction) {
    return (1 - fraction) * a + fraction * b;
}

/* scratch [old height][new width] to the output. */
static void resample_rows(const float *scratch, int old_height, const float_plane *out) {
    float scale = scale_of(old_height, out->height);
    size_t width = (size_t)out->width;
    for (int y = 0; y < out->height; y++) {
        tap t = tap_at(y, old_height, out->height, scale);
        const float *upper = scratch + (size_t)t.low * width;
        const float *lower = t.fraction > 0 ? upper + width : upper;
        float *to = out->data + (size_t)y * out->row_step;
        for (size_t x = 0; x < width; x++) to[x * out->pixel_step] = blend(upper[x], lower[x], t.fraction);
    }
}

void resample_floats(const float_plane *in, const float_plane *out, float *scratch) {
    float scale = scale_of(in->width, out->width);
    for (int x = 0; x < out->width; x++) {
        tap t = tap_at(x, in->width, out->width, scale);
        const float *left = in->data + (size_t)t.low * in->pixel_step;
        const float *right = t.fraction > 0 ? left + in->pixel_step : left;
        float *to = scratch + x;
        for (size_t y = 0; y < (size_t)in->height; y++)
            to[y * (size_t)out->width] = blend(left[y * in->row_step], right[y * in->row_step], t.fraction);
    }
    resample_rows(scratch, in->height, out);
}

void resample_bytes(const byte_plane *in, const float_plane *out, float *scratch) {
    float scale = scale_of(in->width, out->width);
    for (int x = 0; x < out->width; x++) {
        tap t = tap_at(x, in->width, out->width, scale);
        const uint8_t *left = in->data + (size_t)t.low * in->pixel_step;
        const uint8_t *right = t.fraction > 0 ? left + in->pixel_step : left;
        float *to = scratch + x;
        for (size_t y = 0; y < (size_t)in->height; y++)
            to[y * (size_t)out->width] = blend(pixel_from_byte(left[y * in->row_step]),
                                               pixel_from_byte(right[y * in->row_step]), t.fraction);
    }
    resample_rows(scratch, in->height, out);
}
