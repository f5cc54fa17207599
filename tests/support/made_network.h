/* Networks made up layer by layer, with random parameters, words and activation scales, for tests and timings
 * of what works on an hd_network; and the integer network's definition in its slowest form. */
#ifndef SUPPORT_MADE_NETWORK_H
#define SUPPORT_MADE_NETWORK_H

#include "integer.h"

enum { MADE_MOST_NODES = 128 };

typedef struct made_network {
    hd_network network; /* its nodes' arrays are owned */
    hd_node nodes[MADE_MOST_NODES];
    hd_integer_weights weights[MADE_MOST_NODES];
    float input_scale, output_scales[MADE_MOST_NODES], pre_activation_scales[MADE_MOST_NODES];
    int activation_bits;
    uint64_t state; /* of the random numbers */
} made_network;

/* An empty network with an input; the caller frees it with made_free. */
made_network *made_new(uint64_t seed, int height, int width, int channels, int activation_bits);
void made_free(made_network *made);

uint64_t made_below(made_network *made, uint64_t n);
float made_uniform(made_network *made, float low, float high);

/* What a layer computes after its sums. */
typedef struct made_activation {
    hd_activation kind;
    float (*function)(float z); /* HD_ACTIVATION_OTHER */
} made_activation;

/* Each appends a node that reads `from` (-1: the input) and returns its number. Shapes follow; sizes must
 * fit. */
typedef struct made_convolution {
    int from, filters, size, stride, padding, dilation, groups; /* dilation and groups 0: 1 */
    bool batch_normalize;
    made_activation activation;
} made_convolution;
int made_add_convolution(made_network *made, made_convolution c);
int made_add_connected(made_network *made, int from, int outputs, bool batch_normalize,
                       made_activation activation);
int made_add_maxpool(made_network *made, int from, int size, int stride, int padding);
int made_add_average_pool(made_network *made, int from);
int made_add_shortcut(made_network *made, int a, int b, float alpha, float beta, made_activation activation);
int made_add_route(made_network *made, const int *from, int count);
int made_add_batchnorm(made_network *made, int from, made_activation activation);
int made_add_activation(made_network *made, int from, made_activation activation);
int made_add_identity(made_network *made, int from);
int made_add_softmax(made_network *made, int from);

/* The scales as the interface wants them (freed by the caller), and the network folded and packed. */
float *made_scales(const made_network *made);
hd_integer_model *made_model(const made_network *made, hd_error *error);

/* A MobileNetV2 of the CIFAR kind (stem of stride 1), for height x width RGB images. */
made_network *made_mobilenet_v2(uint64_t seed, int height, int width, int classes);

/* One image through the integer network as docs/integer-network.md defines it, by plain loops on the floats'
 * side of the fold. activations[1 + node_count]: arrays of [height][width][channels] integers, [0] the
 * quantised input, that the caller frees one by one; raw_logits: [classes] in C,H,W order, and their scale.
 */
void made_reference(const made_network *made, const float *image, int **activations, int32_t *raw_logits,
                    float *logits_scale);

/* Elements of node's output; -1: of the input. */
size_t made_elements(const made_network *made, int node);

#endif
