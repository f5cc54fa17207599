/* Samples and pixels of a JPEG: see jpeg_planes.h. The inverse transform is that of Loeffler, Ligtenberg and
 * Moschytz (ICASSP 1989) with constants of 12 bits, written as the integer matrix that its sums amount to;
 * subsampled planes are interpolated linearly; the conversion to RGB is that of JFIF 1.02. */
#include "data/jpeg_planes.h"

#include <stdlib.h>
#include <string.h>

#include "data/decode.h"

/* ---- the inverse transform ---- */

/* The first four of eight outputs, 4096 sqrt(2) cos((2 x + 1) u pi / 16) but for how the constants round; the
 * last four are the same with the odd part subtracted. */
static const int32_t EVEN[4][4] = {{4096, 5352, 4096, 2217},
                                   {4096, 2217, -4096, -5350},
                                   {4096, -2217, -4096, 5350},
                                   {4096, -5352, 4096, -2217}};
static const int32_t ODD[4][4] = {{5683, 4816, 3219, 1131},
                                  {4816, -1129, -5681, -3218},
                                  {3219, -5681, 1132, 4816},
                                  {1131, -3218, 4816, -5680}};

static int32_t clamp(int32_t value, int32_t least, int32_t most) {
    return value < least ? least : value > most ? most : value;
}

static int32_t clamp_16(int32_t value) {
    return clamp(value, INT16_MIN, INT16_MAX);
}

/* One pass over eight columns: out[x][column] of in[u][column], unscaled. With |in| <= 2^15 no sum exceeds
 * 2^15 * 4096 * 7.5 < 2^30. */
static void transform_columns(int32_t in[8][8], int32_t out[8][8]) {
    for (size_t x = 0; x < 4; x++) {
        for (size_t i = 0; i < 8; i++) {
            int32_t even = 0, odd = 0;
            for (size_t u = 0; u < 4; u++) {
                even += EVEN[x][u] * in[2 * u][i];
                odd += ODD[x][u] * in[2 * u + 1][i];
            }
            out[x][i] = even + odd;
            out[7 - x][i] = even - odd;
        }
    }
}

void jpeg_block_samples(const int16_t *coefficients, const uint16_t *steps, uint8_t *samples, size_t stride) {
    int32_t in[8][8], out[8][8];
    for (size_t i = 0; i < 64; i++) in[i / 8][i % 8] = clamp_16((int32_t)coefficients[i] * steps[i]);
    transform_columns(in, out);
    for (size_t i = 0; i < 8; i++) /* two bits more than a sample's are kept between the passes */
        for (size_t k = 0; k < 8; k++) in[k][i] = clamp_16((out[i][k] + (1 << 9)) >> 10);
    transform_columns(in, out);
    for (size_t y = 0; y < 8; y++)
        for (size_t x = 0; x < 8; x++)
            samples[y * stride + x] = (uint8_t)clamp(((out[x][y] + (1 << 16)) >> 17) + 128, 0, 255);
}

/* ---- interpolation: one row of pixels from the sample rows that are near and next to it ---- */

typedef void interpolate_row(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row);

static void copy_row(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row) {
    (void)next;
    memcpy(row, near, p->width);
}

static void between_rows(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row) {
    for (size_t i = 0; i < p->width; i++) row[i] = (uint8_t)((3 * near[i] + next[i] + 2) >> 2);
}

/* The last pixel but one leans to the sample that is farther from it: so does Darknet's decoder. */
static void between_columns(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row) {
    size_t last = p->width - 1;
    (void)next;
    row[0] = near[0];
    row[2 * last + 1] = near[last];
    if (last == 0) return;
    row[1] = (uint8_t)((3 * near[0] + near[1] + 2) >> 2);
    for (size_t i = 1; i < last; i++) {
        row[2 * i] = (uint8_t)((3 * near[i] + near[i - 1] + 2) >> 2);
        row[2 * i + 1] = (uint8_t)((3 * near[i] + near[i + 1] + 2) >> 2);
    }
    row[2 * last] = (uint8_t)((3 * near[last - 1] + near[last] + 2) >> 2);
}

static void between_both(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row) {
    int before = 3 * near[0] + next[0];
    row[0] = (uint8_t)((before + 2) >> 2);
    for (size_t i = 1; i < p->width; i++) {
        int here = 3 * near[i] + next[i];
        row[2 * i - 1] = (uint8_t)((3 * before + here + 8) >> 4);
        row[2 * i] = (uint8_t)((3 * here + before + 8) >> 4);
        before = here;
    }
    row[2 * p->width - 1] = (uint8_t)((before + 2) >> 2);
}

static void repeat_samples(const uint8_t *near, const uint8_t *next, const jpeg_plane *p, uint8_t *row) {
    (void)next;
    for (size_t i = 0; i < p->width; i++) memset(row + i * p->across, near[i], p->across);
}

static interpolate_row *interpolation(const jpeg_plane *p) {
    if (p->across == 1 && p->down == 1) return copy_row;
    if (p->across == 1 && p->down == 2) return between_rows;
    if (p->across == 2 && p->down == 1) return between_columns;
    if (p->across == 2 && p->down == 2) return between_both;
    return repeat_samples;
}

/* The plane's part of the image's row y; `row` has across - 1 pixels more than the image is wide. */
static void plane_row(const jpeg_plane *p, size_t y, uint8_t *row) {
    size_t near = y / p->down, next = near;
    if (y % p->down != 0 && near + 1 < p->height) next++;
    if (y % p->down == 0 && near > 0) next--;
    interpolation(p)(p->samples + near * p->stride, p->samples + next * p->stride, p, row);
}

/* ---- colours ---- */

static uint8_t product(unsigned a, unsigned b) {
    unsigned scaled = a * b + 128; /* by 255, to the nearest */
    return (uint8_t)((scaled + (scaled >> 8)) >> 8);
}

/* Factors of 12 bits shifted by 8; green drops the low half of its blue part. */
static void ycc_to_rgb(int y, int blue, int red, uint8_t *rgb) {
    int32_t base = (y << 20) + (1 << 19), cb = blue - 128, cr = red - 128;
    int32_t from_cb = (int32_t)((uint32_t)(cb * -(1410 << 8)) & 0xFFFF0000u);
    rgb[0] = (uint8_t)clamp((base + cr * (5743 << 8)) >> 20, 0, 255);
    rgb[1] = (uint8_t)clamp((base + cr * -(2925 << 8) + from_cb) >> 20, 0, 255);
    rgb[2] = (uint8_t)clamp((base + cb * (7258 << 8)) >> 20, 0, 255);
}

static void rgb_pixel(jpeg_model model, const uint8_t *s, uint8_t *rgb) {
    switch (model) {
    case JPEG_GREY:
        memset(rgb, s[0], 3);
        break;
    case JPEG_RGB:
        memcpy(rgb, s, 3);
        break;
    case JPEG_YCC:
        ycc_to_rgb(s[0], s[1], s[2], rgb);
        break;
    case JPEG_CMYK:
        for (int c = 0; c < 3; c++) rgb[c] = product(s[c], s[3]);
        break;
    case JPEG_YCCK:
        ycc_to_rgb(s[0], s[1], s[2], rgb);
        for (int c = 0; c < 3; c++) rgb[c] = product(255u - rgb[c], s[3]);
        break;
    }
}

static uint8_t grey_pixel(jpeg_model model, const uint8_t *s) {
    uint8_t rgb[3];
    if (model == JPEG_GREY || model == JPEG_YCC) return s[0];
    if (model == JPEG_YCCK) return product(255u - s[0], s[3]);
    rgb_pixel(model, s, rgb);
    return decode_luminance(rgb);
}

static size_t plane_count(jpeg_model model) {
    return model == JPEG_GREY ? 1 : model == JPEG_RGB || model == JPEG_YCC ? 3 : 4;
}

bool jpeg_planes_pixels(const jpeg_planes *planes, int channels, uint8_t *pixels) {
    size_t count = plane_count(planes->model), row_bytes = planes->width + 4;
    uint8_t *rows = calloc(count, row_bytes);
    if (!rows) return false;
    for (size_t y = 0; y < planes->height; y++) {
        for (size_t c = 0; c < count; c++) plane_row(&planes->plane[c], y, rows + c * row_bytes);
        for (size_t x = 0; x < planes->width; x++, pixels += channels) {
            uint8_t sample[JPEG_PLANES_LIMIT] = {0};
            for (size_t c = 0; c < count; c++) sample[c] = rows[c * row_bytes + x];
            if (channels == 1)
                pixels[0] = grey_pixel(planes->model, sample);
            else
                rgb_pixel(planes->model, sample, pixels);
        }
    }
    free(rows);
    return true;
}
