/* Depthwise convolution of a band of rows, see depthwise.h. While one vector of channels is worked on, the
 * next one's lines are asked for: they lie beside it, but a pixel apart from each other, too far for the
 * hardware to guess. */
#include "kernels/depthwise.h"

#include "kernels/activation_vector.h"

extern const depthwise_kernels ISA_NAME(depthwise_kernels);

#define WITH_KIND(kind, body, ...)                                                                           \
    do {                                                                                                     \
        switch (kind) {                                                                                      \
        case ACTIVATION_LINEAR:                                                                              \
            body(ACTIVATION_LINEAR, __VA_ARGS__);                                                            \
            break;                                                                                           \
        case ACTIVATION_RELU:                                                                                \
            body(ACTIVATION_RELU, __VA_ARGS__);                                                              \
            break;                                                                                           \
        case ACTIVATION_RELU6:                                                                               \
            body(ACTIVATION_RELU6, __VA_ARGS__);                                                             \
            break;                                                                                           \
        default:                                                                                             \
            body(kind, __VA_ARGS__);                                                                         \
            break;                                                                                           \
        }                                                                                                    \
    } while (0)

/* ---- tiles ---- */

ALWAYS_INLINE void zero_vectors(float *to, size_t count) {
    for (size_t i = 0; i < count; i++) vec_store(to + i * VECTOR_LANES, (vec){0});
}

/* The part of a tile that lies in the image: rows [first, last) of the tile, `width` pixels from column
 * `left`; the first of them is pixel `pixel` of the tensor. */
typedef struct tile_inside {
    size_t first, last, left, width, pixel;
} tile_inside;

static tile_inside tile_inside_at(const tile_geometry *g, size_t rows, size_t image, ptrdiff_t first_y,
                                  size_t height, size_t width) {
    tile_inside t = {.left = (size_t)-g->first_x, .width = width};
    ptrdiff_t above = first_y < 0 ? -first_y : 0, below = first_y + (ptrdiff_t)rows - (ptrdiff_t)height;
    t.first = (size_t)above < rows ? (size_t)above : rows;
    t.last = below > 0 ? ((size_t)below < rows ? rows - (size_t)below : 0) : rows;
    if (t.last < t.first) t.last = t.first;
    t.pixel = (image * height + (size_t)(first_y + (ptrdiff_t)t.first)) * width;
    return t;
}

/* Zeros around the inside: once a band, since all vectors of channels fill the same inside. */
static void zero_around(const tile_geometry *g, const tile_inside *t, size_t rows, float *tile) {
    size_t right = g->width - t->left - t->width;
    zero_vectors(tile, t->first * g->width);
    zero_vectors(tile + t->last * g->width * VECTOR_LANES, (rows - t->last) * g->width);
    for (size_t y = t->first; y < t->last; y++) {
        float *row = tile + y * g->width * VECTOR_LANES;
        zero_vectors(row, t->left);
        zero_vectors(row + (t->left + t->width) * VECTOR_LANES, right);
    }
}

ALWAYS_INLINE void fill_mapped(activation_kind kind, const tile_inside *t, size_t tile_width,
                               const lazy_tensor *in, size_t channels, size_t c, float *tile) {
    const float *from = in->data + t->pixel * channels + c;
    const size_t width = t->width, rows = t->last - t->first, left = channels - c;
    const vec scale = vec_load(in->map.scale + c), shift = vec_load(in->map.shift + c);
    tile += (t->first * tile_width + t->left) * VECTOR_LANES;
    for (size_t y = 0; y < rows; y++, tile += tile_width * VECTOR_LANES)
        for (size_t x = 0; x < width; x++, from += channels)
            vec_store(tile + x * VECTOR_LANES,
                      activation_vec(kind, vec_load_some(from, left) * scale + shift));
}

ALWAYS_INLINE void fill_gradient(activation_kind kind, const tile_inside *t, size_t tile_width,
                                 const lazy_gradient *g, size_t channels, size_t c, float *tile) {
    const float *delta = g->delta + t->pixel * channels + c;
    const float *data = g->data ? g->data + t->pixel * channels + c : NULL;
    const size_t width = t->width, rows = t->last - t->first, left = channels - c;
    const bool affine = g->a;
    const vec scale = vec_load(g->map.scale + c), shift = vec_load(g->map.shift + c);
    vec a = {0}, b = {0}, k = {0};
    if (affine) a = vec_load(g->a + c), b = vec_load(g->b + c), k = vec_load(g->c + c);
    tile += (t->first * tile_width + t->left) * VECTOR_LANES;
    for (size_t y = 0; y < rows; y++, tile += tile_width * VECTOR_LANES)
        for (size_t x = 0; x < width; x++, delta += channels) {
            vec d = vec_load_some(delta, left);
            if (data) {
                vec z = vec_load_some(data, left);
                data += channels;
                d = activation_pass_back(kind, d, z * scale + shift);
                if (affine) d = a * d + (b * z + k);
            }
            vec_store(tile + x * VECTOR_LANES, d);
        }
}

/* Where the lines that will be wanted next stand, relative to those of channels c: the next channels of the
 * same pixels, or the first channels of the next `pixels` pixels. */
static ptrdiff_t next_lines(size_t channels, size_t c, size_t pixels) {
    if (c + VECTOR_LANES < channels) return VECTOR_LANES;
    return (ptrdiff_t)(pixels * channels) - (ptrdiff_t)c;
}

/* ---- forward ---- */

/* Where the first kernel position of output row y of the band stands in the input tile. */
static const float *corner(const dense_plan *p, const float *tile, size_t y) {
    return tile + y * p->s.stride_y * p->in.width * VECTOR_LANES;
}

/* Sum over kernel positions; `size` and `dilation` constant in the fast case. */
ALWAYS_INLINE vec window_sum(size_t size, size_t dilation, size_t tile_width, const float *at,
                             const vec *weights) {
    vec sum = {0};
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < size; ky++)
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < size; kx++) sum +=
        vec_load(at + (ky * tile_width + kx) * dilation * VECTOR_LANES) * weights[ky * size + kx];
    return sum;
}

/* RUN neighbouring outputs of a 3 x 3 kernel at once: each input is loaded once a row of the kernel. */
#if VECTOR_LANES == 16
#define RUN 4
#else
#define RUN 2
#endif

ALWAYS_INLINE void three_sums(size_t step, size_t tile_width, const float *at, const vec *weights,
                              vec sums[RUN]) {
    vec x[2 * RUN + 1];
    _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++) sums[i] = (vec){0};
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < 3; ky++) {
        _Pragma("GCC unroll 9") for (size_t i = 0; i < (RUN - 1) * step + 3; i++) x[i] =
            vec_keep(vec_load(at + (ky * tile_width + i) * VECTOR_LANES));
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < 3; kx++)
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++) sums[i] +=
            x[i * step + kx] * weights[ky * 3 + kx];
    }
}

/* The mean of a few outputs spread over the band. */
ALWAYS_INLINE vec sample_mean(const dense_plan *p, size_t rows, size_t size, size_t dilation,
                              const float *tile, const vec *weights) {
    size_t width = p->s.out_width, pixels = rows * width, samples = pixels < 8 ? pixels : 8;
    vec mean = {0};
    for (size_t i = 0; i < samples; i++) {
        size_t pixel = i * pixels / samples;
        const float *at = corner(p, tile, pixel / width) + pixel % width * p->s.stride_x * VECTOR_LANES;
        mean += window_sum(size, dilation, p->in.width, at, weights);
    }
    return mean / (float)samples;
}

/* What happens to outputs on their way: moments gathered, or a map that is a clamp applied. */
typedef struct output_end {
    vec pivot, sum, square;
    vec scale, shift, low, high;
} output_end;

ALWAYS_INLINE void put_output(bool clamps, bool stream, float *out, size_t left, vec value, output_end *end) {
    if (clamps) {
        value = vec_clamp(value * end->scale + end->shift, end->low, end->high);
    } else {
        vec d = value - end->pivot;
        end->sum += d;
        end->square += d * d;
    }
    if (stream)
        vec_stream(out, value);
    else
        vec_store_some(out, value, left);
}

/* `step` is 1 or 2 (a constant) where a 3 x 3 kernel of that stride goes over outputs in runs, else 0. */
ALWAYS_INLINE void forward_vector(const depthwise_forward_job *j, size_t size, size_t dilation, size_t step,
                                  bool clamps, size_t c, const vec *weights) {
    const dense_plan *p = j->plan;
    const size_t channels = j->channels, left = channels - c, width = p->s.out_width,
                 tile_width = p->in.width;
    const size_t rows = j->band.last - j->band.first, stride = p->s.stride_x, lines = stride * p->s.stride_y;
    const size_t image = j->band.image, in_width = p->s.in_width;
    const bool moments = j->moments.pivot, stream = j->stream;
    float *out = j->out + (image * p->s.out_height + j->band.first) * width * channels + c;
    const float *ahead = j->in.data +
                         (image * p->s.in_height + j->band.first * p->s.stride_y) * in_width * channels +
                         (ptrdiff_t)c + next_lines(channels, c, rows * p->s.stride_y * in_width);
    output_end end = {0};
    if (clamps) {
        end.scale = vec_load(j->store->scale + c);
        end.shift = vec_load(j->store->shift + c);
        end.low = clamp_low(j->store->activation);
        end.high = clamp_high(j->store->activation);
    } else if (moments && j->fresh) {
        end.pivot = sample_mean(p, rows, size, dilation, j->tile, weights);
    } else if (moments) {
        end.pivot = vec_load(j->moments.pivot + c);
        end.sum = vec_load(j->moments.sum + c);
        end.square = vec_load(j->moments.square + c);
    }
    for (size_t y = 0; y < rows; y++) {
        const float *at = corner(p, j->tile, y);
        size_t x = 0;
        for (; step && x + RUN <= width; x += RUN, at += RUN * stride * VECTOR_LANES) {
            vec values[RUN];
            for (size_t i = 0; i < RUN * lines; i++, ahead += channels) prefetch(ahead);
            three_sums(step, tile_width, at, weights, values);
            _Pragma("GCC unroll 4") for (size_t i = 0; i < RUN; i++, out += channels)
                put_output(clamps, stream, out, left, values[i], &end);
        }
        for (; x < width; x++, at += stride * VECTOR_LANES, out += channels) {
            for (size_t i = 0; i < lines; i++, ahead += channels) prefetch(ahead);
            put_output(clamps, stream, out, left, window_sum(size, dilation, tile_width, at, weights), &end);
        }
    }
    if (!moments) return;
    vec_store(j->moments.pivot + c, end.pivot);
    vec_store(j->moments.sum + c, end.sum);
    vec_store(j->moments.square + c, end.square);
}

ALWAYS_INLINE void forward_vector_of_kernel(const depthwise_forward_job *j, bool clamps, size_t c,
                                            const vec *weights) {
    const convolution_shape *s = &j->plan->s;
    bool three = s->size == 3 && s->dilation == 1;
    if (three && s->stride_x == 1)
        forward_vector(j, 3, 1, 1, clamps, c, weights);
    else if (three && s->stride_x == 2)
        forward_vector(j, 3, 1, 2, clamps, c, weights);
    else
        forward_vector(j, s->size, s->dilation, 0, clamps, c, weights);
}

static void load_weights(const depthwise_forward_job *j, size_t c, vec *weights) {
    size_t padded = floats_padded(j->channels);
    for (size_t k = 0; k < j->plan->area; k++) weights[k] = vec_load(j->weights + k * padded + c);
}

ALWAYS_INLINE void map_out(activation_kind kind, const depthwise_forward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    const size_t channels = j->channels, left = channels - c,
                 pixels = (j->band.last - j->band.first) * p->s.out_width;
    float *out = j->out + (j->band.image * p->s.out_height + j->band.first) * p->s.out_width * channels + c;
    const vec scale = vec_load(j->store->scale + c), shift = vec_load(j->store->shift + c);
    for (size_t i = 0; i < pixels; i++, out += channels)
        vec_store_some(out, activation_vec(kind, vec_load_some(out, left) * scale + shift), left);
}

/* The band's input rows, with the padding around them. */
static tile_inside input_inside(const dense_plan *p, const dense_band *b, size_t *rows) {
    *rows = p->in.height - (p->band_rows - (b->last - b->first)) * p->s.stride_y;
    return tile_inside_at(&p->in, *rows, b->image, (ptrdiff_t)(b->first * p->s.stride_y) + p->in.first_y,
                          p->s.in_height, p->s.in_width);
}

static void forward(const depthwise_forward_job *j) {
    const dense_plan *p = j->plan;
    size_t rows;
    tile_inside inside = input_inside(p, &j->band, &rows);
    vec weights[DEPTHWISE_MOST_POSITIONS];
    zero_around(&p->in, &inside, rows, j->tile);
    for (size_t c = j->first_channel; c < j->last_channel; c += VECTOR_LANES) {
        WITH_KIND(j->in.map.activation, fill_mapped, &inside, p->in.width, &j->in, j->channels, c, j->tile);
        load_weights(j, c, weights);
        if (j->store && is_clamp(j->store->activation)) {
            forward_vector_of_kernel(j, true, c, weights);
        } else {
            forward_vector_of_kernel(j, false, c, weights);
            if (j->store) WITH_KIND(j->store->activation, map_out, j, c);
        }
    }
    if (j->stream) vec_stream_end();
}

/* ---- backward ---- */

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
    const bool accumulate = j->accumulate, stream = j->stream && !accumulate, summing = j->sum_dz && sums;
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
    more.stream = false;
    if (k->positions == 0) delta_class(ACTIVATION_LINEAR, 0, &more, k, c, weights, NULL);
    for (size_t i = 0; i < k->positions; i++, more.accumulate = true) {
        one.offset = k->offset + i;
        delta_class(ACTIVATION_LINEAR, 1, &more, &one, c, weights + i, NULL);
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

static void backward(const depthwise_backward_job *j) {
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

const depthwise_kernels ISA_NAME(depthwise_kernels) = {.forward = forward, .backward = backward};
