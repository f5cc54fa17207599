/* What the `darknet hd` commands share: loading a network with its streams. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "internal.h"

bool command_load(plugin *p, const arguments *a, loaded_network *loaded) {
    *loaded = (loaded_network){0};
    int threads;
    error e = {0};
    if (!command_threads(a, &threads)) return false;
    if (!plugin_use_accelerator(p, option_text(a, "-accelerator"), &e)) {
        fail("%s", e.message);
        return false;
    }
    program shell = {.plugin = p};
    network_settings settings = {.threads = threads};
    loaded->net = command_network(&shell, a->positions[0], &settings);
    if (!loaded->net) return false;
    if (network_load_weights(loaded->net, a->positions[1], false, NULL, &e) && array_model_of(p, loaded->net, &loaded->model, &e) &&
        weight_streams_load(&loaded->streams, loaded->net, a->positions[1], &loaded->model, &e))
        return true;
    command_unload(loaded);
    fail("%s", e.message);
    return false;
}

void command_unload(loaded_network *loaded) {
    weight_streams_free(&loaded->streams);
    network_destroy(loaded->net);
    *loaded = (loaded_network){0};
}

typedef struct data_source {
    const network *net;
    const dataset *set;
} data_source;

static bool visit(void *user, size_t most, image_visitor visitor, void *visit_user, error *e) {
    const data_source *s = user;
    return visit_dataset(s->net, s->set, most, visitor, visit_user, e);
}

float *command_calibrate(loaded_network *loaded, const network_view *view, const char *data_path, error *e) {
    data_options data;
    if (!data_options_read(data_path, &data, e)) return NULL;
    dataset *set = dataset_open(&data, DATA_TRAIN, network_input_shape(loaded->net).channels, loaded->net->options.seed, e);
    data_source source = {.net = loaded->net, .set = set};
    float *scales = set ? calibrate_activations(loaded->net, view, loaded->model.accelerator.activation_bits, visit, &source, e) : NULL;
    if (set) dataset_close(set);
    data_options_free(&data);
    return scales;
}
