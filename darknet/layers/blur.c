/* The blur behind a layer: see blur.h. */
#include "layers/blur.h"

int blur_parse(const cfg_section *s, diagnostics *d) {
    return section_int(s, "antialiasing", 0, 0, 2, d);
}

tensor_shape blur_set_up(blur *b, int kind, tensor_shape in, int stride_y, int stride_x, const layer *l,
                         const cfg_section *s, diagnostics *d) {
    int size = kind == 2 ? 2 : 3, padding = kind == 2 ? 0 : 1;
    tensor_shape out = {1, 1, in.channels};
    b->used = true;
    if ((size_t)in.height * (size_t)in.width > LAYER_MOST_VALUES / (size_t)in.channels) {
        diagnostics_error(
            d, LAYER_AT "antialiasing: the %dx%dx%d before the blur are too large: at most %zu values",
            section_path(s), section_key_line(s, "antialiasing"), in.width, in.height, in.channels,
            LAYER_MOST_VALUES);
        return out;
    }
    if (in.height + 2 * padding < size || in.width + 2 * padding < size)
        layer_window_error(l, s, size, padding, d);
    else
        out = (tensor_shape){(in.height + 2 * padding - size) / stride_y + 1,
                             (in.width + 2 * padding - size) / stride_x + 1, in.channels};
    b->shape = (convolution_shape){.batch = 1,
                                   .in_height = (size_t)in.height,
                                   .in_width = (size_t)in.width,
                                   .in_channels = (size_t)in.channels,
                                   .out_height = (size_t)out.height,
                                   .out_width = (size_t)out.width,
                                   .out_channels = (size_t)in.channels,
                                   .size = (size_t)size,
                                   .stride_y = (size_t)stride_y,
                                   .stride_x = (size_t)stride_x,
                                   .padding = (size_t)padding,
                                   .dilation = 1,
                                   .groups = (size_t)in.channels};
    return out;
}

void blur_plan(blur *b, layer *l, size_t batch, bool training, int threads) {
    if (!b->used) return;
    b->shape.batch = batch;
    b->ready = false;
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    size_t pixels = b->shape.in_height * b->shape.in_width, channels = b->shape.in_channels;
    b->weights = layer_request(l, channels * b->shape.size * b->shape.size * sizeof(float), BUFFER_PERMANENT);
    b->output = layer_request(l, batch * tensor_size(l->out) * sizeof(float), life);
    layer_want_workspace(l, convolution_forward_workspace_bytes(&b->shape, threads));
    if (!training) return;
    b->delta = layer_request(l, batch * pixels * channels * sizeof(float), life);
    layer_want_workspace(l, convolution_backward_workspace_bytes(&b->shape, threads));
}

/* The rows of Pascal's triangle, times each other, over their sum. */
static const float *weights_of(blur *b, const layer *l) {
    static const float three[] = {.25f, .5f, .25f}, two[] = {.5f, .5f};
    float *weights = layer_buffer(l, b->weights);
    size_t size = b->shape.size;
    const float *side = size == 3 ? three : two;
    for (size_t c = 0; !b->ready && c < b->shape.in_channels; c++)
        for (size_t i = 0; i < size * size; i++)
            weights[c * size * size + i] = side[i / size] * side[i % size];
    b->ready = true;
    return weights;
}

void blur_forward(blur *b, layer *l, const lazy_tensor *in, const pass *p) {
    float *out = layer_buffer(l, b->output);
    b->shape.batch = p->batch;
    convolution_forward(&b->shape, in, weights_of(b, l), out, NULL, NULL, p->workspace, p->threads);
    l->output = (lazy_tensor){.data = out};
}

float *blur_backward(blur *b, layer *l, const lazy_tensor *in, const pass *p) {
    float *delta = layer_buffer(l, b->delta);
    lazy_gradient g = {.delta = l->delta, .data = layer_buffer(l, b->output)};
    convolution_backward(&b->shape, in, &g, weights_of(b, l), delta, false, NULL, p->workspace, p->threads);
    return delta;
}
