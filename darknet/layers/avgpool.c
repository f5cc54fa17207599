/* [avgpool]: the mean of each channel over the whole image. */
#include "layers/layer.h"
#include "layers/types.h"

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    (void)s;
    (void)context;
    l->out = (tensor_shape){1, 1, l->in.channels};
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
}

static void forward(layer *l, const pass *p) {
    lazy_tensor in = layer_input(l, p, 0);
    float *out = layer_buffer(l, 0);
    average_pool_forward(p->batch, tensor_pixels(l->in), (size_t)l->in.channels, &in, out, p->threads);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    float *in_delta = layer_input_delta(l, 0);
    if (in_delta)
        average_pool_backward(p->batch, tensor_pixels(l->in), (size_t)l->in.channels, l->delta, in_delta,
                              layer_adds_delta(l, 0), p->threads);
}

const layer_type layer_avgpool = {.name = "avgpool",
                                  .reads_lazy = true,
                                  .parse = parse,
                                  .plan = plan,
                                  .forward = forward,
                                  .backward = backward};
