/* Per-channel passes over whole tensors: rows cut into chunks, chunks dealt out to threads. */
#include "kernels/rows.h"
#include "core/memory.h"

#define MOST_CHUNKS 128

static const row_kernels *kernels(void) {
    return row_kernels_at(isa_best());
}

static size_t padded(size_t channels) {
    return size_round_up(channels, 16);
}

size_t channel_reduce_workspace_bytes(size_t pixels, size_t channels) {
    size_t chunks = row_chunks_of(pixels, channels, MOST_CHUNKS).count;
    return chunks * 2 * padded(channels) * sizeof(float);
}

void channel_moments_compute(size_t pixels, size_t channels, const float *x, const channel_moments *moments,
                             void *workspace, int threads) {
    row_chunks chunks = row_chunks_of(pixels, channels, MOST_CHUNKS);
    const row_kernels *k = kernels();
    size_t stride = padded(channels);
    float *means = workspace, *m2s = means + chunks.count * stride;
    size_t rows[MOST_CHUNKS];
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        rows[i] = row_chunk_rows(&chunks, i);
        k->moments(rows[i], channels, x + i * chunks.rows_per_chunk * channels, means + i * stride,
                   m2s + i * stride);
    }
    moments_join(chunks.count, rows, channels, stride, means, m2s, moments);
}

static lazy_gradient gradient_from(const lazy_gradient *g, size_t offset) {
    lazy_gradient part = *g;
    part.delta += offset;
    if (part.data) part.data += offset;
    return part;
}

static void sum_chunks(size_t chunks, size_t channels, size_t stride, const float *parts, float *sum) {
    for (size_t c = 0; c < channels; c++) {
        double total = 0;
        for (size_t i = 0; i < chunks; i++) total += (double)parts[i * stride + c];
        sum[c] = (float)total;
    }
}

void lazy_gradient_reduce(size_t pixels, size_t channels, const lazy_gradient *g, const float *center,
                          float *sum_dz, float *sum_dz_x, void *workspace, int threads) {
    row_chunks chunks = row_chunks_of(pixels, channels, MOST_CHUNKS);
    const row_kernels *k = kernels();
    size_t stride = padded(channels);
    float *sums = workspace, *sums_x = sums + chunks.count * stride;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        lazy_gradient part = gradient_from(g, i * chunks.rows_per_chunk * channels);
        k->reduce(row_chunk_rows(&chunks, i), channels, &part, center, sums + i * stride,
                  sum_dz_x ? sums_x + i * stride : NULL, false);
    }
    sum_chunks(chunks.count, channels, stride, sums, sum_dz);
    if (sum_dz_x) sum_chunks(chunks.count, channels, stride, sums_x, sum_dz_x);
}

void lazy_tensor_store(size_t pixels, size_t channels, const lazy_tensor *in, float *out, int threads) {
    row_chunks chunks = row_chunks_of(pixels, channels, MOST_CHUNKS);
    const row_kernels *k = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        size_t offset = i * chunks.rows_per_chunk * channels;
        k->map(row_chunk_rows(&chunks, i), channels, &in->map, in->data + offset, out + offset);
    }
}

void lazy_gradient_store(size_t pixels, size_t channels, const lazy_gradient *g, float *out, bool accumulate,
                         int threads) {
    row_chunks chunks = row_chunks_of(pixels, channels, MOST_CHUNKS);
    const row_kernels *k = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        size_t offset = i * chunks.rows_per_chunk * channels;
        lazy_gradient part = gradient_from(g, offset);
        k->gradient(row_chunk_rows(&chunks, i), channels, &part, out + offset, accumulate);
    }
}

void lazy_tensor_add(size_t pixels, size_t channels, float alpha, const lazy_tensor *a, float beta,
                     const lazy_tensor *b, float *out, int threads) {
    row_chunks chunks = row_chunks_of(pixels, channels, MOST_CHUNKS);
    const row_kernels *k = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        size_t offset = i * chunks.rows_per_chunk * channels;
        lazy_tensor x = *a, y = *b;
        x.data += offset;
        y.data += offset;
        k->add(row_chunk_rows(&chunks, i), channels, alpha, &x, beta, &y, out + offset);
    }
}

void array_scale_add(size_t count, float alpha, const float *x, float *y, bool accumulate, int threads) {
    row_chunks chunks = row_chunks_of(count, 1, MOST_CHUNKS);
    const row_kernels *k = kernels();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < chunks.count; i++) {
        size_t offset = i * chunks.rows_per_chunk;
        k->scale_add(row_chunk_rows(&chunks, i), alpha, x + offset, y + offset, accumulate);
    }
}

/* A flat array is rows of this many "channels", and a last shorter row. */
#define ARRAY_ROW 512

void activation_forward_array(activation_kind kind, const float *z, float *out, size_t count, int threads) {
    lazy_tensor whole = {.data = z, .map = {.activation = kind}};
    size_t done = count / ARRAY_ROW * ARRAY_ROW;
    if (done) lazy_tensor_store(count / ARRAY_ROW, ARRAY_ROW, &whole, out, threads);
    if (done < count) kernels()->map(1, count - done, &whole.map, z + done, out + done);
}

void activation_backward_array(activation_kind kind, const float *z, float *delta, size_t count,
                               int threads) {
    lazy_gradient whole = {.delta = delta, .data = z, .map = {.activation = kind}};
    size_t done = count / ARRAY_ROW * ARRAY_ROW;
    if (done) lazy_gradient_store(count / ARRAY_ROW, ARRAY_ROW, &whole, delta, false, threads);
    if (done == count) return;
    lazy_gradient rest = gradient_from(&whole, done);
    kernels()->gradient(1, count - done, &rest, delta + done, false);
}
