/* Depthwise convolutions with vpdpbusd: a dot product of four bytes takes four rows of a window's column at
 * once, 64 channels side by side. Interleaving a column by unpacks leaves channel 16 l + 4 v + j in element 4
 * l + j of vector v; words and scaling are packed in that order and pack_bytes undoes it. Included by
 * depthwise.isa.c. */
#include <stdlib.h>

#include "integer/requantise_avx512.h"

enum { BLOCK = 64, VECTORS = 4 };

/* Scaling of one block of channels; its words follow, [column][four rows][vector][64]. */
typedef struct packed_block {
    int32_t bias[BLOCK], multiplier[BLOCK], shift_less_one[BLOCK];
} packed_block;

static int row_groups(const hd_integer_window *w) {
    return (w->size + 3) / 4;
}

static size_t block_bytes(const hd_integer_window *w) {
    return sizeof(packed_block) + (size_t)w->size * (size_t)row_groups(w) * VECTORS * 64;
}

static void pack_block(const hd_integer_depthwise *d, int first, uint8_t *bytes) {
    const hd_integer_window *w = &d->window;
    packed_block *block = (packed_block *)(void *)bytes;
    int8_t *words = (int8_t *)(bytes + sizeof *block);
    for (int i = 0; i < BLOCK; i++) {
        int v = i / 16, channel = first + i % 16 / 4 * 16 + v * 4 + i % 4;
        if (channel >= w->in_channels) continue;
        block->bias[i] = d->scaling.bias[channel];
        block->multiplier[i] = d->scaling.multiplier[channel];
        block->shift_less_one[i] = d->scaling.shift_less_one[channel];
        for (int r = 0; r < w->size; r++)
            for (int s = 0; s < w->size; s++) {
                size_t vector = (size_t)((s * row_groups(w) + r / 4) * VECTORS + v);
                words[vector * 64 + (size_t)(i % 16 * 4 + r % 4)] =
                    d->words[((size_t)channel * (size_t)w->size + (size_t)r) * (size_t)w->size + (size_t)s];
            }
    }
}

bool HD_ISA_NAME(hd_integer_pack_depthwise)(hd_integer_depthwise *d) {
    size_t blocks = ((size_t)d->window.in_channels + BLOCK - 1) / BLOCK, bytes = block_bytes(&d->window);
    uint8_t *packed = aligned_alloc(64, blocks * bytes);
    if (!packed) return false;
    memset(packed, 0, blocks * bytes);
    for (size_t b = 0; b < blocks; b++) pack_block(d, (int)b * BLOCK, packed + b * bytes);
    d->packed = packed;
    return true;
}

/* A block's part of the work: its scaling in registers, its words, where it begins. */
typedef struct block_work {
    __m512i bias[VECTORS];
    scaling16 scaling[VECTORS];
    const int8_t *words;
    int first;
    __mmask64 mask;
    byte_range range;
} block_work;

HD_INLINE block_work open_block(const hd_integer_depthwise *d, int first) {
    const uint8_t *bytes = (const uint8_t *)d->packed + (size_t)(first / BLOCK) * block_bytes(&d->window);
    const packed_block *packed = (const packed_block *)(const void *)bytes;
    block_work block;
    block.words = (const int8_t *)(bytes + sizeof *packed);
    block.first = first;
    block.mask = first_bytes(d->window.in_channels - first);
    block.range = load_range(d->scaling.zero, d->scaling.low, d->scaling.high);
    for (int v = 0; v < VECTORS; v++) {
        block.bias[v] = _mm512_loadu_si512(packed->bias + v * 16);
        block.scaling[v] = load_scaling16(packed->multiplier + v * 16, packed->shift_less_one + v * 16);
    }
    return block;
}

HD_INLINE void interleave(__m512i a, __m512i b, __m512i c, __m512i d, __m512i column[VECTORS]) {
    __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
    column[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    column[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    column[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    column[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

HD_INLINE void store_pixel(const block_work *block, __m512i sums[VECTORS], const bool is_signed,
                           uint8_t *output) {
    for (int v = 0; v < VECTORS; v++) sums[v] = prepared(sums[v], &block->scaling[v], is_signed);
    __m512i bytes = pack_bytes(sums[0], sums[1], sums[2], sums[3], &block->range, is_signed);
    _mm512_mask_storeu_epi8(output, block->mask, bytes);
}

/* Any window: column by column, four rows at a time. */
static void filter_pixel(const hd_integer_depthwise *d, const block_work *block, const uint8_t *image, int y,
                         int x, uint8_t *output) {
    const hd_integer_window *w = &d->window;
    const int8_t *words = block->words;
    __m512i sums[VECTORS], column[VECTORS], rows[4];
    for (int v = 0; v < VECTORS; v++) sums[v] = block->bias[v];
    for (int s = 0; s < w->size; s++)
        for (int r = 0; r < w->size; r += 4) {
            for (int i = 0; i < 4; i++) {
                int iy = y * w->stride + w->start + (r + i) * w->dilation,
                    ix = x * w->stride + w->start + s * w->dilation;
                rows[i] = r + i < w->size ? _mm512_loadu_si512(input_pixel(d, image, iy, ix) + block->first)
                                          : _mm512_setzero_si512();
            }
            interleave(rows[0], rows[1], rows[2], rows[3], column);
            for (int v = 0; v < VECTORS; v++, words += 64)
                sums[v] = add_products(sums[v], column[v], _mm512_load_si512(words));
        }
    store_pixel(block, sums, d->scaling.zero != 0, output);
}

/* Three rows of the image as a row of output reads them: rows outside are the padding, and stand still. */
typedef struct three_rows {
    const uint8_t *row[3];
    size_t step[3];
    const uint8_t *padding;
    int width;
} three_rows;

static three_rows open_rows(const hd_integer_depthwise *d, const block_work *block, const uint8_t *image,
                            int top) {
    const hd_integer_window *w = &d->window;
    three_rows rows = {.padding = d->padding + block->first, .width = w->in_width};
    for (int r = 0; r < 3; r++) {
        bool inside = (unsigned)(top + r) < (unsigned)w->in_height;
        rows.row[r] = inside ? input_pixel(d, image, top + r, 0) + block->first : rows.padding;
        rows.step[r] = inside ? (size_t)w->in_channels : 0;
    }
    return rows;
}

HD_INLINE void load_column(const three_rows *rows, int x, __m512i column[VECTORS]) {
    bool inside = (unsigned)x < (unsigned)rows->width;
    __m512i in[3];
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++)
        in[r] = _mm512_loadu_si512(inside ? rows->row[r] + (size_t)x * rows->step[r] : rows->padding);
    interleave(in[0], in[1], in[2], _mm512_setzero_si512(), column);
}

/* A row of output of a 3x3 window, dilation 1: each column is interleaved once and serves all outputs that
 * see it. The column at x lies in slot x - left modulo 3, so three outputs make a round. */
HD_INLINE void filter_row(const hd_integer_depthwise *d, const block_work *block, const uint8_t *image, int y,
                          const int stride, const bool is_signed, uint8_t *output) {
    const hd_integer_window *w = &d->window;
    three_rows rows = open_rows(d, block, image, y * stride + w->start);
    __m512i columns[3][VECTORS], words[3][VECTORS];
#pragma GCC unroll 3
    for (int s = 0; s < 3; s++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            words[s][v] = _mm512_load_si512(block->words + (s * VECTORS + v) * 64);
#pragma GCC unroll 2
    for (int s = 0; s < 3 - stride; s++) load_column(&rows, w->start + s, columns[s]);
    for (int x = 0; x < w->out_width; x += 3) {
#pragma GCC unroll 3
        for (int u = 0; u < 3; u++) {
            if (x + u >= w->out_width) return;
            int left = (x + u) * stride + w->start;
#pragma GCC unroll 3
            for (int s = 3 - stride; s < 3; s++) load_column(&rows, left + s, columns[(u * stride + s) % 3]);
            __m512i sums[VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                sums[v] = block->bias[v];
#pragma GCC unroll 3
                for (int s = 0; s < 3; s++)
                    sums[v] = add_products(sums[v], columns[(u * stride + s) % 3][v], words[s][v]);
            }
            store_pixel(block, sums, is_signed, output + (size_t)(x + u) * (size_t)w->out_channels);
        }
    }
}

static void filter_image(const hd_integer_depthwise *d, const block_work *block, const uint8_t *image,
                         uint8_t *output) {
    const hd_integer_window *w = &d->window;
    bool is_signed = d->scaling.zero != 0, three = w->size == 3 && w->dilation == 1;
    for (int y = 0; y < w->out_height; y++) {
        uint8_t *out = output + (size_t)y * (size_t)w->out_width * (size_t)w->out_channels + block->first;
        if (three && w->stride == 1 && !is_signed)
            filter_row(d, block, image, y, 1, false, out);
        else if (three && w->stride == 2 && !is_signed)
            filter_row(d, block, image, y, 2, false, out);
        else if (three && w->stride == 1)
            filter_row(d, block, image, y, 1, true, out);
        else if (three && w->stride == 2)
            filter_row(d, block, image, y, 2, true, out);
        else
            for (int x = 0; x < w->out_width; x++)
                filter_pixel(d, block, image, y, x, out + (size_t)x * (size_t)w->out_channels);
    }
}

void HD_ISA_NAME(hd_integer_depthwise)(const hd_integer_depthwise *d, const uint8_t *input, size_t images,
                                       uint8_t *output) {
    const hd_integer_window *w = &d->window;
    size_t in_bytes = (size_t)w->in_height * (size_t)w->in_width * (size_t)w->in_channels;
    size_t out_bytes = (size_t)w->out_height * (size_t)w->out_width * (size_t)w->out_channels;
    for (int first = 0; first < w->in_channels; first += BLOCK) {
        block_work block = open_block(d, first);
        for (size_t i = 0; i < images; i++)
            filter_image(d, &block, input + i * in_bytes, output + i * out_bytes);
    }
}
