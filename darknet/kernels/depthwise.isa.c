/* Depthwise convolution of a band of rows, see depthwise.h. */
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

static void zero_vectors(float *to, size_t count) {
    memset(to, 0, count * VECTOR_LANES * sizeof(float));
}

/* One row of a tile: where its pixels lie in the tensor, zeros around. */
typedef struct tile_row {
    size_t left, width, right; /* pixels of padding, of the tensor, of padding */
    size_t pixel;              /* of the tensor, of the first one */
    bool inside;
} tile_row;

static tile_row tile_row_at(const tile_geometry *g, size_t image, ptrdiff_t y, size_t height, size_t width) {
    tile_row r = {.left = (size_t)-g->first_x, .width = width, .inside = y >= 0 && (size_t)y < height};
    r.right = g->width - r.left - width;
    if (r.inside) r.pixel = (image * height + (size_t)y) * width;
    return r;
}

ALWAYS_INLINE void map_row(activation_kind kind, const tile_row *r, const lazy_tensor *in, size_t channels,
                           size_t c, float *tile) {
    const float *from = in->data + r->pixel * channels + c;
    vec scale = vec_load(in->map.scale + c), shift = vec_load(in->map.shift + c);
    for (size_t x = 0; x < r->width; x++, from += channels, tile += VECTOR_LANES)
        vec_store(tile, activation_vec(kind, vec_load_some(from, channels - c) * scale + shift));
}

ALWAYS_INLINE void gradient_row(activation_kind kind, const tile_row *r, const lazy_gradient *g,
                                size_t channels, size_t c, float *tile) {
    const float *delta = g->delta + r->pixel * channels + c,
                *data = g->data ? g->data + r->pixel * channels + c : NULL;
    vec scale = vec_load(g->map.scale + c), shift = vec_load(g->map.shift + c), a = {0}, b = {0}, k = {0};
    if (g->a) a = vec_load(g->a + c), b = vec_load(g->b + c), k = vec_load(g->c + c);
    for (size_t x = 0; x < r->width; x++, tile += VECTOR_LANES) {
        vec d = vec_load_some(delta + x * channels, channels - c);
        if (data) {
            vec z = vec_load_some(data + x * channels, channels - c);
            d = activation_pass_back(kind, d, z * scale + shift);
            if (g->a) d = a * d + (b * z + k);
        }
        vec_store(tile, d);
    }
}

/* Fills `rows` rows of a tile from row first_y of the image. */
ALWAYS_INLINE void fill_mapped(activation_kind kind, const depthwise_forward_job *j, size_t rows,
                               ptrdiff_t first_y, size_t c, float *tile) {
    const dense_plan *p = j->plan;
    for (size_t i = 0; i < rows; i++, tile += p->in.width * VECTOR_LANES) {
        tile_row r =
            tile_row_at(&p->in, j->band.image, first_y + (ptrdiff_t)i, p->s.in_height, p->s.in_width);
        if (!r.inside) {
            zero_vectors(tile, p->in.width);
            continue;
        }
        zero_vectors(tile, r.left);
        map_row(kind, &r, &j->in, j->channels, c, tile + r.left * VECTOR_LANES);
        zero_vectors(tile + (r.left + r.width) * VECTOR_LANES, r.right);
    }
}

ALWAYS_INLINE void fill_gradient(activation_kind kind, const depthwise_backward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    float *tile = j->out_tile;
    for (size_t i = 0; i < p->out.height; i++, tile += p->out.width * VECTOR_LANES) {
        ptrdiff_t y = (ptrdiff_t)(j->band.first + i) + p->out.first_y;
        tile_row r = tile_row_at(&p->out, j->band.image, y, p->s.out_height, p->s.out_width);
        if (!r.inside) {
            zero_vectors(tile, p->out.width);
            continue;
        }
        zero_vectors(tile, r.left);
        gradient_row(kind, &r, &j->dy, j->channels, c, tile + r.left * VECTOR_LANES);
        zero_vectors(tile + (r.left + r.width) * VECTOR_LANES, r.right);
    }
}

/* ---- forward ---- */

/* Where the first kernel position of output (y, x) of the band stands in the input tile. */
static const float *corner(const dense_plan *p, const float *tile, size_t y, size_t x) {
    return tile + (y * p->s.stride_y * p->in.width + x * p->s.stride_x) * VECTOR_LANES;
}

/* Sum over kernel positions; `size` and `dilation` constant in the fast cases. */
ALWAYS_INLINE vec window_sum(size_t size, size_t dilation, size_t tile_width, const float *at,
                             const vec *weights) {
    vec sum = {0};
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < size; ky++)
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < size; kx++) sum +=
        vec_load(at + (ky * tile_width + kx) * dilation * VECTOR_LANES) * weights[ky * size + kx];
    return sum;
}

typedef struct running_moments {
    vec pivot, sum, square;
} running_moments;

/* The mean of a few outputs spread over the band. */
ALWAYS_INLINE vec sample_mean(const dense_plan *p, size_t rows, size_t size, size_t dilation,
                              const float *tile, const vec *weights) {
    size_t pixels = rows * p->s.out_width, samples = pixels < 8 ? pixels : 8;
    vec mean = {0};
    for (size_t i = 0; i < samples; i++) {
        size_t pixel = i * pixels / samples;
        mean += window_sum(size, dilation, p->in.width,
                           corner(p, tile, pixel / p->s.out_width, pixel % p->s.out_width), weights);
    }
    return mean / (float)samples;
}

ALWAYS_INLINE void forward_vector(const depthwise_forward_job *j, size_t size, size_t dilation, size_t c,
                                  const vec *weights) {
    const dense_plan *p = j->plan;
    size_t rows = j->band.last - j->band.first, left = j->channels - c;
    float *out =
        j->out + (j->band.image * p->s.out_height + j->band.first) * p->s.out_width * j->channels + c;
    running_moments m = {0};
    if (j->moments.pivot && j->fresh) {
        m.pivot = sample_mean(p, rows, size, dilation, j->tile, weights);
    } else if (j->moments.pivot) {
        m.pivot = vec_load(j->moments.pivot + c);
        m.sum = vec_load(j->moments.sum + c);
        m.square = vec_load(j->moments.square + c);
    }
    for (size_t y = 0; y < rows; y++) {
        const float *at = corner(p, j->tile, y, 0);
        for (size_t x = 0; x < p->s.out_width; x++, at += p->s.stride_x * VECTOR_LANES, out += j->channels) {
            vec sum = window_sum(size, dilation, p->in.width, at, weights), d = sum - m.pivot;
            vec_store_some(out, sum, left);
            m.sum += d;
            m.square += d * d;
        }
    }
    if (j->moments.pivot) {
        vec_store(j->moments.pivot + c, m.pivot);
        vec_store(j->moments.sum + c, m.sum);
        vec_store(j->moments.square + c, m.square);
    }
}

static void load_weights(const depthwise_forward_job *j, size_t c, vec *weights) {
    size_t padded = floats_padded(j->channels);
    for (size_t k = 0; k < j->plan->area; k++) weights[k] = vec_load(j->weights + k * padded + c);
}

ALWAYS_INLINE void map_out(activation_kind kind, const depthwise_forward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    size_t left = j->channels - c, pixels = (j->band.last - j->band.first) * p->s.out_width;
    float *out =
        j->out + (j->band.image * p->s.out_height + j->band.first) * p->s.out_width * j->channels + c;
    vec scale = vec_load(j->store->scale + c), shift = vec_load(j->store->shift + c);
    for (size_t i = 0; i < pixels; i++, out += j->channels)
        vec_store_some(out, activation_vec(kind, vec_load_some(out, left) * scale + shift), left);
}

static void forward(const depthwise_forward_job *j) {
    const dense_plan *p = j->plan;
    size_t rows = j->band.last - j->band.first,
           tile_rows = p->in.height - (p->band_rows - rows) * p->s.stride_y;
    ptrdiff_t first_y = (ptrdiff_t)(j->band.first * p->s.stride_y) + p->in.first_y;
    vec weights[DEPTHWISE_MOST_POSITIONS];
    for (size_t c = 0; c < j->channels; c += VECTOR_LANES) {
        WITH_KIND(j->in.map.activation, fill_mapped, j, tile_rows, first_y, c, j->tile);
        load_weights(j, c, weights);
        if (p->s.size == 3 && p->s.dilation == 1)
            forward_vector(j, 3, 1, c, weights);
        else
            forward_vector(j, p->s.size, p->s.dilation, c, weights);
        if (j->store) WITH_KIND(j->store->activation, map_out, j, c);
    }
}

/* ---- backward ---- */

/* Where dy of the band's first output stands in its tile. */
static const float *first_gradient(const depthwise_backward_job *j, size_t y) {
    const tile_geometry *g = &j->plan->out;
    return j->out_tile + ((y + (size_t)-g->first_y) * g->width + (size_t)-g->first_x) * VECTOR_LANES;
}

/* weight_part += sum over the band's outputs of dy times the input under each kernel position; 3 x 3, no
 * dilation */
static void weights_three(const depthwise_backward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    size_t padded = floats_padded(j->channels), rows = j->band.last - j->band.first;
    vec sum[9];
    float *part = j->weight_part + c;
    _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) sum[k] =
        j->add ? vec_load(part + k * padded) : (vec){0};
    for (size_t y = 0; y < rows; y++) {
        const float *d = first_gradient(j, y), *at = corner(p, j->in_tile, y, 0);
        for (size_t x = 0; x < p->s.out_width; x++, d += VECTOR_LANES, at += p->s.stride_x * VECTOR_LANES) {
            vec g = vec_load(d);
            _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) sum[k] +=
                g * vec_load(at + (k / 3 * p->in.width + k % 3) * VECTOR_LANES);
        }
    }
    _Pragma("GCC unroll 9") for (size_t k = 0; k < 9; k++) vec_store(part + k * padded, sum[k]);
}

/* Any kernel: one position at a time. */
static void weights_any(const depthwise_backward_job *j, size_t c) {
    const dense_plan *p = j->plan;
    size_t padded = floats_padded(j->channels), rows = j->band.last - j->band.first;
    for (size_t k = 0; k < p->area; k++) {
        float *part = j->weight_part + k * padded + c;
        vec sum = j->add ? vec_load(part) : (vec){0};
        size_t shift = (k / p->s.size * p->in.width + k % p->s.size) * p->s.dilation * VECTOR_LANES;
        for (size_t y = 0; y < rows; y++) {
            const float *d = first_gradient(j, y);
            for (size_t x = 0; x < p->s.out_width; x++)
                sum += vec_load(d + x * VECTOR_LANES) * vec_load(corner(p, j->in_tile, y, x) + shift);
        }
        vec_store(part, sum);
    }
}

/* in_delta of one class of pixels; `positions` constant in the fast cases */
ALWAYS_INLINE void delta_class(const depthwise_backward_job *j, const depthwise_class *k, size_t positions,
                               size_t c, const vec *weights) {
    const dense_plan *p = j->plan;
    const convolution_shape *s = &p->s;
    size_t left = j->channels - c, rows = 0;
    const float *at[9];
    _Pragma("GCC unroll 9") for (size_t i = 0; i < positions; i++) at[i] =
        j->out_tile + k->offset[i] * VECTOR_LANES;
    for (size_t y = j->band.in_first + k->y; y < j->band.in_last; y += s->stride_y, rows++) {
        float *to = j->in_delta + ((j->band.image * s->in_height + y) * s->in_width + k->x) * j->channels + c;
        size_t from = rows * p->out.width * VECTOR_LANES;
        for (size_t x = k->x; x < s->in_width;
             x += s->stride_x, from += VECTOR_LANES, to += s->stride_x * j->channels) {
            vec sum = j->accumulate ? vec_load_some(to, left) : (vec){0};
            _Pragma("GCC unroll 9") for (size_t i = 0; i < positions; i++) sum +=
                vec_load(at[i] + from) * weights[i];
            vec_store_some(to, sum, left);
        }
    }
}

/* The same for any number of positions: the first, then the others added one at a time. */
static void delta_any(const depthwise_backward_job *j, const depthwise_class *k, size_t c,
                      const vec *weights) {
    depthwise_backward_job more = *j;
    depthwise_class one = *k;
    if (k->positions == 0) delta_class(j, k, 0, c, weights);
    for (size_t i = 0; i < k->positions; i++, more.accumulate = true) {
        one.offset = k->offset + i;
        delta_class(&more, &one, 1, c, weights + i);
    }
}

static void delta_vector(const depthwise_backward_job *j, size_t c) {
    size_t padded = floats_padded(j->channels);
    vec weights[DEPTHWISE_MOST_POSITIONS];
    for (size_t i = 0; i < j->class_count; i++) {
        const depthwise_class *k = &j->classes[i];
        for (size_t n = 0; n < k->positions; n++)
            weights[n] = vec_load(j->weights + k->position[n] * padded + c);
        switch (k->positions) {
        case 1:
            delta_class(j, k, 1, c, weights);
            break;
        case 2:
            delta_class(j, k, 2, c, weights);
            break;
        case 4:
            delta_class(j, k, 4, c, weights);
            break;
        case 9:
            delta_class(j, k, 9, c, weights);
            break;
        default:
            delta_any(j, k, c, weights);
            break;
        }
    }
}

/* The sums of what now stands in in_delta, see gradient_sums. */
ALWAYS_INLINE void sum_delta(activation_kind kind, const depthwise_backward_job *j, size_t c) {
    const convolution_shape *s = &j->plan->s;
    size_t first = (j->band.image * s->in_height + j->band.in_first) * s->in_width, left = j->channels - c;
    size_t pixels = (j->band.in_last - j->band.in_first) * s->in_width;
    const float *delta = j->in_delta + first * j->channels + c, *data = j->in.data + first * j->channels + c;
    vec scale = vec_load(j->in.map.scale + c), shift = vec_load(j->in.map.shift + c),
        center = vec_load(j->center + c);
    vec sum = j->add ? vec_load(j->sum_dz + c) : (vec){0},
        sum_x = j->add ? vec_load(j->sum_dz_x + c) : (vec){0};
    for (size_t i = 0; i < pixels; i++, delta += j->channels, data += j->channels) {
        vec x = vec_load_some(data, left);
        vec d = activation_pass_back(kind, vec_load_some(delta, left), x * scale + shift);
        sum += d;
        sum_x += d * (x - center);
    }
    vec_store(j->sum_dz + c, sum);
    vec_store(j->sum_dz_x + c, sum_x);
}

static void backward(const depthwise_backward_job *j) {
    const dense_plan *p = j->plan;
    size_t rows = j->band.last - j->band.first,
           tile_rows = p->in.height - (p->band_rows - rows) * p->s.stride_y;
    ptrdiff_t first_y = (ptrdiff_t)(j->band.first * p->s.stride_y) + p->in.first_y;
    const depthwise_forward_job filler = {.plan = p, .channels = j->channels, .band = j->band, .in = j->in};
    for (size_t c = 0; c < j->channels; c += VECTOR_LANES) {
        WITH_KIND(j->dy.map.activation, fill_gradient, j, c);
        if (j->weight_part) {
            WITH_KIND(j->in.map.activation, fill_mapped, &filler, tile_rows, first_y, c, j->in_tile);
            if (p->s.size == 3 && p->s.dilation == 1)
                weights_three(j, c);
            else
                weights_any(j, c);
        }
        if (j->in_delta) delta_vector(j, c);
        if (j->in_delta && j->sum_dz) WITH_KIND(j->in.map.activation, sum_delta, j, c);
    }
}

const depthwise_kernels ISA_NAME(depthwise_kernels) = {.forward = forward, .backward = backward};
