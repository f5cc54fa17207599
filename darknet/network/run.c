/* Forward and backward passes over a network. */
#include <string.h>

#include "layers/external.h"
#include "network/network.h"

tensor_shape network_input_shape(const network *net) {
    return (tensor_shape){net->options.height, net->options.width, net->options.channels};
}

const layer *network_output_layer(const network *net) {
    for (int i = net->layer_count - 1; i > 0; i--) {
        const layer *l = &net->layers[i];
        if (l->type->passes_through && l->type->passes_through(l, false)) continue;
        return l;
    }
    return &net->layers[0];
}

int network_outputs(const network *net) {
    return (int)tensor_size(network_output_layer(net)->out);
}

bool network_has_loss(const network *net) {
    for (int i = 0; i < net->layer_count; i++)
        if (net->layers[i].is_loss) return true;
    return false;
}

static void forward_all(const pass *p) {
    for (int i = 0; i < p->net->layer_count; i++) {
        layer *l = &p->net->layers[i];
        l->type->forward(l, p);
        if (p->observe) p->observe(p->observe_user, l, false, l->output.data, p->batch * tensor_size(l->out));
    }
}

static pass make_pass(network *net, const float *images, size_t batch, bool training) {
    return (pass){.net = net,
                  .input = images,
                  .batch = batch,
                  .training = training,
                  .threads = net->threads,
                  .workspace = net->workspace,
                  .seed = net->options.seed,
                  .first_image = net->seen};
}

void network_forward(network *net, const float *images, size_t batch) {
    pass p = make_pass(net, images, batch, false);
    if (net->crew && batch > net->crew[0]->pass_batch)
        crew_run(&p);
    else
        inference_run(&p);
}

void network_resolve_tree(network *net, size_t batch) {
    const layer *l = network_output_layer(net);
    if (!net->classes || net->classes->count != tensor_size(l->out)) return;
    float *answers = (float *)(uintptr_t)l->output.data; /* the layer's own buffer */
    for (size_t n = 0; n < batch; n++)
        class_tree_multiply(net->classes, true, answers + n * net->classes->count);
}

void network_forward_observed(network *net, const float *images, size_t batch, layer_observer observe,
                              void *user) {
    pass p = make_pass(net, images, batch, false);
    p.observe = observe;
    p.observe_user = user;
    forward_all(&p);
}

void network_forward_batch_statistics(network *net, const float *images, size_t batch) {
    network_unpack_weights(net);
    pass p = make_pass(net, images, batch, false);
    p.batch_statistics = true;
    for (int i = 0; i < net->layer_count; i++)
        if (layer_values(&net->layers[i], "rolling_mean")) net->layers[i].fresh_statistics = true;
    forward_all(&p);
}

double network_train_pass(network *net, const float *images, const float *truth, size_t batch) {
    network_unpack_weights(net);
    pass p = make_pass(net, images, batch, true);
    double loss = 0.0;
    int losses = 0;
    p.truth = truth;
    p.loss = &loss;
    forward_all(&p);
    for (int i = net->layer_count - 1; i >= 0; i--) {
        layer *l = &net->layers[i];
        losses += l->is_loss;
        if (!l->type->backward || !(l->propagates || l->trains)) continue;
        if (!l->delta && !l->is_loss) continue;
        l->type->backward(l, &p);
    }
    net->seen += batch;
    return losses ? loss / losses : 0.0;
}

void network_clear_gradients(network *net) {
    memset(net->gradients, 0, net->parameter_total * sizeof(float));
}

bool network_regularize(network *net, size_t images, double epoch, double progress, double *loss, error *e) {
    *loss = 0.0;
    for (int i = 0; i < net->layer_count; i++) {
        void *state;
        double own = 0.0;
        const darknet_layer_type *type = external_type(&net->layers[i], &state);
        if (!type || !type->regularize) continue;
        if (!type->regularize(state, net, images, epoch, progress, &own, e)) return false;
        *loss += own;
    }
    return true;
}
