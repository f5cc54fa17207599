/* Pooling of one image, vectors over channels, the map applied to what is read: see pool.h. */
#include "kernels/pool.h"

#include "kernels/activation_vector.h"

#include <float.h>

extern const pool_kernels ISA_NAME(pool_kernels);

typedef struct map_vectors {
    vec scale, shift;
} map_vectors;

static map_vectors map_at(const channel_map *map, size_t c, size_t left) {
    return (map_vectors){.scale = map->scale ? vec_load_some(map->scale + c, left) : vec_set(1),
                         .shift = map->shift ? vec_load_some(map->shift + c, left) : vec_set(0)};
}

/* Cells [first, last) of the input under output cell `o`. */
typedef struct window {
    size_t first, last;
} window;

static window window_of(const pool_shape *s, size_t o, size_t extent) {
    size_t before = s->padding / 2, begin = o * s->stride, end = begin + s->size;
    window w = {.first = begin > before ? begin - before : 0, .last = end > before ? end - before : 0};
    if (w.last > extent) w.last = extent;
    if (w.first > w.last) w.first = w.last;
    return w;
}

ALWAYS_INLINE void max_cell(activation_kind kind, const pool_shape *s, const channel_map *map,
                            const float *in, window rows, window columns, float *out, uint32_t *index) {
    for (size_t c = 0; c < s->channels; c += VECTOR_LANES) {
        size_t left = s->channels - c;
        map_vectors m = map_at(map, c, left);
        vec best = vec_set(-FLT_MAX);
        vec_int winner = (vec_int){0} - 1;
        for (size_t y = rows.first; y < rows.last; y++)
            for (size_t x = columns.first; x < columns.last; x++) {
                size_t cell = y * s->in_width + x;
                vec v = activation_vec(kind,
                                       vec_load_some(in + cell * s->channels + c, left) * m.scale + m.shift);
                vec_int here = (vec_int){0} + (int32_t)cell;
                winner = (vec_int)vec_if_greater(v, best, (vec)here, (vec)winner);
                best = vec_if_greater(v, best, v, best);
                winner = (vec_int)vec_if_nan(v, (vec)here, (vec)winner);
                best = vec_if_nan(v, v, best);
            }
        vec_store_some(out + c, best, left);
        if (index) vec_store_some((float *)(void *)(index + c), (vec)winner, left);
    }
}

ALWAYS_INLINE void max_kind(activation_kind kind, const pool_shape *s, const channel_map *map,
                            const float *in, float *out, uint32_t *index) {
    for (size_t y = 0; y < s->out_height; y++)
        for (size_t x = 0; x < s->out_width; x++) {
            size_t cell = (y * s->out_width + x) * s->channels;
            max_cell(kind, s, map, in, window_of(s, y, s->in_height), window_of(s, x, s->in_width),
                     out + cell, index ? index + cell : NULL);
        }
}

static void max_image(const pool_shape *s, const channel_map *map, const float *in, float *out,
                      uint32_t *index) {
    switch (map->activation) {
    case ACTIVATION_LINEAR:
        max_kind(ACTIVATION_LINEAR, s, map, in, out, index);
        break;
    case ACTIVATION_RELU:
        max_kind(ACTIVATION_RELU, s, map, in, out, index);
        break;
    case ACTIVATION_RELU6:
        max_kind(ACTIVATION_RELU6, s, map, in, out, index);
        break;
    case ACTIVATION_LEAKY:
        max_kind(ACTIVATION_LEAKY, s, map, in, out, index);
        break;
    default:
        max_kind(map->activation, s, map, in, out, index);
        break;
    }
}

/* Sums of at most this many pixels before they join the total, which keeps rounding small. */
#define SUM_RUN 256

static void average_image(size_t pixels, size_t channels, const channel_map *map, const float *in,
                          float *out) {
    for (size_t c = 0; c < channels; c += VECTOR_LANES) {
        size_t left = channels - c;
        map_vectors m = map_at(map, c, left);
        vec total = {0};
        for (size_t first = 0; first < pixels; first += SUM_RUN) {
            size_t last = pixels - first < SUM_RUN ? pixels : first + SUM_RUN;
            vec run = {0};
            for (size_t p = first; p < last; p++)
                run += activation_vec(map->activation,
                                      vec_load_some(in + p * channels + c, left) * m.scale + m.shift);
            total += run;
        }
        vec_store_some(out + c, total / (float)pixels, left);
    }
}

const pool_kernels ISA_NAME(pool_kernels) = {.max_image = max_image, .average_image = average_image};
