/* The form of each node's output: which integers it has and what they stand for. */
#ifndef HDLOSS_INTEGER_FORM_H
#define HDLOSS_INTEGER_FORM_H

#include "integer.h"

/* How a node's activation is done on integers. */
typedef enum hd_activation_form {
    HD_FORM_SIGNED,   /* linear: symmetric, by saturation alone */
    HD_FORM_UNSIGNED, /* relu, relu6: by saturation alone */
    HD_FORM_TABLE
} hd_activation_form;

hd_activation_form hd_form_of(const hd_node *node);

/* Whether the node's output is its input's integers, scale and all. A route does so when all that it reads
 * has one scale and one signedness, which the arrays tell ([0] the input, [1 + i] node i). */
bool hd_form_inherits(const hd_node *node, const bool *is_signed, const float *scales);

/* Whether the node's output is signed; is_signed as above for the nodes before it. */
bool hd_form_is_signed(const hd_node *node, const bool *is_signed);

/* Checks the graph: inputs lie before their node and agree with its shape, sizes are positive, node types are
 * known. The sentence names the layer. */
bool hd_form_check_graph(const hd_network *network, hd_error *error);

#endif
