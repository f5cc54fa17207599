/* darknet: the program. Finds the command and runs it. */
#include <limits.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

static const command commands[] = {
    {"classifier", "train", "train a network", command_classifier_train},
    {"classifier", "valid", "accuracy on the validation set", command_classifier_valid},
    {"classifier", "predict", "classes of images", command_classifier_predict},
    {"classifier", "test", "probabilities of every class for a list of images", command_classifier_test},
    {"classifier", "csv", "numbers of the likeliest classes for a list of images", command_classifier_csv},
    {"classifier", "label", "likeliest labels for a list of images", command_classifier_label},
    {NULL, "ops", "layers, shapes, multiply-accumulates, parameters, bytes", command_ops},
    {NULL, "speed", "images per second", command_speed},
    {NULL, "partial", "the first layers of a weight file", command_partial},
    {NULL, "average", "the mean of weight files", command_average},
    {NULL, "statistics", "mean, deviation and range of each array of weights", command_statistics},
    {NULL, "normalize", "add batch normalisation to weights without", command_normalize},
    {NULL, "denormalize", "fold batch normalisation into weights", command_denormalize},
    {NULL, "reset", "fold batch normalisation, leave a neutral one", command_reset},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to) {
    (void)fprintf(to,
                  "darknet %s: trains image classifiers that flip few bits in an accelerator's datapath\n\n",
                  darknet_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(to, "  darknet %s%s%-*s %s\n", commands[i].group ? commands[i].group : "",
                      commands[i].group ? " " : "", commands[i].group ? 12 : 23, commands[i].name,
                      commands[i].summary);
    for (const plugin_command *c = plugin_commands(); c->name; c++)
        (void)fprintf(to, "  darknet hd %-20s %s\n", c->name, c->summary);
    (void)fprintf(to, "\n`darknet COMMAND --help` says more of each. With any of them:\n"
                      "  -max-memory SIZE         the most memory that network and data may take: 800M, 2.5G "
                      "(default: this "
                      "machine's)\n");
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* Where cfg/accelerators of this installation is: beside the build tree, or under share. */
static char *resource_directory(void) {
    char program_path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program_path, sizeof program_path - 64);
    static const char *const places[] = {"/../../../cfg", "/../share/hdloss/cfg"};
    if (length <= 0) return NULL;
    program_path[length] = 0;
    char *slash = strrchr(program_path, '/');
    if (!slash) return NULL;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(slash, sizeof program_path - (size_t)(slash - program_path), "%s", places[i]);
        char probe[PATH_MAX + 32];
        (void)snprintf(probe, sizeof probe, "%s/accelerators", program_path);
        if (access(probe, F_OK) == 0) return realpath(program_path, NULL);
    }
    return NULL;
}

static bool is_group(const char *word) {
    return strcmp(word, "classifier") == 0 || strcmp(word, "hd") == 0;
}

/* Whether the word can stand at that place: a group or a command of one word first, then a command of the
 * group. */
static bool is_command_word(const char *group, const char *word) {
    if (!group && is_group(word)) return true;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        bool same_group =
            group ? commands[i].group && strcmp(commands[i].group, group) == 0 : !commands[i].group;
        if (same_group && strcmp(commands[i].name, word) == 0) return true;
    }
    for (const plugin_command *c = plugin_commands(); group && strcmp(group, "hd") == 0 && c->name; c++)
        if (strcmp(c->name, word) == 0) return true;
    return false;
}

/* Options may stand anywhere: those (and their values) between `place` and the next command word go behind
 * it. */
static void bring_forward(int argc, char **argv, int place, const char *group) {
    if (place >= argc || argv[place][0] != '-' || is_help(argv[place])) return;
    for (int i = place + 1; i < argc; i++) {
        if (!is_command_word(group, argv[i])) continue;
        char *word = argv[i];
        memmove(&argv[place + 1], &argv[place], (size_t)(i - place) * sizeof *argv);
        argv[place] = word;
        return;
    }
}

static int run_command(program *p, int argc, char **argv) {
    bring_forward(argc, argv, 1, NULL);
    if (is_group(argv[1])) bring_forward(argc, argv, 2, argv[1]);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const command *c = &commands[i];
        if (!c->group && strcmp(argv[1], c->name) == 0) return c->run(p, argc - 2, argv + 2);
        if (c->group && argc > 2 && strcmp(argv[1], c->group) == 0 && strcmp(argv[2], c->name) == 0)
            return c->run(p, argc - 3, argv + 3);
    }
    for (const plugin_command *c = plugin_commands(); c->name; c++)
        if (argc > 2 && strcmp(argv[1], "hd") == 0 && strcmp(argv[2], c->name) == 0)
            return c->run(p->plugin, argc - 3, argv + 3);
    bool group = is_group(argv[1]);
    if (group && (argc == 2 || is_help(argv[2]))) {
        print_usage(argc == 2 ? stderr : stdout);
        return argc == 2;
    }
    return fail("unknown command \"%s%s%s\"; `darknet --help` lists the commands", argv[1], group ? " " : "",
                group ? argv[2] : "");
}

/* With places (OMP_PROC_BIND) the run time has bound this thread to the first one, and what is started from
 * here would take that for the whole machine. */
static void give_up_place(void) {
    cpu_set_t all;
    int places = omp_get_num_places(), processors[CPU_SETSIZE];
    CPU_ZERO(&all);
    for (int i = 0; i < places; i++) {
        if (omp_get_place_num_procs(i) > CPU_SETSIZE) return;
        omp_get_place_proc_ids(i, processors);
        for (int k = 0; k < omp_get_place_num_procs(i); k++)
            if (processors[k] < CPU_SETSIZE) CPU_SET((size_t)processors[k], &all);
    }
    if (places > 0) (void)sched_setaffinity(0, sizeof all, &all);
}

/* Threads that wait must soon sleep: with another process on one of the cores, ones that go on spinning make
 * every step many times slower. At first they spin, for some tens of microseconds, since layers of one image
 * take no longer and waking a thread does. The OpenMP run time reads this once, before main, so the program
 * starts itself again with it set (unless the user has chosen). */
static void make_waiting_short(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    give_up_place();
    if (setenv("GOMP_SPINCOUNT", "2000", 0) == 0) (void)execv("/proc/self/exe", argv);
}

/* Takes -max-memory SIZE, which every command has, out of the words. False after a sentence. */
static bool take_memory_limit(int *argc, char **argv, uint64_t *bytes) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "-max-memory") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *text = i + 1 < *argc ? argv[++i] : "";
        if (!size_parse(text, bytes)) {
            fail("-max-memory: \"%s\" is no size: a number of bytes above 0, or with K, M, G or T, like 2.5G",
                 text);
            return false;
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

int main(int argc, char **argv) {
    make_waiting_short(argv);
    uint64_t memory_limit = 0;
    if (!take_memory_limit(&argc, argv, &memory_limit)) return 1;
    if (argc < 2 || is_help(argv[1])) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("darknet %s\n", darknet_version());
        return 0;
    }
    error e = {0};
    char *resources = resource_directory();
    program p = {.plugin = plugin_create(resources, &e)};
    free(resources);
    if (!p.plugin) return fail("%s", e.message);
    plugin_limit_memory(p.plugin, memory_limit);
    int status = run_command(&p, argc, argv);
    plugin_destroy(p.plugin);
    if (fflush(stdout) != 0) return fail("stdout: cannot be written");
    return status;
}
