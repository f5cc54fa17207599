/* darknet hd calibrate: batch-norm statistics and activation scales that fit the rounded words. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "internal.h"

static const option_spec options[] = {
    {"-data", "DATA", "the data file whose training images are used, prepared as in training"},
    {"-images", "N", "images for the batch-norm statistics (default 4096)"},
    {"-accelerator", "FILE", "the array of OUT's .stream (default: WEIGHTS' .stream's, or is16x16)"},
    OPTION_BATCH,
    OPTION_THREADS,
    OPTION_END};
static const command_spec spec = {
    "hd calibrate CFG WEIGHTS OUT -data DATA [options]",
    "Estimates the batch norms' rolling statistics anew, on the network whose weights are the words (of the\n"
    ".stream beside WEIGHTS when there is one). Writes OUT: the same weights and words, with the new "
    "statistics\n"
    "and activation scales.",
    3, 3, options};

bool fit_statistics(loaded_network *loaded, const network_view *view, calibration_data *data, size_t images,
                    float **activation_scales, error *e) {
    int bits = loaded->model.accelerator.activation_bits;
    return estimate_statistics(loaded->net, visit_sample, data, images, e) &&
           (*activation_scales = calibrate_activations(loaded->net, view, bits, visit_train, data, e)) !=
               NULL;
}

static bool calibrate(const arguments *a, loaded_network *loaded, size_t images, error *e) {
    const char *out = a->positions[2];
    calibration_data data = {0};
    network_view view = {0};
    float *kept = NULL, *scales = NULL;
    bool good = calibration_data_open(&data, loaded->net, option_text(a, "-data"), false, e) &&
                network_view_create(&view, loaded->net, &loaded->model.accelerator, e) &&
                words_into_network(&loaded->streams, &kept, e) &&
                fit_statistics(loaded, &view, &data, images, &scales, e);
    if (good) {
        size_t used = dataset_count(data.train) < images ? dataset_count(data.train) : images;
        weights_into_network(&loaded->streams, kept);
        good = network_save_weights(loaded->net, out, -1, e) &&
               sidecar_write(out, &loaded->streams, &view, scales, e);
        if (good) printf("%s: batch-norm statistics estimated on %zu images\n", out, used);
    }
    free(kept);
    free(scales);
    network_view_free(&view);
    calibration_data_close(&data);
    return good;
}

int hd_calibrate_command(plugin *p, int argc, char **argv) {
    arguments a;
    int images = 4096, batch = 128;
    parse_result parsed = arguments_parse(&a, &spec, argc, argv);
    if (parsed != PARSE_OK) return parsed == PARSE_ERROR;
    if (!option_given(&a, "-data")) return fail("hd calibrate: -data DATA is wanted");
    if (!option_int(&a, "-images", 1, 1 << 30, &images) || !option_int(&a, "-batch", 1, 1 << 16, &batch))
        return 1;
    loaded_network loaded;
    if (!command_load_batch(p, &a, batch, &loaded)) return 1;
    error e = {0};
    bool good = calibrate(&a, &loaded, (size_t)images, &e);
    command_unload(&loaded);
    return good ? 0 : fail("%s", e.message);
}
