/* Answers to image files: see classifier.h. */
#include "cli/classifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "train/train.h"

static bool fill(classifier *c, const arguments *a, const char *names, error *e) {
    c->outputs = network_outputs(c->net);
    if (c->top > c->outputs) c->top = c->outputs;
    c->input = memory_allocate(tensor_size(network_input_shape(c->net)), sizeof(float));
    c->answer = memory_allocate((size_t)c->outputs, sizeof(float));
    if (!c->input || !c->answer) return error_set(e, "out of memory");
    if (!network_load_weights(c->net, a->positions[2], false, NULL, e) ||
        (names && !string_list_read(names, &c->names, e)))
        return false;
    (void)network_pack_weights(c->net);
    return true;
}

bool classifier_open(classifier *c, program *p, const arguments *a, const data_options *data,
                     const char *names) {
    network_settings settings = {0};
    int top = 0;
    error e = {0};
    if (!command_threads(a, &settings.threads) || !option_int(a, "-t", 0, 1 << 20, &top)) return false;
    *c = (classifier){.top = top ? top : data->top};
    c->net = command_network(p, a->positions[1], &settings);
    if (!c->net) return false;
    if (fill(c, a, names, &e)) return true;
    classifier_close(c);
    fail("%s", e.message);
    return false;
}

void classifier_close(classifier *c) {
    string_list_free(&c->names);
    memory_free(c->input);
    memory_free(c->answer);
    network_destroy(c->net);
    *c = (classifier){0};
}

/* The image as the network takes it, in c->input. A stretched one fits already, and a letterbox leaves it as
 * it is. */
static bool prepare(classifier *c, const image_f32 *image, sizing how, error *e) {
    augmentation a = evaluation_preparation(c->net);
    if (how != SIZE_STRETCH) return data_prepare_image(image, &a, how == SIZE_LETTERBOX, c->input, e);
    image_f32 sized;
    if (!image_resize(image, a.width, a.height, &sized, e)) return false;
    bool good = data_prepare_image(&sized, &a, true, c->input, e);
    image_free(&sized);
    return good;
}

bool classifier_answer(classifier *c, const char *path, sizing how, error *e) {
    image_f32 image;
    if (!image_load(path, c->net->options.channels, &image, e)) return false;
    bool good = prepare(c, &image, how, e);
    image_free(&image);
    if (!good) return false;
    network_forward(c->net, c->input, 1);
    network_resolve_tree(c->net, 1);
    const layer *l = network_output_layer(c->net);
    nhwc_to_nchw(1, (size_t)l->out.channels, tensor_pixels(l->out), l->output.data, c->answer,
                 c->net->threads);
    return true;
}

void classifier_best(const classifier *c, int *index) {
    for (int k = 0; k < c->top; k++) {
        int best = -1;
        for (int i = 0; i < c->outputs; i++) {
            bool told = false;
            for (int j = 0; j < k; j++) told = told || index[j] == i;
            if (!told && (best < 0 || c->answer[i] > c->answer[best])) best = i;
        }
        index[k] = best;
    }
}

const char *classifier_name(const classifier *c, int index, char *buffer, size_t bytes) {
    if ((size_t)index < c->names.count) return c->names.items[index];
    (void)snprintf(buffer, bytes, "class %d", index);
    return buffer;
}
