/* darknet hd round: words that flip few bits, chosen without training. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "command_round.h"

static const option_spec options[] = {
    {"-round", "MU", "price of a word's squared error, in flips: .1 moves words little, .001 much"},
    {"-snr", "DB", "keep this signal-to-noise ratio of the words over all layers"},
    {"-drop", "POINTS",
     "let top-1 of the integer network fall by at most so much on held-out training images"},
    {"-data", "DATA", "weigh errors by the activations and batch norms, then estimate the statistics anew"},
    {"-images", "N", "training images for that (default 4096)"},
    {"-method", "natural|direct|segment|cluster", "orders, solved in turns with the words (default segment)"},
    {"-cost", "flips|energy", "what a flip costs: the same for each bit (default), or the energy table's pJ"},
    {"-accelerator", "FILE", "the array (default: WEIGHTS' .stream's, or is16x16)"},
    {"-json", "FILE", "also write the report as JSON (\"-\": to standard output)"},
    OPTION_BATCH,
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd round CFG WEIGHTS OUT -round MU|-snr DB|-drop POINTS [options]",
    "Rounds each layer's weights to the words whose stream flips fewest bits at a price for their errors: "
    "exact\n"
    "along each lane, in turns with the order of the stream. Writes OUT and its .stream, which holds the "
    "words\n"
    "(a float file alone does not tell them). Figures are recounted from what was written.\n"
    "-drop weighs errors by what they do to the network's answers (Fisher information), lets later lanes "
    "make up\n"
    "for earlier ones, and searches the one price for all layers on the integer network.",
    3, 3, options};

/* ---- the run ---- */
static float *copy_scales(const hd_stream *sidecar, const network_view *view) {
    if (!sidecar->activation_scales || sidecar->node_count != hd_integer_scale_count(&view->description))
        return NULL;
    float *copy = malloc(sidecar->node_count * sizeof *copy);
    if (copy) memcpy(copy, sidecar->activation_scales, sidecar->node_count * sizeof *copy);
    return copy;
}

/* What WEIGHTS answers on the held-out images, as it is. */
static bool measure_plain(rounding_run *run, error *e) {
    loaded_network *loaded = run->loaded;
    int bits = loaded->model.accelerator.activation_bits;
    float *scales = copy_scales(&loaded->streams.sidecar, &run->view);
    if (!scales) scales = calibrate_activations(loaded->net, &run->view, bits, visit_train, &run->data, e);
    bool good = scales && integer_answers(loaded->net, &run->view, &loaded->streams, scales, visit_held_out,
                                          &run->data, &run->plain, e);
    free(scales);
    return good;
}

static bool fold(rounding_run *run, const char *weights_path, error *e) {
    loaded_network *loaded = run->loaded;
    if (loaded->streams.sidecar.layer_count)
        return error_set(e, "%s: has a .stream beside it; direct reordering takes float weights",
                         weights_path);
    return fold_direct(loaded->net, &run->view, &loaded->model, false, e) &&
           weight_streams_quantise(&loaded->streams, e);
}

static bool prepare(rounding_run *run, const char *weights_path, error *e) {
    const round_settings *s = run->settings;
    loaded_network *loaded = run->loaded;
    if (!network_view_create(&run->view, loaded->net, &loaded->model.accelerator, e) ||
        !weight_streams_load(&run->before, loaded->net, weights_path, &loaded->model, e) ||
        !weight_streams_make_natural(&run->before, e))
        return false;
    for (size_t i = 0; i < loaded->streams.count; i++)
        if (loaded->streams.items[i].streamed)
            return error_set(e, "%s: its .stream negates filters of layer %d, which rounding does not take",
                             weights_path, loaded->streams.items[i].index);
    if (s->data_path &&
        (!calibration_data_open(&run->data, loaded->net, s->data_path, true, e) || !measure_plain(run, e)))
        return false;
    if (s->method == ORDER_DIRECT && !fold(run, weights_path, e)) return false;
    if (s->method == ORDER_NATURAL && !weight_streams_make_natural(&loaded->streams, e)) return false;
    if (s->goal == ROUND_BY_DROP)
        return fisher_information(loaded->net, &loaded->streams, &run->view, visit_sample, &run->data,
                                  s->images, &run->importance, e);
    return !s->data_path || squared_effects(loaded->net, &loaded->streams, &run->view, visit_sample,
                                            &run->data, s->images, &run->importance, e);
}

bool round_settle(rounding_run *run, error *e) {
    loaded_network *loaded = run->loaded;
    const round_settings *s = run->settings;
    answers rounded = {0};
    if (!words_into_network(&loaded->streams, NULL, e)) return false;
    if (!s->data_path) return true;
    free(run->activation_scales);
    run->activation_scales = NULL;
    if (!fit_statistics(loaded, &run->view, &run->data, s->images, &run->activation_scales, e) ||
        !integer_answers(loaded->net, &run->view, &loaded->streams, run->activation_scales, visit_held_out,
                         &run->data, &rounded, e))
        return false;
    run->accuracy = compare_answers(&run->plain, &rounded);
    answers_free(&rounded);
    return true;
}

static bool round_words(rounding_run *run, error *e) {
    const round_settings *s = run->settings;
    run->job = (rounding_job){.streams = &run->loaded->streams,
                              .importance = run->importance.values ? &run->importance : NULL,
                              .method = s->method,
                              .by_energy = s->by_energy,
                              .by_passes = s->goal == ROUND_BY_DROP,
                              .threads = network_threads(run->loaded->net)};
    if (!rounding_job_begin(&run->job, e)) return false;
    run->mu = s->target;
    switch (s->goal) {
    case ROUND_BY_DROP:
        return round_to_drop(run, e);
    case ROUND_BY_SQNR:
        return rounding_job_to_sqnr(&run->job, s->target, &run->mu, e) && round_settle(run, e);
    default:
        return rounding_job_solve(&run->job, s->target, e) && round_settle(run, e);
    }
}

static bool round_network(const round_settings *settings, const char *weights_path, loaded_network *loaded,
                          error *e) {
    rounding_run run = {.settings = settings, .loaded = loaded};
    bool good = prepare(&run, weights_path, e) && round_words(&run, e) &&
                network_save_weights(loaded->net, settings->out, -1, e) &&
                sidecar_write(settings->out, &loaded->streams, &run.view, run.activation_scales, e) &&
                round_report(&run, e);
    rounding_job_end(&run.job);
    importances_free(&run.importance);
    answers_free(&run.plain);
    free(run.activation_scales);
    weight_streams_free(&run.before);
    network_view_free(&run.view);
    if (settings->data_path) calibration_data_close(&run.data);
    return good;
}

/* ---- the command line ---- */
static bool read_goal(const arguments *a, round_settings *s) {
    bool by_mu = option_given(a, "-round"), by_sqnr = option_given(a, "-snr"),
         by_drop = option_given(a, "-drop");
    if (by_mu + by_sqnr + by_drop != 1) {
        fail("hd round: one of -round MU, -snr DB and -drop POINTS is wanted");
        return false;
    }
    if (by_drop && !s->data_path) {
        fail("hd round: -drop needs -data DATA to measure accuracy on");
        return false;
    }
    s->goal = by_mu ? ROUND_BY_MU : by_sqnr ? ROUND_BY_SQNR : ROUND_BY_DROP;
    return option_number(a, "-round", 0.0, 1e12, &s->target) &&
           option_number(a, "-snr", -100.0, 200.0, &s->target) &&
           option_number(a, "-drop", 0.0, 100.0, &s->target);
}

static bool read_settings(const arguments *a, round_settings *s) {
    int images = 4096;
    error e = {0};
    *s = (round_settings){.method = ORDER_SEGMENT,
                          .data_path = option_text(a, "-data"),
                          .out = a->positions[2],
                          .json = option_text(a, "-json")};
    if (!read_goal(a, s) || !read_flip_cost(a, &s->by_energy) ||
        !option_int(a, "-images", 1, 1 << 30, &images))
        return false;
    s->images = (size_t)images;
    if (!option_given(a, "-method") || order_method_parse(option_text(a, "-method"), &s->method, &e))
        return true;
    fail("%s", e.message);
    return false;
}

int hd_round_command(plugin *p, int argc, char **argv) {
    arguments a;
    int batch = 128;
    round_settings settings;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    if (!read_settings(&a, &settings) || !option_int(&a, "-batch", 1, 1 << 16, &batch)) return 1;
    loaded_network loaded;
    if (!command_load_batch(p, &a, settings.data_path ? batch : 0, &loaded)) return 1;
    error e = {0};
    bool good = round_network(&settings, a.positions[1], &loaded, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
