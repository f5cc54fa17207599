/* Depthwise convolution of one image, vectors over channels: see depthwise.h. */
#include "kernels/depthwise.h"

#include "kernels/vector.h"

extern const depthwise_kernels ISA_NAME(depthwise_kernels);

static void forward(const convolution_shape *s, const float *image, const float *weights, float *out) {
    size_t channels = s->in_channels, row = (s->in_width + 2 * s->padding) * channels;
    for (size_t o = 0; o < s->out_height * s->out_width; o++) {
        const float *corner =
            image + o / s->out_width * s->stride_y * row + o % s->out_width * s->stride_x * channels;
        for (size_t c = 0; c < channels; c += VECTOR_LANES) {
            size_t left = channels - c, k = 0;
            vec sum = {0};
            for (size_t ky = 0; ky < s->size; ky++)
                for (size_t kx = 0; kx < s->size; kx++, k++)
                    sum += vec_load_some(corner + ky * s->dilation * row + kx * s->dilation * channels + c,
                                         left) *
                           vec_load_some(weights + k * channels + c, left);
            vec_store_some(out + o * channels + c, sum, left);
        }
    }
}

static void backward(const convolution_shape *s, const float *image, const float *weights, const float *dy,
                     float *image_delta, float *weight_delta) {
    size_t channels = s->in_channels, row = (s->in_width + 2 * s->padding) * channels;
    for (size_t o = 0; o < s->out_height * s->out_width; o++) {
        size_t corner = o / s->out_width * s->stride_y * row + o % s->out_width * s->stride_x * channels;
        for (size_t c = 0; c < channels; c += VECTOR_LANES) {
            size_t left = channels - c, k = 0;
            vec d = vec_load_some(dy + o * channels + c, left);
            for (size_t ky = 0; ky < s->size; ky++)
                for (size_t kx = 0; kx < s->size; kx++, k++) {
                    size_t cell = corner + ky * s->dilation * row + kx * s->dilation * channels + c;
                    float *w = weight_delta + k * channels + c;
                    if (image_delta)
                        vec_store_some(image_delta + cell,
                                       vec_load_some(image_delta + cell, left) +
                                           d * vec_load_some(weights + k * channels + c, left),
                                       left);
                    if (weight_delta)
                        vec_store_some(w, vec_load_some(w, left) + d * vec_load_some(image + cell, left),
                                       left);
                }
        }
    }
}

const depthwise_kernels ISA_NAME(depthwise_kernels) = {.forward = forward, .backward = backward};
