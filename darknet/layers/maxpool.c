/* [maxpool]: the largest value of each window. */
#include <stdlib.h>

#include "layers/layer.h"
#include "layers/types.h"

typedef struct maxpool {
    pool_shape shape; /* its batch is set by each pass */
    int output, index;
} maxpool;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    diagnostics *d = context->diagnostics;
    maxpool *m = l->state = calloc(1, sizeof *m);
    if (!m) return;
    int stride = section_int(s, "stride", 1, 1, 1024, d);
    int size = section_int(s, "size", stride, 1, 1024, d);
    int padding = section_int(s, "padding", size - 1, 0, 1024, d);
    int height = (l->in.height + padding - size) / stride + 1,
        width = (l->in.width + padding - size) / stride + 1;
    if (l->in.height + padding < size || l->in.width + padding < size) {
        diagnostics_error(d, LAYER_AT "size: a window of %d does not fit the %dx%d input with padding %d",
                          section_path(s), section_key_line(s, "size"), size, l->in.width, l->in.height,
                          padding);
        height = width = 1;
    }
    l->out = (tensor_shape){height, width, l->in.channels};
    m->shape = (pool_shape){.batch = 1,
                            .in_height = (size_t)l->in.height,
                            .in_width = (size_t)l->in.width,
                            .channels = (size_t)l->in.channels,
                            .out_height = (size_t)height,
                            .out_width = (size_t)width,
                            .size = (size_t)size,
                            .stride = (size_t)stride,
                            .padding = (size_t)padding};
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    maxpool *m = l->state;
    size_t count = batch * tensor_size(l->out);
    m->output = layer_request(l, count * sizeof(float), training ? BUFFER_TRAINING : BUFFER_FORWARD);
    m->index = training ? layer_request(l, count * sizeof(uint32_t), BUFFER_TRAINING) : -1;
}

static void forward(layer *l, const pass *p) {
    maxpool *m = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    float *out = layer_buffer(l, m->output);
    m->shape.batch = p->batch;
    maxpool_forward(&m->shape, &in, out, p->training ? layer_buffer(l, m->index) : NULL, p->threads);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    maxpool *m = l->state;
    float *in_delta = layer_input_delta(l, 0);
    if (in_delta)
        maxpool_backward(&m->shape, l->delta, layer_buffer(l, m->index), in_delta, layer_adds_delta(l, 0),
                         p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const maxpool *m = l->state;
    info->size = (int)m->shape.size;
    info->stride = (int)m->shape.stride;
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
