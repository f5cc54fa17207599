/* Depthwise convolutions in plain C, with words laid channel by channel so that the compiler makes vectors of
 * the inner loop. Included by depthwise.isa.c. */
#include <stdlib.h>

enum { BLOCK = 64 };

/* packed: words [position][channels], in 16 bits */
bool HD_ISA_NAME(hd_integer_pack_depthwise)(hd_integer_depthwise *d) {
    size_t channels = (size_t)d->window.in_channels,
           positions = (size_t)d->window.size * (size_t)d->window.size;
    int16_t *words = calloc(channels * positions, sizeof *words);
    if (!words) return false;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < positions; i++) words[i * channels + c] = d->words[c * positions + i];
    d->packed = words;
    return true;
}

static void add_position(const uint8_t *restrict in, const int16_t *restrict words, int count,
                         uint32_t *restrict sums) {
    for (int c = 0; c < count; c++) {
        int product = in[c] * words[c];
        sums[c] += (uint32_t)product;
    }
}

static void filter_pixel(const hd_integer_depthwise *d, const uint8_t *image, int out_y, int out_x,
                         uint8_t *output) {
    const hd_integer_window *w = &d->window;
    const hd_integer_scaling *s = &d->scaling;
    for (int first = 0; first < w->in_channels; first += BLOCK) {
        int count = w->in_channels - first < BLOCK ? w->in_channels - first : BLOCK;
        const int16_t *words = (const int16_t *)d->packed + first;
        uint32_t sums[BLOCK];
        memcpy(sums, s->bias + first, (size_t)count * sizeof *sums);
        for (int r = 0; r < w->size; r++)
            for (int q = 0; q < w->size; q++, words += w->in_channels) {
                const uint8_t *in = input_pixel(d, image, out_y * w->stride + w->start + r * w->dilation,
                                                out_x * w->stride + w->start + q * w->dilation);
                add_position(in + first, words, count, sums);
            }
        for (int c = first; c < first + count; c++)
            output[c] = scale_to_byte((int32_t)sums[c - first], s->multiplier[c], s->shift_less_one[c],
                                      s->zero, s->low, s->high);
    }
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
