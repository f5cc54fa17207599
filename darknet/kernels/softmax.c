/* Softmax over rows, the row's largest value taken off first. */
#include "kernels/kernels.h"

#include <math.h>

static void softmax_row(size_t columns, const float *in, float temperature, float *out) {
    float largest = in[0];
    double sum = 0;
    for (size_t i = 1; i < columns; i++)
        if (in[i] > largest) largest = in[i];
    for (size_t i = 0; i < columns; i++) {
        out[i] = expf((in[i] - largest) / temperature);
        sum += (double)out[i];
    }
    float factor = (float)(1 / sum);
    for (size_t i = 0; i < columns; i++) out[i] *= factor;
}

void softmax_rows(size_t rows, size_t columns, const float *in, float temperature, float *out, int threads) {
    if (columns == 0) return;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16)
    for (size_t r = 0; r < rows; r++) softmax_row(columns, in + r * columns, temperature, out + r * columns);
}
