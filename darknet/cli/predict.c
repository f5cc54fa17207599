/* darknet classifier predict */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/classifier.h"

static const option_spec options[] = {OPTION_TOP, OPTION_CLEAR, OPTION_TOPK, OPTION_THREADS, OPTION_END};

static const command_spec spec = {"classifier predict DATA CFG WEIGHTS [IMAGE] [options]",
                                  "The likeliest classes of IMAGE, best first. Without IMAGE: paths are read "
                                  "from standard input, one a line, until its end;\n"
                                  "one that is no image is told on standard error, and the next is read.",
                                  3, 4, options};

static bool predict(classifier *c, const char *path, error *e) {
    if (!classifier_answer(c, path, SIZE_LETTERBOX, e)) return false;
    int *best = malloc((size_t)c->top * sizeof *best);
    if (!best) return error_set(e, "%s: out of memory", path);
    classifier_best(c, best);
    for (int k = 0; k < c->top; k++) {
        char buffer[32];
        printf("%5.2f%%: %s\n", 100.0 * (double)c->answer[best[k]],
               classifier_name(c, best[k], buffer, sizeof buffer));
    }
    free(best);
    return true;
}

static void prompt(void) {
    if (isatty(STDIN_FILENO)) printf("Enter Image Path: ");
    (void)fflush(stdout);
}

static int predict_lines(classifier *c) {
    char *line = NULL;
    size_t bytes = 0;
    int status = 0;
    for (prompt(); getline(&line, &bytes, stdin) >= 0; prompt()) {
        line[strcspn(line, "\r\n")] = 0;
        error e = {0};
        if (line[0] && !predict(c, line, &e)) status = fail("%s", e.message);
    }
    free(line);
    return status;
}

static int run(program *p, const arguments *a, const data_options *data) {
    classifier c;
    if (!classifier_open(&c, p, a, data, data->names)) return 1;
    error e = {0};
    int status = 0;
    if (a->position_count < 4)
        status = predict_lines(&c);
    else if (!predict(&c, a->positions[3], &e))
        status = fail("%s", e.message);
    classifier_close(&c);
    return status;
}

int command_classifier_predict(program *p, int argc, char **argv) {
    return command_with_data(p, &spec, argc, argv, run);
}
