/* Decoding: libjpeg-turbo for JPEG (jpeg.c), stb_image for PNG and BMP (codec.c), a reader of our own for
 * binary PPM and PGM (stb_image takes a truncated one for whole). Headers are checked before anything of
 * their size is allocated. */
#include "data/decode.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/codec.h"
#include "data/jpeg.h"

bool decode_check_size(const char *name, size_t width, size_t height, error *e) {
    if (width == 0 || height == 0)
        return error_set(e, "%s: an image of %zu x %zu pixels", name, width, height);
    if (width > IMAGE_PIXELS_LIMIT || height > IMAGE_PIXELS_LIMIT / width)
        return error_set(e, "%s: an image of %zu x %zu pixels: at most %zu pixels are decoded", name, width,
                         height, IMAGE_PIXELS_LIMIT);
    return true;
}

/* ---- binary PPM and PGM ---- */

typedef struct pnm_reader {
    const uint8_t *bytes;
    size_t count, at;
} pnm_reader;

/* The next whole number of the header, comments and white space before it skipped. */
static bool pnm_number(pnm_reader *r, size_t *value) {
    while (r->at < r->count && (strchr(" \t\r\n#", r->bytes[r->at]) && r->bytes[r->at])) {
        bool comment = r->bytes[r->at++] == '#';
        while (comment && r->at < r->count && r->bytes[r->at] != '\n') r->at++;
    }
    size_t first = r->at;
    *value = 0;
    while (r->at < r->count && r->at - first < 9 && r->bytes[r->at] >= '0' && r->bytes[r->at] <= '9')
        *value = *value * 10 + (size_t)(r->bytes[r->at++] - '0');
    return r->at > first;
}

static void convert_pixels(const uint8_t *from, int from_channels, size_t pixels, size_t most, uint8_t *to,
                           int channels) {
    for (size_t i = 0; i < pixels; i++, from += from_channels, to += channels) {
        uint8_t scaled[3];
        for (int c = 0; c < from_channels; c++) {
            size_t value = from[c] > most ? most : from[c];
            scaled[c] = (uint8_t)((value * 255 + most / 2) / most);
        }
        if (from_channels == channels)
            memcpy(to, scaled, (size_t)channels);
        else if (channels == 3)
            memset(to, scaled[0], 3);
        else
            to[0] = decode_luminance(scaled);
    }
}

static uint8_t *decode_pnm(const uint8_t *bytes, size_t count, const char *name, int channels, int *width,
                           int *height, error *e) {
    pnm_reader r = {bytes, count, 2};
    int file_channels = bytes[1] == '6' ? 3 : 1;
    size_t w, h, most;
    if (!pnm_number(&r, &w) || !pnm_number(&r, &h) || !pnm_number(&r, &most) || most == 0 || most > 255) {
        error_set(e, "%s: not a P%c header: width, height and a maximum of 1 to 255 are wanted", name,
                  bytes[1]);
        return NULL;
    }
    if (!decode_check_size(name, w, h, e)) return NULL;
    r.at++; /* the one blank behind the header */
    size_t wanted = w * h * (size_t)file_channels, left = r.at < count ? count - r.at : 0;
    if (left < wanted) {
        error_set(e, "%s: truncated: %zu bytes of pixels where %zu x %zu need %zu", name, left, w, h, wanted);
        return NULL;
    }
    size_t pixel_bytes = w * h * (size_t)channels;
    uint8_t *pixels = pixel_bytes ? malloc(pixel_bytes) : NULL;
    if (!pixels) {
        error_set(e, "%s: out of memory for %zu x %zu pixels", name, w, h);
        return NULL;
    }
    convert_pixels(bytes + r.at, file_channels, w * h, most, pixels, channels);
    *width = (int)w;
    *height = (int)h;
    return pixels;
}

/* ---- BMP and PNG ---- */

static size_t little_endian(const uint8_t *bytes, size_t count) {
    size_t value = 0;
    for (size_t i = 0; i < count; i++) value |= (size_t)bytes[i] << (8 * i);
    return value;
}

/* That a BMP has the bytes its header speaks of: the file's length (2), where the pixels begin (10), the
 * header's length (14; the oldest kind has 16-bit sizes), width, height (negative: from the top), bits a
 * pixel. Rows are padded to 4 bytes; compressed forms are no concern here, since the decoder takes none. */
static const char *check_bmp(const uint8_t *bytes, size_t count) {
    static const char truncated[] = "truncated: shorter than its header says";
    if (count < 30 || little_endian(bytes + 2, 4) > count) return truncated;
    bool oldest = little_endian(bytes + 14, 4) == 12;
    size_t begin = little_endian(bytes + 10, 4), width = little_endian(bytes + 18, oldest ? 2 : 4);
    size_t height = oldest ? little_endian(bytes + 20, 2) : little_endian(bytes + 22, 4);
    size_t bits = little_endian(bytes + (oldest ? 24 : 28), 2);
    if (!oldest && height > INT32_MAX) height = ((size_t)1 << 32) - height;
    size_t row = (width * bits + 31) / 32 * 4; /* at most 2^32 * 2^16 bits */
    return row > 0 && height > (count > begin ? count - begin : 0) / row ? truncated : NULL;
}

static uint8_t *decode_other(const uint8_t *bytes, size_t count, const char *name, int channels, int *width,
                             int *height, error *e) {
    /* stb_image fills what is missing from a BMP; here a file that ends early is no image. */
    const char *reason = bytes[0] == 'B' && bytes[1] == 'M' ? check_bmp(bytes, count) : NULL;
    if (reason) {
        error_set(e, "%s: %s (%zu bytes)", name, reason, count);
        return NULL;
    }
    if (!codec_size(bytes, count, width, height, &reason)) {
        error_set(e, "%s: not an image that is read here (JPEG, PNG, BMP, binary PPM or PGM): %s", name,
                  reason);
        return NULL;
    }
    if (!decode_check_size(name, (size_t)*width, (size_t)*height, e)) return NULL;
    uint8_t *pixels = codec_decode(bytes, count, channels, width, height, &reason);
    if (!pixels) error_set(e, "%s: damaged image: %s", name, reason);
    return pixels;
}

uint8_t *decode_image(const void *bytes, size_t count, const char *name, int channels, int *width,
                      int *height, error *e) {
    const uint8_t *head = bytes;
    if (channels != 1 && channels != 3) {
        error_set(e, "%s: images have 1 or 3 channels, not %d", name, channels);
        return NULL;
    }
    if (count > IMAGE_FILE_BYTES_LIMIT) {
        error_set(e, "%s: %zu bytes: an image file has at most %zu", name, count, IMAGE_FILE_BYTES_LIMIT);
        return NULL;
    }
    if (count < 8) {
        error_set(e, "%s: %zu bytes: too short for an image", name, count);
        return NULL;
    }
    if (head[0] == 'P' && (head[1] == '5' || head[1] == '6'))
        return decode_pnm(head, count, name, channels, width, height, e);
    if (head[0] == 0xFF && head[1] == 0xD8) return jpeg_decode(head, count, name, channels, width, height, e);
    return decode_other(head, count, name, channels, width, height, e);
}

uint8_t *decode_image_file(const char *path, int channels, int *width, int *height, error *e) {
    size_t count;
    void *bytes = file_read(path, IMAGE_FILE_BYTES_LIMIT, &count, e);
    if (!bytes) return NULL;
    uint8_t *pixels = decode_image(bytes, count, path, channels, width, height, e);
    free(bytes);
    return pixels;
}
