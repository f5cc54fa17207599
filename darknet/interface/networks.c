/* The C interface's networks: loading, inference, weight files. A network is loaded with memory for passes of
 * one image; memory for other batches, and for training, is planned when such a pass comes. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "interface/interface.h"
#include "kernels/kernels.h"

/* A client that goes on after load_network failed meets errors, not a crash. */
static bool has_network(const network *net, const char *function, error *e) {
    return net != NULL || error_set(e, "%s: no network", function);
}

/* ---- loading ---- */

static void note_warnings(const diagnostics *d) {
    for (size_t i = 0; d && i < diagnostics_count(d); i++) {
        bool warning;
        const char *sentence = diagnostics_get(d, i, &warning);
        if (warning) interface_note("%s", sentence);
    }
}

static void note_kept(const char *path, const load_report *report) {
    if (report->kept)
        interface_note("%s: %d layers loaded, %d kept their initial values: %s", path, report->loaded,
                       report->kept, report->kept_names);
}

static bool fill(network *net, const char *weights, bool clear, error *e) {
    load_report report;
    net->client = calloc(1, sizeof *net->client);
    if (!net->client) return error_set(e, "out of memory");
    net->client->batch = (size_t)(net->options.batch / net->options.subdivisions);
    if (weights && *weights) {
        if (!network_load_weights(net, weights, clear, &report, e)) return false;
        note_kept(weights, &report);
    }
    if (clear) net->seen = 0;
    return true;
}

network *load_network(const char *cfg_file, const char *weights_file, int clear) {
    error *e = interface_begin();
    interface_clear_notes();
    if (!cfg_file) {
        error_set(e, "load_network: no cfg file");
        return NULL;
    }
    diagnostics *d = diagnostics_create();
    network_settings settings = {.pass_batch = 1,
                                 .threads = omp_get_max_threads(),
                                 .extensions = interface_extensions,
                                 .extension_count = INTERFACE_EXTENSIONS};
    network *net = d ? network_create(cfg_file, &settings, d, e) : NULL;
    if (!d) error_set(e, "%s: out of memory", cfg_file);
    if (net && !fill(net, weights_file, clear != 0, e)) {
        free_network(net);
        net = NULL;
    }
    if (net) note_warnings(d);
    diagnostics_destroy(d);
    return net;
}

void free_network(network *net) {
    if (!net) return;
    if (net->client) {
        memory_free(net->client->input);
        memory_free(net->client->answers);
        memory_free(net->client->truth);
        if (net->client->optimizes) optimizer_destroy(&net->client->optimizer);
        free(net->client);
    }
    network_destroy(net);
}

/* ---- shapes ---- */

void set_batch_network(network *net, int batch) {
    error *e = interface_begin();
    if (!has_network(net, "set_batch_network", e)) return;
    if (batch < 1)
        error_set(e, "set_batch_network: a batch of %d images", batch);
    else
        net->client->batch = (size_t)batch;
}

int network_batch(const network *net) {
    return has_network(net, "network_batch", interface_begin()) ? (int)net->client->batch : 0;
}
int network_width(const network *net) {
    return has_network(net, "network_width", interface_begin()) ? net->options.width : 0;
}
int network_height(const network *net) {
    return has_network(net, "network_height", interface_begin()) ? net->options.height : 0;
}
int network_channels(const network *net) {
    return has_network(net, "network_channels", interface_begin()) ? net->options.channels : 0;
}

/* ---- inference ---- */

bool client_room(float **buffer, size_t *room, size_t count, error *e) {
    if (count <= *room) return true;
    memory_free(*buffer);
    *room = 0;
    *buffer = memory_allocate(count, sizeof **buffer);
    if (!*buffer) return error_set(e, "out of memory for %zu values", count);
    *room = count;
    return true;
}

bool client_ready(network *net, bool training, error *e) {
    struct network_client *client = net->client;
    size_t batch = client->batch;
    if (!client_room(&client->input, &client->input_room, batch * tensor_size(network_input_shape(net)), e))
        return false;
    if (net->arena && batch <= net->pass_batch && (net->training || !training)) return true;
    return network_replan(net, training, batch, e);
}

static void normalize(const net_options *o, float *pixels, size_t count) {
    size_t channels = (size_t)o->channels;
    for (size_t i = 0; i < count; i += channels)
        for (size_t c = 0; c < channels; c++)
            pixels[i + c] =
                (pixels[i + c] - (o->mean ? o->mean[c] : 0.0f)) / (o->deviation ? o->deviation[c] : 1.0f);
}

void client_put_image(network *net, size_t place, const float *pixels) {
    tensor_shape in = network_input_shape(net);
    size_t size = tensor_size(in);
    float *to = net->client->input + place * size;
    nchw_to_nhwc(1, (size_t)in.channels, tensor_pixels(in), pixels, to, 1);
    if (net->options.mean || net->options.deviation) normalize(&net->options, to, size);
}

/* The answer of the last pass, in CHW order. */
static float *take_answers(network *net, size_t batch) {
    const layer *l = network_output_layer(net);
    nhwc_to_nchw(batch, (size_t)l->out.channels, tensor_pixels(l->out), l->output.data, net->client->answers,
                 net->threads);
    return net->client->answers;
}

static float *predict(network *net, const float *input, error *e) {
    struct network_client *client = net->client;
    size_t batch = client->batch, inputs = tensor_size(network_input_shape(net));
    if (!client_room(&client->answers, &client->answer_room, batch * (size_t)network_outputs(net), e) ||
        !client_ready(net, false, e))
        return NULL;
    for (size_t i = 0; i < batch; i++) client_put_image(net, i, input + i * inputs);
    network_forward(net, client->input, batch);
    return take_answers(net, batch);
}

float *network_predict(network *net, float *input) {
    error *e = interface_begin();
    if (!net || !input) {
        error_set(e, "network_predict: no %s", net ? "input" : "network");
        return NULL;
    }
    return predict(net, input, e);
}

float *network_predict_image(network *net, image im) {
    error *e = interface_begin();
    if (!net || !im.data) {
        error_set(e, "network_predict_image: no %s", net ? "image" : "network");
        return NULL;
    }
    if (im.c != net->options.channels) {
        error_set(e, "network_predict_image: an image of %d channels for a network of %d", im.c,
                  net->options.channels);
        return NULL;
    }
    image boxed = letterbox_image(im, net->options.width, net->options.height);
    if (!boxed.data) return NULL;
    net->client->batch = 1;
    float *answers = predict(net, boxed.data, e);
    free_image(boxed);
    return answers;
}

void top_k(const float *a, int n, int k, int *index) {
    for (int j = 0; j < k; j++) index[j] = -1;
    for (int i = 0; i < n; i++) {
        int moving = i;
        for (int j = 0; j < k && moving >= 0; j++) {
            if (index[j] >= 0 && !(a[moving] > a[index[j]])) continue;
            int kept = index[j];
            index[j] = moving;
            moving = kept;
        }
    }
}

void top_predictions(network *net, int n, int *index) {
    error *e = interface_begin();
    bool known = has_network(net, "top_predictions", e);
    int outputs = known && net->client->answer_room ? network_outputs(net) : 0;
    if (known && outputs == 0) error_set(e, "top_predictions: nothing was predicted yet");
    top_k(outputs ? net->client->answers : NULL, outputs, n, index);
}

/* ---- weight files ---- */

static bool has_both(const network *net, const char *filename, error *e) {
    if (!net) return error_set(e, "weights without a network");
    return filename != NULL || error_set(e, "a weight file without a name");
}

void load_weights(network *net, const char *filename) {
    error *e = interface_begin();
    load_report report;
    interface_clear_notes();
    if (has_both(net, filename, e) && network_load_weights(net, filename, false, &report, e))
        note_kept(filename, &report);
}

void load_weights_upto(network *net, const char *filename, int start, int cutoff) {
    error *e = interface_begin();
    interface_clear_notes();
    if (start < 0) {
        error_set(e, "load_weights_upto: a first layer of %d", start);
        return;
    }
    if (has_both(net, filename, e)) (void)network_load_weights_upto(net, filename, start, cutoff, NULL, e);
}

void save_weights(network *net, const char *filename) {
    error *e = interface_begin();
    if (has_both(net, filename, e)) (void)network_save_weights(net, filename, -1, e);
}

void save_weights_upto(network *net, const char *filename, int cutoff) {
    error *e = interface_begin();
    if (cutoff < 0)
        error_set(e, "save_weights_upto: %d layers", cutoff);
    else if (has_both(net, filename, e))
        (void)network_save_weights(net, filename, cutoff, e);
}
