/* darknet ops: the table of a network's layers. */
#include "cli/commands.h"
#include "cli/table.h"

static const option_spec options[] = {OPTION_END};
static const command_spec spec = {"ops CFG",
                                  "Each layer's type, filters, size/stride, input and output (width x height "
                                  "x channels), multiply-accumulates\n"
                                  "an image, parameters that learn, and bytes: of its parameters and "
                                  "statistics and of its output at batch 1.",
                                  1, 1, options};

int command_ops(program *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    network_settings settings = {.pass_batch = 1};
    network *net = command_build(p, a.positions[0], &settings);
    if (!net) return 1;
    uint64_t macs = table_print(net, stdout);
    printf("Floating Point Operations: %.2f Bn\n", 2e-9 * (double)macs);
    printf("activations and workspace at batch 1: %zu bytes\n", net->arena_bytes);
    network_destroy(net);
    return 0;
}
