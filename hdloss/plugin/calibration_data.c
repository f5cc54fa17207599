/* Images that the post-training commands work on: a seeded draw from a data file's training images, prepared
 * as evaluation does (no augmentation), and a slice held out from it. */
#include <string.h>

#include "internal.h"

enum { HELD_OUT_MOST = 10000, HELD_OUT_SHARE = 5 };

/* A part, within the memory that the network and the training set leave. */
static dataset *open_part(const calibration_data *c, data_part part, error *e) {
    return dataset_open(&c->options, part, network_input_shape(c->net).channels, c->net->options.seed,
                        network_memory_left(c->net, dataset_bytes(c->train)), e);
}

/* A slice of our own where the data file names none. */
static bool choose_slice(calibration_data *c, error *e) {
    dataset *all = open_part(c, DATA_TRAIN, e);
    if (!all) return false;
    size_t count = dataset_count(all) / HELD_OUT_SHARE;
    dataset_close(all);
    c->options.valid_split = count < HELD_OUT_MOST ? count : HELD_OUT_MOST;
    return count > 0 ? true : error_set(e, "%s: too few training images to hold some out", c->options.path);
}

bool calibration_data_open(calibration_data *c, network *net, const char *path, bool hold_out, error *e) {
    *c = (calibration_data){.net = net};
    if (!data_options_read(path, &c->options, e)) return false;
    c->slice_was_trained_on = hold_out && c->options.valid_split == 0;
    bool good = (!c->slice_was_trained_on || choose_slice(c, e)) &&
                (c->train = open_part(c, DATA_TRAIN, e)) &&
                (!hold_out || (c->held_out = open_part(c, DATA_HELD_OUT, e)));
    if (good && dataset_classes(c->train) > network_outputs(net))
        good = error_set(e, "%s: the data has %d classes, but %s has %d outputs", path,
                         dataset_classes(c->train), network_name(net), network_outputs(net));
    if (!good) calibration_data_close(c);
    return good;
}

void calibration_data_close(calibration_data *c) {
    if (c->train) dataset_close(c->train);
    if (c->held_out) dataset_close(c->held_out);
    data_options_free(&c->options);
    *c = (calibration_data){0};
}

bool visit_sample(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const calibration_data *c = user;
    return visit_sample_of(c->net, c->train, most, visit, visit_user, e);
}

bool visit_train(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const calibration_data *c = user;
    return visit_dataset(c->net, c->train, most, visit, visit_user, e);
}

bool visit_held_out(void *user, size_t most, image_visitor visit, void *visit_user, error *e) {
    const calibration_data *c = user;
    return visit_dataset(c->net, c->held_out, most, visit, visit_user, e);
}
