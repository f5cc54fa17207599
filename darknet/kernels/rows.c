/* Choice of the row kernels' level, cutting of rows into chunks, joining of moments: see rows.h. */
#include "kernels/rows.h"

extern const row_kernels row_kernels_portable;
#if defined(__x86_64__)
extern const row_kernels row_kernels_avx2, row_kernels_avx512;
#endif

const row_kernels *row_kernels_at(isa_level level) {
#if defined(__x86_64__)
    if (level == ISA_AVX512) return &row_kernels_avx512;
    if (level == ISA_AVX2) return &row_kernels_avx2;
#endif
    (void)level;
    return &row_kernels_portable;
}

row_chunks row_chunks_of(size_t rows, size_t channels, size_t most_chunks) {
    const size_t least_values = 8192; /* smaller chunks cost more to hand out than to work on */
    size_t least = channels < least_values ? least_values / (channels ? channels : 1) : 1;
    size_t per_chunk = (rows + most_chunks - 1) / most_chunks;
    if (per_chunk < least) per_chunk = least;
    return (row_chunks){
        .rows = rows, .rows_per_chunk = per_chunk, .count = (rows + per_chunk - 1) / per_chunk};
}

#define JOIN_BLOCK 64 /* channels side by side, so that the loops over them become vectors */

static void join_block(size_t chunks, const size_t *rows, size_t channels, size_t stride, const float *means,
                       const float *m2s, float *out_mean, float *out_m2) {
    double mean[JOIN_BLOCK] = {0}, m2[JOIN_BLOCK] = {0}, count = 0;
    for (size_t i = 0; i < chunks; i++, means += stride, m2s += stride) {
        double n = (double)rows[i], total = count + n, share = n / total, weight = count * share;
        for (size_t c = 0; c < channels; c++) {
            double step = (double)means[c] - mean[c];
            mean[c] += step * share;
            m2[c] += (double)m2s[c] + step * step * weight;
        }
        count = total;
    }
    for (size_t c = 0; c < channels; c++) {
        out_mean[c] = (float)mean[c];
        out_m2[c] = (float)m2[c];
    }
}

void moments_join(size_t chunks, const size_t *rows, size_t channels, size_t stride, const float *means,
                  const float *m2s, const channel_moments *out) {
    for (size_t c = 0; c < channels; c += JOIN_BLOCK)
        join_block(chunks, rows, channels - c < JOIN_BLOCK ? channels - c : JOIN_BLOCK, stride, means + c,
                   m2s + c, out->mean + c, out->m2 + c);
}
