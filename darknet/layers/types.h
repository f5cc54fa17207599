/* The layer types, one file each. A new one: its file, its name here, its line in layers.c. */
#ifndef DARKNET_LAYERS_TYPES_H
#define DARKNET_LAYERS_TYPES_H

#include "layers/layer.h"

extern const layer_type layer_convolutional;
extern const layer_type layer_deconvolutional;
extern const layer_type layer_connected;
extern const layer_type layer_local;
extern const layer_type layer_maxpool;
extern const layer_type layer_avgpool;
extern const layer_type layer_local_avgpool;
extern const layer_type layer_dropout;
extern const layer_type layer_shortcut;
extern const layer_type layer_route;
extern const layer_type layer_upsample;
extern const layer_type layer_reorg;
extern const layer_type layer_crop;
extern const layer_type layer_scale_channels;
extern const layer_type layer_sam;
extern const layer_type layer_batchnorm;
extern const layer_type layer_response_normalization;
extern const layer_type layer_l2norm;
extern const layer_type layer_activation;
extern const layer_type layer_logistic;
extern const layer_type layer_softmax;
extern const layer_type layer_cost;
extern const layer_type layer_external; /* types registered from outside, darknet_layer_type */

#endif
