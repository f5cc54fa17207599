/* darknet classifier predict */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "core/memory.h"
#include "train/train.h"

static const option_spec options[] = {
    {"-t", "K", "how many classes (default: the data file's top)"}, OPTION_THREADS, OPTION_END};

static const command_spec spec = {"classifier predict DATA CFG WEIGHTS [IMAGE] [options]",
                                  "The likeliest classes of IMAGE, best first. Without IMAGE: paths are read "
                                  "from standard input, one a line.",
                                  3, 4, options};

typedef struct predictor {
    network *net;
    string_list names;
    int top;
    float *input;
} predictor;

static bool predict(const predictor *q, const char *path, error *e) {
    augmentation a = evaluation_preparation(q->net);
    image_f32 image;
    if (!image_load(path, a.channels, &image, e)) return false;
    bool good = data_prepare_image(&image, &a, true, q->input, e);
    image_free(&image);
    if (!good) return false;
    network_forward(q->net, q->input, 1);
    const float *answers = network_output_layer(q->net)->output.data;
    int outputs = network_outputs(q->net), top = q->top < outputs ? q->top : outputs;
    bool *told = calloc((size_t)outputs, sizeof *told);
    if (!told) return error_set(e, "%s: out of memory", path);
    for (int k = 0; k < top; k++) {
        int best = -1;
        for (int i = 0; i < outputs; i++)
            if (!told[i] && (best < 0 || answers[i] > answers[best])) best = i;
        told[best] = true;
        if ((size_t)best < q->names.count)
            printf("%5.2f%%: %s\n", 100.0 * (double)answers[best], q->names.items[best]);
        else
            printf("%5.2f%%: class %d\n", 100.0 * (double)answers[best], best);
    }
    free(told);
    return true;
}

/* Paths from standard input until its end; one that cannot be read is told and does not stop the others. */
static int predict_lines(const predictor *q) {
    char *line = NULL;
    size_t bytes = 0;
    int status = 0;
    while (getline(&line, &bytes, stdin) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        error e = {0};
        if (line[0] && !predict(q, line, &e)) status = fail("%s", e.message);
        (void)fflush(stdout);
    }
    free(line);
    return status;
}

static int run(program *p, const arguments *a, const data_options *data) {
    predictor q = {.top = data->top > 0 ? data->top : 1};
    network_settings settings = {0};
    if (!command_threads(a, &settings.threads) || !option_int(a, "-t", 1, 1 << 20, &q.top)) return 1;
    q.net = command_network(p, a->positions[1], &settings);
    if (!q.net) return 1;
    error e = {0};
    const char *names = data->names ? data->names : data->labels;
    q.input = memory_allocate(tensor_size(network_input_shape(q.net)), sizeof(float));
    bool good = q.input && network_load_weights(q.net, a->positions[2], false, NULL, &e) &&
                (!names || string_list_read(names, &q.names, &e));
    int status = 0;
    if (good) (void)network_pack_weights(q.net);
    if (good && a->position_count == 4)
        good = predict(&q, a->positions[3], &e);
    else if (good)
        status = predict_lines(&q);
    string_list_free(&q.names);
    memory_free(q.input);
    network_destroy(q.net);
    return good ? status : fail("%s", e.message);
}

int command_classifier_predict(program *p, int argc, char **argv) {
    return command_with_data(p, &spec, argc, argv, run);
}
