/* Accelerators and layer shapes: defaults and the checks that every stream plan relies on. */
#include <string.h>

#include "hdloss.h"

hd_accelerator hd_accelerator_default(void) {
    return (hd_accelerator){.name = "is16x16",
                            .rows = 16,
                            .cols = 16,
                            .dataflow = HD_INPUT_STATIONARY,
                            .weight_bits = 8,
                            .activation_bits = 8,
                            .representation = HD_TWOS_COMPLEMENT,
                            .encoding = HD_ENCODING_NONE,
                            .kernel_orders = HD_KERNEL_ORDERS_EACH};
}

static bool check_range(const char *name, const char *what, int value, int least, int most, hd_error *error) {
    if (value >= least && value <= most) return true;
    return hd_fail(error, "accelerator %s: %s is %d: %d to %d is right", name, what, value, least, most);
}

bool hd_accelerator_validate(const hd_accelerator *accelerator, hd_error *error) {
    const hd_accelerator *a = accelerator;
    if (!memchr(a->name, 0, sizeof a->name))
        return hd_fail(error, "an accelerator's name is not zero-terminated");
    return check_range(a->name, "rows", a->rows, 1, HD_MAXIMUM_ARRAY_SIDE, error) &&
           check_range(a->name, "cols", a->cols, 1, HD_MAXIMUM_ARRAY_SIDE, error) &&
           check_range(a->name, "weight_bits", a->weight_bits, HD_MINIMUM_BITS, HD_MAXIMUM_BITS, error) &&
           check_range(a->name, "activation_bits", a->activation_bits, HD_MINIMUM_BITS, HD_MAXIMUM_BITS,
                       error) &&
           check_range(a->name, "dataflow", (int)a->dataflow, 0, HD_DATAFLOW_COUNT - 1, error) &&
           check_range(a->name, "representation", (int)a->representation, 0, HD_REPRESENTATION_COUNT - 1,
                       error) &&
           check_range(a->name, "encoding", (int)a->encoding, 0, HD_ENCODING_COUNT - 1, error) &&
           check_range(a->name, "kernel_orders", (int)a->kernel_orders, 0, HD_KERNEL_ORDERS_COUNT - 1, error);
}

/* weights x pixels x wires (8 bits and an invert line) must fit 63 bits: every count and energy is bounded by
 * that. */
static bool counts_fit(const hd_layer_shape *s) {
    size_t product = 9;
    return !__builtin_mul_overflow(product, s->filters, &product) &&
           !__builtin_mul_overflow(product, s->channels / s->groups, &product) &&
           !__builtin_mul_overflow(product, s->size, &product) &&
           !__builtin_mul_overflow(product, s->size, &product) &&
           !__builtin_mul_overflow(product, s->output_pixels, &product) && product <= (size_t)INT64_MAX;
}

bool hd_layer_shape_validate(const hd_layer_shape *shape, hd_error *error) {
    const hd_layer_shape *s = shape;
    if (!s->filters || !s->channels || !s->groups || !s->size || !s->output_pixels)
        return hd_fail(error,
                       "a layer of %zu filters, %zu channels, %zu groups, size %zu and %zu output pixels: "
                       "each is at least 1",
                       s->filters, s->channels, s->groups, s->size, s->output_pixels);
    if (s->filters % s->groups || s->channels % s->groups)
        return hd_fail(error,
                       "%zu groups divide neither %zu filters nor %zu channels evenly: groups divide both",
                       s->groups, s->filters, s->channels);
    if (s->filters > UINT32_MAX || s->channels > UINT32_MAX || s->size > 65535 || !counts_fit(s))
        return hd_fail(
            error,
            "a layer of %zu filters, %zu channels, size %zu and %zu output pixels is too large to count",
            s->filters, s->channels, s->size, s->output_pixels);
    return true;
}

size_t hd_layer_filter_weights(const hd_layer_shape *shape) {
    return shape->channels / shape->groups * shape->size * shape->size;
}

size_t hd_layer_weights(const hd_layer_shape *shape) {
    return shape->filters * hd_layer_filter_weights(shape);
}

bool hd_layer_is_depthwise(const hd_layer_shape *shape) {
    return shape->groups == shape->channels;
}

bool hd_layer_shape_of_node(const hd_node *node, hd_layer_shape *shape) {
    if (node->type == HD_NODE_CONVOLUTION)
        *shape = (hd_layer_shape){(size_t)node->out_channels, (size_t)node->in_channels, (size_t)node->groups,
                                  (size_t)node->size, (size_t)node->out_height * (size_t)node->out_width};
    else if (node->type == HD_NODE_CONNECTED)
        *shape = (hd_layer_shape){
            (size_t)node->out_channels,
            (size_t)node->in_channels * (size_t)node->in_height * (size_t)node->in_width, 1, 1, 1};
    else
        return false;
    return true;
}
