/* Depthwise convolutions with AVX2: sixteen channels at a time, kernel positions in pairs of 16-bit products.
 * Unpacking a pair leaves channels 0-3 and 8-11 in the first sums, 4-7 and 12-15 in the second; words and
 * scaling are packed in that order. Included by depthwise.isa.c. */
#include <stdlib.h>

#include "integer/requantise_avx2.h"

enum { BLOCK = 16 };

/* Scaling of one block of channels; its words follow, [pair of positions][first, second sums][8 channels][2].
 */
typedef struct packed_block {
    int32_t bias[BLOCK], multiplier[BLOCK], shift_less_one[BLOCK];
} packed_block;

static size_t pairs_of(const hd_integer_window *w) {
    return ((size_t)w->size * (size_t)w->size + 1) / 2;
}

static size_t block_bytes(const hd_integer_window *w) {
    return sizeof(packed_block) + pairs_of(w) * 2 * BLOCK * sizeof(int16_t);
}

static void pack_block(const hd_integer_depthwise *d, int first, uint8_t *bytes) {
    packed_block *block = (packed_block *)(void *)bytes;
    int16_t *words = (int16_t *)(void *)(bytes + sizeof *block);
    size_t positions = (size_t)d->window.size * (size_t)d->window.size;
    for (int i = 0; i < BLOCK; i++) {
        int channel = first + i % 8 / 4 * 8 + i / 8 * 4 + i % 4;
        if (channel >= d->window.in_channels) continue;
        block->bias[i] = d->scaling.bias[channel];
        block->multiplier[i] = d->scaling.multiplier[channel];
        block->shift_less_one[i] = d->scaling.shift_less_one[channel];
        for (size_t position = 0; position < positions; position++)
            words[(position / 2 * BLOCK + (size_t)i) * 2 + position % 2] =
                d->words[(size_t)channel * positions + position];
    }
}

bool HD_ISA_NAME(hd_integer_pack_depthwise)(hd_integer_depthwise *d) {
    size_t blocks = ((size_t)d->window.in_channels + BLOCK - 1) / BLOCK, bytes = block_bytes(&d->window);
    uint8_t *packed = aligned_alloc(64, (blocks * bytes + 63) / 64 * 64);
    if (!packed) return false;
    memset(packed, 0, blocks * bytes);
    for (size_t b = 0; b < blocks; b++) pack_block(d, (int)b * BLOCK, packed + b * bytes);
    d->packed = packed;
    return true;
}

HD_INLINE __m256i sixteen_inputs(const uint8_t *in) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)in));
}

/* One block of one output pixel, whose positions' input pixels are `inputs`. */
HD_INLINE void filter_block(const hd_integer_depthwise *d, const uint8_t *const *inputs, int positions,
                            int first, uint8_t *output) {
    const uint8_t *bytes = (const uint8_t *)d->packed + (size_t)(first / BLOCK) * block_bytes(&d->window);
    const packed_block *block = (const packed_block *)(const void *)bytes;
    const __m256i *words = (const __m256i *)(const void *)(bytes + sizeof *block);
    __m256i sums[2] = {load_8(block->bias), load_8(block->bias + 8)};
    for (int position = 0; position < positions; position += 2, words += 2) {
        __m256i a = sixteen_inputs(inputs[position] + first),
                b = sixteen_inputs(inputs[position + 1] + first);
        sums[0] = _mm256_add_epi32(sums[0],
                                   _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), _mm256_loadu_si256(words)));
        sums[1] = _mm256_add_epi32(
            sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), _mm256_loadu_si256(words + 1)));
    }
    scaling8 low = load_scaling8(block->multiplier, block->shift_less_one);
    scaling8 high = load_scaling8(block->multiplier + 8, block->shift_less_one + 8);
    store_sixteen(_mm256_packs_epi32(requantised(sums[0], &low), requantised(sums[1], &high)), &d->scaling,
                  d->window.in_channels - first, output + first);
}

enum { MOST_POSITIONS = 50 };

/* Windows of more positions than the list of inputs holds. */
static void filter_large(const hd_integer_depthwise *d, const uint8_t *image, int y, int x, uint8_t *output) {
    const hd_integer_window *w = &d->window;
    const hd_integer_scaling *s = &d->scaling;
    size_t positions = (size_t)w->size * (size_t)w->size;
    for (int c = 0; c < w->in_channels; c++) {
        uint32_t sum = (uint32_t)s->bias[c];
        for (int i = 0; i < w->size * w->size; i++) {
            const uint8_t *in = input_pixel(d, image, y * w->stride + w->start + i / w->size * w->dilation,
                                            x * w->stride + w->start + i % w->size * w->dilation);
            sum += (uint32_t)(in[c] * d->words[(size_t)c * positions + (size_t)i]);
        }
        output[c] =
            scale_to_byte((int32_t)sum, s->multiplier[c], s->shift_less_one[c], s->zero, s->low, s->high);
    }
}

static void filter_pixel(const hd_integer_depthwise *d, const uint8_t *image, int y, int x, uint8_t *output) {
    const hd_integer_window *w = &d->window;
    const uint8_t *inputs[MOST_POSITIONS];
    int positions = w->size * w->size;
    if (positions >= MOST_POSITIONS) {
        filter_large(d, image, y, x, output);
        return;
    }
    for (int i = 0; i < positions; i++)
        inputs[i] = input_pixel(d, image, y * w->stride + w->start + i / w->size * w->dilation,
                                x * w->stride + w->start + i % w->size * w->dilation);
    inputs[positions] = d->padding;
    for (int first = 0; first < w->in_channels; first += BLOCK)
        filter_block(d, inputs, positions, first, output);
}

void HD_ISA_NAME(hd_integer_depthwise)(const hd_integer_depthwise *d, const uint8_t *input, size_t images,
                                       uint8_t *output) {
    const hd_integer_window *w = &d->window;
    size_t image_bytes = (size_t)w->in_height * (size_t)w->in_width * (size_t)w->in_channels;
    for (size_t i = 0; i < images; i++)
        for (int y = 0; y < w->out_height; y++)
            for (int x = 0; x < w->out_width; x++, output += w->out_channels)
                filter_pixel(d, input + i * image_bytes, y, x, output);
}
