/* darknet hd compare: the post-training methods side by side, over arrays, representations and encodings. */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "compare.h"
#include "core/file.h"

static const option_spec options[] = {
    {"-sizes", "N,N,...", "rows and columns of the arrays (default 4,8,16,32,64)"},
    {"-snr", "DB,DB,...", "signal-to-noise ratios of trellis rounding (default 27,22; none: without it)"},
    {"-data", "DATA",
     "also the int8 accuracy of each; errors are then weighed by activations and batch norms"},
    {"-images", "N", "training images for batch-norm statistics (default 2048)"},
    {"-accelerator", "FILE", "the array whose dataflow, widths and energy table are used (default is16x16)"},
    {"-own", NULL, "the accelerator's own representation and encoding alone"},
    {"-thorough", NULL,
     "the full budgets of the path solver and of clustering: 1 to 2 % fewer flips, several times the time"},
    {"-csv", "FILE", "also write every figure, by layer and in total, as CSV"},
    {"-json", "FILE", "also write the report as JSON (\"-\": to standard output)"},
    {"-png", "FILE", "also draw the totals (Python with matplotlib)"},
    OPTION_BATCH,
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd compare CFG WEIGHTS [options]",
    "Bit flips of the same network streamed in natural order, after direct, segment and cluster reordering "
    "and\n"
    "after trellis rounding: by layer and in total, for arrays of several sizes, two's complement and\n"
    "sign-magnitude, without and with bus-invert coding. All figures are recounted from the words.",
    2, 2, options};

/* "4,8,16" */
static bool read_list(const arguments *a, const char *name, double least, double most, double *values,
                      int room, int *count) {
    const char *text = option_text(a, name);
    if (!text) return true;
    *count = 0;
    if (strcmp(text, "none") == 0) return true;
    for (const char *at = text; *count < room; at++) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || !(value >= least) || !(value <= most) || (*end && *end != ',')) break;
        values[(*count)++] = value;
        if (!*end) return true;
        at = end;
    }
    (void)fail("%s: \"%s\" is no list of at most %d numbers from %g to %g, as in 8,16", name, text, room,
               least, most);
    return false;
}

static bool read_settings(const arguments *a, compare_settings *s) {
    double sizes[COMPARE_MOST_SIZES] = {4, 8, 16, 32, 64};
    int images = 2048;
    *s = (compare_settings){.size_count = 5, .sqnrs_db = {27, 22}, .sqnr_count = 2};
    if (!read_list(a, "-sizes", 1, 512, sizes, COMPARE_MOST_SIZES, &s->size_count) ||
        !read_list(a, "-snr", 1, 60, s->sqnrs_db, COMPARE_MOST_SQNRS, &s->sqnr_count) ||
        !option_int(a, "-images", 1, 1 << 30, &images))
        return false;
    for (int i = 0; i < s->size_count; i++) {
        s->sizes[i] = (int)sizes[i];
        if (sizes[i] != floor(sizes[i])) return fail("-sizes: %g is not a whole number", sizes[i]) == 0;
    }
    if (s->size_count == 0) return fail("-sizes: at least one size is wanted") == 0;
    s->both_representations = s->both_encodings = !option_given(a, "-own");
    s->thorough = option_given(a, "-thorough");
    s->data_path = option_text(a, "-data");
    s->images = (size_t)images;
    return true;
}

/* scripts/plot_comparison beside the cfg directory that accelerators are found in. */
static bool draw(const plugin *p, const char *csv_path, const char *png_path, error *e) {
    char script[4096];
    pid_t child;
    int status = 0;
    extern char **environ;
    (void)snprintf(script, sizeof script, "%s/../scripts/plot_comparison",
                   p->resources ? p->resources : "cfg");
    char *const words[] = {script, "-o", (char *)png_path, (char *)csv_path, NULL};
    if (access(script, X_OK) != 0) return error_set(e, "-png: %s is not there to draw it", script);
    int problem = posix_spawn(&child, script, NULL, NULL, words, environ);
    if (problem != 0) return error_set(e, "-png: %s: %s", script, strerror(problem));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           error_set(e, "-png: %s was not drawn", png_path);
}

static bool write_csv(const plugin *p, const arguments *a, const comparison *c, error *e) {
    const char *csv = option_text(a, "-csv"), *png = option_text(a, "-png");
    if (!csv && !png) return true;
    char *text = compare_csv(c), beside[4096];
    (void)snprintf(beside, sizeof beside, "%s.%ld.csv", png ? png : "", (long)getpid());
    const char *path = csv ? csv : beside;
    bool good =
        text ? file_write_atomic(path, text, strlen(text), e) : error_set(e, "%s: out of memory", path);
    free(text);
    good = good && (!png || draw(p, path, png, e));
    if (!csv) (void)unlink(beside);
    return good;
}

static bool compare(plugin *p, const arguments *a, const compare_settings *settings, loaded_network *loaded,
                    error *e) {
    comparison c = {.settings = settings, .loaded = loaded, .weights_path = a->positions[1]};
    const char *json = option_text(a, "-json");
    bool good = comparison_run(&c, e);
    if (good && !(json && strcmp(json, "-") == 0)) compare_print(&c);
    (void)fflush(stdout);
    if (good && json) good = report_write(compare_json(&c), json, e);
    good = good && write_csv(p, a, &c, e);
    comparison_free(&c);
    return good;
}

int hd_compare_command(plugin *p, int argc, char **argv) {
    arguments a;
    compare_settings settings;
    int batch = 128;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    if (!read_settings(&a, &settings) || !option_int(&a, "-batch", 1, 1 << 16, &batch)) return 1;
    loaded_network loaded;
    if (!command_load_batch(p, &a, batch, &loaded)) return 1;
    error e = {0};
    bool good = compare(p, &a, &settings, &loaded, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
