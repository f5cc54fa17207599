/* Depthwise convolution of a band of rows, backward, see depthwise.h: gradients of weights and input. */
#include "kernels/depthwise_tiles.h"

/* Where dy of output row y of the band stands in its tile. */
static const float *gradient_of_row(const depthwise_backward_job *j, size_t y) {
    const tile_geometry *g = &j->plan->out;
    return j->out_tile + ((y + (size_t)-g->first_y) * g->width + (size_t)-g->first_x) * VECTOR_LANES;
}

/* sum[ky][kx] += g[i] * the input under them, for RUN neighbouring outputs of stride 1 */
ALWAYS_INLINE void three_weights(size_t tile_width, const float *at, const vec g[RUN], vec sum[9]) {
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < 3; ky++) {
        vec x[RUN + 2];
        _Pragma("GCC unroll 6") for (size_t i = 0; i < RUN + 2; i++) x[i] =
            vec_keep(vec_load(at + (ky * tile_width + i) * VECTOR_LANES));
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < 3; kx++)
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++) sum[ky * 3 + kx] += g[i] * x[i + kx];
    }
}

/* weight_part += sum over the band's outputs of dy times the input under each kernel position; 3 x 3, no
 * dilation */
static void weights_three(const depthwise_backward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    const size_t channels = j->channels, padded = floats_padded(channels), width = p->s.out_width;
    const size_t rows = j->band.last - j->band.first, tile_width = p->in.width,
                 step = p->s.stride_x * VECTOR_LANES;
    const ptrdiff_t first =
        (ptrdiff_t)((j->band.image * p->s.out_height + j->band.first) * width * channels + c);
    const ptrdiff_t ahead = first + next_lines(channels, c, rows * width);
    const float *delta = j->dy.delta + ahead, *data = j->dy.data ? j->dy.data + ahead : delta;
    float *part = j->weight_part + c;
    vec sum[9];
    _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) sum[k] =
        j->add ? vec_load(part + k * padded) : (vec){0};
    for (size_t y = 0; y < rows; y++) {
        const float *d = gradient_of_row(j, y), *at = corner(p, j->in_tile, y);
        size_t x = 0;
        for (; p->s.stride_x == 1 && x + RUN <= width; x += RUN, d += RUN * VECTOR_LANES, at += RUN * step) {
            vec g[RUN];
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++, delta += channels, data += channels) {
                g[i] = vec_keep(vec_load(d + i * VECTOR_LANES));
                prefetch(delta);
                prefetch(data);
            }
            three_weights(tile_width, at, g, sum);
        }
        for (; x < width; x++, d += VECTOR_LANES, at += step, delta += channels, data += channels) {
            vec g = vec_load(d);
            prefetch(delta);
            prefetch(data);
            _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) sum[k] +=
                g * vec_load(at + (k / 3 * tile_width + k % 3) * VECTOR_LANES);
        }
    }
    _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) vec_store(part + k * padded, sum[k]);
}

/* Any kernel: one position at a time. */
static void weights_any(const depthwise_backward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    size_t padded = floats_padded(j->channels), rows = j->band.last - j->band.first,
           step = p->s.stride_x * VECTOR_LANES;
    for (size_t k = 0; k < p->area; k++) {
        float *part = j->weight_part + k * padded + c;
        vec sum = j->add ? vec_load(part) : (vec){0};
        size_t shift = (k / p->s.size * p->in.width + k % p->s.size) * p->s.dilation * VECTOR_LANES;
        for (size_t y = 0; y < rows; y++) {
            const float *d = gradient_of_row(j, y), *at = corner(p, j->in_tile, y) + shift;
            for (size_t x = 0; x < p->s.out_width; x++)
                sum += vec_load(d + x * VECTOR_LANES) * vec_load(at + x * step);
        }
        vec_store(part, sum);
    }
}

/* Sums of in_delta seen as a lazy gradient, see gradient_sums. */
typedef struct delta_sums {
    vec scale, shift, center, dz, dz_x;
} delta_sums;

/* Writes a value of in_delta and adds it to the sums. */
ALWAYS_INLINE void put_delta(activation_kind kind, bool stream, bool summing, float *to, const float *data,
                             size_t left, vec value, delta_sums *sums) {
    if (stream)
        vec_stream(to, value);
    else
        vec_store_some(to, value, left);
    if (!summing) return;
    vec z = vec_load_some(data, left);
    vec d = activation_pass_back(kind, value, z * sums->scale + sums->shift);
    sums->dz += d;
    sums->dz_x += d * (z - sums->center);
}

/* values[i] += sum over the nine kernel positions, for RUN neighbouring pixels of stride 1; at: dy under the
 * last position of the first */
ALWAYS_INLINE void three_deltas(size_t tile_width, const float *at, const vec *weights, vec values[RUN]) {
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < 3; ky++) {
        vec x[RUN + 2];
        _Pragma("GCC unroll 6") for (size_t i = 0; i < RUN + 2; i++) x[i] =
            vec_keep(vec_load(at + ((2 - ky) * tile_width + i) * VECTOR_LANES));
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < 3; kx++)
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++) values[i] +=
            x[i + 2 - kx] * weights[ky * 3 + kx];
    }
}

/* in_delta of one class of pixels; `positions` constant in the fast cases. The kind is that of the input's
 * map. */
ALWAYS_INLINE void delta_class(activation_kind kind, size_t positions, const depthwise_backward_job *j,
                               const depthwise_class *k, size_t c, const vec *weights, delta_sums *sums) {
    const dense_plan *p = j->plan;
    const convolution_shape *s = &p->s;
    const size_t channels = j->channels, left = channels - c, width = s->in_width, step_x = s->stride_x;
    const size_t last = j->band.in_last, step_y = s->stride_y, tile_row = p->out.width * VECTOR_LANES;
    const size_t rows_ahead = (last - j->band.in_first) * width;
    const bool accumulate = j->accumulate, stream = j->stream && !accumulate, summing = j->sum_dz;
    const ptrdiff_t ahead = next_lines(channels, c, rows_ahead);
    const bool runs = positions == 9 && s->size == 3 && s->dilation == 1;
    delta_sums own = {0};
    if (summing) own = (delta_sums){.scale = sums->scale, .shift = sums->shift, .center = sums->center};
    size_t from = 0;
    for (size_t y = j->band.in_first + k->y; y < last; y += step_y, from += tile_row) {
        size_t first = ((j->band.image * s->in_height + y) * width + k->x) * channels + c;
        float *to = j->in_delta + first;
        const float *data = j->in.data + first, *at[9];
        _Pragma("GCC unroll 9") for (size_t i = 0; i < positions; i++) at[i] =
            j->out_tile + k->offset[i] * VECTOR_LANES + from;
        size_t x = k->x;
        for (; runs && x + RUN <= width; x += RUN) {
            vec values[RUN];
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++) {
                values[i] = accumulate ? vec_load_some(to + i * channels, left) : (vec){0};
                prefetch(data + ahead + (ptrdiff_t)(i * channels));
            }
            three_deltas(p->out.width, at[8], weights, values);
            _Pragma("GCC unroll 9") for (size_t i = 0; i < positions; i++) at[i] += RUN * VECTOR_LANES;
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++, to += channels, data += channels)
                put_delta(kind, stream, summing, to, data, left, values[i], &own);
        }
        for (; x < width; x += step_x, to += step_x * channels, data += step_x * channels) {
            vec value = accumulate ? vec_load_some(to, left) : (vec){0};
            prefetch(data + ahead);
            _Pragma("GCC unroll 9") for (size_t i = 0; i < positions; i++) {
                value += vec_load(at[i]) * weights[i];
                at[i] += VECTOR_LANES;
            }
            put_delta(kind, stream, summing, to, data, left, value, &own);
        }
    }
    if (!summing) return;
    sums->dz += own.dz;
    sums->dz_x += own.dz_x;
}

/* Any number of positions, without sums: the first, then the others added one at a time. */
static void delta_any(const depthwise_backward_job *j, const depthwise_class *k, size_t c,
                      const vec *weights) {
    depthwise_backward_job more = *j;
    depthwise_class one = *k;
    delta_sums none = {0};
    more.stream = false;
    more.sum_dz = NULL;
    if (k->positions == 0) delta_class(ACTIVATION_LINEAR, 0, &more, k, c, weights, &none);
    for (size_t i = 0; i < k->positions; i++, more.accumulate = true) {
        one.offset = k->offset + i;
        delta_class(ACTIVATION_LINEAR, 1, &more, &one, c, weights + i, &none);
    }
}

/* The sums of what stands in in_delta. */
ALWAYS_INLINE void sum_class(activation_kind kind, const depthwise_backward_job *j, const depthwise_class *k,
                             size_t c, delta_sums *sums) {
    const convolution_shape *s = &j->plan->s;
    for (size_t y = j->band.in_first + k->y; y < j->band.in_last; y += s->stride_y)
        for (size_t x = k->x; x < s->in_width; x += s->stride_x) {
            size_t i = ((j->band.image * s->in_height + y) * s->in_width + x) * j->channels + c;
            vec z = vec_load_some(j->in.data + i, j->channels - c),
                delta = vec_load_some(j->in_delta + i, j->channels - c);
            vec d = activation_pass_back(kind, delta, z * sums->scale + sums->shift);
            sums->dz += d;
            sums->dz_x += d * (z - sums->center);
        }
}

ALWAYS_INLINE void delta_kind(activation_kind kind, const depthwise_backward_job *j, size_t c,
                              delta_sums *sums) {
    size_t padded = floats_padded(j->channels);
    vec weights[DEPTHWISE_MOST_POSITIONS];
    for (size_t i = 0; i < j->class_count; i++) {
        const depthwise_class *k = &j->classes[i];
        for (size_t n = 0; n < k->positions; n++)
            weights[n] = vec_load(j->weights + k->position[n] * padded + c);
        switch (k->positions) {
        case 1:
            delta_class(kind, 1, j, k, c, weights, sums);
            break;
        case 2:
            delta_class(kind, 2, j, k, c, weights, sums);
            break;
        case 4:
            delta_class(kind, 4, j, k, c, weights, sums);
            break;
        case 9:
            delta_class(kind, 9, j, k, c, weights, sums);
            break;
        default:
            delta_any(j, k, c, weights);
            if (j->sum_dz) sum_class(kind, j, k, c, sums);
            break;
        }
    }
}

static void delta_vector(const depthwise_backward_job *j, size_t c) {
    delta_sums sums = {.scale = vec_load(j->in.map.scale + c), .shift = vec_load(j->in.map.shift + c)};
    if (j->sum_dz) {
        sums.center = vec_load(j->center + c);
        if (j->add) sums.dz = vec_load(j->sum_dz + c), sums.dz_x = vec_load(j->sum_dz_x + c);
    }
    WITH_KIND(j->in.map.activation, delta_kind, j, c, &sums);
    if (!j->sum_dz) return;
    vec_store(j->sum_dz + c, sums.dz);
    vec_store(j->sum_dz_x + c, sums.dz_x);
}

void ISA_NAME(depthwise_backward)(const depthwise_backward_job *j) {
    const dense_plan *p = j->plan;
    size_t rows;
    const tile_inside in = input_inside(p, &j->band, &rows);
    const tile_inside out =
        tile_inside_at(&p->out, p->out.height, j->band.image, (ptrdiff_t)j->band.first + p->out.first_y,
                       p->s.out_height, p->s.out_width);
    zero_around(&p->out, &out, p->out.height, j->out_tile);
    if (j->weight_part) zero_around(&p->in, &in, rows, j->in_tile);
    for (size_t c = 0; c < j->channels; c += VECTOR_LANES) {
        WITH_KIND(j->dy.map.activation, fill_gradient, &out, p->out.width, &j->dy, j->channels, c,
                  j->out_tile);
        if (j->weight_part) {
            WITH_KIND(j->in.map.activation, fill_mapped, &in, p->in.width, &j->in, j->channels, c,
                      j->in_tile);
            if (p->s.size == 3 && p->s.dilation == 1)
                weights_three(j, c);
            else
                weights_any(j, c);
        }
        if (j->in_delta) delta_vector(j, c);
    }
    if (j->stream) vec_stream_end();
}
