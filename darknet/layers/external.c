/* Layer types registered from outside the library (darknet_layer_type): the bridge between their records and
 * ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/external.h"
#include "network/network.h"

typedef struct external {
    const darknet_layer_type *type;
    void *state;
} external;

static const char *read_option(void *section, const char *key) {
    return section_string((const cfg_section *)section, key, NULL);
}

static const darknet_layer_type *registered(const network *net, const char *name, void **user) {
    for (size_t i = 0; i < net->extension_count; i++) {
        const darknet_layer_type *type = net->extensions[i]->layer_type;
        if (!type || strcmp(type->name, name) != 0) continue;
        *user = net->extensions[i]->user;
        return type;
    }
    return NULL;
}

bool external_is_registered(const network *net, const char *name) {
    void *user;
    return registered(net, name, &user) != NULL;
}

/* Lines of a sentence each; one that begins with a key and ':' is about that key's line. */
static void report(const cfg_section *s, const char *sentences, diagnostics *d) {
    char key[64];
    for (size_t length; *sentences; sentences += length + (sentences[length] != 0)) {
        length = strcspn(sentences, "\n");
        size_t word = strcspn(sentences, ": \n");
        (void)snprintf(key, sizeof key, "%.*s", word < sizeof key ? (int)word : 0, sentences);
        diagnostics_error(d, LAYER_AT "%.*s", section_path(s), section_key_line(s, key), (int)length,
                          sentences);
    }
}

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    external *state = l->state = calloc(1, sizeof *state);
    if (!state) return;
    void *user = NULL;
    l->out = l->in;
    state->type = registered(l->net, section_name(s), &user);
    error e = {0};
    if (!state->type->create(user, read_option, (void *)(uintptr_t)s, &state->state, &e))
        report(s, e.message, context->diagnostics);
}

static bool passes_through(const layer *l, bool training) {
    (void)training;
    const external *state = l->state;
    return !state->type->forward;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    const external *state = l->state;
    if (state->type->forward)
        layer_request(l, batch * tensor_size(l->out) * sizeof(float),
                      training ? BUFFER_TRAINING : BUFFER_FORWARD);
}

static void forward(layer *l, const pass *p) {
    const external *state = l->state;
    l->output = layer_input(l, p, 0);
    if (!state->type->forward) return;
    float *out = layer_buffer(l, 0);
    state->type->forward(state->state, p->net, l->output.data, out, p->batch, p->training);
    l->output = (lazy_tensor){.data = out};
}

static void backward(layer *l, const pass *p) {
    const external *state = l->state;
    float *target = layer_input_delta(l, 0);
    if (!target || !l->delta) return;
    size_t count = p->batch * tensor_size(l->out);
    if (!state->type->forward) {
        array_scale_add(count, 1.0f, l->delta, target, layer_adds_delta(l, 0), p->threads);
        return;
    }
    if (!layer_adds_delta(l, 0)) memset(target, 0, count * sizeof(float));
    if (state->type->backward)
        state->type->backward(state->state, p->net, layer_input(l, p, 0).data, l->output.data, l->delta,
                              target, p->batch);
}

static void destroy(layer *l) {
    external *state = l->state;
    if (state && state->type && state->type->destroy) state->type->destroy(state->state);
    free(state);
}

const layer_type layer_external = {.name = "external",
                                   .reads_lazy = false,
                                   .passes_through = passes_through,
                                   .parse = parse,
                                   .plan = plan,
                                   .forward = forward,
                                   .backward = backward,
                                   .destroy = destroy};

const darknet_layer_type *external_type(const layer *l, void **state) {
    if (l->type != &layer_external) return NULL;
    const external *own = l->state;
    *state = own->state;
    return own->type;
}
