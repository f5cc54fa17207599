/* Images as floats, CHW: loading, and the three ways of bringing one to a network's size. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "data/data.h"
#include "data/decode.h"
#include "data/resample.h"

static size_t plane_size(const image_f32 *image) {
    return (size_t)image->width * (size_t)image->height;
}

bool image_make(int width, int height, int channels, image_f32 *image, error *e) {
    *image = (image_f32){0};
    if (width < 1 || height < 1 || channels < 1)
        return error_set(e, "an image of %d x %d pixels and %d channels cannot be made", width, height,
                         channels);
    size_t count;
    float *data = NULL;
    if (size_multiply((size_t)width, (size_t)height, &count) &&
        size_multiply(count, (size_t)channels, &count))
        data = memory_allocate_zeroed(count, sizeof *data);
    if (!data)
        return error_set(e, "out of memory for an image of %d x %d pixels and %d channels", width, height,
                         channels);
    *image = (image_f32){width, height, channels, data};
    return true;
}

void image_free(image_f32 *image) {
    memory_free(image->data);
    *image = (image_f32){0};
}

static bool from_pixels(const uint8_t *pixels, int width, int height, int channels, image_f32 *image,
                        error *e) {
    if (!image_make(width, height, channels, image, e)) return false;
    size_t plane = plane_size(image);
    for (size_t c = 0; c < (size_t)channels; c++)
        for (size_t i = 0; i < plane; i++)
            image->data[c * plane + i] = pixel_from_byte(pixels[i * (size_t)channels + c]);
    return true;
}

bool image_load_memory(const void *bytes, size_t count, const char *name, int channels, image_f32 *image,
                       error *e) {
    *image = (image_f32){0};
    int width, height;
    uint8_t *pixels = decode_image(bytes, count, name, channels, &width, &height, e);
    bool good = pixels && from_pixels(pixels, width, height, channels, image, e);
    free(pixels);
    return good;
}

bool image_load(const char *path, int channels, image_f32 *image, error *e) {
    *image = (image_f32){0};
    int width, height;
    uint8_t *pixels = decode_image_file(path, channels, &width, &height, e);
    bool good = pixels && from_pixels(pixels, width, height, channels, image, e);
    free(pixels);
    return good;
}

static float_plane plane_of(const image_f32 *image, int channel, int left, int top, int width, int height) {
    size_t row = (size_t)image->width;
    float *data = image->data + (size_t)channel * plane_size(image) + (size_t)top * row + (size_t)left;
    return (float_plane){data, width, height, 1, row};
}

/* Resamples the square or rectangle of `in` at (left, top) into the one of `out` at (to_left, to_top). */
typedef struct rectangle {
    int left, top, width, height;
} rectangle;

static bool resample_rectangle(const image_f32 *in, rectangle from, const image_f32 *out, rectangle to,
                               error *e) {
    size_t count;
    float *scratch = NULL;
    if (size_multiply((size_t)to.width, (size_t)from.height, &count))
        scratch = memory_allocate(count, sizeof *scratch);
    if (!scratch)
        return error_set(e, "out of memory while an image is resized to %d x %d", to.width, to.height);
    for (int c = 0; c < in->channels; c++) {
        float_plane source = plane_of(in, c, from.left, from.top, from.width, from.height);
        float_plane target = plane_of(out, c, to.left, to.top, to.width, to.height);
        resample_floats(&source, &target, scratch);
    }
    memory_free(scratch);
    return true;
}

static bool resize_part(const image_f32 *in, rectangle from, int width, int height, image_f32 *out,
                        error *e) {
    if (!image_make(width, height, in->channels, out, e)) return false;
    if (resample_rectangle(in, from, out, (rectangle){0, 0, width, height}, e)) return true;
    image_free(out);
    return false;
}

bool image_resize(const image_f32 *in, int width, int height, image_f32 *out, error *e) {
    return resize_part(in, (rectangle){0, 0, in->width, in->height}, width, height, out, e);
}

bool image_center_crop(const image_f32 *in, int width, int height, image_f32 *out, error *e) {
    int side = in->width < in->height ? in->width : in->height;
    rectangle square = {(in->width - side) / 2, (in->height - side) / 2, side, side};
    return resize_part(in, square, width, height, out, e);
}

bool image_letterbox(const image_f32 *in, int width, int height, image_f32 *out, error *e) {
    if (!image_make(width, height, in->channels, out, e)) return false;
    int64_t fitted_width = width, fitted_height = height;
    if ((int64_t)width * in->height < (int64_t)height * in->width)
        fitted_height = (int64_t)in->height * width / in->width;
    else
        fitted_width = (int64_t)in->width * height / in->height;
    if (fitted_width < 1) fitted_width = 1;
    if (fitted_height < 1) fitted_height = 1;
    size_t count = plane_size(out) * (size_t)out->channels;
    for (size_t i = 0; i < count; i++) out->data[i] = .5f;
    rectangle whole = {0, 0, in->width, in->height};
    rectangle middle = {(width - (int)fitted_width) / 2, (height - (int)fitted_height) / 2, (int)fitted_width,
                        (int)fitted_height};
    if (resample_rectangle(in, whole, out, middle, e)) return true;
    image_free(out);
    return false;
}
