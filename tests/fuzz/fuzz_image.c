/* Image files, to one channel and to three. Those of more than a million pixels are left out: they take long,
 * and no other way. */
#include "data/codec.h"
#include "data/data.h"
#include "data/decode.h"
#include "fuzz.h"

static void decode(const uint8_t *bytes, size_t count, int channels) {
    int width = 0, height = 0;
    error e = {{0}};
    uint8_t *pixels = decode_image(bytes, count, "image", channels, &width, &height, &e);
    if (!pixels) {
        fuzz_check_sentence(e.message, sizeof e.message);
        return;
    }
    FUZZ_CHECK(width > 0 && height > 0 && (size_t)width * (size_t)height <= IMAGE_PIXELS_LIMIT);
    unsigned sum = 0;
    for (size_t i = 0; i < (size_t)width * (size_t)height * (size_t)channels; i++) sum += pixels[i];
    FUZZ_CHECK(sum <= 255u * (size_t)width * (size_t)height * (size_t)channels);
    free(pixels);
}

static void resize(const uint8_t *bytes, size_t count) {
    image_f32 image, resized;
    error e = {{0}};
    if (!image_load_memory(bytes, count, "image", 3, &image, &e)) return;
    if ((size_t)image.width * (size_t)image.height <= 1 << 16) {
        if (image_letterbox(&image, 7, 5, &resized, &e)) image_free(&resized);
        if (image_center_crop(&image, 5, 7, &resized, &e)) image_free(&resized);
    }
    image_free(&image);
}

static bool is_large(const uint8_t *bytes, size_t count) {
    int width, height;
    const char *reason;
    if (count < 8) return false;
    if (bytes[0] == 0xFF) { /* a JPEG has its size behind a frame's marker, length and precision */
        for (size_t i = 0; i + 9 <= count; i++) {
            size_t rows = (size_t)bytes[i + 5] << 8 | bytes[i + 6],
                   columns = (size_t)bytes[i + 7] << 8 | bytes[i + 8];
            if (bytes[i] == 0xFF && bytes[i + 1] >= 0xC0 && bytes[i + 1] <= 0xC2 && rows * columns > 1 << 20)
                return true;
        }
        return false;
    }
    return codec_size(bytes, count, &width, &height, &reason) && width > (1 << 20) / height;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (is_large(bytes, count)) return 0;
    decode(bytes, count, 1);
    decode(bytes, count, 3);
    resize(bytes, count);
    return 0;
}
