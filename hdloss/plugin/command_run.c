/* darknet hd run: an export, on one image or a data file's validation set. No network of floats is built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "core/file.h"
#include "core/memory.h"
#include "export_files.h"
#include "integer_tally.h"

static const option_spec options[] = {
    {"-t", "K", "how many classes of an image, best first (default 5); of DATA, top-K accuracy"},
    {"-names", "FILE", "the classes' names, one a line"},
    {"-test", NULL, "on DATA's test set instead of valid"},
    {"-logits", "FILE", "also write the logits as .npy, float32 [images][classes]"},
    {"-inputs", "FILE", "also write the quantised images as .npy, int8 [images][height][width][channels]"},
    {"-json", "FILE", "also write the result as JSON (\"-\": to standard output)"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {"hd run DIR IMAGE|DATA [options]",
                                  "Runs the export in DIR with integers alone: the likeliest classes of "
                                  "IMAGE (a file named .jpg, .png, .bmp,\n"
                                  ".ppm or .pgm), or the accuracy on the data file DATA's validation set.",
                                  2, 2, options};

enum { PASS_IMAGES = 128 };

typedef struct job {
    const arguments *a;
    hd_export x;
    hd_integer_network *net;
    augmentation preparation;
    int threads, top;
    uint64_t memory_limit; /* bytes; 0: the machine's */
    integer_records records;
    evaluation result;
} job;

static bool is_image(const char *path) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && strcasecmp(path + length - tail, endings[i]) == 0) return true;
    }
    return false;
}

/* ---- a data file ---- */
typedef struct set_source {
    const job *j;
    const dataset *set;
} set_source;

static bool visit_set(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const set_source *s = user;
    return visit_prepared(s->set, &s->j->preparation, PASS_IMAGES, most, visit, visit_user, e);
}

static bool run_data(job *j, const data_options *data, error *e) {
    dataset *d = dataset_open(data, option_given(j->a, "-test") ? DATA_TEST : DATA_VALID,
                              j->preparation.channels, 0, j->memory_limit, e);
    if (!d) return false;
    size_t classes = hd_integer_network_classes(j->net);
    bool good = (size_t)dataset_classes(d) <= classes ||
                error_set(e, "%s: the data has %d classes, but the export in %s has %zu outputs", data->path,
                          dataset_classes(d), j->a->positions[0], classes);
    set_source source = {.j = j, .set = d};
    good = good && tally_integer(j->net, j->threads, visit_set, &source, j->top, &j->records, &j->result, e);
    dataset_close(d);
    return good;
}

static bool run_data_file(job *j, const char *path, error *e) {
    data_options data;
    if (!data_options_read(path, &data, e)) return false;
    if (!option_given(j->a, "-t") && data.top > 1) j->top = data.top;
    bool good = run_data(j, &data, e);
    data_options_free(&data);
    return good;
}

/* ---- one image ---- */
typedef struct image_source_state {
    const float *values;
} one_image;

static bool visit_image(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const one_image *image = user;
    const int no_class = 0;
    (void)most;
    (void)e;
    visit(visit_user, image->values, &no_class, 1);
    return true;
}

static bool run_image(job *j, const char *path, error *e) {
    const augmentation *a = &j->preparation;
    image_f32 image;
    if (!image_load(path, a->channels, &image, e)) return false;
    float *input = memory_allocate((size_t)a->height * (size_t)a->width * (size_t)a->channels, sizeof *input);
    one_image source = {.values = input};
    bool good = (input || error_set(e, "%s: out of memory", path)) &&
                data_prepare_image(&image, a, true, input, e) &&
                tally_integer(j->net, j->threads, visit_image, &source, 1, &j->records, &j->result, e);
    memory_free(input);
    image_free(&image);
    return good;
}

/* ---- reports ---- */
/* The next best class after those that are told. */
static size_t best_of(const float *values, size_t count, const bool *told) {
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (!told[i] && (best == count || values[i] > values[best])) best = i;
    return best;
}

static bool report_image(const job *j, json_t *root, bool print, error *e) {
    const char *path = option_text(j->a, "-names");
    string_list names = {0};
    size_t classes = j->records.classes, top = (size_t)j->top < classes ? (size_t)j->top : classes;
    if (path && !string_list_read(path, &names, e)) return false;
    float *probabilities = malloc(classes * sizeof *probabilities);
    bool *told = calloc(classes, sizeof *told);
    bool good = probabilities && told;
    json_t *list = json_array();
    if (!good) error_set(e, "out of memory");
    if (good) hd_integer_softmax(j->records.logits, 1, classes, probabilities);
    for (size_t k = 0; good && k < top; k++) {
        size_t best = best_of(j->records.logits, classes, told);
        const char *name = best < names.count ? names.items[best] : NULL;
        double probability = (double)probabilities[best];
        told[best] = true;
        if (print && name) printf("%5.2f%%: %s\n", 100.0 * probability, name);
        if (print && !name) printf("%5.2f%%: class %zu\n", 100.0 * probability, best);
        json_array_append_new(list, json_pack("{s:I, s:s*, s:f}", "class", (json_int_t)best, "name", name,
                                              "probability", probability));
    }
    json_object_set_new(root, "classes", list);
    free(told);
    free(probabilities);
    string_list_free(&names);
    return good;
}

static void report_data(const job *j, json_t *root, bool print) {
    const evaluation *r = &j->result;
    if (print)
        printf("%zu images: top 1: %f, top %d: %f, loss %f (int8, %.1f images/s)\n", r->images, r->top1,
               j->top, r->topk, r->loss, (double)r->images / r->seconds);
    json_t *figures = json_pack("{s:I, s:f, s:i, s:f, s:f}", "images", (json_int_t)r->images, "top1", r->top1,
                                "k", j->top, "topk", r->topk, "loss", r->loss);
    if (figures) json_object_update(root, figures);
    json_decref(figures);
}

static bool report(const job *j, bool image, error *e) {
    const char *json = option_text(j->a, "-json");
    bool print = !(json && strcmp(json, "-") == 0), good = true;
    json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "version", darknet_version(), "export",
                             j->a->positions[0], "network", j->x.network, "input", j->a->positions[1]);
    if (!root) return error_set(e, "out of memory");
    if (image)
        good = report_image(j, root, print, e);
    else
        report_data(j, root, print);
    if (good && json) return report_write(root, json, e);
    json_decref(root);
    return good;
}

static bool write_records(const job *j, error *e) {
    const char *logits = option_text(j->a, "-logits"), *inputs = option_text(j->a, "-inputs");
    return (!logits || integer_records_write_logits(&j->records, logits, e)) &&
           (!inputs || integer_records_write_inputs(&j->records, inputs, e));
}

static bool open_export(job *j, error *e) {
    hd_error h = {0};
    if (!export_directory_read(j->a->positions[0], &j->x, e)) return false;
    j->net = hd_integer_network_create(j->x.model, &h);
    if (!j->net) return error_set(e, "%s: %s", j->a->positions[0], h.message);
    const hd_integer_tensor *in = &j->x.model->input;
    j->preparation = (augmentation){.width = in->width,
                                    .height = in->height,
                                    .channels = in->channels,
                                    .mean = j->x.mean,
                                    .deviation = j->x.deviation,
                                    .aspect = 1.0f,
                                    .saturation = 1.0f,
                                    .exposure = 1.0f};
    return true;
}

static bool run(job *j, error *e) {
    const char *what = j->a->positions[1];
    bool image = is_image(what), good = open_export(j, e);
    j->records.keep_logits = image || option_given(j->a, "-logits");
    j->records.keep_inputs = option_given(j->a, "-inputs");
    if (good && image) good = run_image(j, what, e);
    if (good && !image) good = run_data_file(j, what, e);
    return good && write_records(j, e) && report(j, image, e);
}

int hd_run_command(plugin *p, int argc, char **argv) {
    arguments a;
    job j = {.a = &a, .top = 5, .memory_limit = plugin_memory_limit(p)};
    error e = {0};
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    if (!command_threads(&a, &j.threads) || !option_int(&a, "-t", 1, 1 << 20, &j.top)) return 1;
    if (j.threads == 0) j.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    bool good = run(&j, &e);
    integer_records_free(&j.records);
    hd_integer_network_destroy(j.net);
    hd_export_free(&j.x);
    return good ? 0 : fail("%s", e.message);
}
