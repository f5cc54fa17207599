/* darknet classifier train */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "train/train.h"

static const option_spec options[] = {
    {"-hdloss", "L", "bit-flip loss with this lambda (beats [hdloss] lambda and [net] hdloss); 0 is off"},
    {"-bfloat16", NULL, "products on bfloat16, as [net] bfloat16=1, where the processor has AVX512-BF16"},
    {"-clear", "[1]", "weights are fine-tuned: images seen 0, the schedule starts again"},
    {"-topk", NULL, "after each epoch tell top-1 and top-K accuracy on the validation set"},
    {"-t", "K", "the K of -topk (default: the data file's top, or 5)"},
    {"-epochs", "N", "train so many epochs (beats max_batches)"},
    {"-seed", "S", "seed of everything random (beats [net] seed)"},
    {"-log", "FILE.csv", "the log (default: <backup>/<name>.csv)"},
    {"-backup", "DIR", "where checkpoints go (beats the data file's backup)"},
    {"-accelerator", "FILE", "the array that the energy report is about"},
    {"-teacher", "WEIGHTS", "distil: mix this network's answers into the truth"},
    {"-teacher-cfg", "CFG", "the teacher's network (default: CFG)"},
    {"-distill", "SHARE", "of the teacher's answers in the truth, 0 to 1 (default .5)"},
    OPTION_THREADS,
    OPTION_END};

static const command_spec spec = {"classifier train DATA CFG [WEIGHTS] [options]",
                                  "Trains the network of CFG on DATA's training set. WEIGHTS: a .backup with "
                                  "its .state resumes that run; other weights are\n"
                                  "fine-tuned. Writes <name>_<epoch>.weights, <name>.backup and "
                                  "<name>.weights in DATA's backup directory, and a log. SIGINT and\n"
                                  "SIGTERM save and stop.",
                                  2, 3, options};

static volatile sig_atomic_t stop_signal;

static void request_stop(int number) {
    stop_signal = number;
}

static bool stop_requested(void *user) {
    (void)user;
    return stop_signal != 0;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* The -teacher's network, *teacher NULL without one; false once a sentence was printed. */
static bool load_teacher(program *p, const arguments *a, const network *student, network **teacher) {
    const char *weights = option_text(a, "-teacher");
    *teacher = NULL;
    if (!weights) return true;
    uint64_t limit = student->memory_limit, taken = student->memory_bytes;
    network_settings settings = {.threads = student->threads,
                                 .pass_batch = (int)student->pass_batch,
                                 .max_memory_bytes = limit > taken ? limit - taken : 1};
    const char *cfg_name = option_given(a, "-teacher-cfg") ? option_text(a, "-teacher-cfg") : a->positions[1];
    error e = {0};
    load_report report;
    *teacher = command_network(p, cfg_name, &settings);
    if (!*teacher) return false;
    if (network_load_weights(*teacher, weights, false, &report, &e)) return true;
    network_destroy(*teacher);
    (void)fail("%s", e.message);
    return false;
}

static int train(program *p, const arguments *a, const data_options *data) {
    int threads, seed = 0, epochs = 0, top = data->top > 1 ? data->top : 5;
    double lambda = 0, share = .5;
    if (!command_threads(a, &threads) || !option_int(a, "-seed", 0, 0x7fffffff, &seed) ||
        !option_int(a, "-epochs", 1, 1 << 20, &epochs) || !option_int(a, "-t", 1, 1 << 20, &top) ||
        !option_number(a, "-hdloss", 0, 1e9, &lambda) || !option_number(a, "-distill", 0, 1, &share))
        return 1;
    key_overrides keys = command_overrides(a);
    network_settings settings = {.training = true,
                                 .threads = threads,
                                 .has_seed = option_given(a, "-seed"),
                                 .seed = (uint64_t)seed,
                                 .overrides = keys.list,
                                 .override_count = keys.count};
    error e = {0};
    if (!plugin_use_accelerator(p->plugin, option_text(a, "-accelerator"), &e)) return fail("%s", e.message);
    network *net = command_build(p, a->positions[1], &settings);
    network *teacher = NULL;
    if (!net) return 1;
    (void)table_print(net, stdout);
    if (!load_teacher(p, a, net, &teacher)) {
        network_destroy(net);
        return 1;
    }
    train_options options_of_run = {.backup =
                                        option_given(a, "-backup") ? option_text(a, "-backup") : data->backup,
                                    .log_path = option_text(a, "-log"),
                                    .resume_path = a->position_count > 2 ? a->positions[2] : NULL,
                                    .clear = option_given(a, "-clear"),
                                    .epochs = epochs,
                                    .top = option_given(a, "-topk") || option_given(a, "-t") ? top : 0,
                                    .teacher = teacher,
                                    .teacher_share = share};
    progress_view *view = progress_create();
    train_callbacks callbacks = progress_callbacks(view);
    callbacks.stop_requested = stop_requested;
    catch_signals();
    train_result result = train_network_classifier(net, data, &options_of_run, &callbacks, &e);
    progress_destroy(view);
    network_destroy(teacher);
    network_destroy(net);
    if (result == TRAIN_FAILED) return fail("%s", e.message);
    return result == TRAIN_FINISHED ? 0 : 128 + (int)stop_signal;
}

int command_classifier_train(program *p, int argc, char **argv) {
    return command_with_data(p, &spec, argc, argv, train);
}
