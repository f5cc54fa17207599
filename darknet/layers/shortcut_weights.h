/* weights_type of [shortcut]: learned factors of the input and of each `from` layer, one a layer (per_layer,
 * per_feature) or one a channel (per_channel), as they are or normalised over the layers
 * (weights_normalization=relu|softmax): the fast normalised fusion of Tan, Pang, Le, "EfficientDet", 2020. */
#ifndef DARKNET_LAYERS_SHORTCUT_WEIGHTS_H
#define DARKNET_LAYERS_SHORTCUT_WEIGHTS_H

#include "layers/layer.h"

typedef enum fusion_norm { FUSION_PLAIN, FUSION_RELU, FUSION_SOFTMAX } fusion_norm;

typedef struct shortcut_weights {
    bool used;
    fusion_norm norm;
    size_t channels;        /* factors a layer: 1 or the layer's channels */
    int factors, gradients; /* buffers [layers][channels] */
} shortcut_weights;

/* Reads the keys; adds the parameter. The layer's inputs must be set. */
void shortcut_weights_parse(shortcut_weights *w, layer *l, const cfg_section *s, diagnostics *d);
void shortcut_weights_initialize(const shortcut_weights *w, layer *l);
void shortcut_weights_plan(shortcut_weights *w, layer *l, size_t batch);
/* sum = the weighted sum of the inputs (on the first channels where a `from` has other channels). */
void shortcut_weights_forward(const shortcut_weights *w, layer *l, float *sum, const pass *p);
/* l->delta is the gradient of the sum. */
void shortcut_weights_backward(const shortcut_weights *w, layer *l, const pass *p);

#endif
