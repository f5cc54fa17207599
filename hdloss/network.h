/* A trained network described in plain arrays: what the integer network, the folding of reorderings and the
 * export work on. The description borrows every array; whoever made it keeps them alive. Part of the public
 * interface. */
#ifndef HDLOSS_NETWORK_H
#define HDLOSS_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hd_node_type {
    HD_NODE_CONVOLUTION, /* weights[filters][in_channels / groups][size][size] */
    HD_NODE_CONNECTED,   /* weights[outputs][inputs], inputs in C,H,W order; out_height = out_width = 1 */
    HD_NODE_MAXPOOL,
    HD_NODE_AVERAGE_POOL, /* global */
    HD_NODE_SHORTCUT,     /* activation(alpha * inputs[0] + beta * inputs[1]), equal shapes */
    HD_NODE_ROUTE,        /* concatenates channels of its inputs */
    HD_NODE_BATCHNORM,    /* stand-alone: scales, biases, rolling statistics */
    HD_NODE_ACTIVATION,
    HD_NODE_IDENTITY, /* dropout, cost and others that pass their input through in inference */
    HD_NODE_SOFTMAX,
    HD_NODE_UNSUPPORTED /* named in the error that whoever needs it gives */
} hd_node_type;

typedef enum hd_activation {
    HD_ACTIVATION_LINEAR,
    HD_ACTIVATION_RELU,
    HD_ACTIVATION_RELU6,
    HD_ACTIVATION_LEAKY, /* 0.1 x below 0 */
    HD_ACTIVATION_OTHER  /* through hd_node.activation_function */
} hd_activation;

typedef struct hd_node {
    int index;             /* the layer's index as in the cfg */
    const char *type_name; /* as in the cfg, e.g. "convolutional" */
    hd_node_type type;
    const int *inputs; /* node numbers (positions in hd_network.nodes), -1: the network's input */
    int input_count;
    int in_height, in_width, in_channels; /* of inputs[0] */
    int out_height, out_width, out_channels;
    int size, stride, padding, dilation, groups; /* maxpool: the first window starts at -floor(padding / 2) */
    float alpha, beta;                           /* shortcut */
    hd_activation activation;
    float (*activation_function)(float z); /* HD_ACTIVATION_OTHER only */

    /* Parameters, mutable for folding. y = scales * (x - mean) / (sqrt(variance + epsilon_inside) +
     * epsilon_outside) + biases. */
    float *weights;
    float *biases; /* [out_channels] */
    bool batch_normalize;
    float *scales, *rolling_mean, *rolling_variance; /* [out_channels], NULL without batch_normalize */
    float epsilon_inside, epsilon_outside;
    int weight_bits; /* 2..8 */
} hd_node;

typedef struct hd_network {
    const char *name;
    int height, width, channels; /* of the input image */
    hd_node *nodes;              /* in the order of the cfg; node i reads only nodes before it */
    int node_count;
    int classes;
} hd_network;

#endif
