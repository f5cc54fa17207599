/* Kernel timings: every layer shape of the CIFAR MobileNetV2 and ResNet26, forward and backward, set against
 * a roofline measured in the same run (sgemm and triad). Usage: bench_kernels [-network mobilenetv2|resnet26]
 * [-batch N] [-threads N] [-repeats N] [-json FILE] [-only TEXT] [-bfloat16 1] */
#include "core/memory.h"
#include "core/random.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct layer {
    const char *name;
    size_t count; /* how often the network has it */
    size_t extent, in, out, size, stride, groups;
    bool first; /* no input gradient wanted */
} layer;

static const layer mobilenetv2[] = {
    {"stem 3-32", 1, 32, 3, 32, 3, 1, 1, true},       {"dw 32", 1, 32, 32, 32, 3, 1, 32, false},
    {"1x1 32-16", 1, 32, 32, 16, 1, 1, 1, false},     {"1x1 16-96", 1, 32, 16, 96, 1, 1, 1, false},
    {"dw 96", 1, 32, 96, 96, 3, 1, 96, false},        {"1x1 96-24", 1, 32, 96, 24, 1, 1, 1, false},
    {"1x1 24-144", 2, 32, 24, 144, 1, 1, 1, false},   {"dw 144", 1, 32, 144, 144, 3, 1, 144, false},
    {"1x1 144-24", 1, 32, 144, 24, 1, 1, 1, false},   {"dw 144 /2", 1, 32, 144, 144, 3, 2, 144, false},
    {"1x1 144-32", 1, 16, 144, 32, 1, 1, 1, false},   {"1x1 32-192", 3, 16, 32, 192, 1, 1, 1, false},
    {"dw 192", 2, 16, 192, 192, 3, 1, 192, false},    {"1x1 192-32", 2, 16, 192, 32, 1, 1, 1, false},
    {"dw 192 /2", 1, 16, 192, 192, 3, 2, 192, false}, {"1x1 192-64", 1, 8, 192, 64, 1, 1, 1, false},
    {"1x1 64-384", 4, 8, 64, 384, 1, 1, 1, false},    {"dw 384", 4, 8, 384, 384, 3, 1, 384, false},
    {"1x1 384-64", 3, 8, 384, 64, 1, 1, 1, false},    {"1x1 384-96", 1, 8, 384, 96, 1, 1, 1, false},
    {"1x1 96-576", 3, 8, 96, 576, 1, 1, 1, false},    {"dw 576", 2, 8, 576, 576, 3, 1, 576, false},
    {"1x1 576-96", 2, 8, 576, 96, 1, 1, 1, false},    {"dw 576 /2", 1, 8, 576, 576, 3, 2, 576, false},
    {"1x1 576-160", 1, 4, 576, 160, 1, 1, 1, false},  {"1x1 160-960", 3, 4, 160, 960, 1, 1, 1, false},
    {"dw 960", 3, 4, 960, 960, 3, 1, 960, false},     {"1x1 960-160", 2, 4, 960, 160, 1, 1, 1, false},
    {"1x1 960-320", 1, 4, 960, 320, 1, 1, 1, false},  {"1x1 320-1280", 1, 4, 320, 1280, 1, 1, 1, false},
    {"fc 1280-100", 1, 1, 1280, 100, 1, 1, 1, false}, {NULL, 0, 0, 0, 0, 0, 0, 0, false}};

static const layer resnet26[] = {
    {"3x3 3-16", 1, 32, 3, 16, 3, 1, 1, true},       {"3x3 16-16", 8, 32, 16, 16, 3, 1, 1, false},
    {"3x3 16-32 /2", 1, 32, 16, 32, 3, 2, 1, false}, {"3x3 32-32", 7, 16, 32, 32, 3, 1, 1, false},
    {"3x3 32-64 /2", 1, 16, 32, 64, 3, 2, 1, false}, {"3x3 64-64", 7, 8, 64, 64, 3, 1, 1, false},
    {"fc 64-100", 1, 1, 64, 100, 1, 1, 1, false},    {NULL, 0, 0, 0, 0, 0, 0, 0, false}};

typedef struct options {
    const layer *layers;
    size_t batch, repeats;
    int threads;
    bool bfloat16;
    const char *json, *only;
} options;

typedef struct machine {
    double gflops, gbytes; /* per second */
} machine;

/* Of the wall, or, on one thread, of the processor, so that other processes count for less. */
static double seconds(int threads) {
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static float *random_floats(size_t count, uint64_t stream) {
    random_state r = random_seeded(1, stream);
    float *v = memory_allocate(count, sizeof(float));
    if (!v) exit(EXIT_FAILURE);
    for (size_t i = 0; i < count; i++) v[i] = random_uniform(&r, -1, 1);
    return v;
}

/* ---- the machine's own bounds ---- */

static double best_sgemm(int threads) {
    const size_t n = 1536;
    float *a = random_floats(n * n, 1), *b = random_floats(n * n, 2), *c = random_floats(n * n, 3);
    double best = 1e30;
    for (int i = 0; i < 5; i++) {
        double start = seconds(threads);
        matrix_multiply(false, false, n, n, n, 1, a, n, b, n, 0, c, n, threads);
        double t = seconds(threads) - start;
        if (t < best) best = t;
    }
    memory_free(a), memory_free(b), memory_free(c);
    return 2e-9 * (double)(n * n * n) / best;
}

static double best_triad(int threads) {
    const size_t n = 1 << 24, block = 1 << 16;
    float *a = random_floats(n, 1), *b = random_floats(n, 2), *c = random_floats(n, 3);
    double best = 1e30;
    for (int i = 0; i < 5; i++) {
        double start = seconds(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t j = 0; j < n; j += block)
            for (size_t k = j; k < j + block; k++) a[k] = b[k] + 3 * c[k];
        double t = seconds(threads) - start;
        if (t < best) best = t;
    }
    memory_free(a), memory_free(b), memory_free(c);
    return 1e-9 * 12 * (double)n / best;
}

/* ---- one layer ---- */

typedef struct buffers {
    float *in, *out, *delta, *in_delta, *weights, *weight_delta, *channels, *flush;
    void *workspace;
} buffers;

typedef struct timing {
    double forward, backward, reduce; /* seconds */
    double flops, in_bytes, out_bytes;
} timing;

#define FLUSH_VALUES ((size_t)12 << 20)

static convolution_shape shape_of(const layer *l, size_t batch, bool bfloat16) {
    size_t padding = l->size / 2, out = (l->extent + 2 * padding - l->size) / l->stride + 1;
    return (convolution_shape){.batch = batch,
                               .in_height = l->extent,
                               .in_width = l->extent,
                               .in_channels = l->in,
                               .out_height = out,
                               .out_width = out,
                               .out_channels = l->out,
                               .size = l->size,
                               .stride_y = l->stride,
                               .stride_x = l->stride,
                               .padding = padding,
                               .dilation = 1,
                               .groups = l->groups,
                               .bfloat16 = bfloat16};
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static buffers make_buffers(const options *o) {
    size_t activations = 0, weights = 0, workspace = 0;
    for (const layer *l = o->layers; l->name; l++) {
        convolution_shape s = shape_of(l, o->batch, o->bfloat16);
        size_t pixels = s.batch * s.out_height * s.out_width;
        activations = most(activations, s.batch * s.in_height * s.in_width * s.in_channels);
        activations = most(activations, pixels * s.out_channels);
        weights = most(weights, s.out_channels * (s.in_channels / s.groups) * s.size * s.size);
        workspace = most(workspace, convolution_forward_workspace_bytes(&s, o->threads));
        workspace = most(workspace, convolution_backward_workspace_bytes(&s, o->threads));
        workspace = most(workspace, channel_reduce_workspace_bytes(pixels, s.out_channels));
    }
    return (buffers){.in = random_floats(activations, 1),
                     .out = random_floats(activations, 2),
                     .delta = random_floats(activations, 3),
                     .in_delta = random_floats(activations, 4),
                     .weights = random_floats(weights, 5),
                     .weight_delta = random_floats(weights, 6),
                     .channels = random_floats(16 * 4096, 7),
                     .flush = random_floats(FLUSH_VALUES, 8),
                     .workspace = memory_allocate(workspace, 1)};
}

static void free_buffers(buffers *b) {
    memory_free(b->in), memory_free(b->out), memory_free(b->delta), memory_free(b->in_delta);
    memory_free(b->weights), memory_free(b->weight_delta), memory_free(b->channels), memory_free(b->flush);
    memory_free(b->workspace);
}

/* Leaves the caches without any of the layer's tensors. */
static void flush(buffers *b, int threads) {
    array_scale_add(FLUSH_VALUES, 1.0001f, b->flush, b->flush, false, threads);
}

static timing time_layer(const options *o, const layer *l, buffers *b) {
    convolution_shape s = shape_of(l, o->batch, o->bfloat16);
    size_t pixels = s.batch * s.out_height * s.out_width;
    float *channel = b->channels;
    double forward[64], backward[64], reduce[64];
    lazy_tensor in = {b->in, {channel, channel + 4096, ACTIVATION_RELU6}};
    lazy_gradient dy = {.delta = b->delta,
                        .data = b->out,
                        .map = {channel + 2 * 4096, channel + 3 * 4096, ACTIVATION_RELU6},
                        .a = channel + 4 * 4096,
                        .b = channel + 5 * 4096,
                        .c = channel + 6 * 4096};
    channel_moments moments = {channel + 7 * 4096, channel + 8 * 4096};
    for (size_t i = 0; i < o->repeats; i++) {
        flush(b, o->threads);
        double t0 = seconds(o->threads);
        convolution_forward(&s, &in, b->weights, b->out, NULL, &moments, b->workspace, o->threads);
        forward[i] = seconds(o->threads) - t0;
        flush(b, o->threads);
        double t1 = seconds(o->threads);
        lazy_gradient_reduce(pixels, s.out_channels, &dy, moments.mean, channel + 9 * 4096,
                             channel + 10 * 4096, b->workspace, o->threads);
        double t2 = seconds(o->threads);
        convolution_backward(&s, &in, &dy, b->weights, l->first ? NULL : b->in_delta, false, b->weight_delta,
                             b->workspace, o->threads);
        reduce[i] = t2 - t1;
        backward[i] = seconds(o->threads) - t2;
    }
    return (timing){.forward = median(forward, o->repeats),
                    .backward = median(backward, o->repeats),
                    .reduce = median(reduce, o->repeats),
                    .flops = 2.0 *
                             (double)(pixels * s.out_channels * (s.in_channels / s.groups) * s.size * s.size),
                    .in_bytes = 4.0 * (double)(s.batch * s.in_height * s.in_width * s.in_channels),
                    .out_bytes = 4.0 * (double)(pixels * s.out_channels)};
}

/* ---- reports ---- */

static double bound(const machine *m, double flops, double bytes) {
    double compute = flops / m->gflops * 1e-9, memory = bytes / m->gbytes * 1e-9;
    return compute > memory ? compute : memory;
}

typedef struct sums {
    double forward, backward, reduce, bound;
} sums;

static void report(const layer *l, const timing *t, const machine *m, sums *total, FILE *json) {
    double products = l->first ? 1 : 2, forward_bytes = t->in_bytes + t->out_bytes;
    double backward_bytes = t->in_bytes * (l->first ? 1 : 2) + 2 * t->out_bytes,
           reduce_bytes = 2 * t->out_bytes;
    double forward_bound = bound(m, t->flops, forward_bytes), n = (double)l->count;
    double backward_bound = bound(m, products * t->flops, backward_bytes);
    double reduce_bound = reduce_bytes / m->gbytes * 1e-9;
    printf("%-14s x%zu %7.2f ms %6.1f GF/s %5.1f GB/s %3.0f%%  %7.2f ms %6.1f GF/s %5.1f GB/s %3.0f%%  %6.2f "
           "ms %5.1f "
           "GB/s %3.0f%%\n",
           l->name, l->count, 1e3 * t->forward, 1e-9 * t->flops / t->forward,
           1e-9 * forward_bytes / t->forward, 100 * forward_bound / t->forward, 1e3 * t->backward,
           1e-9 * products * t->flops / t->backward, 1e-9 * backward_bytes / t->backward,
           100 * backward_bound / t->backward, 1e3 * t->reduce, 1e-9 * reduce_bytes / t->reduce,
           100 * reduce_bound / t->reduce);
    if (json)
        fprintf(json,
                "%s\n    {\"layer\": \"%s\", \"count\": %zu, \"forward_ms\": %.4f, \"forward_gflops\": %.2f, "
                "\"forward_gbytes_s\": %.2f, \"forward_roofline\": %.3f, \"backward_ms\": %.4f, "
                "\"backward_gflops\": %.2f, \"backward_gbytes_s\": %.2f, \"backward_roofline\": %.3f, "
                "\"reduce_ms\": %.4f, \"reduce_roofline\": %.3f}",
                total->forward > 0 ? "," : "", l->name, l->count, 1e3 * t->forward,
                1e-9 * t->flops / t->forward, 1e-9 * forward_bytes / t->forward, forward_bound / t->forward,
                1e3 * t->backward, 1e-9 * products * t->flops / t->backward,
                1e-9 * backward_bytes / t->backward, backward_bound / t->backward, 1e3 * t->reduce,
                reduce_bound / t->reduce);
    total->forward += n * t->forward;
    total->backward += n * t->backward;
    total->reduce += n * t->reduce;
    total->bound += n * (forward_bound + backward_bound + reduce_bound);
}

static options parse(int argc, char **argv) {
    options o = {.layers = mobilenetv2, .batch = 128, .threads = 2, .repeats = 5};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "-network")) o.layers = strcmp(value, "resnet26") ? mobilenetv2 : resnet26;
        if (!strcmp(argv[i], "-batch")) o.batch = (size_t)strtoul(value, NULL, 10);
        if (!strcmp(argv[i], "-threads")) o.threads = (int)strtol(value, NULL, 10);
        if (!strcmp(argv[i], "-repeats")) o.repeats = (size_t)strtoul(value, NULL, 10) % 64;
        if (!strcmp(argv[i], "-bfloat16")) o.bfloat16 = strcmp(value, "0") != 0;
        if (!strcmp(argv[i], "-json")) o.json = value;
        if (!strcmp(argv[i], "-only")) o.only = value;
    }
    if (o.repeats == 0 || o.batch == 0 || o.threads < 1) exit(EXIT_FAILURE);
    return o;
}

int main(int argc, char **argv) {
    options o = parse(argc, argv);
    machine m = {best_sgemm(o.threads), best_triad(o.threads)};
    FILE *json = o.json ? fopen(o.json, "w") : NULL;
    sums total = {0};
    buffers b = make_buffers(&o);
    printf("sgemm %.1f GF/s, triad %.1f GB/s, batch %zu, %d threads\n%-17s %-40s  %-40s  reduce\n", m.gflops,
           m.gbytes, o.batch, o.threads, "layer", "forward", "backward");
    if (json)
        fprintf(json,
                "{\"sgemm_gflops\": %.1f, \"triad_gbytes_s\": %.1f, \"batch\": %zu, \"threads\": %d,\n  "
                "\"layers\": [",
                m.gflops, m.gbytes, o.batch, o.threads);
    for (const layer *l = o.layers; l->name; l++) {
        if (o.only && !strstr(l->name, o.only)) continue;
        timing t = time_layer(&o, l, &b);
        report(l, &t, &m, &total, json);
    }
    double step = total.forward + total.backward + total.reduce;
    printf("all layers: forward %.1f ms, backward %.1f ms, reduce %.1f ms; %.1f images/s of convolution work "
           "alone, "
           "%.0f%% of the roofline; forward alone %.1f images/s\n",
           1e3 * total.forward, 1e3 * total.backward, 1e3 * total.reduce, (double)o.batch / step,
           100 * total.bound / step, (double)o.batch / total.forward);
    if (json) {
        fprintf(
            json,
            "],\n  \"forward_ms\": %.3f, \"backward_ms\": %.3f, \"reduce_ms\": %.3f, \"roofline\": %.3f}\n",
            1e3 * total.forward, 1e3 * total.backward, 1e3 * total.reduce, total.bound / step);
        fclose(json);
    }
    free_buffers(&b);
    return 0;
}
