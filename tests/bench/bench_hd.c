/* Flips saved and time taken by the post-training methods on the 34 pointwise layers of a MobileNetV2 with
 * Laplacian weights. Usage: bench_hd [threads [rows ...]] */
#include "reordering.h"
#include "rounding.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LAYERS = 34, MUS = 4 };

typedef struct times {
    double wall, cpu;
} times;

/* Seconds since `start`; from a zeroed one, the time now. */
static times elapsed(times start) {
    struct timespec wall, cpu;
    clock_gettime(CLOCK_MONOTONIC, &wall);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (times){(double)wall.tv_sec + 1e-9 * (double)wall.tv_nsec - start.wall,
                   (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec - start.cpu};
}

static uint64_t random_state = 1;
static float laplacian(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    double u = ((double)(random_state >> 33) + 0.5) / 2147483648.0 - 0.5;
    return (float)((u < 0 ? 1 : -1) * log(1 - 2 * fabs(u)));
}

typedef struct bench_layer {
    hd_plan plan;
    float *weights, *scales;
    int8_t *words, *rounded;
    uint32_t *orders;
} bench_layer;

static void must(bool good, const hd_error *error) {
    if (good) return;
    fprintf(stderr, "bench_hd: %s\n", error->message);
    exit(1);
}

/* The pointwise layers of the network for images of 224 x 224. */
static size_t shapes(hd_layer_shape *shape) {
    static const size_t stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                       {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    size_t count = 0, channels = 32, side = 112;
    for (size_t s = 0; s < 7; s++)
        for (size_t i = 0; i < stages[s][2]; i++) {
            size_t hidden = channels * stages[s][0], stride = i == 0 ? stages[s][3] : 1;
            if (stages[s][0] > 1) shape[count++] = (hd_layer_shape){hidden, channels, 1, 1, side * side};
            side /= stride;
            shape[count++] = (hd_layer_shape){stages[s][1], hidden, 1, 1, side * side};
            channels = stages[s][1];
        }
    shape[count++] = (hd_layer_shape){1280, channels, 1, 1, side * side};
    return count;
}

static hd_flips count_flips(bench_layer *layers, size_t count, bool rounded, int threads) {
    hd_flips total = {0};
    hd_error error;
    for (size_t i = 0; i < count; i++) {
        hd_flips flips;
        must(hd_count_flips(&layers[i].plan, rounded ? layers[i].rounded : layers[i].words, threads, &flips,
                            &error),
             &error);
        hd_flips_add(&total, &flips);
    }
    return total;
}

static void print_ratios(const char *what, const hd_flips *natural, const hd_flips *flips) {
    printf("  %-28s flips %9llu  one pass %.3fx  inside tiles %.3fx  per image %.3fx  nhd %.4f", what,
           (unsigned long long)flips->flips, (double)natural->flips / (double)flips->flips,
           (double)natural->flips_inside_tiles / (double)flips->flips_inside_tiles,
           (double)natural->flips_per_image / (double)flips->flips_per_image, flips->nhd);
}

static void rounds_of(bench_layer *layers, size_t count, hd_round_layer *rounds) {
    for (size_t i = 0; i < count; i++) {
        rounds[i] = (hd_round_layer){
            .plan = &layers[i].plan, .weights = layers[i].weights, .scales = layers[i].scales};
        rounds[i].emphasis = 1;
        for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) rounds[i].bit_costs[bit] = 1;
        rounds[i].words = layers[i].rounded;
    }
}

static void print_rounding(const char *what, bench_layer *layers, size_t count, const hd_flips *natural,
                           int threads, times since) {
    hd_round_layer rounds[LAYERS];
    hd_rounding total = {0}, one;
    hd_error error;
    times spent = elapsed(since);
    rounds_of(layers, count, rounds);
    for (size_t i = 0; i < count; i++) {
        must(hd_measure_rounding(&rounds[i], &one, &error), &error);
        hd_rounding_add(&total, &one);
    }
    hd_flips flips = count_flips(layers, count, true, threads);
    print_ratios(what, natural, &flips);
    printf("  SQNR %.2f dB  %.2f s (cpu %.2f s)\n", total.sqnr_db, spent.wall, spent.cpu);
}

static void bench_rounding(bench_layer *layers, size_t count, const hd_flips *natural, int threads) {
    static const double mus[MUS] = {0.3, 0.1, 0.03, 0.01};
    hd_round_layer rounds[LAYERS];
    hd_error error;
    char name[64];
    double mu;
    rounds_of(layers, count, rounds);
    for (int i = 0; i < MUS; i++) {
        times start = elapsed((times){0});
        must(hd_round_trellis(rounds, count, mus[i], threads, &error), &error);
        snprintf(name, sizeof name, "segment + trellis mu %g", mus[i]);
        print_rounding(name, layers, count, natural, threads, start);
    }
    hd_reorder_options options = hd_reorder_defaults();
    options.threads = threads;
    for (int reorder = 0; reorder < 2; reorder++) {
        times start = elapsed((times){0});
        must(hd_round_to_sqnr(rounds, count, 22, reorder ? &options : NULL, threads, &mu, &error), &error);
        snprintf(name, sizeof name, "22 dB, %s mu %.4f", reorder ? "orders for it," : "segment orders,", mu);
        print_rounding(name, layers, count, natural, threads, start);
    }
}

static void reorder_all(bench_layer *layers, size_t count, const hd_reorder_options *options) {
    hd_error error;
    for (size_t i = 0; i < count; i++) {
        must(hd_reorder_segments(&layers[i].plan, layers[i].words, options, layers[i].orders, &error),
             &error);
        must(hd_plan_set_orders(&layers[i].plan, layers[i].orders, &error), &error);
    }
}

static void bench(int rows, int threads) {
    hd_layer_shape shape[LAYERS];
    size_t count = shapes(shape), weights = 0;
    bench_layer layers[LAYERS];
    hd_error error;
    hd_accelerator a = hd_accelerator_default();
    a.rows = rows;
    random_state = 1;
    for (size_t i = 0; i < count; i++) {
        bench_layer *l = &layers[i];
        must(hd_plan_init(&l->plan, &a, &shape[i], &error), &error);
        size_t n = l->plan.weights;
        weights += n;
        l->weights = malloc(n * sizeof *l->weights);
        l->scales = malloc(shape[i].filters * sizeof *l->scales);
        l->words = malloc(n);
        l->rounded = malloc(n);
        l->orders = malloc(l->plan.order_count * l->plan.order_length * sizeof *l->orders);
        for (size_t w = 0; w < n; w++) l->weights[w] = laplacian();
        must(
            hd_quantise(l->weights, shape[i].filters, l->plan.filter_weights, 8, l->words, l->scales, &error),
            &error);
    }
    hd_flips natural = count_flips(layers, count, false, threads);
    printf("%zu layers, %zu weights, %d rows, %d threads\n", count, weights, rows, threads);
    print_ratios("natural", &natural, &natural);
    printf("\n");

    static const struct {
        const char *name;
        uint64_t kicks;
        bool join;
    } ways[] = {
        {"segment, no kicks, parted", 0, false}, {"segment, no kicks", 0, true}, {"segment", 30, true}};
    for (size_t way = 0; way < 3; way++) {
        hd_reorder_options options = hd_reorder_defaults();
        options.threads = threads;
        options.path.kicks_per_point = ways[way].kicks;
        options.join_tiles = ways[way].join;
        for (size_t i = 0; i < count; i++) hd_plan_set_orders(&layers[i].plan, NULL, NULL);
        times start = elapsed((times){0});
        reorder_all(layers, count, &options);
        times spent = elapsed(start);
        hd_flips flips = count_flips(layers, count, false, threads);
        hd_certificate total = {0};
        for (size_t i = 0; i < count; i++) {
            hd_certificate one;
            must(hd_certify_orders(&layers[i].plan, layers[i].words, &options, &one, &error), &error);
            hd_certificate_add(&total, &one);
        }
        print_ratios(ways[way].name, &natural, &flips);
        printf("  gap mean %.3f %% largest %.2f %%  proven %zu of %zu  %.2f s (cpu %.2f s)\n",
               100 * total.mean_gap, 100 * total.largest_gap, total.proven_shortest, total.orders, spent.wall,
               spent.cpu);
    }
    bench_rounding(layers, count, &natural, threads);
    for (size_t i = 0; i < count; i++) {
        hd_plan_free(&layers[i].plan);
        free(layers[i].weights);
        free(layers[i].scales);
        free(layers[i].words);
        free(layers[i].rounded);
        free(layers[i].orders);
    }
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    if (threads < 1) threads = 1;
    if (argc < 3) bench(16, threads);
    for (int i = 2; i < argc; i++) bench(atoi(argv[i]), threads);
    return 0;
}
