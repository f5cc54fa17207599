/* Pooling of batches: images dealt out to threads. */
#include "kernels/pool.h"
#include "kernels/rows.h"

#include <string.h>

extern const pool_kernels pool_kernels_portable;
#if defined(__x86_64__)
extern const pool_kernels pool_kernels_avx2, pool_kernels_avx512;
#endif

const pool_kernels *pool_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &pool_kernels_avx512;
    if (level == ISA_AVX2) return &pool_kernels_avx2;
#endif
    (void)level;
    return &pool_kernels_portable;
}

void maxpool_forward(const pool_shape *s, const lazy_tensor *in, float *out, uint32_t *index, int threads) {
    const pool_kernels *k = pool_kernels_at(isa_best());
    size_t in_image = s->in_height * s->in_width * s->channels,
           out_image = s->out_height * s->out_width * s->channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < s->batch; i++)
        k->max_image(s, &in->map, in->data + i * in_image, out + i * out_image,
                     index ? index + i * out_image : NULL);
}

void maxpool_backward(const pool_shape *s, const float *delta, const uint32_t *index, float *in_delta,
                      bool accumulate, int threads) {
    size_t in_image = s->in_height * s->in_width * s->channels,
           out_image = s->out_height * s->out_width * s->channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < s->batch; i++) {
        float *to = in_delta + i * in_image;
        if (!accumulate) memset(to, 0, in_image * sizeof(float));
        for (size_t cell = 0; cell < out_image; cell += s->channels)
            for (size_t c = 0; c < s->channels; c++) {
                uint32_t winner = index[i * out_image + cell + c];
                if (winner != UINT32_MAX) to[winner * s->channels + c] += delta[i * out_image + cell + c];
            }
    }
}

void average_pool_forward(size_t batch, size_t pixels, size_t channels, const lazy_tensor *in, float *out,
                          int threads) {
    const pool_kernels *k = pool_kernels_at(isa_best());
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < batch; i++)
        k->average_image(pixels, channels, &in->map, in->data + i * pixels * channels, out + i * channels);
}

void average_pool_backward(size_t batch, size_t pixels, size_t channels, const float *delta, float *in_delta,
                           bool accumulate, int threads) {
    const row_kernels *k = row_kernels_at(isa_best());
    float factor = 1.0f / (float)pixels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < batch; i++)
        for (size_t p = 0; p < pixels; p++)
            k->scale_add(channels, factor, delta + i * channels, in_delta + (i * pixels + p) * channels,
                         accumulate);
}
