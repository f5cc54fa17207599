/* darknet ops: the table of a network's layers. */
#include <stdio.h>

#include "cli/commands.h"

static const option_spec options[] = {OPTION_END};
static const command_spec spec = {
    "ops CFG", "Each layer's type, filters, size, input and output, multiply-accumulates and parameters.", 1,
    1, options};

static void print_layer(const layer *l, uint64_t *macs, uint64_t *parameters) {
    darknet_layer_info info;
    layer_get_info(l, &info);
    uint64_t own = 0;
    for (int i = 0; i < l->parameter_count; i++) own += l->parameters[i].trained ? l->parameters[i].count : 0;
    char kernel[32] = "", input[48], output[48];
    if (info.size) (void)snprintf(kernel, sizeof kernel, "%dx%d/%d", info.size, info.size, info.stride);
    (void)snprintf(input, sizeof input, "%dx%dx%d", info.in_width, info.in_height, info.in_channels);
    (void)snprintf(output, sizeof output, "%dx%dx%d", info.out_width, info.out_height, info.out_channels);
    printf("%4d %-14s %6d %8s %6d %16s -> %-16s %14llu %10llu\n", info.index, info.type, info.out_channels,
           kernel, info.groups, input, output, (unsigned long long)info.macs, (unsigned long long)own);
    *macs += info.macs;
    *parameters += own;
}

int command_ops(program *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    network_settings settings = {.pass_batch = 1};
    network *net = command_network(p, a.positions[0], &settings);
    if (!net) return 1;
    uint64_t macs = 0, parameters = 0;
    printf("   # type            filters     size groups            input -> output                     MACs "
           "parameters\n");
    for (int i = 0; i < net->layer_count; i++) print_layer(&net->layers[i], &macs, &parameters);
    printf(
        "total: %llu multiply-accumulates an image, %llu parameters, %zu bytes of activations at batch 1\n",
        (unsigned long long)macs, (unsigned long long)parameters, net->arena_bytes);
    network_destroy(net);
    return 0;
}
