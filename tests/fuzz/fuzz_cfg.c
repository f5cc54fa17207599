/* cfg files: parsed, planned within 1 MiB, and run forward (and backward) where that is quick. */
#include "config/config.h"
#include "fuzz.h"
#include "network/network.h"
#include "plugin.h"

enum { MEMORY_LIMIT = 1 << 20, LAYERS_RUN = 64 };
static const double MACS_RUN = 2e5;

static double cost_of(const network *net) {
    double macs = 0.0;
    for (int i = 0; i < net->layer_count; i++) {
        macs += (double)net->layers[i].macs + (double)tensor_size(net->layers[i].out);
        for (int j = 0; j < net->layers[i].parameter_count; j++)
            macs += (double)net->layers[i].parameters[j].count;
    }
    return macs * (double)net->pass_batch;
}

static void run_network(network *net) {
    size_t inputs = tensor_size(network_input_shape(net)) * net->pass_batch;
    size_t outputs = (size_t)network_outputs(net) * net->pass_batch;
    float *images = malloc(inputs * sizeof *images), *truth = calloc(outputs, sizeof *truth);
    FUZZ_CHECK(images && truth);
    for (size_t i = 0; i < inputs; i++) images[i] = (float)(i % 17) / 16.0f;
    for (size_t i = 0; i < net->pass_batch; i++) truth[i * (outputs / net->pass_batch)] = 1.0f;
    if (net->training && network_has_loss(net)) {
        (void)network_train_pass(net, images, truth, net->pass_batch);
        (void)network_train_pass(net, images, truth, (net->pass_batch + 1) / 2);
    }
    network_forward(net, images, net->pass_batch);
    free(images);
    free(truth);
}

static void build_network(plugin *p, const char *path, bool training) {
    const darknet_extension *extensions[] = {plugin_extension(p)};
    network_settings settings = {.training = training,
                                 .threads = 1,
                                 .max_memory_bytes = MEMORY_LIMIT,
                                 .extensions = extensions,
                                 .extension_count = 1};
    diagnostics *d = diagnostics_create();
    error e = {{0}};
    FUZZ_CHECK(d);
    network *net = network_create(path, &settings, d, &e);
    if (!net) fuzz_check_sentence(e.message, sizeof e.message);
    if (net && net->layer_count <= LAYERS_RUN && cost_of(net) < MACS_RUN) run_network(net);
    network_destroy(net);
    diagnostics_destroy(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    error e = {{0}};
    plugin *p = plugin_create(NULL, &e);
    FUZZ_CHECK(p);
    fuzz_file file = fuzz_file_open(bytes, count);
    build_network(p, file.path, true);
    build_network(p, file.path, false);
    fuzz_file_close(&file);
    plugin_destroy(p);
    return 0;
}
