/* The end of a layer that activates values of its own making: the values before the activation are kept,
 * readers apply it where they can, and the backward pass turns the layer's delta into the gradient before the
 * activation. */
#ifndef DARKNET_LAYERS_ACTIVATED_H
#define DARKNET_LAYERS_ACTIVATED_H

#include "layers/layer.h"

typedef struct activated {
    activation_kind kind;
    int raw, stored; /* buffers; one and the same where no second is needed */
} activated;

/* Reads the key; `fallback` when it is absent. */
void activated_parse(activated *a, layer *l, const cfg_section *s, const char *fallback, diagnostics *d);
void activated_plan(activated *a, layer *l, size_t batch, bool training);
/* [batch][out]: where the layer's forward pass puts its values. */
static inline float *activated_raw(const activated *a, const layer *l) {
    return layer_buffer(l, a->raw);
}
/* Behind that: sets l->output. */
void activated_forward(const activated *a, layer *l, const pass *p);
/* l->delta becomes the gradient before the activation. */
void activated_backward(const activated *a, layer *l, const pass *p);
void activated_describe(const activated *a, darknet_layer_info *info);

#endif
