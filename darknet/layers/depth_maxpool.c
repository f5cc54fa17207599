/* Maximum over channels: see depth_maxpool.h. */
#include "layers/depth_maxpool.h"

#include <string.h>

void depth_maxpool_forward(size_t pixels, size_t channels, size_t out_channels, const float *in, float *out,
                           uint32_t *winner, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < pixels; i++)
        for (size_t g = 0; g < out_channels; g++) {
            const float *x = in + i * channels;
            size_t best = g;
            for (size_t c = g + out_channels; c < channels; c += out_channels)
                if (x[c] > x[best]) best = c;
            out[i * out_channels + g] = x[best];
            if (winner) winner[i * out_channels + g] = (uint32_t)best;
        }
}

void depth_maxpool_backward(size_t pixels, size_t channels, size_t out_channels, const float *delta,
                            const uint32_t *winner, float *in_delta, bool accumulate, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < pixels; i++) {
        if (!accumulate) memset(in_delta + i * channels, 0, channels * sizeof(float));
        for (size_t g = 0; g < out_channels; g++)
            in_delta[i * channels + winner[i * out_channels + g]] += delta[i * out_channels + g];
    }
}
