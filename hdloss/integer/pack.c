/* Packing of layers for the kernels: panels of words, biases that take back the signed inputs' 128, tables on
 * stored bytes. */
#include <stdlib.h>
#include <string.h>

#include "integer/internal.h"
#include "integer/scale_to_byte.h"

enum { NARROW_TERM = 1 << 14 };

static size_t ceiling(size_t value, size_t divisor) {
    return (value + divisor - 1) / divisor;
}

static bool scaling_allocate(hd_integer_scaling *scaling, size_t slots) {
    scaling->bias = hd_integer_allocate(slots, sizeof *scaling->bias);
    scaling->multiplier = hd_integer_allocate(slots, sizeof *scaling->multiplier);
    scaling->shift_less_one = hd_integer_allocate(slots, sizeof *scaling->shift_less_one);
    return scaling->bias && scaling->multiplier && scaling->shift_less_one;
}

void hd_integer_scaling_free(hd_integer_scaling *scaling) {
    free(scaling->bias);
    free(scaling->multiplier);
    free(scaling->shift_less_one);
    *scaling = (hd_integer_scaling){0};
}

static void scaling_range(hd_integer_scaling *scaling, const hd_integer_layer *layer) {
    scaling->zero = layer->table || layer->output.is_signed ? 128 : 0;
    scaling->low = (uint8_t)(layer->low + scaling->zero);
    scaling->high = (uint8_t)(layer->high + scaling->zero);
}

/* Fills a slot for channel k; word_sum is that of the packed (perhaps negated) words. */
static void scaling_set(hd_integer_scaling *scaling, size_t slot, const hd_integer_layer *layer, size_t k,
                        int32_t word_sum, uint8_t input_zero) {
    int32_t multiplier = layer->multiplier[k];
    uint32_t bias = (uint32_t)layer->bias[k];
    if (multiplier < 0) bias = 0 - bias;
    scaling->bias[slot] = (int32_t)(bias - (uint32_t)input_zero * (uint32_t)word_sum);
    scaling->multiplier[slot] = multiplier < 0 ? -multiplier : multiplier;
    scaling->shift_less_one[slot] = layer->shift[k] - 1;
}

/* Where word (c, position) of a filter lies in the layer's own order. Connected layers read their input in
 * C,H,W order but find it stored in H,W,C. */
typedef struct filter_order {
    size_t words, channels, positions, pixels;
} filter_order;

static size_t word_index(const filter_order *order, size_t c, size_t position) {
    if (order->pixels > 1) return c % order->channels * order->pixels + c / order->channels;
    return c * order->positions + position;
}

static void pack_panel(const hd_integer_layer *layer, const filter_order *order, uint8_t input_zero,
                       const hd_integer_panel *panel, hd_integer_product *product) {
    size_t width = (size_t)panel->vectors * HD_INTEGER_LANES, steps = (size_t)product->steps;
    for (size_t n = 0; n < (size_t)panel->channels; n++) {
        size_t k = (size_t)panel->output_channel + n;
        const int8_t *filter = layer->words + k * order->words;
        int sign = layer->multiplier[k] < 0 ? -1 : 1;
        int32_t sum = 0;
        for (size_t position = 0; position < order->positions; position++)
            for (size_t c = 0; c < (size_t)product->group_channels; c++) {
                int word = sign * filter[word_index(order, c, position)];
                size_t step = position * steps + c / 4;
                product->words[panel->words + (step * width + n) * 4 + c % 4] = (int8_t)word;
                sum += word;
            }
        scaling_set(&product->scaling, panel->slot + n, layer, k, sum, input_zero);
    }
}

/* Deals each group's channels to panels of about equal width. */
static void lay_panels(hd_integer_product *product, size_t groups, size_t group_filters,
                       size_t filter_bytes) {
    size_t vectors = ceiling(group_filters, HD_INTEGER_LANES),
           panels = ceiling(vectors, HD_INTEGER_PANEL_VECTORS);
    hd_integer_panel *panel = product->panels;
    size_t words = 0, slot = 0;
    for (size_t g = 0; g < groups; g++)
        for (size_t i = 0; i < panels; i++, panel++) {
            size_t first = vectors * i / panels, past = vectors * (i + 1) / panels;
            size_t channels =
                past * HD_INTEGER_LANES < group_filters ? past * HD_INTEGER_LANES : group_filters;
            panel->words = words;
            panel->slot = slot;
            panel->input_channel = (int)g * product->group_channels;
            panel->output_channel = (int)(g * group_filters + first * HD_INTEGER_LANES);
            panel->channels = (int)(channels - first * HD_INTEGER_LANES);
            panel->vectors = (int)(past - first);
            words += (past - first) * HD_INTEGER_LANES * filter_bytes;
            slot += (past - first) * HD_INTEGER_LANES;
        }
}

bool hd_integer_pack_product(const hd_integer_layer *layer, const hd_integer_tensor *input,
                             hd_integer_window window, hd_integer_product *product) {
    bool connected = layer->operation == HD_INTEGER_CONNECTED;
    size_t pixels = connected ? (size_t)input->height * (size_t)input->width : 1;
    if (connected)
        window = (hd_integer_window){1, 1, window.in_channels * (int)pixels, 1, 1, window.out_channels, 1, 1,
                                     1, 0};
    size_t groups = connected ? 1 : (size_t)layer->groups, filters = (size_t)window.out_channels;
    size_t positions = (size_t)window.size * (size_t)window.size;
    product->window = window;
    product->direct = window.size == 1 && window.stride == 1 && window.start == 0;
    product->group_channels = window.in_channels / (int)groups;
    product->steps = (product->group_channels + 3) / 4;
    size_t filter_bytes = positions * (size_t)product->steps * 4,
           vectors = ceiling(filters / groups, HD_INTEGER_LANES);
    product->panel_count = groups * ceiling(vectors, HD_INTEGER_PANEL_VECTORS);
    product->panels = hd_integer_allocate(product->panel_count, sizeof *product->panels);
    product->words = hd_integer_allocate(groups * vectors * HD_INTEGER_LANES, filter_bytes);
    if (!product->panels || !product->words ||
        !scaling_allocate(&product->scaling, groups * vectors * HD_INTEGER_LANES))
        return false;
    scaling_range(&product->scaling, layer);
    lay_panels(product, groups, filters / groups, filter_bytes);
    filter_order order = {(size_t)product->group_channels * positions, (size_t)input->channels, positions,
                          pixels};
    for (size_t i = 0; i < product->panel_count; i++)
        pack_panel(layer, &order, hd_zero_byte(input), &product->panels[i], product);
    return true;
}

bool hd_integer_pack_depthwise(const hd_integer_kernels *kernels, const hd_integer_layer *layer,
                               const hd_integer_tensor *input, hd_integer_window window,
                               hd_integer_depthwise *depthwise) {
    size_t channels = (size_t)window.in_channels, positions = (size_t)window.size * (size_t)window.size;
    depthwise->window = window;
    depthwise->words = hd_integer_allocate(channels, positions);
    if (!depthwise->words || !scaling_allocate(&depthwise->scaling, channels)) return false;
    scaling_range(&depthwise->scaling, layer);
    for (size_t k = 0; k < channels; k++) {
        int sign = layer->multiplier[k] < 0 ? -1 : 1;
        int32_t sum = 0;
        for (size_t i = 0; i < positions; i++) {
            depthwise->words[k * positions + i] = (int8_t)(sign * layer->words[k * positions + i]);
            sum += depthwise->words[k * positions + i];
        }
        scaling_set(&depthwise->scaling, k, layer, k, sum, hd_zero_byte(input));
    }
    return kernels->pack_depthwise(depthwise);
}

/* table[stored byte in] = stored byte out, from one on two's complement or unsigned bytes. */
static void store_table(const uint8_t *table, uint8_t zero_in, uint8_t zero_out, uint8_t stored[256]) {
    for (int byte = 0; byte < 256; byte++)
        stored[byte] = (uint8_t)(table[(uint8_t)(byte - zero_in)] + zero_out);
}

static bool pack_route(const hd_integer_network *network, const hd_integer_layer *layer,
                       hd_integer_step *step) {
    step->route_tables = hd_integer_allocate((size_t)layer->input_count, sizeof *step->route_tables);
    if (!step->route_tables) return false;
    uint8_t zero = hd_zero_byte(&layer->output), low = (uint8_t)(layer->low + zero),
            high = (uint8_t)(layer->high + zero);
    for (int j = 0; j < layer->input_count; j++) {
        int input_zero = hd_zero_byte(&network->places[step->inputs[j]].tensor);
        for (int byte = 0; byte < 256; byte++)
            step->route_tables[j][byte] =
                scale_to_byte(byte - input_zero, layer->multiplier[j], layer->shift[j] - 1, zero, low, high);
    }
    return true;
}

static void pack_sum(const hd_integer_network *network, const hd_integer_layer *layer,
                     hd_integer_step *step) {
    hd_integer_scaling range;
    scaling_range(&range, layer);
    step->sum.zero = range.zero;
    step->sum.low = range.low;
    step->sum.high = range.high;
    step->sum.narrow = true;
    for (int j = 0; j < 2; j++) {
        int input_zero = hd_zero_byte(&network->places[step->inputs[j]].tensor);
        for (int byte = 0; byte < 256; byte++) {
            int32_t term = hd_requantise(byte - input_zero, layer->multiplier[j], layer->shift[j]);
            step->sum.terms[j][byte] = term;
            step->sum.halves[j][0][byte] = (uint8_t)(term & 255);
            step->sum.halves[j][1][byte] = (uint8_t)(term >> 8 & 255);
            step->sum.narrow = step->sum.narrow && abs(term) <= NARROW_TERM;
        }
    }
}

static hd_integer_window window_of(const hd_integer_layer *layer, const hd_integer_tensor *in) {
    const hd_integer_tensor *out = &layer->output;
    int start = layer->operation == HD_INTEGER_MAXPOOL ? -(layer->padding / 2) : -layer->padding;
    return (hd_integer_window){in->height,    in->width,   in->channels,  out->height,     out->width,
                               out->channels, layer->size, layer->stride, layer->dilation, start};
}

/* `whole`: its accumulators are wanted, which only the product hands out. */
static bool pack_filters(const hd_integer_network *network, const hd_integer_layer *layer, bool whole,
                         const hd_integer_tensor *in, hd_integer_step *step) {
    const uint8_t *padding = network->padding[in->is_signed];
    bool depthwise = !whole && layer->operation == HD_INTEGER_CONVOLUTION && layer->groups > 1 &&
                     layer->groups == in->channels && layer->groups == layer->output.channels;
    step->type = depthwise ? HD_STEP_DEPTHWISE : HD_STEP_PRODUCT;
    step->depthwise.padding = step->product.padding = padding;
    return depthwise ? hd_integer_pack_depthwise(network->kernels, layer, in, step->window, &step->depthwise)
                     : hd_integer_pack_product(layer, in, step->window, &step->product);
}

bool hd_integer_pack_step(const hd_integer_network *network, const hd_integer_model *model, int index,
                          hd_integer_step *step) {
    const hd_integer_layer *layer = &model->layers[index];
    step->input_count = layer->input_count;
    step->inputs = hd_integer_allocate((size_t)layer->input_count, sizeof *step->inputs);
    if (!step->inputs) return false;
    for (int j = 0; j < layer->input_count; j++) step->inputs[j] = 1 + layer->inputs[j];
    const hd_integer_tensor *in = &network->places[step->inputs[0]].tensor;
    step->window = window_of(layer, in);
    step->has_table = layer->table != NULL;
    if (layer->table) {
        bool before_signed = layer->operation == HD_INTEGER_TABLE ? in->is_signed : true;
        store_table(layer->table, before_signed ? 128 : 0, hd_zero_byte(&layer->output), step->table);
    }
    switch (layer->operation) {
    case HD_INTEGER_CONVOLUTION:
    case HD_INTEGER_CONNECTED:
        return pack_filters(network, layer, index == model->logits_layer && model->logits_multiplier, in,
                            step);
    case HD_INTEGER_MAXPOOL:
        step->type = HD_STEP_MAXPOOL;
        return true;
    case HD_INTEGER_AVERAGE_POOL:
        step->type = HD_STEP_AVERAGE_POOL;
        return true;
    case HD_INTEGER_SHORTCUT:
        step->type = HD_STEP_SUM;
        pack_sum(network, layer, step);
        return true;
    case HD_INTEGER_ROUTE:
        step->type = HD_STEP_ROUTE;
        return pack_route(network, layer, step);
    case HD_INTEGER_TABLE:
        step->type = HD_STEP_TABLE;
        return true;
    case HD_INTEGER_PASS:
        step->type = HD_STEP_PASS;
        return true;
    }
    return false;
}

void hd_integer_step_free(hd_integer_step *step) {
    free(step->inputs);
    free(step->product.panels);
    free(step->product.words);
    hd_integer_scaling_free(&step->product.scaling);
    free(step->depthwise.words);
    free(step->depthwise.packed);
    hd_integer_scaling_free(&step->depthwise.scaling);
    free(step->route_tables);
}
