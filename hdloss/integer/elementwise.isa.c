/* Everything but the convolutions: sums, tables, pools and the image's quantisation; and the level's table of
 * kernels. Loops that the compiler turns into vectors by itself are left as plain C. */
#include <math.h>
#include <string.h>

#include "integer/kernels.h"
#include "integer/level.h"
#include "integer/scale_to_byte.h"

static void sum_one_by_one(const hd_integer_sum *s, const uint8_t *a, const uint8_t *b, size_t count,
                           uint8_t *output) {
    for (size_t i = 0; i < count; i++)
        output[i] = to_byte(s->terms[0][a[i]] + s->terms[1][b[i]], s->zero, s->low, s->high);
}

#if defined(ISA_avx512)
#include "integer/elementwise_avx512.h"
#else
#define sum_bytes sum_one_by_one

static void look_up(const uint8_t table[256], const uint8_t *input, size_t count, uint8_t *output) {
    for (size_t i = 0; i < count; i++) output[i] = table[input[i]];
}
#endif

static void spread(const uint8_t table[256], const uint8_t *input, size_t pixels, size_t channels,
                   size_t out_channels, uint8_t *output) {
    for (size_t p = 0; p < pixels; p++)
        look_up(table, input + p * channels, channels, output + p * out_channels);
}

static void pool_pixel(const hd_integer_window *w, const uint8_t *image, int top, int left, uint8_t *output) {
    size_t channels = (size_t)w->in_channels;
    for (int r = 0; r < w->size; r++)
        for (int s = 0; s < w->size; s++) {
            int y = top + r, x = left + s;
            if ((unsigned)y >= (unsigned)w->in_height || (unsigned)x >= (unsigned)w->in_width) continue;
            const uint8_t *in = image + ((size_t)y * (size_t)w->in_width + (size_t)x) * channels;
            for (size_t c = 0; c < channels; c++) output[c] = in[c] > output[c] ? in[c] : output[c];
        }
}

static void maxpool(const hd_integer_window *w, uint8_t lowest, const uint8_t *input, size_t images,
                    uint8_t *output) {
    size_t channels = (size_t)w->in_channels,
           image_bytes = (size_t)w->in_height * (size_t)w->in_width * channels;
    memset(output, lowest, images * (size_t)w->out_height * (size_t)w->out_width * channels);
    for (size_t i = 0; i < images; i++)
        for (int y = 0; y < w->out_height; y++)
            for (int x = 0; x < w->out_width; x++, output += channels)
                pool_pixel(w, input + i * image_bytes, y * w->stride + w->start, x * w->stride + w->start,
                           output);
}

static void channel_sums(const uint8_t *input, size_t images, size_t pixels, size_t channels, uint8_t zero,
                         int32_t *sums) {
    for (size_t i = 0; i < images; i++, sums += channels) {
        for (size_t c = 0; c < channels; c++) sums[c] = -(int32_t)pixels * zero;
        for (size_t p = 0; p < pixels; p++, input += channels)
            for (size_t c = 0; c < channels; c++) sums[c] += input[c];
    }
}

static void quantise(const float *values, size_t count, float scale, int levels, uint8_t *bytes) {
    float high = (float)levels, low = -high;
    for (size_t i = 0; i < count; i++) {
        float steps = values[i] / scale;
        steps = steps < high ? steps : high;
        steps = steps > low ? steps : low;
        bytes[i] = (uint8_t)((int)rintf(steps) + 128);
    }
}

extern const hd_integer_kernels HD_ISA_NAME(hd_integer_kernels);
const hd_integer_kernels HD_ISA_NAME(hd_integer_kernels) = {
    .product = HD_ISA_NAME(hd_integer_product),
    .pack_depthwise = HD_ISA_NAME(hd_integer_pack_depthwise),
    .depthwise = HD_ISA_NAME(hd_integer_depthwise),
    .sum = sum_bytes,
    .table = look_up,
    .spread = spread,
    .maxpool = maxpool,
    .channel_sums = channel_sums,
    .quantise = quantise,
};
