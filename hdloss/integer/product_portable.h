/* A tile of output pixels by one panel of channels, in C with the compiler's own vectors of 16 bytes, which
 * every machine has or imitates. The product of an unsigned and a signed byte fits 16 bits; of each four
 * bytes the even and the odd ones are multiplied apart, then widened. Included by product.isa.c. */

typedef int16_t int16x8 __attribute__((vector_size(16)));
typedef int32_t int32x4 __attribute__((vector_size(16)));
typedef uint32_t uint32x4 __attribute__((vector_size(16))); /* sums, which may wrap */

enum { TILE_ROWS = 2, QUARTERS = HD_INTEGER_LANES / 4 };

static int tile_rows(int vectors, size_t left) {
    (void)vectors;
    return left < TILE_ROWS ? (int)left : TILE_ROWS;
}

static inline int32x4 load_words(const int8_t *words) {
    int32x4 four;
    memcpy(&four, words, sizeof four);
    return four;
}

/* Of each lane's four bytes 0..3: bytes 0 and 2, or 1 and 3, as signed 16 bits; or as unsigned ones. */
static inline int16x8 signed_even(int32x4 bytes) {
    return ((int16x8)bytes << 8) >> 8;
}
static inline int16x8 signed_odd(int32x4 bytes) {
    return (int16x8)bytes >> 8;
}

/* Four inputs as 16 bits: 0 and 2 (odd 0) or 1 and 3 (odd 1), in every lane. */
static inline int16x8 inputs_of(const uint8_t *in, int odd) {
    int16_t first = in[odd], second = in[odd + 2];
    return (int16x8){first, second, first, second, first, second, first, second};
}

/* The sum of each lane's two 16-bit products. */
static inline uint32x4 widened(int16x8 products) {
    int32x4 pairs = (int32x4)products;
    return (uint32x4)((pairs << 16) >> 16) + (uint32x4)(pairs >> 16);
}

/* M rows by the sixteen channels of one of the panel's vectors. */
static inline __attribute__((always_inline)) void accumulate(const hd_integer_product *p,
                                                             const hd_integer_panel *panel, const tile *t,
                                                             const int M, int vector,
                                                             uint32x4 sums[TILE_ROWS][QUARTERS]) {
    const int8_t *words = p->words + panel->words + (size_t)vector * 64;
    const int32_t *bias = p->scaling.bias + panel->slot + (size_t)vector * HD_INTEGER_LANES;
    for (int m = 0; m < M; m++) memcpy(sums[m], bias, sizeof sums[m]);
    int positions = p->window.size * p->window.size;
    for (int position = 0; position < positions; position++) {
        const uint8_t *in[TILE_ROWS];
        for (int m = 0; m < M; m++) in[m] = tile_input(p, panel, t, m, position);
        for (int k = 0; k < p->steps; k++, words += (size_t)panel->vectors * 64)
            for (int m = 0; m < M; m++) {
                int16x8 even = inputs_of(in[m] + k * 4, 0), odd = inputs_of(in[m] + k * 4, 1);
#pragma GCC unroll 4
                for (int i = 0; i < QUARTERS; i++) {
                    int32x4 four = load_words(words + i * 16);
                    sums[m][i] += widened(even * signed_even(four)) + widened(odd * signed_odd(four));
                }
            }
    }
}

static void store_tile(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t, int vector,
                       uint32x4 sums[TILE_ROWS][QUARTERS], uint8_t *output, int32_t *accumulators) {
    const hd_integer_scaling *s = &p->scaling;
    int left = panel->channels - vector * HD_INTEGER_LANES,
        first = panel->output_channel + vector * HD_INTEGER_LANES;
    for (int row = 0; row < t->rows; row++) {
        size_t at = (t->first_row + (size_t)row) * (size_t)p->window.out_channels + (size_t)first;
        for (int n = 0; n < left && n < HD_INTEGER_LANES; n++) {
            size_t slot = panel->slot + (size_t)(vector * HD_INTEGER_LANES + n);
            int32_t sum = (int32_t)sums[row][n / 4][n % 4];
            if (accumulators)
                accumulators[at + (size_t)n] = sum;
            else
                output[at + (size_t)n] = scale_to_byte(sum, s->multiplier[slot], s->shift_less_one[slot],
                                                       s->zero, s->low, s->high);
        }
    }
}

static void multiply_tile(const hd_integer_product *p, const hd_integer_panel *panel, const tile *t,
                          uint8_t *output, int32_t *accumulators) {
    for (int vector = 0; vector < panel->vectors; vector++) {
        uint32x4 sums[TILE_ROWS][QUARTERS];
        if (t->rows == TILE_ROWS)
            accumulate(p, panel, t, TILE_ROWS, vector, sums);
        else
            accumulate(p, panel, t, 1, vector, sums);
        store_tile(p, panel, t, vector, sums, output, accumulators);
    }
}
