/* Weight files, read into a network that has every layer type with parameters. A file that is refused changes
 * nothing. */
#include <math.h>

#include "fuzz.h"
#include "network/network.h"

static const char cfg_text[] =
    "[net]\nheight=4\nwidth=4\nchannels=2\n"
    "[convolutional]\nfilters=3\nsize=3\npad=1\nbatch_normalize=1\n"
    "[convolutional]\nfilters=3\nsize=1\nflipped=1\nnumload=2\n"
    "[batchnorm]\n[deconvolutional]\nfilters=2\nsize=2\nstride=1\n"
    "[local]\nfilters=2\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=2\nsize=1\nbatch_normalize=1\ndontloadscales=1\n"
    "[convolutional]\nfilters=2\nsize=1\ndontload=1\n"
    "[shortcut]\nfrom=-2\nweights_type=per_channel\n"
    "[connected]\noutput=3\nbatch_normalize=1\n[connected]\noutput=2\nactivation=linear\n[softmax]\n";

static network *make_network(void) {
    fuzz_file file = fuzz_file_open(cfg_text, sizeof cfg_text - 1);
    network_settings settings = {.threads = 1};
    error e = {{0}};
    network *net = network_create(file.path, &settings, NULL, &e);
    if (!net) (void)fprintf(stderr, "%s\n", e.message);
    FUZZ_CHECK(net);
    fuzz_file_close(&file);
    return net;
}

static void load(network *net, const char *path, bool partial, float *before) {
    error e = {{0}};
    load_report report;
    size_t bytes = net->parameter_total * sizeof *before;
    memcpy(before, net->values, bytes);
    uint64_t seen = net->seen;
    if (!network_load_weights(net, path, partial, &report, &e)) {
        fuzz_check_sentence(e.message, sizeof e.message);
        FUZZ_CHECK(memcmp(before, net->values, bytes) == 0 && net->seen == seen);
        return;
    }
    FUZZ_CHECK(report.loaded > 0 || partial);
    for (size_t i = 0; i < net->parameter_total; i++) FUZZ_CHECK(isfinite(net->values[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static network *net;
    static float *before;
    if (!net) {
        net = make_network();
        before = malloc(net->parameter_total * sizeof *before);
        FUZZ_CHECK(before);
    }
    fuzz_file file = fuzz_file_open(bytes, count);
    load(net, file.path, false, before);
    load(net, file.path, true, before);
    fuzz_file_close(&file);
    return 0;
}
