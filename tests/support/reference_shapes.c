/* The reference network's layers: shapes and parameters. See reference_network.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_internal.h"

static void add_array(reference_layer *l, const char *name, size_t count, bool trained, bool decays) {
    l->arrays[l->array_count++] = (reference_array){
        .name = name, .count = count, .trained = trained, .decays = decays, .in_file = true};
}

static void add_statistics(reference_layer *l, size_t channels) {
    add_array(l, "scales", channels, true, false);
    add_array(l, "rolling_mean", channels, false, false);
    add_array(l, "rolling_variance", channels, false, false);
}

static void copy_shape(reference_layer *l, const reference_layer *from) {
    l->c = from->c;
    l->h = from->h;
    l->w = from->w;
}

/* "-1,-3" or "7": absolute, or relative to this layer. A layer whose output a later dropout has changed in
 * place is read as that left it. */
static int resolve(const reference_layer *l, int reference) {
    int i = reference < 0 ? l->index + reference : reference;
    while (i + 1 < l->index && reference_is(reference_layer_at(l->net, i + 1), "dropout")) i++;
    return i;
}

static void add_inputs(reference_layer *l, const char *key) {
    const char *at = reference_text(l, key, NULL);
    for (bool more = at != NULL; more; at += strcspn(at, ",") + 1) {
        l->inputs[l->input_count++] = resolve(l, (int)strtol(at, NULL, 10));
        more = at[strcspn(at, ",")] == ',';
    }
}

static int windows(int length, int padding_both, int reach, int stride) {
    return (length + padding_both - reach) / stride + 1;
}

static int pad_of(const reference_layer *l) {
    return reference_int(l, "pad", 0) ? reference_int(l, "size", 1) / 2 : reference_int(l, "padding", 0);
}

/* A blur of the stage: 3x3 with padding 1 (kind 1) or 2x2 without (kind 2). */
static void set_blurred(reference_layer *l, int kind, int stride_y, int stride_x) {
    l->c = l->sc;
    l->h = windows(l->sh, kind == 1 ? 2 : 0, kind == 1 ? 3 : 2, stride_y);
    l->w = windows(l->sw, kind == 1 ? 2 : 0, kind == 1 ? 3 : 2, stride_x);
}

static void set_stage(reference_layer *l, int c, int h, int w) {
    l->sc = l->c = c;
    l->sh = l->h = h;
    l->sw = l->w = w;
}

static void convolution(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int size = reference_int(l, "size", 1), stride = reference_int(l, "stride", 1),
        n = reference_int(l, "filters", 1);
    int stride_y = reference_int(l, "stride_y", stride), stride_x = reference_int(l, "stride_x", stride);
    int dilation = size == 1 ? 1 : reference_int(l, "dilation", 1),
        kind = reference_int(l, "antialiasing", 0);
    int reach = dilation * (size - 1) + 1, padding = pad_of(l) * dilation;
    set_stage(l, n, windows(in->h, 2 * padding, reach, kind ? 1 : stride_y),
              windows(in->w, 2 * padding, reach, kind ? 1 : stride_x));
    if (kind) set_blurred(l, kind, stride_y, stride_x);
    int share = reference_int(l, "share_index", 0);
    if (share) {
        l->owner = reference_layer_at(l->net, share < 0 ? l->index + share : share);
        return;
    }
    size_t fan_in = (size_t)(in->c / reference_int(l, "groups", 1) * size * size);
    add_array(l, "biases", (size_t)n, true, false);
    if (reference_int(l, "batch_normalize", 0)) add_statistics(l, (size_t)n);
    add_array(l, "weights", (size_t)n * fan_in, true, true);
    if (reference_int(l, "flipped", 0)) l->arrays[l->array_count - 1].transposed_rows = fan_in;
}

static void connected(reference_layer *l) {
    size_t inputs = reference_size(reference_input(l, 0));
    set_stage(l, reference_int(l, "output", 1), 1, 1);
    add_array(l, "biases", (size_t)l->c, true, false);
    add_array(l, "weights", (size_t)l->c * inputs, true, true);
    if (reference_int(l, "batch_normalize", 0)) add_statistics(l, (size_t)l->c);
}

static void local(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int size = reference_int(l, "size", 1), stride = reference_int(l, "stride", 1);
    set_stage(l, reference_int(l, "filters", 1), windows(in->h, 2 * pad_of(l), size, stride),
              windows(in->w, 2 * pad_of(l), size, stride));
    add_array(l, "biases", reference_size(l), true, false);
    add_array(l, "weights", reference_size(l) * (size_t)(in->c * size * size), true, true);
}

static void deconvolution(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int size = reference_int(l, "size", 1), stride = reference_int(l, "stride", 1),
        n = reference_int(l, "filters", 1);
    set_stage(l, n, (in->h - 1) * stride + size - 2 * pad_of(l), (in->w - 1) * stride + size - 2 * pad_of(l));
    add_array(l, "biases", (size_t)n, true, false);
    if (reference_int(l, "batch_normalize", 0)) add_statistics(l, (size_t)n);
    add_array(l, "weights", (size_t)(in->c * n * size * size), true, true);
}

static void pool(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int stride = reference_int(l, "stride", 1), size = reference_int(l, "size", stride),
        padding = reference_int(l, "padding", size - 1), kind = reference_int(l, "antialiasing", 0);
    int stride_y = reference_int(l, "stride_y", stride), stride_x = reference_int(l, "stride_x", stride);
    if (reference_int(l, "maxpool_depth", 0)) {
        set_stage(l, reference_int(l, "out_channels", 1), in->h, in->w);
        return;
    }
    set_stage(l, in->c, windows(in->h, padding, size, kind ? 1 : stride_y),
              windows(in->w, padding, size, kind ? 1 : stride_x));
    if (kind) set_blurred(l, kind, stride_y, stride_x);
}

static void shortcut(reference_layer *l) {
    copy_shape(l, reference_input(l, 0));
    add_inputs(l, "from");
    const char *type = reference_text(l, "weights_type", "none");
    if (strcmp(type, "none") == 0) return;
    size_t factors = strcmp(type, "per_channel") == 0 ? (size_t)l->c : 1;
    add_array(l, "weights", (size_t)l->input_count * factors, true, true);
}

static void route(reference_layer *l) {
    l->input_count = 0;
    add_inputs(l, "layers");
    copy_shape(l, reference_input(l, 0));
    l->c = 0;
    for (int k = 0; k < l->input_count; k++) l->c += reference_input(l, k)->c / reference_int(l, "groups", 1);
}

static void upsample(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int stride = reference_int(l, "stride", 2);
    set_stage(l, in->c, stride > 0 ? in->h * stride : in->h / -stride,
              stride > 0 ? in->w * stride : in->w / -stride);
}

static void reorg(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int s = reference_int(l, "stride", 1), extra = reference_int(l, "extra", 0);
    if (extra)
        set_stage(l, (int)reference_size(in) + extra, 1, 1);
    else if (reference_int(l, "flatten", 0))
        set_stage(l, in->c, in->h, in->w);
    else if (reference_int(l, "reverse", 0))
        set_stage(l, in->c / (s * s), in->h * s, in->w * s);
    else
        set_stage(l, in->c * s * s, in->h / s, in->w / s);
}

static void crop(reference_layer *l) {
    set_stage(l, reference_input(l, 0)->c, reference_int(l, "crop_height", 1),
              reference_int(l, "crop_width", 1));
}

static void batch_normalization(reference_layer *l) {
    copy_shape(l, reference_input(l, 0));
    add_array(l, "biases", (size_t)l->c, true, false);
    l->arrays[0].in_file = l->net->form_epsilon_inside > 0;
    add_statistics(l, (size_t)l->c);
}

static void average(reference_layer *l) {
    set_stage(l, reference_input(l, 0)->c, 1, 1);
}

static void same(reference_layer *l) {
    copy_shape(l, reference_input(l, 0));
}

static void loss(reference_layer *l) {
    copy_shape(l, reference_input(l, 0));
    l->is_loss = !reference_int(l, "noloss", 0);
}

static void scale_channels(reference_layer *l) {
    add_inputs(l, "from");
    copy_shape(l, reference_input(l, 1));
}

static void product(reference_layer *l) {
    add_inputs(l, "from");
    copy_shape(l, reference_input(l, 0));
}

void reference_set_up(reference_layer *l) {
    static const struct {
        const char *type;
        void (*set_up)(reference_layer *l);
    } table[] = {{"convolutional", convolution},
                 {"connected", connected},
                 {"local", local},
                 {"deconvolutional", deconvolution},
                 {"maxpool", pool},
                 {"local_avgpool", pool},
                 {"avgpool", average},
                 {"shortcut", shortcut},
                 {"route", route},
                 {"upsample", upsample},
                 {"reorg", reorg},
                 {"reorg3d", reorg},
                 {"crop", crop},
                 {"batchnorm", batch_normalization},
                 {"activation", same},
                 {"dropout", same},
                 {"normalization", same},
                 {"l2norm", same},
                 {"softmax", loss},
                 {"logistic", loss},
                 {"cost", loss},
                 {"scale_channels", scale_channels},
                 {"sam", product}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!reference_is(l, table[i].type)) continue;
        table[i].set_up(l);
        return;
    }
    fail_msg("reference: no layer type [%s]", l->type);
}
