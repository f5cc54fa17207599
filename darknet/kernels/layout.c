/* Between Darknet's planes at the boundary and channels-last inside: blocked transposition image by image. */
#include "kernels/kernels.h"

#define TILE 16

/* out[columns][rows] = in[rows][columns] */
static void transpose(size_t rows, size_t columns, const float *in, float *out) {
    for (size_t r0 = 0; r0 < rows; r0 += TILE)
        for (size_t c0 = 0; c0 < columns; c0 += TILE) {
            size_t r1 = rows - r0 < TILE ? rows : r0 + TILE, c1 = columns - c0 < TILE ? columns : c0 + TILE;
            for (size_t c = c0; c < c1; c++)
                for (size_t r = r0; r < r1; r++) out[c * rows + r] = in[r * columns + c];
        }
}

void nchw_to_nhwc(size_t batch, size_t channels, size_t pixels, const float *in, float *out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < batch; i++)
        transpose(channels, pixels, in + i * channels * pixels, out + i * channels * pixels);
}

void nhwc_to_nchw(size_t batch, size_t channels, size_t pixels, const float *in, float *out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < batch; i++)
        transpose(pixels, channels, in + i * channels * pixels, out + i * channels * pixels);
}
