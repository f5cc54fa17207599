/* What `hd round` reports: flips and energy recounted from the words that were written, errors, accuracy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_round.h"

typedef struct round_figures {
    weight_streams written; /* OUT as read back */
    stream_figures *each_before, *each, before, after;
    hd_rounding *each_rounding, rounding;
} round_figures;

static double ratio(double before, double after) {
    return after > 0.0 ? before / after : before > 0.0 ? INFINITY : 1.0;
}

static bool collect(const rounding_run *run, round_figures *f, error *e) {
    size_t count = run->before.count;
    int threads = network_threads(run->loaded->net);
    f->each_before = calloc(count + 1, sizeof *f->each_before);
    f->each = calloc(count + 1, sizeof *f->each);
    f->each_rounding = calloc(count + 1, sizeof *f->each_rounding);
    return ((f->each_before && f->each && f->each_rounding) || error_set(e, "out of memory")) &&
           weight_streams_load(&f->written, run->loaded->net, run->settings->out, &run->loaded->model, e) &&
           weight_streams_measure(&run->before, threads, f->each_before, &f->before, e) &&
           weight_streams_measure(&f->written, threads, f->each, &f->after, e) &&
           rounding_job_measure(&run->job, f->each_rounding, &f->rounding, e);
}

/* Ratios of sums over the layers with kernels of this size that are not depthwise; 0: over all layers. */
typedef struct flip_ratios {
    double per_image, one_pass, inside_tiles;
} flip_ratios;

static flip_ratios ratios_of(const round_figures *f, size_t kernel) {
    hd_flips before = {0}, after = {0};
    for (size_t i = 0; i < f->written.count; i++) {
        const weight_stream *w = &f->written.items[i];
        if (kernel && (w->shape.size != kernel || w->plan.depthwise)) continue;
        hd_flips_add(&before, &f->each_before[i].flips);
        hd_flips_add(&after, &f->each[i].flips);
    }
    return (flip_ratios){ratio((double)before.flips_per_image, (double)after.flips_per_image),
                         ratio((double)before.flips, (double)after.flips),
                         ratio((double)before.flips_inside_tiles, (double)after.flips_inside_tiles)};
}

static void print(const rounding_run *run, const round_figures *f) {
    const hd_flips *before = &f->before.flips, *after = &f->after.flips;
    flip_ratios all = ratios_of(f, 0), pointwise = ratios_of(f, 1);
    printf("%s: trellis rounding at mu %.4g, %s order, on %s\n", run->settings->out, run->mu,
           order_method_name(run->settings->method), run->loaded->model.accelerator.name);
    printf("  flips an image   %llu -> %llu (%.3fx fewer than the words of the weights in natural order)\n",
           (unsigned long long)before->flips_per_image, (unsigned long long)after->flips_per_image,
           all.per_image);
    printf("  one pass         %llu -> %llu (%.3fx; inside tiles %.3fx), nhd %.4f -> %.4f\n",
           (unsigned long long)before->flips, (unsigned long long)after->flips, all.one_pass,
           all.inside_tiles, before->nhd, after->nhd);
    printf("  1x1 layers       %.3fx an image, %.3fx one pass, %.3fx inside tiles\n", pointwise.per_image,
           pointwise.one_pass, pointwise.inside_tiles);
    printf("  datapath energy  %.3f -> %.3f uJ (%.3fx less)\n", f->before.energy.datapath_pj * 1e-6,
           f->after.energy.datapath_pj * 1e-6,
           ratio(f->before.energy.datapath_pj, f->after.energy.datapath_pj));
    printf("  words            SQNR %.2f dB; %.1f %% are not the nearest word, at most %u off\n",
           f->rounding.sqnr_db,
           100.0 * (double)f->rounding.moved / (double)(f->rounding.words ? f->rounding.words : 1),
           f->rounding.largest_move);
    const paired_accuracy *a = &run->accuracy;
    if (a->images)
        printf("  int8 top-1       %.2f -> %.2f %% on %zu %s images: drop %.2f points, standard error %.2f\n",
               100.0 * a->before, 100.0 * a->after, a->images,
               run->data.slice_was_trained_on ? "training (no valid_split: seen in training)" : "held-out",
               a->drop_points, a->standard_error_points);
}

static json_t *ratios_json(flip_ratios r) {
    return json_pack("{s:f, s:f, s:f}", "flips_per_image", r.per_image, "flips", r.one_pass,
                     "flips_inside_tiles", r.inside_tiles);
}

/* JSON knows no infinity. */
static json_t *finite_json(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *report_of(const rounding_run *run, const round_figures *f) {
    json_t *root = report_streams(&f->written, f->each, &f->after, true);
    if (!root) return NULL;
    json_object_set_new(root, "method", json_string(order_method_name(run->settings->method)));
    json_object_set_new(root, "cost", json_string(run->settings->by_energy ? "energy" : "flips"));
    static const char *const goals[] = {
        [ROUND_BY_MU] = "mu", [ROUND_BY_SQNR] = "sqnr", [ROUND_BY_DROP] = "drop"};
    json_object_set_new(root, "goal", json_string(goals[run->settings->goal]));
    json_object_set_new(root, "target", json_real(run->settings->target));
    json_object_set_new(root, "mu", json_real(run->mu));
    double divergence = 0.0;
    for (size_t i = 0; i < f->written.count; i++) divergence += run->job.divergences[i];
    if (run->settings->goal == ROUND_BY_DROP)
        json_object_set_new(root, "divergence_nats", json_real(divergence));
    json_object_set_new(root, "sqnr_db", finite_json(f->rounding.sqnr_db));
    json_object_set_new(root, "words_moved", json_integer((json_int_t)f->rounding.moved));
    json_object_set_new(root, "flips_per_image_before",
                        json_integer((json_int_t)f->before.flips.flips_per_image));
    json_object_set_new(root, "flips_ratio", finite_json(ratios_of(f, 0).per_image));
    json_object_set_new(root, "energy_ratio",
                        finite_json(ratio(f->before.energy.datapath_pj, f->after.energy.datapath_pj)));
    json_object_set_new(root, "ratios", ratios_json(ratios_of(f, 0)));
    json_object_set_new(root, "ratios_1x1", ratios_json(ratios_of(f, 1)));
    json_object_set_new(root, "ratios_3x3", ratios_json(ratios_of(f, 3)));
    const paired_accuracy *a = &run->accuracy;
    if (a->images)
        json_object_set_new(root, "accuracy",
                            json_pack("{s:I, s:b, s:f, s:f, s:f, s:f}", "images", (json_int_t)a->images,
                                      "trained_on", (int)run->data.slice_was_trained_on, "before", a->before,
                                      "after", a->after, "drop_points", a->drop_points,
                                      "standard_error_points", a->standard_error_points));
    json_t *layers = json_object_get(root, "layers");
    for (size_t i = 0; i < f->written.count; i++) {
        json_t *entry = json_array_get(layers, i);
        json_object_set_new(entry, "sqnr_db", finite_json(f->each_rounding[i].sqnr_db));
        json_object_set_new(entry, "flips_before", json_integer((json_int_t)f->each_before[i].flips.flips));
    }
    return root;
}

bool round_report(const rounding_run *run, error *e) {
    round_figures f = {0};
    const char *json = run->settings->json;
    bool good = collect(run, &f, e);
    if (good && !(json && strcmp(json, "-") == 0)) print(run, &f);
    if (good && json) good = report_write(report_of(run, &f), json, e);
    weight_streams_free(&f.written);
    free(f.each_before);
    free(f.each);
    free(f.each_rounding);
    return good;
}
