/* antialiasing=1 or 2: a layer works at stride 1 and a fixed binomial filter, 3x3 or 2x2, makes the stride
 * behind it (Zhang, "Making convolutional networks shift-invariant again", 2019). */
#ifndef DARKNET_LAYERS_BLUR_H
#define DARKNET_LAYERS_BLUR_H

#include "layers/layer.h"

typedef struct blur {
    bool used;
    convolution_shape shape;    /* depthwise; its batch is set by each pass */
    int weights, output, delta; /* buffers */
    bool ready;                 /* the weights are filled */
} blur;

/* Reads the key. */
int blur_parse(const cfg_section *s, diagnostics *d);
/* kind: the key's value, not 0. in: the output of the layer before its blur. Returns the blurred shape; what
 * does not fit is a diagnostic. */
tensor_shape blur_set_up(blur *b, int kind, tensor_shape in, int stride_y, int stride_x, const layer *l,
                         const cfg_section *s, diagnostics *d);
void blur_plan(blur *b, layer *l, size_t batch, bool training, int threads);
/* Sets l->output. */
void blur_forward(blur *b, layer *l, const lazy_tensor *in, const pass *p);
/* The gradient of the blur's input, from l->delta: [batch][in]. */
float *blur_backward(blur *b, layer *l, const lazy_tensor *in, const pass *p);

#endif
