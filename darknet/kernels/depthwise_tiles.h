/* What both directions of the depthwise kernels share (depthwise.isa.c, depthwise_backward.isa.c): the tiles
 * that a band's input and gradients are mapped into. While one vector of channels is worked on, the next
 * one's lines are asked for: they lie beside it, but a pixel apart from each other, too far for the hardware
 * to guess. */
#ifndef DARKNET_KERNELS_DEPTHWISE_TILES_H
#define DARKNET_KERNELS_DEPTHWISE_TILES_H

#include "kernels/activation_vector.h"
#include "kernels/depthwise.h"

void ISA_NAME(depthwise_backward)(const depthwise_backward_job *job);

/* So many neighbouring outputs of a 3 x 3 kernel are worked on at once: each input is loaded once a row of
 * the kernel. */
#if VECTOR_LANES == 16
#define RUN 4
#else
#define RUN 2
#endif

ALWAYS_INLINE void zero_vectors(float *to, size_t count) {
    for (size_t i = 0; i < count; i++) vec_store(to + i * VECTOR_LANES, (vec){0});
}

/* The part of a tile that lies in the image: rows [first, last) of the tile, `width` pixels from column
 * `left`; the first of them is pixel `pixel` of the tensor. */
typedef struct tile_inside {
    size_t first, last, left, width, pixel;
} tile_inside;

ALWAYS_INLINE tile_inside tile_inside_at(const tile_geometry *g, size_t rows, size_t image, ptrdiff_t first_y,
                                         size_t height, size_t width) {
    tile_inside t = {.left = (size_t)-g->first_x, .width = width};
    ptrdiff_t above = first_y < 0 ? -first_y : 0, below = first_y + (ptrdiff_t)rows - (ptrdiff_t)height;
    t.first = (size_t)above < rows ? (size_t)above : rows;
    t.last = below > 0 ? ((size_t)below < rows ? rows - (size_t)below : 0) : rows;
    if (t.last < t.first) t.last = t.first;
    t.pixel = (image * height + (size_t)(first_y + (ptrdiff_t)t.first)) * width;
    return t;
}

/* Zeros around the inside: once a band, since all vectors of channels fill the same inside. */
ALWAYS_INLINE void zero_around(const tile_geometry *g, const tile_inside *t, size_t rows, float *tile) {
    size_t right = g->width - t->left - t->width;
    zero_vectors(tile, t->first * g->width);
    zero_vectors(tile + t->last * g->width * VECTOR_LANES, (rows - t->last) * g->width);
    for (size_t y = t->first; y < t->last; y++) {
        float *row = tile + y * g->width * VECTOR_LANES;
        zero_vectors(row, t->left);
        zero_vectors(row + (t->left + t->width) * VECTOR_LANES, right);
    }
}

ALWAYS_INLINE void fill_mapped(activation_kind kind, const tile_inside *t, size_t tile_width,
                               const lazy_tensor *in, size_t channels, size_t c, float *tile) {
    const float *from = in->data + t->pixel * channels + c;
    const size_t width = t->width, rows = t->last - t->first, left = channels - c;
    const vec scale = vec_load(in->map.scale + c), shift = vec_load(in->map.shift + c);
    tile += (t->first * tile_width + t->left) * VECTOR_LANES;
    for (size_t y = 0; y < rows; y++, tile += tile_width * VECTOR_LANES)
        for (size_t x = 0; x < width; x++, from += channels)
            vec_store(tile + x * VECTOR_LANES,
                      activation_vec(kind, vec_load_some(from, left) * scale + shift));
}

ALWAYS_INLINE void fill_gradient(activation_kind kind, const tile_inside *t, size_t tile_width,
                                 const lazy_gradient *g, size_t channels, size_t c, float *tile) {
    const float *delta = g->delta + t->pixel * channels + c;
    const float *data = g->data ? g->data + t->pixel * channels + c : NULL;
    const size_t width = t->width, rows = t->last - t->first, left = channels - c;
    const bool affine = g->a;
    const vec scale = vec_load(g->map.scale + c), shift = vec_load(g->map.shift + c);
    vec a = {0}, b = {0}, k = {0};
    if (affine) a = vec_load(g->a + c), b = vec_load(g->b + c), k = vec_load(g->c + c);
    tile += (t->first * tile_width + t->left) * VECTOR_LANES;
    for (size_t y = 0; y < rows; y++, tile += tile_width * VECTOR_LANES)
        for (size_t x = 0; x < width; x++, delta += channels) {
            vec d = vec_load_some(delta, left);
            if (data) {
                vec z = vec_load_some(data, left);
                data += channels;
                d = activation_pass_back(kind, d, z * scale + shift);
                if (affine) d = a * d + (b * z + k);
            }
            vec_store(tile + x * VECTOR_LANES, d);
        }
}

/* Where the lines that will be wanted next stand, relative to those of channels c: the next channels of the
 * same pixels, or the first channels of the next `pixels` pixels. */
ALWAYS_INLINE ptrdiff_t next_lines(size_t channels, size_t c, size_t pixels) {
    if (c + VECTOR_LANES < channels) return VECTOR_LANES;
    return (ptrdiff_t)(pixels * channels) - (ptrdiff_t)c;
}

/* Where the first kernel position of output row y of the band stands in the input tile. */
ALWAYS_INLINE const float *corner(const dense_plan *p, const float *tile, size_t y) {
    return tile + y * p->s.stride_y * p->in.width * VECTOR_LANES;
}

/* The band's input rows, with the padding around them. */
ALWAYS_INLINE tile_inside input_inside(const dense_plan *p, const dense_band *b, size_t *rows) {
    *rows = p->in.height - (p->band_rows - (b->last - b->first)) * p->s.stride_y;
    return tile_inside_at(&p->in, *rows, b->image, (ptrdiff_t)(b->first * p->s.stride_y) + p->in.first_y,
                          p->s.in_height, p->s.in_width);
}

#endif
