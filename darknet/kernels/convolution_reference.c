/* The naive convolutions of reference.h as a form of their own: with DARKNET_KERNELS=reference in the
 * environment every convolution of a run takes it. For comparing whole runs, not for use: it is some hundred
 * times slower. */
#include "kernels/convolution.h"
#include "kernels/reference.h"

#include <stdlib.h>
#include <string.h>

static bool fits(const convolution_shape *s) {
    (void)s;
    const char *wanted = getenv("DARKNET_KERNELS");
    return wanted && strcmp(wanted, "reference") == 0;
}

static size_t workspace_bytes(const convolution_shape *s, int threads) {
    (void)s;
    (void)threads;
    return 0;
}

static size_t packed_bytes(const convolution_shape *s, isa_level level) {
    (void)level;
    return weight_count(s) * sizeof(float);
}

static void pack(const convolution_shape *s, const float *weights, void *packed, isa_level level) {
    memcpy(packed, weights, packed_bytes(s, level));
}

static void forward(const forward_call *call) {
    reference_convolution_forward(call->shape, call->in, call->packed ? call->packed : call->weights,
                                  call->out, call->store, call->moments);
}

static void backward(const backward_call *call) {
    const convolution_shape *s = call->shape;
    reference_convolution_backward(s, call->in, call->dy, call->weights, call->in_delta, call->accumulate,
                                   call->weight_delta);
    if (!call->sums) return;
    const lazy_gradient reader = {.delta = call->in_delta, .data = call->in->data, .map = call->in->map};
    reference_lazy_gradient_reduce(s->batch * input_pixels(s), s->in_channels, &reader, call->sums->center,
                                   call->sums->sum_dz, call->sums->sum_dz_x);
}

const convolution_form convolution_reference = {.fits = fits,
                                                .forward_bytes = workspace_bytes,
                                                .backward_bytes = workspace_bytes,
                                                .packed_bytes = packed_bytes,
                                                .pack = pack,
                                                .forward = forward,
                                                .backward = backward};
