/* [maxpool]: the largest value of each window; with maxpool_depth of groups of channels (depth_maxpool.h);
 * with antialiasing at stride 1 and a blur behind it (blur.h). */
#include <stdlib.h>

#include "layers/blur.h"
#include "layers/depth_maxpool.h"
#include "layers/layer.h"
#include "layers/types.h"

typedef struct maxpool {
    pool_shape shape; /* of the windows; its batch is set by each pass */
    bool depth;
    blur blur;
    int output, index;
} maxpool;

/* The output of the windows. */
static tensor_shape pooled(const maxpool *m) {
    return (tensor_shape){(int)m->shape.out_height, (int)m->shape.out_width, (int)m->shape.channels};
}

static void set_shape(layer *l, maxpool *m, int size, int stride, int padding, const cfg_section *s,
                      diagnostics *d) {
    int room_y = l->in.height + padding - size, room_x = l->in.width + padding - size;
    if (room_y < 0 || room_x < 0) layer_window_error(l, s, size, padding, d);
    m->shape = (pool_shape){.batch = 1,
                            .in_height = (size_t)l->in.height,
                            .in_width = (size_t)l->in.width,
                            .channels = (size_t)l->in.channels,
                            .out_height = room_y < 0 ? 1 : (size_t)(room_y / stride + 1),
                            .out_width = room_x < 0 ? 1 : (size_t)(room_x / stride + 1),
                            .size = (size_t)size,
                            .stride = (size_t)stride,
                            .padding = (size_t)padding};
}

static int read_stride(const cfg_section *s, diagnostics *d) {
    int stride = section_int(s, "stride", 1, 1, 1024, d);
    int x = section_int(s, "stride_x", stride, 1, 1024, d),
        y = section_int(s, "stride_y", stride, 1, 1024, d);
    if (x != y)
        diagnostics_error(
            d, LAYER_AT "stride_x, stride_y: %d and %d; [maxpool] wants the same in both directions",
            section_path(s), section_line(s), x, y);
    return x;
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    maxpool *m = l->state = calloc(1, sizeof *m);
    if (!m) return;
    m->depth = section_flag(s, "maxpool_depth", false, d);
    int channels = section_int(s, "out_channels", 1, 1, LAYER_MOST_LENGTH, d), stride = read_stride(s, d);
    int size = section_int(s, "size", stride, 1, 1024, d),
        padding = section_int(s, "padding", size - 1, 0, 1024, d);
    int kind = blur_parse(s, d);
    if (m->depth) {
        l->out = (tensor_shape){l->in.height, l->in.width, channels};
        if (channels > l->in.channels)
            layer_shape_error(l, s, "out_channels", d, "%d are more than the %d of the input", channels,
                              l->in.channels);
        return;
    }
    set_shape(l, m, size, kind ? 1 : stride, padding, s, d);
    l->out = kind ? blur_set_up(&m->blur, kind, pooled(m), stride, stride, l, s, d) : pooled(m);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    maxpool *m = l->state;
    size_t count = batch * (m->blur.used ? tensor_size(pooled(m)) : tensor_size(l->out));
    m->output = layer_request(l, count * sizeof(float), training ? BUFFER_TRAINING : BUFFER_FORWARD);
    m->index = training ? layer_request(l, count * sizeof(uint32_t), BUFFER_TRAINING) : -1;
    blur_plan(&m->blur, l, batch, training, threads);
    if (m->depth) layer_want_workspace(l, batch * tensor_size(l->in) * sizeof(float));
}

static void forward_depth(layer *l, const pass *p, float *out, uint32_t *index) {
    lazy_tensor in = layer_input(l, p, 0);
    size_t pixels = p->batch * tensor_pixels(l->in), channels = (size_t)l->in.channels;
    lazy_tensor_store(pixels, channels, &in, p->workspace, p->threads);
    depth_maxpool_forward(pixels, channels, (size_t)l->out.channels, p->workspace, out, index, p->threads);
}

static void forward(layer *l, const pass *p) {
    maxpool *m = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    float *out = layer_buffer(l, m->output);
    uint32_t *index = p->training ? layer_buffer(l, m->index) : NULL;
    m->shape.batch = p->batch;
    if (m->depth)
        forward_depth(l, p, out, index);
    else
        maxpool_forward(&m->shape, &in, out, index, p->threads);
    l->output = (lazy_tensor){.data = out};
    lazy_tensor windows = l->output;
    if (m->blur.used) blur_forward(&m->blur, l, &windows, p);
}

static void backward(layer *l, const pass *p) {
    maxpool *m = l->state;
    float *in_delta = layer_input_delta(l, 0);
    const float *delta = l->delta;
    const uint32_t *index = layer_buffer(l, m->index);
    lazy_tensor windows = {.data = layer_buffer(l, m->output)};
    bool adds = layer_adds_delta(l, 0);
    if (!in_delta) return;
    if (m->blur.used) delta = blur_backward(&m->blur, l, &windows, p);
    if (m->depth)
        depth_maxpool_backward(p->batch * tensor_pixels(l->in), (size_t)l->in.channels,
                               (size_t)l->out.channels, delta, index, in_delta, adds, p->threads);
    else
        maxpool_backward(&m->shape, delta, index, in_delta, adds, p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const maxpool *m = l->state;
    info->size = (int)m->shape.size;
    info->stride = m->blur.used ? (int)m->blur.shape.stride_x : (int)m->shape.stride;
    info->padding = (int)m->shape.padding;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_maxpool = {.name = "maxpool",
                                  .reads_lazy = true,
                                  .parse = parse,
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward,
                                  .describe = describe,
                                  .destroy = destroy};
