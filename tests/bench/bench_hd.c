/* Flips saved and time taken by the post-training methods: on the pointwise layers of a MobileNetV2 for
 * images of 224 x 224 with Laplacian weights, and on networks of cfg/ with trained weights, where there are
 * some. Usage: bench_hd [threads [rows ...]]. Flips are recounted from the words by hd_count_flips. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "reordering.h"
#include "rounding.h"

enum { MOST_LAYERS = 256 };

/* Of the figures that are asked for at 16 lanes on the ImageNet-style shapes. */
static const double target_sqnr_db = 22, target_segment = 1.36, target_trellis = 2.9;

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

static void must(bool good, const char *message) {
    if (good) return;
    fprintf(stderr, "bench_hd: %s\n", message);
    exit(1);
}

typedef struct bench_layer {
    hd_plan plan;
    float *weights, *scales; /* weights owned */
    int8_t *words;
    uint32_t *orders, *channels;
} bench_layer;

typedef struct bench_set {
    bench_layer layers[MOST_LAYERS];
    size_t count, weights;
    int threads;
    hd_flips natural[3]; /* all layers, 1x1, 3x3 and larger */
} bench_set;

static bench_layer *add_layer(bench_set *s, const hd_accelerator *a, const hd_layer_shape *shape) {
    hd_error h;
    must(s->count < MOST_LAYERS, "too many layers");
    bench_layer *l = &s->layers[s->count++];
    must(hd_plan_init(&l->plan, a, shape, &h), h.message);
    size_t n = l->plan.weights;
    s->weights += n;
    *l = (bench_layer){.plan = l->plan,
                       .weights = malloc(n * sizeof *l->weights),
                       .scales = malloc(shape->filters * sizeof *l->scales),
                       .words = malloc(n),
                       .orders = malloc(l->plan.order_count * l->plan.order_length * sizeof *l->orders),
                       .channels = malloc(l->plan.groups * l->plan.lane_axis * sizeof *l->channels)};
    must(l->weights && l->scales && l->words && l->orders && l->channels, "out of memory");
    return l;
}

static void quantise(bench_layer *l) {
    hd_error h;
    must(hd_quantise(l->weights, l->plan.shape.filters, l->plan.filter_weights,
                     l->plan.accelerator.weight_bits, l->words, l->scales, &h),
         h.message);
}

static void free_set(bench_set *s) {
    for (size_t i = 0; i < s->count; i++) {
        bench_layer *l = &s->layers[i];
        hd_plan_free(&l->plan);
        free(l->weights);
        free(l->scales);
        free(l->words);
        free(l->orders);
        free(l->channels);
    }
    *s = (bench_set){0};
}

/* ---- figures ---- */
static bool is_pointwise(const bench_layer *l) {
    return !l->plan.depthwise && l->plan.shape.size == 1;
}
static bool is_spatial(const bench_layer *l) {
    return !l->plan.depthwise && l->plan.shape.size > 1;
}
static bool is_any(const bench_layer *l) {
    (void)l;
    return true;
}

typedef bool scope(const bench_layer *l);

static hd_flips count_flips(const bench_set *s, scope *within) {
    hd_flips total = {0};
    for (size_t i = 0; i < s->count; i++) {
        const bench_layer *l = &s->layers[i];
        hd_flips flips;
        hd_error h;
        if (!within(l)) continue;
        must(hd_count_flips(&l->plan, l->words, s->threads, &flips, &h), h.message);
        hd_flips_add(&total, &flips);
    }
    return total;
}

static double ratio(uint64_t before, uint64_t after) {
    return (double)before / (double)(after ? after : 1);
}

static void print_head(void) {
    printf("  %-26s %10s %8s %8s %8s %8s %8s %7s %8s %14s %9s %9s\n", "", "flips", "pass", "inside", "image",
           "1x1", "3x3", "nhd", "SQNR dB", "gap mean/max %", "seconds", "cpu s");
}

/* What a row has beside its flips. */
typedef struct row {
    const char *name;
    times spent;
    double sqnr_db; /* 0: words as they were */
    hd_certificate gaps;
} row;

static void print_part(const hd_flips *before, const hd_flips *flips) {
    if (flips->words)
        printf(" %7.3fx", ratio(before->flips_per_image, flips->flips_per_image));
    else
        printf(" %8s", "-");
}

static void print_row(const bench_set *s, const row *r) {
    hd_flips flips = count_flips(s, is_any), pointwise = count_flips(s, is_pointwise),
             spatial = count_flips(s, is_spatial);
    char text[32] = "-";
    printf("  %-26s %10llu %7.3fx %7.3fx %7.3fx", r->name, (unsigned long long)flips.flips,
           ratio(s->natural[0].flips, flips.flips),
           ratio(s->natural[0].flips_inside_tiles, flips.flips_inside_tiles),
           ratio(s->natural[0].flips_per_image, flips.flips_per_image));
    print_part(&s->natural[1], &pointwise);
    print_part(&s->natural[2], &spatial);
    if (r->sqnr_db > 0) (void)snprintf(text, sizeof text, "%.2f", r->sqnr_db);
    printf(" %7.4f %8s", flips.nhd, text);
    (void)snprintf(text, sizeof text, "%.2f / %.2f", 100 * r->gaps.mean_gap, 100 * r->gaps.largest_gap);
    printf(" %14s %9.2f %9.2f\n", r->gaps.orders > r->gaps.uncertified ? text : "-", r->spent.wall,
           r->spent.cpu);
}

static hd_certificate certify(const bench_set *s) {
    hd_reorder_options options = hd_reorder_defaults();
    hd_certificate total = {0}, one;
    hd_error h;
    options.threads = s->threads;
    for (size_t i = 0; i < s->count; i++) {
        must(hd_certify_orders(&s->layers[i].plan, s->layers[i].words, &options, &one, &h), h.message);
        hd_certificate_add(&total, &one);
    }
    return total;
}

/* ---- methods ---- */
static void natural(bench_set *s) {
    hd_error h;
    for (size_t i = 0; i < s->count; i++) {
        bench_layer *l = &s->layers[i];
        must(hd_plan_set_orders(&l->plan, NULL, &h) && hd_plan_set_lane_channels(&l->plan, NULL, &h),
             h.message);
        quantise(l);
    }
}

static void reorder(bench_set *s, const char *name, uint64_t kicks, bool cluster) {
    hd_reorder_options options = hd_reorder_defaults();
    hd_cluster_report report;
    hd_error h;
    options.threads = s->threads;
    options.path.kicks_per_point = kicks;
    options.exchanges_per_channel = 2; /* of the default's 16, which take minutes */
    natural(s);
    times start = elapsed((times){0});
    for (size_t i = 0; i < s->count; i++) {
        bench_layer *l = &s->layers[i];
        if (cluster)
            must(hd_reorder_clusters(&l->plan, l->words, &options, l->channels, l->orders, &report, &h) &&
                     hd_plan_set_lane_channels(&l->plan, l->channels, &h),
                 h.message);
        else
            must(hd_reorder_segments(&l->plan, l->words, &options, l->orders, &h), h.message);
        must(hd_plan_set_orders(&l->plan, l->orders, &h), h.message);
    }
    row r = {.name = name, .spent = elapsed(start)};
    r.gaps = certify(s);
    print_row(s, &r);
}

static void round_words(bench_set *s, const char *name, double sqnr_db, bool new_orders) {
    hd_round_layer layers[MOST_LAYERS];
    hd_rounding total = {0}, one;
    hd_error h;
    hd_reorder_options options = hd_reorder_defaults();
    options.threads = s->threads;
    options.path.kicks_per_point = 0;
    double mu = 0.03;
    for (size_t i = 0; i < s->count; i++) {
        bench_layer *l = &s->layers[i];
        layers[i] = (hd_round_layer){
            .plan = &l->plan, .weights = l->weights, .scales = l->scales, .emphasis = 1, .words = l->words};
        for (int bit = 0; bit < HD_MAXIMUM_BITS; bit++) layers[i].bit_costs[bit] = 1;
    }
    times start = elapsed((times){0});
    if (sqnr_db > 0)
        must(hd_round_to_sqnr(layers, s->count, sqnr_db, new_orders ? &options : NULL, s->threads, &mu, &h),
             h.message);
    else
        must(hd_round_trellis(layers, s->count, mu, s->threads, &h), h.message);
    row r = {.name = name, .spent = elapsed(start)};
    for (size_t i = 0; i < s->count; i++) {
        must(hd_measure_rounding(&layers[i], &one, &h), h.message);
        hd_rounding_add(&total, &one);
    }
    r.sqnr_db = total.sqnr_db;
    print_row(s, &r);
}

static void bench(bench_set *s, bool targets) {
    scope *const scopes[] = {is_any, is_pointwise, is_spatial};
    print_head();
    natural(s);
    for (size_t i = 0; i < 3; i++) s->natural[i] = count_flips(s, scopes[i]);
    row r = {.name = "natural"};
    r.gaps = certify(s);
    print_row(s, &r);
    reorder(s, "segment, no perturbation", 0, false);
    reorder(s, "cluster, no perturbation", 0, true);
    reorder(s, "segment", hd_path_defaults().kicks_per_point, false);
    double segment = ratio(s->natural[0].flips_inside_tiles, count_flips(s, is_any).flips_inside_tiles);
    round_words(s, "  + trellis, mu 0.03", 0, false);
    round_words(s, "  + trellis, 22 dB", target_sqnr_db, false);
    round_words(s, "  + trellis in turns, 22 dB", target_sqnr_db, true);
    double trellis = ratio(s->natural[0].flips_inside_tiles, count_flips(s, is_any).flips_inside_tiles);
    if (!targets) return;
    printf("  inside tiles: segment %.3fx (%.2fx wanted: %s), segment + trellis at %g dB %.3fx (%.1fx "
           "wanted: %s)\n",
           segment, target_segment, segment >= target_segment ? "reached" : "missed", target_sqnr_db, trellis,
           target_trellis, trellis >= target_trellis ? "reached" : "missed");
}

/* ---- what is measured ---- */
static hd_accelerator accelerator_of(int rows) {
    hd_accelerator a = hd_accelerator_default();
    a.rows = a.cols = rows;
    return a;
}

/* The pointwise layers of MobileNetV2 for images of 224 x 224. */
static void add_pointwise_layers(bench_set *s, const hd_accelerator *a) {
    static const size_t stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                       {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    size_t channels = 32, side = 112;
    for (size_t stage = 0; stage < 7; stage++)
        for (size_t i = 0; i < stages[stage][2]; i++) {
            size_t hidden = channels * stages[stage][0], stride = i == 0 ? stages[stage][3] : 1;
            if (stages[stage][0] > 1) add_layer(s, a, &(hd_layer_shape){hidden, channels, 1, 1, side * side});
            side /= stride;
            add_layer(s, a, &(hd_layer_shape){stages[stage][1], hidden, 1, 1, side * side});
            channels = stages[stage][1];
        }
    add_layer(s, a, &(hd_layer_shape){1280, channels, 1, 1, side * side});
}

static void fill_laplacian(bench_set *s) {
    random_state = 1;
    for (size_t i = 0; i < s->count; i++)
        for (size_t w = 0; w < s->layers[i].plan.weights; w++) s->layers[i].weights[w] = laplacian();
}

static void bench_shapes(int rows, int threads) {
    bench_set s = {.threads = threads};
    hd_accelerator a = accelerator_of(rows);
    add_pointwise_layers(&s, &a);
    fill_laplacian(&s);
    printf("ImageNet-style MobileNetV2, %zu pointwise layers, %zu weights, Laplacian (synthetic); %dx%d, %d "
           "threads\n",
           s.count, s.weights, rows, rows, threads);
    bench(&s, rows == 16);
    free_set(&s);
}

/* A network of cfg/ and its trained weights in results/weights. */
typedef struct trained {
    const char *cfg_path, *weights_path;
} trained;

static void bench_network(const trained *t, int rows, int threads) {
    error e = {0};
    const char *weights = access(t->weights_path, R_OK) == 0 ? t->weights_path : NULL;
    diagnostics *d = diagnostics_create();
    network_settings settings = {.threads = threads};
    network *net = d ? network_create(t->cfg_path, &settings, d, &e) : NULL;
    must(net != NULL, e.message);
    must(!weights || network_load_weights(net, weights, false, NULL, &e), e.message);
    array_model model = {.accelerator = accelerator_of(rows)};
    weight_streams streams;
    must(weight_streams_create(&streams, net, &model, &e), e.message);
    bench_set s = {.threads = threads};
    for (size_t i = 0; i < streams.count; i++) {
        darknet_parameter values;
        bench_layer *l = add_layer(&s, &model.accelerator, &streams.items[i].shape);
        (void)layer_get_parameter(streams.items[i].layer, "weights", &values);
        memcpy(l->weights, values.values, l->plan.weights * sizeof *l->weights);
    }
    if (!weights) fill_laplacian(&s);
    printf("%s, %zu layers, %zu weights, %s%s; %dx%d, %d threads\n", t->cfg_path, s.count, s.weights,
           weights ? weights : "Laplacian (synthetic) since there is no ", weights ? "" : t->weights_path,
           rows, rows, threads);
    bench(&s, false);
    free_set(&s);
    weight_streams_free(&streams);
    network_destroy(net);
    diagnostics_destroy(d);
}

int main(int argc, char **argv) {
    static const trained networks[] = {
        {"cfg/mobilenetv2-light-cifar100.cfg", "results/weights/light.weights"},
        {"cfg/resnet26-cifar100.cfg", "results/weights/resnet26.weights"}};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    if (threads < 1) threads = 1;
    printf("Times fewer flips than natural order: of one pass, of it inside tiles, of an image over all "
           "layers, over 1x1 and 3x3 "
           "ones\n");
    for (int i = 2; i < argc || i == 2; i++) {
        int rows = i < argc ? atoi(argv[i]) : 16;
        must(rows >= 1 && rows <= HD_MAXIMUM_ARRAY_SIDE, "rows are a number from 1 to 4096");
        bench_shapes(rows, threads);
        for (size_t n = 0; n < sizeof networks / sizeof *networks; n++)
            bench_network(&networks[n], rows, threads);
    }
    return 0;
}
