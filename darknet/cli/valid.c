/* darknet classifier valid */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/classifier.h"
#include "core/file.h"
#include "train/train.h"

static const option_spec options[] = {
    {"-int8", NULL, "the integer network: int8 weights and activations, batch norm folded"},
    {"-logits", "FILE", "also write the integer network's logits as .npy, float32 [images][classes]"},
    {"-json", "FILE", "also write the result as JSON (\"-\": to standard output)"},
    {"-t", "K", "also top-K accuracy (default: the data file's top, or 5)"},
    OPTION_CLEAR,
    OPTION_TOPK,
    {"-test", NULL, "on the data file's test set instead of valid"},
    {"-batch", "N", "images a pass (default 128)"},
    OPTION_THREADS,
    OPTION_END};

static const command_spec spec = {
    "classifier valid DATA CFG WEIGHTS [options]",
    "Accuracy of WEIGHTS on DATA's validation set. With -int8 that of the integer network (words and\n"
    "activation scales from the .stream beside WEIGHTS when there is one).",
    3, 3, options};

static bool write_json(const char *path, const arguments *a, const evaluation *r, int top, bool int8,
                       error *e) {
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:f, s:i, s:f, s:f, s:f}", "version",
                             darknet_version(), "data", a->positions[0], "cfg", a->positions[1], "weights",
                             a->positions[2], "int8", int8, "images", (json_int_t)r->images, "top1", r->top1,
                             "k", top, "topk", r->topk, "loss", r->loss, "seconds", r->seconds);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!text) return error_set(e, "%s: out of memory", path);
    bool to_stdout = path[0] == '-' && path[1] == 0;
    bool good = to_stdout ? puts(text) >= 0 : file_write_atomic(path, text, strlen(text), e);
    free(text);
    return good;
}

static bool evaluate(program *p, const arguments *a, network *net, const dataset *d, int top,
                     evaluation *result, error *e) {
    load_report report;
    if (!network_load_weights(net, a->positions[2], false, &report, e)) return false;
    if (!option_given(a, "-int8")) return evaluate_network(net, d, top, result, e);
    data_options calibration;
    if (!data_options_read(a->positions[0], &calibration, e)) return false;
    bool good = plugin_evaluate_int8(p->plugin, net, a->positions[2], &calibration, d, top,
                                     option_text(a, "-logits"), result, e);
    data_options_free(&calibration);
    return good;
}

/* Last what Darknet prints last: the line of the set's last image. */
static void print_result(const evaluation *r, int top, bool int8) {
    printf("%zu images, loss %f (%s, %.1f images/s)\n", r->images, r->loss, int8 ? "int8" : "float",
           (double)r->images / r->seconds);
    printf("%zu: top 1: %f, top %d: %f\n", r->images ? r->images - 1 : 0, r->top1, top, r->topk);
}

static int run(program *p, const arguments *a, const data_options *data) {
    int threads, batch = 128, top = data->top > 1 ? data->top : 5;
    if (!command_threads(a, &threads) || !option_int(a, "-batch", 1, 1 << 16, &batch) ||
        !option_int(a, "-t", 1, 1 << 20, &top))
        return 1;
    if (option_given(a, "-logits") && !option_given(a, "-int8"))
        return fail("-logits: the logits are those of the integer network: -int8 is wanted too");
    network_settings settings = {.threads = threads, .pass_batch = batch};
    network *net = command_network(p, a->positions[1], &settings);
    if (!net) return 1;
    error e = {0};
    evaluation result;
    dataset *d = dataset_open(data, option_given(a, "-test") ? DATA_TEST : DATA_VALID, net->options.channels,
                              net->options.seed, network_memory_left(net, 0), &e);
    bool good = d && evaluate(p, a, net, d, top, &result, &e);
    const char *json = option_text(a, "-json");
    bool quiet = json && json[0] == '-' && json[1] == 0;
    if (good && !quiet) print_result(&result, top, option_given(a, "-int8"));
    if (good && json) good = write_json(json, a, &result, top, option_given(a, "-int8"), &e);
    if (d) dataset_close(d);
    network_destroy(net);
    return good ? 0 : fail("%s", e.message);
}

int command_classifier_valid(program *p, int argc, char **argv) {
    return command_with_data(p, &spec, argc, argv, run);
}
