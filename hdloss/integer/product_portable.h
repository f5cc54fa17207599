/* A tile of output pixels by one panel of channels, in plain C. Included by product.isa.c. */

enum { TILE_ROWS = 4 };

static int tile_rows(int vectors, size_t left) {
    (void)vectors;
    return left < TILE_ROWS ? (int)left : TILE_ROWS;
}

static void accumulate(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t, int row,
                       uint32_t *sums) {
    int width = panel->vectors * HD_INTEGER_LANES;
    const int8_t *words = p->words + panel->words;
    for (int n = 0; n < width; n++) sums[n] = (uint32_t)p->scaling.bias[panel->slot + (size_t)n];
    int positions = p->window.size * p->window.size;
    for (int position = 0; position < positions; position++) {
        const uint8_t *in = tile_input(p, panel, t, row, position);
        for (int k = 0; k < p->steps; k++, in += 4, words += (size_t)width * 4)
            for (int n = 0; n < width; n++) {
                const int8_t *w = words + (size_t)n * 4;
                sums[n] += (uint32_t)(in[0] * w[0] + in[1] * w[1] + in[2] * w[2] + in[3] * w[3]);
            }
    }
}

static void multiply_tile(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t, uint8_t *output,
                          int32_t *accumulators) {
    const hd_integer_scaling *s = &p->scaling;
    for (int row = 0; row < t->rows; row++) {
        uint32_t sums[HD_INTEGER_LANES * HD_INTEGER_PANEL_VECTORS];
        accumulate(p, panel, t, row, sums);
        size_t at = (t->first_row + (size_t)row) * (size_t)p->window.out_channels + (size_t)panel->output_channel;
        for (int n = 0; n < panel->channels; n++) {
            size_t slot = panel->slot + (size_t)n;
            if (accumulators) accumulators[at + (size_t)n] = (int32_t)sums[n];
            else
                output[at + (size_t)n] =
                    scale_to_byte((int32_t)sums[n], s->multiplier[slot], s->shift_less_one[slot], s->zero, s->low, s->high);
        }
    }
}
