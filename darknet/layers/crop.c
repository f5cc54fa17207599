/* [crop]: a window of the image, mapped to 2x - 1 unless noadjust: at random in training (an own draw for
 * every image), the centre in inference. In training also mirrored by chance (flip), turned (angle), and with
 * its colours changed (saturation, exposure, shift): the draws are functions of (seed, layer, image seen). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "data/transform.h"
#include "layers/layer.h"
#include "layers/types.h"

typedef struct crop {
    bool flip;
    float angle; /* degrees, either way */
    float saturation, exposure, shift;
    float scale, offset; /* of the values */
} crop;

/* What one image's pass uses. */
typedef struct draw {
    int top, left;
    bool mirrored;
    float sine, cosine;
    float saturation, exposure, shift[3];
} draw;

static bool changes_colors(const crop *state) {
    return state->saturation != 1.0f || state->exposure != 1.0f || state->shift != 0.0f;
}

static void check(const layer *l, const cfg_section *s, diagnostics *d) {
    const crop *state = l->state;
    if (l->out.height > l->in.height || l->out.width > l->in.width)
        layer_shape_error(l, s, "crop_height", d, "a crop of %dx%d does not fit the %dx%d input",
                          l->out.width, l->out.height, l->in.width, l->in.height);
    if (changes_colors(state) && (l->inputs[0] >= 0 || l->in.channels != 3))
        diagnostics_error(
            d,
            LAYER_AT
            "saturation, exposure, shift: they change colours: only of the network's input, with 3 channels",
            section_path(s), section_line(s));
}

static float ratio_of(const cfg_section *s, const char *key, diagnostics *d) {
    float ratio = (float)section_number(s, key, 1.0, 0.0, 100.0, d);
    return ratio > 0.0f ? ratio : 1.0f;
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    crop *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    l->out = (tensor_shape){section_int(s, "crop_height", 1, 1, LAYER_MOST_LENGTH, d),
                            section_int(s, "crop_width", 1, 1, LAYER_MOST_LENGTH, d), l->in.channels};
    state->flip = section_flag(s, "flip", false, d);
    state->angle = (float)section_number(s, "angle", 0.0, 0.0, 360.0, d);
    state->saturation = ratio_of(s, "saturation", d);
    state->exposure = ratio_of(s, "exposure", d);
    state->shift = (float)section_number(s, "shift", 0.0, 0.0, 10.0, d);
    bool adjusts = !section_flag(s, "noadjust", false, d);
    state->scale = adjusts ? 2.0f : 1.0f;
    state->offset = adjusts ? -1.0f : 0.0f;
    check(l, s, d);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
    layer_want_workspace(l, batch * tensor_size(l->in) * sizeof(float));
}

/* A ratio in [1, s], or as likely its inverse. */
static float draw_ratio(random_state *r, float s) {
    float ratio = random_uniform(r, 1.0f, s);
    return random_next(r) >> 63 ? 1.0f / ratio : ratio;
}

static draw draw_for(const layer *l, const pass *p, size_t n) {
    const crop *state = l->state;
    int room_y = l->in.height - l->out.height, room_x = l->in.width - l->out.width;
    draw w = {.top = room_y / 2, .left = room_x / 2, .cosine = 1.0f, .saturation = 1.0f, .exposure = 1.0f};
    if (!p->training) return w;
    random_state r = random_seeded(random_hash(p->seed, (uint64_t)l->index, 0x63726f70), p->first_image + n);
    w.top = (int)random_below(&r, (uint64_t)room_y + 1);
    w.left = (int)random_below(&r, (uint64_t)room_x + 1);
    w.mirrored = random_next(&r) >> 63 && state->flip;
    float radians = random_uniform(&r, -state->angle, state->angle) * 0.0174532925f;
    w.sine = sinf(radians);
    w.cosine = cosf(radians);
    w.saturation = draw_ratio(&r, state->saturation);
    w.exposure = draw_ratio(&r, state->exposure);
    for (int c = 0; c < 3; c++) w.shift[c] = random_uniform(&r, -.5f, .5f) * state->shift;
    return w;
}

/* Four pixels of the input and their shares in an output pixel. */
typedef struct blend {
    size_t pixel[4];
    float share[4];
} blend;

static int clamped(int value, int length) {
    return value < 0 ? 0 : value >= length ? length - 1 : value;
}

static blend blend_at(const layer *l, const draw *w, int y, int x) {
    int row = y + w->top, column = w->mirrored ? l->in.width - w->left - x - 1 : x + w->left;
    if (w->sine == 0.0f)
        return (blend){.pixel = {(size_t)row * (size_t)l->in.width + (size_t)column}, .share = {1.0f}};
    float cx = (float)l->in.width / 2.0f, cy = (float)l->in.height / 2.0f;
    float dx = (float)column - cx, dy = (float)row - cy;
    float sx = w->cosine * dx - w->sine * dy + cx, sy = w->sine * dx + w->cosine * dy + cy;
    float fx = sx - floorf(sx), fy = sy - floorf(sy);
    blend b;
    for (int i = 0; i < 4; i++) {
        int px = clamped((int)floorf(sx) + i % 2, l->in.width),
            py = clamped((int)floorf(sy) + i / 2, l->in.height);
        b.pixel[i] = (size_t)py * (size_t)l->in.width + (size_t)px;
        b.share[i] = (i % 2 ? fx : 1.0f - fx) * (i / 2 ? fy : 1.0f - fy);
    }
    return b;
}

static void forward_image(const layer *l, const draw *w, const float *in, float *out) {
    const crop *state = l->state;
    size_t channels = (size_t)l->in.channels;
    for (int y = 0; y < l->out.height; y++)
        for (int x = 0; x < l->out.width; x++, out += channels) {
            blend b = blend_at(l, w, y, x);
            for (size_t c = 0; c < channels; c++) {
                float value = in[b.pixel[0] * channels + c] * b.share[0];
                for (int i = 1; i < 4 && w->sine != 0.0f; i++)
                    value += in[b.pixel[i] * channels + c] * b.share[i];
                out[c] = value * state->scale + state->offset + (c < 3 ? w->shift[c] : 0.0f);
            }
        }
}

static void forward(layer *l, const pass *p) {
    const crop *state = l->state;
    const float *in = layer_input(l, p, 0).data;
    float *out = layer_buffer(l, 0);
    size_t inputs = tensor_size(l->in);
    bool colors = p->training && changes_colors(state);
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++) {
        draw w = draw_for(l, p, n);
        const float *image = in + n * inputs;
        if (colors) {
            float *changed = (float *)p->workspace + n * inputs;
            memcpy(changed, image, inputs * sizeof(float));
            transform_color(changed, tensor_pixels(l->in), l->in.channels, 0.0f, w.saturation, w.exposure);
            image = changed;
        }
        forward_image(l, &w, image, out + n * tensor_size(l->out));
    }
    l->output = (lazy_tensor){.data = out};
}

static void backward_image(const layer *l, const draw *w, const float *delta, float *in_delta) {
    const crop *state = l->state;
    size_t channels = (size_t)l->in.channels;
    for (int y = 0; y < l->out.height; y++)
        for (int x = 0; x < l->out.width; x++, delta += channels) {
            blend b = blend_at(l, w, y, x);
            for (int i = 0; i < 4; i++)
                for (size_t c = 0; c < channels && b.share[i] != 0.0f; c++)
                    in_delta[b.pixel[i] * channels + c] += state->scale * b.share[i] * delta[c];
        }
}

static void backward(layer *l, const pass *p) {
    float *in_delta = layer_input_delta(l, 0);
    size_t inputs = tensor_size(l->in);
    if (!in_delta) return;
    if (!layer_adds_delta(l, 0)) memset(in_delta, 0, p->batch * inputs * sizeof(float));
#pragma omp parallel for num_threads(p->threads) schedule(dynamic, 1)
    for (size_t n = 0; n < p->batch; n++) {
        draw w = draw_for(l, p, n);
        backward_image(l, &w, l->delta + n * tensor_size(l->out), in_delta + n * inputs);
    }
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_crop = {.name = "crop",
                               .parse = parse,
                               .plan = plan,
                               .forward = forward,
                               .backward = backward,
                               .destroy = destroy};
