/* Image transforms in space: see transform.h. */
#include "data/transform.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "data/resample.h"

/* One row of an output being written: pixel i lies at first[i * step], step is negative in a mirrored row. */
typedef struct output_row {
    float *first;
    ptrdiff_t step;
} output_row;

static void copy_run(const uint8_t *from, int begin, int end, int channels, const byte_table *table,
                     output_row to) {
    if (channels == 3) {
        for (int i = begin; i < end; i++, from += 3) {
            float *pixel = to.first + i * to.step;
            pixel[0] = table->value[0][from[0]];
            pixel[1] = table->value[1][from[1]];
            pixel[2] = table->value[2][from[2]];
        }
    } else {
        for (int i = begin; i < end; i++, from++) to.first[i * to.step] = table->value[0][from[0]];
    }
}

static void fill_run(int begin, int end, int channels, const byte_table *table, output_row to) {
    for (int i = begin; i < end; i++)
        for (int c = 0; c < channels; c++) to.first[i * to.step + c] = table->value[c][0];
}

static int clamp_int(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

void transform_window(const stored_image *image, int channels, int left, int top, bool flip,
                      const byte_table *table, int width, int height, float *out) {
    int first = clamp_int(-left, 0, width), last = clamp_int(image->width - left, first, width);
    for (int y = 0; y < height; y++) {
        float *row = out + (ptrdiff_t)y * width * channels;
        output_row to = flip ? (output_row){row + (ptrdiff_t)(width - 1) * channels, -channels}
                             : (output_row){row, channels};
        int source_y = y + top;
        if (source_y < 0 || source_y >= image->height || first == last) {
            fill_run(0, width, channels, table, to);
            continue;
        }
        const uint8_t *from = image->pixels + ((ptrdiff_t)source_y * image->width + first + left) * channels;
        fill_run(0, first, channels, table, to);
        copy_run(from, first, last, channels, table, to);
        fill_run(last, width, channels, table, to);
    }
}

void transform_window_floats(const float *in, int channels, int left, int top, int width, int height,
                             float *out) {
    int first = clamp_int(-left, 0, width), last = clamp_int(width - left, first, width);
    size_t row_floats = (size_t)width * (size_t)channels;
    memset(out, 0, row_floats * (size_t)height * sizeof *out);
    for (int y = 0; y < height; y++) {
        int source_y = y + top;
        if (source_y < 0 || source_y >= height || first == last) continue;
        memcpy(out + (size_t)y * row_floats + (ptrdiff_t)first * channels,
               in + (size_t)source_y * row_floats + (ptrdiff_t)(first + left) * channels,
               (size_t)(last - first) * (size_t)channels * sizeof *out);
    }
}

void transform_center_crop(const stored_image *image, int channels, int width, int height, float *scratch,
                           float *out) {
    int side = image->width < image->height ? image->width : image->height;
    size_t step = (size_t)channels, row = (size_t)image->width * step;
    size_t corner = (size_t)((image->height - side) / 2) * row + (size_t)((image->width - side) / 2) * step;
    for (size_t c = 0; c < step; c++) {
        byte_plane from = {image->pixels + corner + c, side, side, step, row};
        float_plane to = {out + c, width, height, step, (size_t)width * step};
        resample_bytes(&from, &to, scratch);
    }
}

/* Source positions as linear functions of the output's: x = x0 + xx * column + xy * row, and y alike. */
typedef struct affine {
    double x0, xx, xy, y0, yx, yy;
} affine;

static affine affine_of(const stored_image *image, const crop_geometry *g, int width, int height) {
    double scale = g->scale, sine = sin(g->angle), cosine = cos(g->angle);
    double across = g->aspect / scale, down = 1 / scale;
    double first_x = (g->dx - width / 2.0) * across, first_y = (g->dy - height / 2.0) * down;
    return (affine){.x0 = cosine * first_x - sine * first_y + image->width / 2.0,
                    .xx = cosine * across,
                    .xy = -sine * down,
                    .y0 = sine * first_x + cosine * first_y + image->height / 2.0,
                    .yx = sine * across,
                    .yy = cosine * down};
}

static float clamp_float(double value, int high) {
    return value < 0 ? 0.0f : value > high ? (float)high : (float)value;
}

void transform_crop(const stored_image *image, int channels, const crop_geometry *g, int width, int height,
                    float *out) {
    affine a = affine_of(image, g, width, height);
    size_t row = (size_t)image->width * (size_t)channels;
    for (int y = 0; y < height; y++) {
        double row_x = a.x0 + a.xy * y, row_y = a.y0 + a.yy * y;
        for (int x = 0; x < width; x++, out += channels) {
            float from_x = clamp_float(row_x + a.xx * x, image->width - 1);
            float from_y = clamp_float(row_y + a.yx * x, image->height - 1);
            int left = (int)from_x, top = (int)from_y;
            float right_part = from_x - (float)left, lower_part = from_y - (float)top;
            const uint8_t *p = image->pixels + (size_t)top * row + (size_t)left * (size_t)channels;
            size_t right = left + 1 < image->width ? (size_t)channels : 0,
                   below = top + 1 < image->height ? row : 0;
            for (int c = 0; c < channels; c++, p++) {
                float upper = (float)p[0] + right_part * (float)(p[right] - p[0]);
                float lower = (float)p[below] + right_part * (float)(p[below + right] - p[below]);
                out[c] = (upper + lower_part * (lower - upper)) * (1 / 255.0f);
            }
        }
    }
}

void transform_flip(float *pixels, int width, int height, int channels) {
    size_t step = (size_t)channels;
    for (int y = 0; y < height; y++, pixels += (size_t)width * step) {
        float *left = pixels, *right = pixels + (size_t)(width - 1) * step;
        for (; left < right; left += step, right -= step) {
            for (size_t c = 0; c < step; c++) {
                float kept = left[c];
                left[c] = right[c];
                right[c] = kept;
            }
        }
    }
}

/* One line of pixels, `step` floats apart, convolved with the symmetric kernel [0..radius]. */
static void blur_line(const float *in, size_t step, int length, const float *kernel, int radius, float *out) {
    for (int i = 0; i < length; i++) {
        float sum = kernel[0] * in[(size_t)i * step];
        for (int k = 1; k <= radius; k++) {
            size_t before = (size_t)clamp_int(i - k, 0, length - 1);
            size_t after = (size_t)clamp_int(i + k, 0, length - 1);
            sum += kernel[k] * (in[before * step] + in[after * step]);
        }
        out[(size_t)i * step] = sum;
    }
}

void transform_blur(float *pixels, int width, int height, int channels, float deviation, float *scratch) {
    float kernel[3 * TRANSFORM_MOST_BLUR + 1], sum = 1;
    int radius = (int)ceilf(3 * deviation);
    size_t step = (size_t)channels, row = (size_t)width * step;
    if (!(deviation > 0)) return;
    kernel[0] = 1;
    for (int k = 1; k <= radius; k++) {
        kernel[k] = expf(-.5f * (float)(k * k) / (deviation * deviation));
        sum += 2 * kernel[k];
    }
    for (int k = 0; k <= radius; k++) kernel[k] /= sum;
    for (size_t y = 0; y < (size_t)height; y++)
        for (size_t c = 0; c < step; c++)
            blur_line(pixels + y * row + c, step, width, kernel, radius, scratch + y * row + c);
    for (size_t i = 0; i < row; i++) blur_line(scratch + i, row, height, kernel, radius, pixels + i);
}
