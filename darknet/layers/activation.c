/* [activation]: a function of each value, or normalize_channels, as a layer of its own. */
#include <stdlib.h>

#include "layers/activated.h"
#include "layers/channel_norm.h"
#include "layers/types.h"

typedef struct activation {
    activated end;
    channel_norm norm;
} activation;

static void parse(layer *l, const cfg_section *s, layer_context *context) {
    activation *a = l->state = calloc(1, sizeof *a);
    if (!a) return;
    l->out = l->in;
    a->norm.used = channel_norm_wanted(s);
    if (!a->norm.used) activated_parse(&a->end, l, s, "linear", context->diagnostics);
    l->modifies_delta = true;
}

static void plan(layer *l, size_t batch, bool training, int threads) {
    (void)threads;
    activation *a = l->state;
    if (a->norm.used)
        channel_norm_plan(&a->norm, l, l->out, batch, training);
    else
        activated_plan(&a->end, l, batch, training);
}

static void forward(layer *l, const pass *p) {
    const activation *a = l->state;
    lazy_tensor in = layer_input(l, p, 0);
    if (a->norm.used) {
        channel_norm_forward(&a->norm, l, &in, l->out, p);
        return;
    }
    lazy_tensor_store(p->batch * tensor_pixels(l->in), (size_t)l->in.channels, &in, activated_raw(&a->end, l),
                      p->threads);
    activated_forward(&a->end, l, p);
}

static void backward(layer *l, const pass *p) {
    const activation *a = l->state;
    float *in_delta = layer_input_delta(l, 0);
    if (!in_delta) return;
    if (a->norm.used)
        channel_norm_backward(&a->norm, l, l->delta, l->out, p);
    else
        activated_backward(&a->end, l, p);
    array_scale_add(p->batch * tensor_size(l->out), 1.0f, l->delta, in_delta, layer_adds_delta(l, 0),
                    p->threads);
}

static void describe(const layer *l, darknet_layer_info *info) {
    const activation *a = l->state;
    activated_describe(&a->end, info);
    if (!a->norm.used) return;
    info->activation = CHANNEL_NORM_NAME;
    info->activation_function = NULL;
}

static void destroy(layer *l) {
    free(l->state);
}

const layer_type layer_activation = {.name = "activation",
                                     .reads_lazy = true,
                                     .parse = parse,
                                     .plan = plan,
                                     .forward = forward,
                                     .backward = backward,
                                     .describe = describe,
                                     .destroy = destroy};
