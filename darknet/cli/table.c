/* The table of a network's layers: see table.h. */
#include "cli/table.h"

typedef struct sums {
    uint64_t macs, parameters, bytes;
} sums;

/* Numbers that learn; and bytes of all of a layer's numbers (running statistics, too) and its output at
 * batch 1. */
static void count(const layer *l, uint64_t *parameters, uint64_t *bytes) {
    *parameters = 0;
    *bytes = tensor_size(l->out) * sizeof(float);
    for (int i = 0; i < l->parameter_count; i++) {
        *parameters += l->parameters[i].trained ? l->parameters[i].count : 0;
        *bytes += l->parameters[i].count * sizeof(float);
    }
}

static void print_layer(const layer *l, FILE *to, sums *total) {
    darknet_layer_info info;
    uint64_t parameters, bytes;
    char kernel[40] = "", input[48], output[48];
    layer_get_info(l, &info);
    count(l, &parameters, &bytes);
    if (info.size) (void)snprintf(kernel, sizeof kernel, "%dx%d/%d", info.size, info.size, info.stride);
    (void)snprintf(input, sizeof input, "%dx%dx%d", info.in_width, info.in_height, info.in_channels);
    (void)snprintf(output, sizeof output, "%dx%dx%d", info.out_width, info.out_height, info.out_channels);
    (void)fprintf(to, "%4d %-15s %7d %8s %6d %16s -> %-16s %14llu %11llu %12llu\n", info.index, info.type,
                  info.out_channels, kernel, info.groups, input, output, (unsigned long long)info.macs,
                  (unsigned long long)parameters, (unsigned long long)bytes);
    total->macs += info.macs;
    total->parameters += parameters;
    total->bytes += bytes;
}

uint64_t table_print(const network *net, FILE *to) {
    sums total = {0};
    (void)fprintf(
        to,
        "   # type            filters     size groups            input -> output                     MACs  "
        "parameters        bytes\n");
    for (int i = 0; i < net->layer_count; i++) print_layer(&net->layers[i], to, &total);
    (void)fprintf(
        to,
        "total: %llu multiply-accumulates an image, %llu parameters, %llu bytes of parameters and outputs\n",
        (unsigned long long)total.macs, (unsigned long long)total.parameters,
        (unsigned long long)total.bytes);
    return total.macs;
}
