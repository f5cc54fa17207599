/* Depthwise convolutions in plain C. Included by depthwise.isa.c. */

bool HD_ISA_NAME(hd_integer_pack_depthwise)(hd_integer_depthwise *d) {
    d->packed = NULL;
    return true;
}

enum { BLOCK = 64 };

static void filter_pixel(const hd_integer_depthwise *d, const uint8_t *image, int out_y, int out_x, uint8_t *output) {
    const hd_integer_window *w = &d->window;
    const hd_integer_scaling *s = &d->scaling;
    size_t positions = (size_t)w->size * (size_t)w->size;
    for (int first = 0; first < w->in_channels; first += BLOCK) {
        int count = w->in_channels - first < BLOCK ? w->in_channels - first : BLOCK;
        uint32_t sums[BLOCK];
        for (int c = 0; c < count; c++) sums[c] = (uint32_t)s->bias[first + c];
        for (int r = 0; r < w->size; r++)
            for (int q = 0; q < w->size; q++) {
                const uint8_t *in = input_pixel(d, image, out_y * w->stride + w->start + r * w->dilation,
                                                out_x * w->stride + w->start + q * w->dilation) + first;
                const int8_t *words = d->words + (size_t)first * positions + (size_t)(r * w->size + q);
                for (int c = 0; c < count; c++) sums[c] += (uint32_t)(in[c] * words[(size_t)c * positions]);
            }
        for (int c = first; c < first + count; c++)
            output[c] = scale_to_byte((int32_t)sums[c - first], s->multiplier[c], s->shift_less_one[c], s->zero, s->low,
                                      s->high);
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
