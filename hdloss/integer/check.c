/* Checks of a model before it is packed; a model may have been read from a file. */
#include <math.h>
#include <stdlib.h>

#include "integer/internal.h"
#include "integer/requantise.h"

enum { LARGEST_SIDE = 1 << 20, LARGEST_WINDOW = 1 << 10 };
static const long long largest_tensor = 1LL << 30;

static bool fail(const hd_integer_layer *layer, hd_error *error, const char *what) {
    return hd_fail(error, "layer %d (%s): %s", layer->index, layer->type_name, what);
}

static const hd_integer_tensor *input_of(const hd_integer_model *model, const hd_integer_layer *layer,
                                         int j) {
    return layer->inputs[j] < 0 ? &model->input : &model->layers[layer->inputs[j]].output;
}

static int levels_of(const hd_integer_model *model, const hd_integer_tensor *tensor) {
    return tensor->is_signed ? hd_signed_levels(model->activation_bits)
                             : hd_unsigned_levels(model->activation_bits);
}

static bool tensor_is_sound(const hd_integer_tensor *t) {
    if (t->height < 1 || t->width < 1 || t->channels < 1) return false;
    if (t->height > LARGEST_SIDE || t->width > LARGEST_SIDE) return false;
    long long area = (long long)t->height * t->width;
    return area <= largest_tensor && t->channels <= largest_tensor / area && t->scale > 0 &&
           isfinite(t->scale);
}

static bool same_shape(const hd_integer_tensor *a, const hd_integer_tensor *b) {
    return a->height == b->height && a->width == b->width && a->channels == b->channels;
}

static bool multiplier_is_sound(int32_t multiplier, uint8_t shift) {
    return multiplier != INT32_MIN && shift >= HD_SMALLEST_SHIFT && shift <= HD_LARGEST_SHIFT;
}

/* Whether magnitudes up to `reach` stay within 31 bits one shift before the last. */
static bool requantised_fits(int64_t reach, int32_t multiplier, uint8_t shift, int64_t limit) {
    return (int64_t)(((uint64_t)reach * (uint64_t)llabs(multiplier)) >> (shift - 1)) < limit;
}

static bool check_range(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    bool before_signed = layer->table != NULL || layer->output.is_signed;
    int high =
        before_signed ? hd_signed_levels(model->activation_bits) : hd_unsigned_levels(model->activation_bits);
    int low = before_signed ? -high : 0;
    if (layer->low >= low && layer->low <= layer->high && layer->high <= high) return true;
    return hd_fail(error, "layer %d (%s): saturates at %d and %d, which is not within %d..%d", layer->index,
                   layer->type_name, layer->low, layer->high, low, high);
}

static bool check_table(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    int levels = levels_of(model, &layer->output);
    for (int i = 0; i < 256; i++) {
        int q = layer->output.is_signed ? (int8_t)layer->table[i] : layer->table[i];
        if (q < -levels || q > levels)
            return hd_fail(error, "layer %d (%s): entry %d of its table is %d, beyond +-%d", layer->index,
                           layer->type_name, i, q, levels);
    }
    return true;
}

static bool check_filters(const hd_integer_model *model, const hd_integer_layer *layer, size_t filter,
                          hd_error *error) {
    if (!layer->words || !layer->bias || !layer->multiplier || !layer->shift)
        return fail(layer, error, "words, bias, multipliers or shifts are missing");
    int levels = levels_of(model, input_of(model, layer, 0));
    for (int k = 0; k < layer->output.channels; k++) {
        const int8_t *words = layer->words + (size_t)k * filter;
        int64_t reach = llabs(layer->bias[k]);
        for (size_t i = 0; i < filter; i++) {
            if (words[i] < -127)
                return hd_fail(error, "layer %d (%s): a word of channel %d is %d, not in -127..127",
                               layer->index, layer->type_name, k, words[i]);
            reach += (int64_t)abs(words[i]) * levels;
        }
        if (reach > INT32_MAX)
            return hd_fail(
                error,
                "layer %d (%s): the accumulator of channel %d could overflow 32 bits: it can reach %lld",
                layer->index, layer->type_name, k, (long long)reach);
        if (!multiplier_is_sound(layer->multiplier[k], layer->shift[k]))
            return hd_fail(
                error, "layer %d (%s): the shift of channel %d is %d, not 1..62, or its multiplier is -2^31",
                layer->index, layer->type_name, k, layer->shift[k]);
        if (!requantised_fits(reach, layer->multiplier[k], layer->shift[k], INT32_MAX))
            return hd_fail(
                error,
                "layer %d (%s): channel %d could pass 32 bits when requantised; the output's scale %g is "
                "too small",
                layer->index, layer->type_name, k, (double)layer->output.scale);
    }
    return true;
}

static bool check_convolution(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    const hd_integer_tensor *in = input_of(model, layer, 0), *out = &layer->output;
    int size = layer->size, groups = layer->groups;
    if (size < 1 || size > LARGEST_WINDOW || layer->stride < 1 || layer->stride > LARGEST_SIDE ||
        layer->padding < 0 || layer->padding > LARGEST_SIDE || layer->dilation < 1 ||
        layer->dilation > LARGEST_WINDOW || groups < 1)
        return fail(layer, error, "size, stride, padding, dilation or groups are out of range");
    if (in->channels % groups || out->channels % groups)
        return hd_fail(error, "layer %d (%s): %d groups do not divide %d and %d channels", layer->index,
                       layer->type_name, groups, in->channels, out->channels);
    int span = layer->dilation * (size - 1) + 1;
    int spare_height = in->height + 2 * layer->padding - span,
        spare_width = in->width + 2 * layer->padding - span;
    if (spare_height < 0 || spare_width < 0 || out->height != spare_height / layer->stride + 1 ||
        out->width != spare_width / layer->stride + 1)
        return hd_fail(
            error,
            "layer %d (%s): an output of %d x %d does not follow from %d x %d, size %d, stride %d, "
            "padding %d",
            layer->index, layer->type_name, out->height, out->width, in->height, in->width, size,
            layer->stride, layer->padding);
    size_t filter = (size_t)(in->channels / groups) * (size_t)size * (size_t)size;
    return check_range(model, layer, error) && check_filters(model, layer, filter, error);
}

static bool check_pool(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    const hd_integer_tensor *in = input_of(model, layer, 0), *out = &layer->output;
    if (in->is_signed != out->is_signed || in->channels != out->channels)
        return fail(layer, error, "a pool keeps its input's channels and signedness");
    if (layer->operation == HD_INTEGER_AVERAGE_POOL) {
        if (out->height != 1 || out->width != 1)
            return fail(layer, error, "an average pool's output is 1 x 1");
        if ((long long)in->height * in->width > INT32_MAX / 256)
            return fail(layer, error, "the pool's sum could overflow 32 bits");
        return true;
    }
    if (layer->size < 1 || layer->size > LARGEST_WINDOW || layer->stride < 1 ||
        layer->stride > LARGEST_SIDE || layer->padding < 0 || layer->padding > LARGEST_SIDE)
        return fail(layer, error, "size, stride or padding are out of range");
    int spare_height = in->height + layer->padding - layer->size,
        spare_width = in->width + layer->padding - layer->size;
    if (spare_height < 0 || spare_width < 0 || out->height != spare_height / layer->stride + 1 ||
        out->width != spare_width / layer->stride + 1)
        return hd_fail(
            error,
            "layer %d (%s): an output of %d x %d does not follow from %d x %d, size %d, stride %d, "
            "padding %d",
            layer->index, layer->type_name, out->height, out->width, in->height, in->width, layer->size,
            layer->stride, layer->padding);
    return true;
}

/* Shortcuts and routes. */
static bool check_rescaling(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    bool sum = layer->operation == HD_INTEGER_SHORTCUT;
    if (!layer->multiplier || !layer->shift) return fail(layer, error, "multipliers or shifts are missing");
    if (sum && layer->input_count != 2) return fail(layer, error, "a shortcut has two inputs");
    long long channels = 0;
    for (int j = 0; j < layer->input_count; j++) {
        const hd_integer_tensor *in = input_of(model, layer, j);
        channels += in->channels;
        bool fits = sum && j == 1 ? hd_integer_overlap_exists(layer->output.height, layer->output.width,
                                                              in->height, in->width)
                                  : in->height == layer->output.height && in->width == layer->output.width &&
                                        (!sum || in->channels == layer->output.channels);
        if (!fits) return fail(layer, error, "its inputs' shapes disagree with its output's");
        if (!multiplier_is_sound(layer->multiplier[j], layer->shift[j]))
            return fail(layer, error, "a shift is not in 1..62, or a multiplier is -2^31");
        if (!requantised_fits(levels_of(model, in), layer->multiplier[j], layer->shift[j], 1 << 30))
            return hd_fail(error, "layer %d (%s): its scale %g is too small for that of input %d",
                           layer->index, layer->type_name, (double)layer->output.scale, j);
    }
    if (!sum && channels != layer->output.channels)
        return fail(layer, error, "its inputs' channels are not its output's");
    return check_range(model, layer, error);
}

static bool check_operation(const hd_integer_model *model, const hd_integer_layer *layer, hd_error *error) {
    const hd_integer_tensor *in = input_of(model, layer, 0), *out = &layer->output;
    switch (layer->operation) {
    case HD_INTEGER_CONVOLUTION:
        return check_convolution(model, layer, error);
    case HD_INTEGER_CONNECTED:
        if (out->height != 1 || out->width != 1)
            return fail(layer, error, "a connected layer's output is 1 x 1");
        return check_range(model, layer, error) &&
               check_filters(model, layer, (size_t)in->height * (size_t)in->width * (size_t)in->channels,
                             error);
    case HD_INTEGER_MAXPOOL:
    case HD_INTEGER_AVERAGE_POOL:
        return check_pool(model, layer, error);
    case HD_INTEGER_SHORTCUT:
    case HD_INTEGER_ROUTE:
        return check_rescaling(model, layer, error);
    case HD_INTEGER_TABLE:
        if (!same_shape(in, out)) return fail(layer, error, "its output's shape is not its input's");
        return layer->table ? true : fail(layer, error, "its table is missing");
    case HD_INTEGER_PASS:
        if (!same_shape(in, out) || in->is_signed != out->is_signed)
            return fail(layer, error, "it passes its input on, but its output's shape or signedness differs");
        return true;
    }
    return fail(layer, error, "its operation is unknown");
}

static bool check_logits(const hd_integer_model *model, hd_error *error) {
    int at = model->logits_layer;
    if (at < 0 || at >= model->layer_count)
        return hd_fail(error, "the logits' layer is %d, not in 0..%d", at, model->layer_count - 1);
    const hd_integer_layer *layer = &model->layers[at];
    if (!(model->logits_scale > 0) || !isfinite(model->logits_scale))
        return fail(layer, error, "the logits' scale is not a positive number");
    if (!model->logits_multiplier && !model->logits_shift) return true;
    if (!model->logits_multiplier || !model->logits_shift ||
        (layer->operation != HD_INTEGER_CONVOLUTION && layer->operation != HD_INTEGER_CONNECTED))
        return fail(layer, error,
                    "logits' multipliers and shifts go together, with a convolution or connected layer");
    for (int k = 0; k < layer->output.channels; k++)
        if (!multiplier_is_sound(model->logits_multiplier[k], model->logits_shift[k]))
            return fail(layer, error, "a logit's shift is not in 1..62, or its multiplier is -2^31");
    return true;
}

bool hd_integer_check_model(const hd_integer_model *model, hd_error *error) {
    if (model->activation_bits < 2 || model->activation_bits > 8)
        return hd_fail(error, "activation bits are %d, not 2..8", model->activation_bits);
    if (!tensor_is_sound(&model->input) || !model->input.is_signed)
        return hd_fail(error, "the network's input has no size or scale, or is not signed");
    if (model->layer_count < 1 || !model->layers) return hd_fail(error, "the network has no layers");
    for (int i = 0; i < model->layer_count; i++) {
        const hd_integer_layer *layer = &model->layers[i];
        if (layer->input_count < 1 || !layer->inputs) return fail(layer, error, "reads nothing");
        for (int j = 0; j < layer->input_count; j++)
            if (layer->inputs[j] < -1 || layer->inputs[j] >= i)
                return fail(layer, error, "reads a layer that does not come before it");
        if (!tensor_is_sound(&layer->output)) return fail(layer, error, "its output has no size or scale");
        if (!check_operation(model, layer, error)) return false;
        if (layer->table && !check_table(model, layer, error)) return false;
    }
    return check_logits(model, error);
}
