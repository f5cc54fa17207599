/* darknet speed: images per second of inference or training, on random images. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli/commands.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/random.h"
#include "train/optimizer.h"

enum { MOST_PASSES = 100000 };

static const option_spec options[] = {{"-train", NULL, "whole training steps instead of inference"},
                                      {"-batch", "N", "images a pass (default: 1; training: the cfg's)"},
                                      {"-hdloss", "L", "with the bit-flip loss at this lambda"},
                                      {"-bfloat16", NULL, "with products on bfloat16, see train"},
                                      {"-json", "FILE", "also write the result as JSON"},
                                      {"-seconds", "S", "measure for so long at least (default 3)"},
                                      OPTION_THREADS,
                                      OPTION_END};

static const command_spec spec = {
    "speed CFG [TICS] [options]",
    "Images per second: the median of TICS (default 10) timed passes after a warm-up.", 1, 2, options};

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct bench {
    network *net;
    optimizer optimizer;
    float *images, *truth;
    size_t batch;
} bench;

static bool bench_open(bench *b, network *net, error *e) {
    size_t inputs = tensor_size(network_input_shape(net)), outputs = (size_t)network_outputs(net);
    *b = (bench){.net = net, .batch = net->pass_batch};
    b->images = memory_allocate(b->batch * inputs, sizeof(float));
    b->truth = memory_allocate_zeroed(b->batch * outputs, sizeof(float));
    if (!b->images || !b->truth) return error_set(e, "out of memory");
    random_state r = random_seeded(1, 1);
    for (size_t i = 0; i < b->batch * inputs; i++) b->images[i] = random_uniform(&r, 0, 1);
    for (size_t n = 0; n < b->batch; n++) b->truth[n * outputs + random_below(&r, outputs)] = 1.0f;
    return !net->training || optimizer_create(&b->optimizer, net, e);
}

static void bench_close(bench *b) {
    optimizer_destroy(&b->optimizer);
    memory_free(b->images);
    memory_free(b->truth);
}

/* *seconds of one pass, or one whole step of training. */
static bool bench_once(bench *b, double *seconds, error *e) {
    double start = now_seconds(), loss;
    if (b->net->training) {
        (void)network_train_pass(b->net, b->images, b->truth, b->batch);
        if (!network_regularize(b->net, b->batch, 1.0, .5, &loss, e)) return false;
        optimizer_step(&b->optimizer, 1e-4, b->batch);
    } else {
        network_forward(b->net, b->images, b->batch);
    }
    *seconds = now_seconds() - start;
    return true;
}

/* Since this program began: what the system tells of the process goes back to whoever started it. */
static double peak_megabytes(void) {
    char line[256];
    double kilobytes = 0.0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && kilobytes == 0.0 && fgets(line, sizeof line, status))
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtod(line + 6, NULL);
    if (status) (void)fclose(status);
    if (kilobytes > 0.0) return kilobytes / 1024.0;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024.0;
}

static bool report(const arguments *a, const network *net, const double *seconds, size_t count, error *e) {
    double n = (double)net->pass_batch, median = seconds[count / 2];
    printf(
        "%s, %s, batch %zu, %d threads: %.1f images/s (%.1f to %.1f), %.3f ms a pass, peak memory %.0f MB\n",
        net->name, net->training ? "training" : "inference", net->pass_batch, net->threads, n / median,
        n / seconds[count - 1], n / seconds[0], 1e3 * median, peak_megabytes());
    if (!option_given(a, "-json")) return true;
    json_t *root = json_pack(
        "{s:s, s:s, s:b, s:I, s:i, s:I, s:f, s:f, s:f, s:f}", "version", darknet_version(), "cfg", net->name,
        "train", net->training, "batch", (json_int_t)net->pass_batch, "threads", net->threads, "passes",
        (json_int_t)count, "images_per_s", n / median, "images_per_s_min", n / seconds[count - 1],
        "images_per_s_max", n / seconds[0], "peak_memory_mb", peak_megabytes());
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    bool good = text ? file_write_atomic(option_text(a, "-json"), text, strlen(text), e)
                     : error_set(e, "out of memory");
    free(text);
    return good;
}

static bool measure(const arguments *a, network *net, size_t tics, double least_seconds, error *e) {
    bench b;
    double *seconds = malloc(MOST_PASSES * sizeof *seconds);
    bool good = bench_open(&b, net, e) && seconds;
    if (good) {
        if (!net->training) (void)network_pack_weights(net);
        for (int i = 0; i < 2; i++) good = good && bench_once(&b, seconds, e);
        size_t count = 0;
        double total = 0.0;
        while (good && count < MOST_PASSES && (count < tics || total < least_seconds)) {
            good = bench_once(&b, seconds + count, e);
            if (good) total += seconds[count++];
        }
        qsort(seconds, count, sizeof *seconds, ascending);
        good = good && report(a, net, seconds, count, e);
    }
    free(seconds);
    bench_close(&b);
    return good;
}

int command_speed(program *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    network_settings settings = {.training = option_given(&a, "-train")};
    double seconds = 3.0, lambda = 0.0;
    int tics = 10;
    if (a.position_count > 1 && !whole_number(a.positions[1], 1, MOST_PASSES, &tics))
        return fail("\"%s\" is no number of passes from 1 to %d", a.positions[1], MOST_PASSES);
    if (!command_threads(&a, &settings.threads) ||
        !option_int(&a, "-batch", 1, 1 << 16, &settings.pass_batch) ||
        !option_number(&a, "-seconds", 0, 3600, &seconds) || !option_number(&a, "-hdloss", 0, 1e9, &lambda))
        return 1;
    key_overrides keys = command_overrides(&a);
    settings.overrides = keys.list;
    settings.override_count = keys.count;
    network *net = command_network(p, a.positions[0], &settings);
    if (!net) return 1;
    error e = {0};
    bool good = measure(&a, net, (size_t)tics, seconds, &e);
    network_destroy(net);
    return good ? 0 : fail("%s", e.message);
}
