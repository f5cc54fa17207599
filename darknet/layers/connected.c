/* [connected]: every output from every input (inputs in C,H,W order), then batch normalisation or a bias,
 * then an activation (affine.h). */
#include <math.h>
#include <stdlib.h>

#include "core/random.h"
#include "layers/affine.h"
#include "layers/types.h"

typedef struct connected {
    affine affine; /* first: the helpers see it */
    int flat,
        flat_delta; /* buffers: input and its delta as rows of C,H,W values, where the input has pixels */
} connected;

static bool spatial(const layer *l) {
    return tensor_pixels(l->in) > 1;
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    connected *c = l->state = calloc(1, sizeof *c);
    if (!c) return;
    int output = section_int(s, "output", 1, 1, 1 << 24, context->diagnostics);
    l->out = (tensor_shape){1, 1, output};
    c->affine.shape = (convolution_shape){.batch = 1,
                                          .in_height = 1,
                                          .in_width = 1,
                                          .in_channels = tensor_size(l->in),
                                          .out_height = 1,
                                          .out_width = 1,
                                          .out_channels = (size_t)output,
                                          .size = 1,
                                          .stride_x = 1,
                                          .stride_y = 1,
                                          .dilation = 1,
                                          .groups = 1};
    affine_parse(&c->affine, l, s, context);
    layer_add_parameter(l, "biases", (size_t)output, true, false);
    parameter *weights = layer_add_parameter(l, "weights", affine_weight_count(&c->affine), true, true);
    weights->transpose_rows = tensor_size(l->in);
    channel_tail_add_parameters(&c->affine.tail, l);
}

static void initialize(layer *l, uint64_t seed) {
    connected *c = l->state;
    random_state r = random_seeded(seed, (uint64_t)l->index);
    float range = sqrtf(2.0f / (float)c->affine.shape.in_channels);
    float *weights = layer_values(l, "weights");
    for (size_t i = 0; i < affine_weight_count(&c->affine); i++)
        weights[i] = range * random_uniform(&r, -1.0f, 1.0f);
    channel_tail_initialize(&c->affine.tail, l);
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    connected *c = l->state;
    affine_plan(&c->affine, l, batch, training, threads);
    if (!spatial(l)) return;
    size_t bytes = batch * tensor_size(l->in) * sizeof(float);
    c->flat = layer_request(l, bytes, training ? BUFFER_TRAINING : BUFFER_FORWARD);
    if (training) c->flat_delta = layer_request(l, bytes, BUFFER_TRAINING);
    layer_want_workspace(l, bytes);
}

static lazy_tensor flattened(layer *l, const pass *p) {
    connected *c = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    if (!spatial(l)) return in;
    size_t pixels = tensor_pixels(l->in), channels = (size_t)l->in.channels;
    lazy_tensor_store(p->batch * pixels, channels, &in, p->workspace, p->threads);
    nhwc_to_nchw(p->batch, channels, pixels, p->workspace, layer_buffer(l, c->flat), p->threads);
    return (lazy_tensor){.data = layer_buffer(l, c->flat)};
}

static void forward(layer *l, const pass *p) {
    connected *c = l->state;
    lazy_tensor in = flattened(l, p);
    affine_forward(&c->affine, l, &in, c->affine.packed ? NULL : layer_weights_for_pass(l), p);
}

static size_t pack(layer *l, void *packed) {
    connected *c = l->state;
    return affine_pack(&c->affine, packed ? layer_weights_for_pass(l) : NULL, packed);
}

static void backward(layer *l, const pass *p) {
    connected *c = l->state;
    float *in_delta = layer_input_delta(l, 0);
    bool adds = layer_adds_delta(l, 0);
    if (!spatial(l)) {
        lazy_tensor in = layer_input(l, p, 0);
        const gradient_sums *sums = in_delta ? layer_input_sums(l, 0) : NULL;
        affine_backward(&c->affine, l, &in, l->delta, in_delta, adds, sums, p);
        return;
    }
    lazy_tensor in = {.data = layer_buffer(l, c->flat)};
    float *flat_delta = in_delta ? layer_buffer(l, c->flat_delta) : NULL;
    affine_backward(&c->affine, l, &in, l->delta, flat_delta, false, NULL, p);
    if (!in_delta) return;
    size_t pixels = tensor_pixels(l->in), channels = (size_t)l->in.channels;
    nchw_to_nhwc(p->batch, channels, pixels, flat_delta, p->workspace, p->threads);
    array_scale_add(p->batch * pixels * channels, 1.0f, p->workspace, in_delta, adds, p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const connected *c = l->state;
    affine_describe(&c->affine, info);
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_connected = {.name = "connected",
                                    .reads_lazy = true,
                                    .takes_numload = true,
                                    .parse = parse,
                                    .initialize = initialize,
                                    .plan = plan,
                                    .forward = forward,
                                    .pack = pack,
                                    .backward = backward,
                                    .describe = describe,
                                    .destroy = destroy};
