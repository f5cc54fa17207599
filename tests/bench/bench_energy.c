/* Time of the energy simulator on one image through MobileNetV2 (CIFAR-100's, Laplacian words, half-normal
 * activations), by dataflow: flips counted, plan level, trace level. Usage: bench_energy [threads [side ...]]
 */
#include "trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_LAYERS = 64 };

typedef struct bench_layer {
    hd_layer_shape shape;
    size_t side, stride; /* of the input */
    hd_plan plan;
    int8_t *words;
    uint8_t *activations;
} bench_layer;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t random_state = 1;
static double uniform(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 33) + 0.5) / 2147483648.0;
}

static size_t add(bench_layer *layers, size_t count, size_t filters, size_t channels, size_t groups,
                  size_t size, size_t side, size_t stride) {
    size_t out = (side + stride - 1) / stride;
    layers[count] =
        (bench_layer){.shape = {filters, channels, groups, size, out * out}, .side = side, .stride = stride};
    return count + 1;
}

static size_t network(bench_layer *layers) {
    static const size_t stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 1},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                       {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    size_t count = add(layers, 0, 32, 3, 1, 3, 32, 1), channels = 32, side = 32;
    for (size_t s = 0; s < 7; s++)
        for (size_t i = 0; i < stages[s][2]; i++) {
            size_t hidden = channels * stages[s][0], stride = i == 0 ? stages[s][3] : 1;
            if (stages[s][0] > 1) count = add(layers, count, hidden, channels, 1, 1, side, 1);
            count = add(layers, count, hidden, hidden, hidden, 3, side, stride);
            side /= stride;
            count = add(layers, count, channels = stages[s][1], hidden, 1, 1, side, 1);
        }
    count = add(layers, count, 1280, channels, 1, 1, side, 1);
    return add(layers, count, 100, 1280, 1, 1, 1, 1);
}

static void must(bool good, const hd_error *error) {
    if (good) return;
    fprintf(stderr, "bench_energy: %s\n", error->message);
    exit(1);
}

static void make_layer(bench_layer *l, const hd_accelerator *accelerator) {
    hd_error error;
    must(hd_plan_init(&l->plan, accelerator, &l->shape, &error), &error);
    size_t values = l->side * l->side * l->shape.channels;
    l->words = malloc(l->plan.weights);
    l->activations = malloc(values);
    if (!l->words || !l->activations) exit(1);
    for (size_t i = 0; i < l->plan.weights; i++)
        l->words[i] = (int8_t)fmax(-127, fmin(127, rint(25 * log(uniform()) * (uniform() < 0.5 ? 1 : -1))));
    for (size_t i = 0; i < values; i++)
        l->activations[i] = (uint8_t)(uniform() < 0.45 ? 0 : fmin(255, -60 * log(uniform())));
}

/* The whole plan level of a network, from words to its energy. */
static double time_plan_level(const bench_layer *layers, size_t count, int threads,
                              const hd_energy_table *table, hd_energy_report *total) {
    double start = seconds();
    hd_error error;
    for (size_t i = 0; i < count; i++) {
        hd_flips flips;
        hd_energy_report report;
        must(hd_count_flips(&layers[i].plan, layers[i].words, threads, &flips, &error), &error);
        must(hd_energy_plan_level(table, &layers[i].plan, &flips, NULL, &report, &error), &error);
        hd_energy_add(total, &report);
    }
    return seconds() - start;
}

static hd_energy_table *read_table(void) {
    static hd_energy_table table;
    static char text[1 << 20];
    const char *path = "cfg/accelerators/tables/osu018.json";
    hd_error error = {"no table"};
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, sizeof text, file) : 0;
    if (file) fclose(file);
    must(hd_energy_table_parse(text, bytes, path, &table, &error), &error);
    return &table;
}

static void bench(hd_dataflow dataflow, int side, int threads) {
    static bench_layer layers[MOST_LAYERS];
    static hd_trace_layer traced[MOST_LAYERS];
    static hd_trace_counts counts[MOST_LAYERS];
    hd_trace_counts total = {0};
    hd_error error;
    hd_accelerator a = hd_accelerator_default();
    a.rows = a.cols = side;
    a.dataflow = dataflow;
    size_t count = network(layers);
    for (size_t i = 0; i < count; i++) {
        make_layer(&layers[i], &a);
        traced[i] = (hd_trace_layer){.plan = &layers[i].plan,
                                     .words = layers[i].words,
                                     .activations = layers[i].activations,
                                     .height = layers[i].side,
                                     .width = layers[i].side,
                                     .stride = layers[i].stride,
                                     .padding = layers[i].shape.size / 2,
                                     .dilation = 1};
    }
    hd_energy_report planned = {0};
    double plan_level = time_plan_level(layers, count, threads, read_table(), &planned);
    double start = seconds();
    must(hd_trace_layers(traced, count, threads, counts, &error), &error);
    double spent = seconds() - start;
    for (size_t i = 0; i < count; i++) {
        hd_trace_counts_add(&total, &counts[i]);
        hd_plan_free(&layers[i].plan);
        free(layers[i].words);
        free(layers[i].activations);
    }
    printf("%-18s %dx%d  %.1f M MACs  utilisation %.1f %%  plan level %.1f ms  trace level %.3f s\n",
           hd_dataflow_name(dataflow), side, side, 1e-6 * (double)total.macs,
           100.0 * (double)total.macs / (double)total.array_pe_cycles, 1e3 * plan_level, spent);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    for (int d = 0; d < HD_DATAFLOW_COUNT; d++) {
        if (argc < 3) bench((hd_dataflow)d, 16, threads < 1 ? 1 : threads);
        for (int i = 2; i < argc; i++) bench((hd_dataflow)d, atoi(argv[i]), threads < 1 ? 1 : threads);
    }
    return 0;
}
