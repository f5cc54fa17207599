/* darknet hd reorder: a checkpoint's weights in an order that flips fewer bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "command_reorder.h"

static const option_spec options[] = {
    {"-method", "direct|segment|cluster",
     "direct: folded into plain weights; segment (default) and cluster: in OUT's .stream"},
    {"-signs", "folded|segment",
     "also negate filters: taken back by batch norm, or each segment's own in the .stream"},
    {"-cost", "flips|energy", "what a flip costs: the same for each bit (default), or the energy table's pJ"},
    {"-certify", NULL, "also prove how near the orders are to the shortest (a lower bound for each)"},
    {"-accelerator", "FILE", "the array (default: WEIGHTS' .stream's, or is16x16)"},
    {"-data", "DATA", "also calibrate the integer network's activations, for the .stream"},
    {"-json", "FILE", "also write the report as JSON (\"-\": to standard output)"},
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {"hd reorder CFG WEIGHTS OUT [options]",
                                  "Reorders what each layer streams: output channels where the array holds "
                                  "inputs, the reduction where it holds\n"
                                  "outputs; cluster also chooses the channels that share a segment. The "
                                  "network computes the same; flips before\n"
                                  "and after are counted from the words.",
                                  3, 3, options};

/* ---- the run ---- */
/* The sidecar's activation scales, those of -data, or none (*scales NULL). */
static bool find_scales(const reordering_run *run, const network_view *view, float **scales, error *e) {
    const hd_stream *from = &run->loaded->streams.sidecar;
    *scales = NULL;
    if (run->data_path) return (*scales = command_calibrate(run->loaded, view, run->data_path, e)) != NULL;
    if (!from->activation_scales || from->node_count != hd_integer_scale_count(&view->description))
        return true;
    *scales = malloc(from->node_count * sizeof **scales);
    if (!*scales) return error_set(e, "out of memory");
    memcpy(*scales, from->activation_scales, from->node_count * sizeof **scales);
    return true;
}

/* Signs that a sidecar has already belong to its segments. */
static bool check_signs(const reordering_run *run, error *e) {
    const weight_streams *s = &run->loaded->streams;
    if (run->request.method == ORDER_SEGMENT && run->request.signs == SIGNS_KEPT) return true;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].streamed)
            return error_set(e, "%s: its .stream has signs of filters, which only -method segment keeps",
                             run->weights_path);
    return true;
}

static bool write_ordered(reordering_run *run, const network_view *view, const float *scales, error *e) {
    loaded_network *loaded = run->loaded;
    return check_signs(run, e) && reorder_streams(&loaded->streams, view, &run->request, run->gains, e) &&
           network_save_weights(loaded->net, run->out, -1, e) &&
           sidecar_write(run->out, &loaded->streams, view, scales, e);
}

static bool certify(reordering_run *run, error *e) {
    for (size_t i = 0; i < run->written.count; i++) {
        const weight_stream *w = &run->written.items[i];
        hd_certificate one;
        hd_error h = {0};
        hd_reorder_options o = hd_reorder_defaults();
        o.threads = run->request.threads;
        if (!hd_certify_orders(&w->plan, w->streamed ? w->streamed : w->words, &o, &one, &h))
            return from_hd(&h, e);
        hd_certificate_add(&run->certificate, &one);
    }
    return true;
}

static bool reorder(reordering_run *run, error *e) {
    loaded_network *loaded = run->loaded;
    bool direct = run->request.method == ORDER_DIRECT;
    network_view view = {0};
    float *scales = NULL;
    int threads = run->request.threads;
    if (direct && loaded->streams.sidecar.layer_count)
        return error_set(e, "%s: has a .stream beside it; direct reordering takes float weights",
                         run->weights_path);
    run->each = calloc(loaded->streams.count + 1, sizeof *run->each);
    run->gains = calloc(loaded->streams.count + 1, sizeof *run->gains);
    bool good = ((run->each && run->gains) || error_set(e, "out of memory")) &&
                network_view_create(&view, loaded->net, &loaded->model.accelerator, e) &&
                find_scales(run, &view, &scales, e) &&
                weight_streams_measure(&loaded->streams, threads, NULL, &run->before, e) &&
                (direct ? write_direct(loaded->net, &view, &loaded->model, scales, false, run->out, e)
                        : write_ordered(run, &view, scales, e)) &&
                weight_streams_load(&run->written, loaded->net, run->out, &loaded->model, e) &&
                weight_streams_measure(&run->written, threads, run->each, &run->after, e) &&
                (!run->certify || certify(run, e));
    if (good && !(run->json && strcmp(run->json, "-") == 0)) reorder_print(run);
    if (good && run->json) good = report_write(reorder_json(run), run->json, e);
    weight_streams_free(&run->written);
    network_view_free(&view);
    free(scales);
    free(run->each);
    free(run->gains);
    return good;
}

/* ---- the command line ---- */
static bool read_signs(const arguments *a, reorder_request *r) {
    const char *signs = option_text(a, "-signs");
    r->signs = SIGNS_KEPT;
    if (!signs) return true;
    r->signs = strcmp(signs, "folded") == 0 ? SIGNS_FOLDED : SIGNS_SEGMENT;
    if (r->signs == SIGNS_SEGMENT && strcmp(signs, "segment") != 0) {
        fail("-signs: \"%s\" is not one of folded, segment", signs);
        return false;
    }
    if (r->method != ORDER_DIRECT) return true;
    fail("hd reorder: -signs goes with -method segment or cluster");
    return false;
}

static bool read_request(const arguments *a, reorder_request *r) {
    error e = {0};
    const char *method = option_given(a, "-method") ? option_text(a, "-method") : "segment";
    if (strcmp(method, "natural") == 0 || !order_method_parse(method, &r->method, &e)) {
        fail("-method: \"%s\" is not one of direct, segment, cluster", method);
        return false;
    }
    return read_flip_cost(a, &r->by_energy) && read_signs(a, r);
}

int hd_reorder_command(plugin *p, int argc, char **argv) {
    arguments a;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    loaded_network loaded;
    reordering_run run = {.weights_path = a.positions[1],
                          .out = a.positions[2],
                          .data_path = option_text(&a, "-data"),
                          .json = option_text(&a, "-json"),
                          .certify = option_given(&a, "-certify"),
                          .loaded = &loaded};
    if (!read_request(&a, &run.request) || !command_load(p, &a, &loaded)) return 1;
    run.request.threads = network_threads(loaded.net);
    error e = {0};
    bool good = reorder(&run, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
