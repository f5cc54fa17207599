/* binary=1 and xnor=1: a convolution whose weights count as sign(w) times the mean of |w| over their filter,
 * and with xnor an input that counts as its sign (Rastegari and others, XNOR-Net, 2016). Gradients pass
 * straight through the signs; those of the input only where it lies in (-1, 1). */
#ifndef DARKNET_LAYERS_BINARY_H
#define DARKNET_LAYERS_BINARY_H

#include "layers/layer.h"

typedef struct binary {
    bool weights_used, input_used;
    size_t filters, weights_per_filter;
    int weights, input, signs,
        delta; /* buffers: of weights; of the input, its signs, the gradient of the signs */
} binary;

void binary_parse(binary *b, size_t filters, size_t weights_per_filter, const cfg_section *s, diagnostics *d);
void binary_plan(binary *b, layer *l, size_t batch, bool training);
/* What stands for the weights and for the input in this pass: the arguments themselves when not binary. */
const float *binary_weights(const binary *b, const layer *l, const float *weights);
lazy_tensor binary_input(const binary *b, const layer *l, lazy_tensor in, const pass *p);
/* The signs as binary_input made them. */
lazy_tensor binary_signs(const binary *b, const layer *l, lazy_tensor in);
/* From the gradient of the signs, in layer_buffer(l, b->delta), to that of the input. */
void binary_backward(const binary *b, const layer *l, float *in_delta, bool adds, const pass *p);

#endif
