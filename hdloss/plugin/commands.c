/* What the `darknet hd` commands share: loading a network with its streams. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "internal.h"

bool command_load(plugin *p, const arguments *a, loaded_network *loaded) {
    return command_load_batch(p, a, 0, loaded);
}

bool command_load_batch(plugin *p, const arguments *a, int pass_batch, loaded_network *loaded) {
    *loaded = (loaded_network){0};
    int threads;
    error e = {0};
    if (!command_threads(a, &threads)) return false;
    if (!plugin_use_accelerator(p, option_text(a, "-accelerator"), &e)) {
        fail("%s", e.message);
        return false;
    }
    program shell = {.plugin = p};
    network_settings settings = {.threads = threads, .pass_batch = pass_batch};
    loaded->net = command_network(&shell, a->positions[0], &settings);
    if (!loaded->net) return false;
    if (network_load_weights(loaded->net, a->positions[1], false, NULL, &e) &&
        array_model_beside(p, loaded->net, a->positions[1], &loaded->model, &e) &&
        weight_streams_load(&loaded->streams, loaded->net, a->positions[1], &loaded->model, &e))
        return true;
    command_unload(loaded);
    fail("%s", e.message);
    return false;
}

bool read_flip_cost(const arguments *a, bool *by_energy) {
    const char *cost = option_given(a, "-cost") ? option_text(a, "-cost") : "flips";
    *by_energy = strcmp(cost, "energy") == 0;
    if (*by_energy || strcmp(cost, "flips") == 0) return true;
    fail("-cost: \"%s\" is not one of flips, energy", cost);
    return false;
}

void command_unload(loaded_network *loaded) {
    weight_streams_free(&loaded->streams);
    network_destroy(loaded->net);
    *loaded = (loaded_network){0};
}

bool data_images_open(data_images *d, const network *net, const char *data_path, error *e) {
    data_options data;
    *d = (data_images){.net = net};
    if (!data_options_read(data_path, &data, e)) return false;
    d->set = dataset_open(&data, DATA_TRAIN, network_input_shape(net).channels, net->options.seed,
                          network_memory_left(net, 0), e);
    data_options_free(&data);
    return d->set != NULL;
}

void data_images_close(data_images *d) {
    if (d->set) dataset_close(d->set);
    *d = (data_images){0};
}

bool data_images_visit(void *user, size_t most, image_visitor visitor, void *visit_user, error *e) {
    const data_images *d = user;
    return visit_dataset(d->net, d->set, most, visitor, visit_user, e);
}

float *command_calibrate(loaded_network *loaded, const network_view *view, const char *data_path, error *e) {
    data_images images;
    if (!data_images_open(&images, loaded->net, data_path, e)) return NULL;
    float *scales = calibrate_activations(loaded->net, view, loaded->model.accelerator.activation_bits,
                                          data_images_visit, &images, e);
    data_images_close(&images);
    return scales;
}
