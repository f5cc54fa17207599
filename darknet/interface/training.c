/* The C interface's training: the passes and steps of train/ on rows that the caller has. */
#include <math.h>

#include "interface/interface.h"
#include "kernels/kernels.h"
#include "train/schedule.h"

static bool check(const network *net, const data *d, error *e) {
    int inputs = (int)tensor_size(network_input_shape(net)), outputs = network_outputs(net);
    if (!network_has_loss(net))
        return error_set(e, "%s: has no loss layer ([softmax] or [cost])", cfg_path(net->source));
    if (d->X.rows < 1 || d->X.rows != d->y.rows || (size_t)d->X.rows % net->client->batch != 0)
        return error_set(e,
                         "train_network: %d rows of images and %d of truth: a multiple of the batch of %zu "
                         "is wanted of both",
                         d->X.rows, d->y.rows, net->client->batch);
    if (d->X.cols != inputs || d->y.cols != outputs)
        return error_set(e, "train_network: rows of %d inputs and %d truths for a network of %d and %d",
                         d->X.cols, d->y.cols, inputs, outputs);
    return true;
}

static bool prepare(network *net, error *e) {
    struct network_client *client = net->client;
    if (!client_ready(net, true, e) ||
        !client_room(&client->truth, &client->truth_room, client->batch * (size_t)network_outputs(net), e))
        return false;
    if (!client->optimizes) client->optimizes = optimizer_create(&client->optimizer, net, e);
    return client->optimizes;
}

static void put_truth(network *net, float *const *rows) {
    struct network_client *client = net->client;
    tensor_shape out = network_output_layer(net)->out;
    size_t size = tensor_size(out);
    for (size_t i = 0; i < client->batch; i++)
        nchw_to_nhwc(1, (size_t)out.channels, tensor_pixels(out), rows[i], client->truth + i * size,
                     net->threads);
}

/* The step that is due after the last pass of an update. */
static void step_when_due(network *net) {
    size_t batch = net->client->batch, images = batch * (size_t)net->options.subdivisions;
    if (net->seen / batch % (uint64_t)net->options.subdivisions != 0) return;
    optimizer_step(&net->client->optimizer, schedule_rate(&net->options, net->seen / images), images);
}

float train_network(network *net, data d) {
    error *e = interface_begin();
    if (!net) {
        error_set(e, "train_network: no network");
        return NAN;
    }
    if (!check(net, &d, e) || !prepare(net, e)) return NAN;
    size_t batch = net->client->batch;
    double loss = 0.0;
    for (size_t first = 0; first < (size_t)d.X.rows; first += batch) {
        for (size_t i = 0; i < batch; i++) client_put_image(net, i, d.X.vals[first + i]);
        put_truth(net, d.y.vals + first);
        loss += network_train_pass(net, net->client->input, net->client->truth, batch);
        step_when_due(net);
    }
    return (float)(loss / (double)d.X.rows);
}
