/* The bridge to layer types registered from outside. */
#ifndef DARKNET_LAYERS_EXTERNAL_H
#define DARKNET_LAYERS_EXTERNAL_H

#include "layers/layer.h"
#include "layers/types.h"

bool external_is_registered(const network *net, const char *name);
/* The record and state of an external layer; NULL when l is none. */
const darknet_layer_type *external_type(const layer *l, void **state);

#endif
