/* Passes over rows of channels, one thread: what passes.c cuts into chunks and what convolutions call on
 * their tiles. One table a level of instruction set (rows.isa.c). */
#ifndef DARKNET_KERNELS_ROWS_H
#define DARKNET_KERNELS_ROWS_H

#include "core/isa.h"
#include "kernels/kernels.h"

typedef struct row_kernels {
    /* out = activation(scale * in + shift); in place allowed. */
    void (*map)(size_t rows, size_t channels, const channel_map *map, const float *in, float *out);
    /* out = dx of g, or += when accumulate; out may be g->delta. */
    void (*gradient)(size_t rows, size_t channels, const lazy_gradient *g, float *out, bool accumulate);
    /* out = alpha * mapped a + beta * mapped b */
    void (*add)(size_t rows, size_t channels, float alpha, const lazy_tensor *a, float beta,
                const lazy_tensor *b, float *out);
    /* mean and m2 of the rows; rows > 0 */
    void (*moments)(size_t rows, size_t channels, const float *x, float *mean, float *m2);
    /* sums of dz and (unless sum_dz_x is NULL) of dz * (x - center); overwritten, or added to when add */
    void (*reduce)(size_t rows, size_t channels, const lazy_gradient *g, const float *center, float *sum_dz,
                   float *sum_dz_x, bool add);
    /* y = (accumulate ? y : 0) + alpha * x */
    void (*scale_add)(size_t count, float alpha, const float *x, float *y, bool accumulate);
} row_kernels;

/* The table of a level; a level that this build does not have gives the portable one. */
const row_kernels *row_kernels_at(isa_level level);

/* A cut of `rows` into `count` chunks of `rows_per_chunk` (the last may be shorter): by the shape alone. */
typedef struct row_chunks {
    size_t rows, rows_per_chunk, count;
} row_chunks;

row_chunks row_chunks_of(size_t rows, size_t channels, size_t most_chunks);
static inline size_t row_chunk_rows(const row_chunks *c, size_t chunk) {
    size_t first = chunk * c->rows_per_chunk;
    return c->rows - first < c->rows_per_chunk ? c->rows - first : c->rows_per_chunk;
}

/* Joins the means and m2s of `chunks` chunks, `stride` floats apart, of rows[i] rows each: pairwise formula
 * (Chan, Golub, LeVeque 1979) in double precision, in the order of the chunks. */
void moments_join(size_t chunks, const size_t *rows, size_t channels, size_t stride, const float *means,
                  const float *m2s, const channel_moments *out);

#endif
