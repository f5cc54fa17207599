/* Passes over rows of channels, see rows.h. Per-channel constants are copied into padded local arrays once
 * per block of channels, so that missing ones (NULL) and ragged ends cost nothing in the loops. */
#include "kernels/rows.h"

#include "kernels/activation_vector.h"

#define BLOCK 512 /* channels at a time */

typedef struct constants {
    float value[BLOCK] __attribute__((aligned(64)));
} constants;

extern const row_kernels ISA_NAME(row_kernels);

/* Copies channels [first, first + count) of source, or the fallback where there is none; pads to whole
 * vectors. */
static void constants_fill(constants *k, const float *source, float fallback, size_t first, size_t count) {
    size_t padded = (count + VECTOR_LANES - 1) / VECTOR_LANES * VECTOR_LANES;
    for (size_t i = 0; i < padded; i++) k->value[i] = source && i < count ? source[first + i] : fallback;
}

static size_t block_width(size_t channels, size_t first) {
    return channels - first < BLOCK ? channels - first : BLOCK;
}

ALWAYS_INLINE void map_block(activation_kind kind, size_t rows, size_t channels, size_t width,
                             const constants *scale, const constants *shift, const float *in, float *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            vec x = vec_load_some(in + r * channels + c, width - c);
            vec y = activation_vec(kind, x * vec_load(scale->value + c) + vec_load(shift->value + c));
            vec_store_some(out + r * channels + c, y, width - c);
        }
}

static void map_rows(size_t rows, size_t channels, const channel_map *map, const float *in, float *out) {
    constants scale, shift;
    for (size_t first = 0; first < channels; first += BLOCK) {
        size_t width = block_width(channels, first);
        constants_fill(&scale, map->scale, 1, first, width);
        constants_fill(&shift, map->shift, 0, first, width);
        WITH_KIND(map->activation, map_block, rows, channels, width, &scale, &shift, in + first, out + first);
    }
}

typedef struct gradient_constants {
    constants scale, shift, a, b, c;
} gradient_constants;

static void gradient_constants_fill(gradient_constants *k, const lazy_gradient *g, size_t first,
                                    size_t count) {
    constants_fill(&k->scale, g->map.scale, 1, first, count);
    constants_fill(&k->shift, g->map.shift, 0, first, count);
    constants_fill(&k->a, g->a, 1, first, count);
    constants_fill(&k->b, g->b, 0, first, count);
    constants_fill(&k->c, g->c, 0, first, count);
}

ALWAYS_INLINE vec dz_of(activation_kind kind, vec delta, vec x, vec scale, vec shift) {
    return activation_pass_back(kind, delta, x * scale + shift);
}

ALWAYS_INLINE void gradient_block(activation_kind kind, size_t rows, size_t channels, size_t width,
                                  const gradient_constants *k, bool affine, const float *delta,
                                  const float *data, float *out, bool accumulate) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            size_t i = r * channels + c, left = width - c;
            vec x = data ? vec_load_some(data + i, left) : (vec){0};
            vec d = dz_of(kind, vec_load_some(delta + i, left), x, vec_load(k->scale.value + c),
                          vec_load(k->shift.value + c));
            if (affine)
                d = vec_load(k->a.value + c) * d + (vec_load(k->b.value + c) * x + vec_load(k->c.value + c));
            if (accumulate) d += vec_load_some(out + i, left);
            vec_store_some(out + i, d, left);
        }
}

static void gradient_rows(size_t rows, size_t channels, const lazy_gradient *g, float *out, bool accumulate) {
    gradient_constants k;
    for (size_t first = 0; first < channels; first += BLOCK) {
        size_t width = block_width(channels, first);
        gradient_constants_fill(&k, g, first, width);
        const float *data = g->data ? g->data + first : NULL;
        WITH_KIND(g->map.activation, gradient_block, rows, channels, width, &k, g->a != NULL,
                  g->delta + first, data, out + first, accumulate);
    }
}

ALWAYS_INLINE void reduce_block(activation_kind kind, size_t rows, size_t channels, size_t width,
                                const gradient_constants *k, const float *delta, const float *data,
                                const float *center, float *sum_dz, float *sum_dz_x) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            size_t i = r * channels + c, left = width - c;
            vec x = data ? vec_load_some(data + i, left) : (vec){0};
            vec d = dz_of(kind, vec_load_some(delta + i, left), x, vec_load(k->scale.value + c),
                          vec_load(k->shift.value + c));
            vec_store(sum_dz + c, vec_load(sum_dz + c) + d);
            vec_store(sum_dz_x + c, vec_load(sum_dz_x + c) + d * (x - vec_load(center + c)));
        }
}

static void reduce_rows(size_t rows, size_t channels, const lazy_gradient *g, const float *center,
                        float *sum_dz, float *sum_dz_x, bool add) {
    gradient_constants k;
    constants middle, sum, sum_x;
    for (size_t first = 0; first < channels; first += BLOCK) {
        size_t width = block_width(channels, first);
        gradient_constants_fill(&k, g, first, width);
        constants_fill(&middle, center, 0, first, width);
        constants_fill(&sum, add ? sum_dz : NULL, 0, first, width);
        constants_fill(&sum_x, add ? sum_dz_x : NULL, 0, first, width);
        const float *data = g->data ? g->data + first : NULL;
        WITH_KIND(g->map.activation, reduce_block, rows, channels, width, &k, g->delta + first, data,
                  middle.value, sum.value, sum_x.value);
        memcpy(sum_dz + first, sum.value, width * sizeof(float));
        if (sum_dz_x) memcpy(sum_dz_x + first, sum_x.value, width * sizeof(float));
    }
}

ALWAYS_INLINE void add_block(activation_kind kind, size_t rows, size_t channels, size_t width,
                             const gradient_constants *k, activation_kind kind_b, float alpha, const float *a,
                             float beta, const float *b, float *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            size_t i = r * channels + c, left = width - c;
            vec x = vec_load_some(a + i, left) * vec_load(k->scale.value + c) + vec_load(k->shift.value + c);
            vec y = vec_load_some(b + i, left) * vec_load(k->a.value + c) + vec_load(k->b.value + c);
            x = activation_vec(kind, x);
            y = kind_b == ACTIVATION_LINEAR ? y : activation_vec(kind_b, y);
            vec_store_some(out + i, alpha * x + beta * y, left);
        }
}

static void add_rows(size_t rows, size_t channels, float alpha, const lazy_tensor *a, float beta,
                     const lazy_tensor *b, float *out) {
    gradient_constants k;
    for (size_t first = 0; first < channels; first += BLOCK) {
        size_t width = block_width(channels, first);
        constants_fill(&k.scale, a->map.scale, 1, first, width);
        constants_fill(&k.shift, a->map.shift, 0, first, width);
        constants_fill(&k.a, b->map.scale, 1, first, width);
        constants_fill(&k.b, b->map.shift, 0, first, width);
        WITH_KIND(a->map.activation, add_block, rows, channels, width, &k, b->map.activation, alpha,
                  a->data + first, beta, b->data + first, out + first);
    }
}

/* Sums around a pivot, the mean of the first few rows: no cancellation, one pass. */
static void moments_rows(size_t rows, size_t channels, const float *x, float *mean, float *m2) {
    constants pivot, sum, square;
    size_t head = rows < 8 ? rows : 8;
    for (size_t first = 0; first < channels; first += BLOCK) {
        size_t width = block_width(channels, first);
        const float *block = x + first;
        for (size_t c = 0; c < width; c += VECTOR_LANES) {
            vec s = {0};
            for (size_t r = 0; r < head; r++) s += vec_load_some(block + r * channels + c, width - c);
            vec_store(pivot.value + c, s / (float)head);
        }
        constants_fill(&sum, NULL, 0, 0, width);
        constants_fill(&square, NULL, 0, 0, width);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < width; c += VECTOR_LANES) {
                vec d = vec_load_some(block + r * channels + c, width - c) - vec_load(pivot.value + c);
                vec_store(sum.value + c, vec_load(sum.value + c) + d);
                vec_store(square.value + c, vec_load(square.value + c) + d * d);
            }
        for (size_t c = 0; c < width; c++) {
            float shift = sum.value[c] / (float)rows, spread = square.value[c] - sum.value[c] * shift;
            mean[first + c] = pivot.value[c] + shift;
            m2[first + c] = spread < 0 ? 0 : spread;
        }
    }
}

static void scale_add(size_t count, float alpha, const float *x, float *y, bool accumulate) {
    for (size_t i = 0; i < count; i += VECTOR_LANES) {
        vec v = alpha * vec_load_some(x + i, count - i);
        if (accumulate) v += vec_load_some(y + i, count - i);
        vec_store_some(y + i, v, count - i);
    }
}

const row_kernels ISA_NAME(row_kernels) = {.map = map_rows,
                                           .gradient = gradient_rows,
                                           .add = add_rows,
                                           .moments = moments_rows,
                                           .reduce = reduce_rows,
                                           .scale_add = scale_add};
