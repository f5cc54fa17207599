/* [logistic]: probabilities by the logistic function; with a truth, the cross entropy of each value, summed
 * over the batch. Darknet's rule: delta = truth - probability. */
#include <math.h>

#include "layers/layer.h"
#include "layers/types.h"

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    (void)s;
    (void)context;
    l->out = l->in;
    l->is_loss = true;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                  training ? BUFFER_TRAINING : BUFFER_FORWARD);
}

/* Of the probability of 1/(1 + e^-z) against truth t, from z: exact where the probability has rounded to 0
 * or 1. */
static double cross_entropy(double z, double t) {
    return fmax(z, 0.0) - z * t + log1p(exp(-fabs(z)));
}

static void forward(layer *l, const pass *p) {
    const float *in = layer_input(l, p, 0).data;
    float *out = layer_buffer(l, 0);
    size_t count = p->batch * tensor_size(l->out);
    activation_forward_array(ACTIVATION_LOGISTIC, in, out, count, p->threads);
    l->output = (lazy_tensor){.data = out};
    if (!p->truth || !p->loss) return;
    for (size_t i = 0; i < count; i++) *p->loss += cross_entropy((double)in[i], (double)layer_truth(l, p, i));
}

static void backward(layer *l, const pass *p) {
    float *target = layer_input_delta(l, 0);
    const float *out = layer_buffer(l, 0);
    if (!target) return;
    bool adds = layer_adds_delta(l, 0);
    for (size_t i = 0; i < p->batch * tensor_size(l->out); i++)
        target[i] = (adds ? target[i] : 0.0f) + (l->delta ? l->delta[i] : 0.0f) +
                    (p->truth ? layer_truth(l, p, i) - out[i] : 0.0f);
}

const layer_type layer_logistic = {
    .name = "logistic", .parse = parse, .plan = plan, .forward = forward, .backward = backward};
