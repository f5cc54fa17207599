/* Speed of the integer network: a CIFAR MobileNetV2 as a whole, and layer by layer in groups, on one thread.
 *   bench_integer [threads] [images] [level 0..2] [repeats] [images a chunk] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "integer/internal.h"
#include "made_network.h"

static double seconds(clockid_t clock_id) {
    struct timespec now;
    clock_gettime(clock_id, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

static double macs(const hd_node *n) {
    double outputs = (double)n->out_height * n->out_width * n->out_channels;
    if (n->type == HD_NODE_CONVOLUTION) return outputs * n->in_channels / n->groups * n->size * n->size;
    if (n->type == HD_NODE_CONNECTED) return outputs * n->in_height * n->in_width * n->in_channels;
    return 0;
}

static void group_name(const hd_node *n, char name[64]) {
    const char *kind = n->type_name;
    if (n->type == HD_NODE_CONVOLUTION)
        kind = n->groups > 1                      ? "depthwise"
               : n->size > 1                      ? "stem"
               : n->out_channels > n->in_channels ? "expand"
                                                  : "project";
    snprintf(name, 64, "%s %dx%d", kind, n->in_height, n->in_width);
}

typedef struct group {
    char name[64];
    double seconds, macs;
} group;

/* Processor seconds an image of one step, the median of some runs on a full chunk. */
static double time_step(const hd_integer_network *network, int step, const hd_integer_workspace *w,
                        int repeats) {
    double times[64] = {0};
    for (int r = 0; r < repeats; r++) {
        double start = seconds(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < 8; i++) hd_integer_run_step(network, step, w, network->chunk);
        times[r] = (seconds(CLOCK_THREAD_CPUTIME_ID) - start) / 8 / (double)network->chunk;
    }
    return median(times, repeats);
}

static void print_groups(const made_network *made, const hd_integer_network *network, int repeats) {
    group groups[MADE_MOST_NODES];
    int count = 0;
    double total = 0;
    hd_integer_workspace w;
    if (!hd_integer_workspace_allocate(network, &w)) exit(1);
    memset(w.arena, 77, network->arena_bytes * network->chunk);
    for (int i = 0; i < made->network.node_count; i++) {
        char name[64];
        int at = 0;
        group_name(&made->nodes[i], name);
        while (at < count && strcmp(groups[at].name, name) != 0) at++;
        if (at == count) {
            groups[count] = (group){.seconds = 0, .macs = 0};
            memcpy(groups[count++].name, name, sizeof name);
        }
        double spent = time_step(network, i, &w, repeats);
        groups[at].seconds += spent;
        groups[at].macs += macs(&made->nodes[i]);
        total += spent;
    }
    for (int g = 0; g < count; g++)
        printf("%-20s %8.1f us an image  %5.1f %%  %9.0f images/s  %7.1f GMAC/s\n", groups[g].name,
               1e6 * groups[g].seconds, 100 * groups[g].seconds / total, 1 / groups[g].seconds,
               1e-9 * groups[g].macs / groups[g].seconds);
    printf("%-20s %8.1f us an image on one thread\n", "sum", 1e6 * total);
    hd_integer_workspace_free(&w);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2, level = argc > 3 ? atoi(argv[3]) : (int)hd_isa_best();
    size_t n = argc > 2 ? (size_t)atoi(argv[2]) : 128;
    int repeats = argc > 4 ? atoi(argv[4]) : 9;
    if (repeats < 1 || repeats > 64) repeats = 9;
    made_network *made = made_mobilenet_v2(1, 32, 32, 100);
    hd_error error;
    hd_integer_model *model = made_model(made, &error);
    hd_integer_network *network =
        model ? hd_integer_network_create_for(model, (hd_isa_level)level, &error) : NULL;
    if (!network) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (argc > 5) network->chunk = (size_t)atoi(argv[5]);
    printf("chunk %zu images, arena %zu bytes an image\n", network->chunk, network->arena_bytes);
    float *images = calloc(n * 3072, sizeof *images), *logits = calloc(n * 100, sizeof *logits);
    for (size_t i = 0; i < n * 3072; i++) images[i] = made_uniform(made, 0, 1);
    double times[64] = {0};
    clock_t cpu = clock();
    for (int r = 0; r < repeats; r++) {
        double start = seconds(CLOCK_MONOTONIC);
        if (!hd_integer_network_run(network, images, n, logits, NULL, threads, &error)) abort();
        times[r] = seconds(CLOCK_MONOTONIC) - start;
    }
    double middle = median(times, repeats),
           spent = (double)(clock() - cpu) / CLOCKS_PER_SEC / repeats / (double)n;
    printf("%d threads, batch %zu: %.0f images/s (best %.0f), %.0f us of processor an image\n", threads, n,
           (double)n / middle, (double)n / times[0], 1e6 * spent);
    print_groups(made, network, repeats);
    free(images);
    free(logits);
    hd_integer_network_destroy(network);
    hd_integer_model_destroy(model);
    made_free(made);
    return 0;
}
