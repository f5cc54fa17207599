/* Values and their activation: see activated.h. */
#include "layers/activated.h"

void activated_parse(activated *a, layer *l, const cfg_section *s, const char *fallback, diagnostics *d) {
    a->kind = layer_parse_activation(s, "activation", fallback, d);
    l->modifies_delta = a->kind != ACTIVATION_LINEAR;
}

void activated_plan(activated *a, layer *l, size_t batch, bool training) {
    size_t bytes = batch * tensor_size(l->out) * sizeof(float);
    buffer_life life = training ? BUFFER_TRAINING : BUFFER_FORWARD;
    bool separate = training && a->kind != ACTIVATION_LINEAR && !l->lazy_output;
    a->raw = layer_request(l, bytes, life);
    a->stored = separate ? layer_request(l, bytes, life) : a->raw;
}

void activated_forward(const activated *a, layer *l, const pass *p) {
    float *raw = layer_buffer(l, a->raw), *stored = layer_buffer(l, a->stored);
    size_t count = p->batch * tensor_size(l->out);
    l->output = (lazy_tensor){.data = raw, .map = {.activation = a->kind}};
    if (p->observe) p->observe(p->observe_user, l, true, raw, count);
    if (a->kind == ACTIVATION_LINEAR || (p->training && l->lazy_output)) return;
    activation_forward_array(a->kind, raw, stored, count, p->threads);
    l->output = (lazy_tensor){.data = stored};
}

void activated_backward(const activated *a, layer *l, const pass *p) {
    if (a->kind == ACTIVATION_LINEAR) return;
    activation_backward_array(a->kind, layer_buffer(l, a->raw), l->delta, p->batch * tensor_size(l->out),
                              p->threads);
}

void activated_describe(const activated *a, darknet_layer_info *info) {
    info->activation = activation_name(a->kind);
    info->activation_function = layer_activation_function(a->kind);
}
