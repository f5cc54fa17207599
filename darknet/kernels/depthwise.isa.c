/* Depthwise convolution of a band of rows, forward, see depthwise.h. */
#include "kernels/depthwise_tiles.h"

extern const depthwise_kernels ISA_NAME(depthwise_kernels);

/* Sum over kernel positions; `size` and `dilation` constant in the fast case. */
ALWAYS_INLINE vec window_sum(size_t size, size_t dilation, size_t tile_width, const float *at,
                             const vec *weights) {
    vec sum = {0};
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < size; ky++)
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < size; kx++) sum +=
        vec_load(at + (ky * tile_width + kx) * dilation * VECTOR_LANES) * weights[ky * size + kx];
    return sum;
}

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

const depthwise_kernels ISA_NAME(depthwise_kernels) = {.forward = forward,
                                                       .backward = ISA_NAME(depthwise_backward)};
