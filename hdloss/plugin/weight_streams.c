/* A network's layers with weights as words and stream plans on one accelerator: see internal.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool read_emphasis(const layer *l, double *emphasis, error *e) {
    const char *text = layer_option(l, "hd_lambda");
    *emphasis = 1.0;
    if (!text) return true;
    char *end;
    *emphasis = strtod(text, &end);
    if (end != text && *end == 0 && isfinite(*emphasis) && *emphasis >= 0.0) return true;
    darknet_layer_info info;
    layer_get_info(l, &info);
    return error_set(e, "layer %d (%s, line %d): hd_lambda: \"%s\" is not a number of at least 0", info.index,
                     info.type, info.line, text);
}

static bool shape_of(const layer *l, hd_layer_shape *shape) {
    darknet_layer_info info;
    darknet_parameter weights;
    layer_get_info(l, &info);
    if (!layer_get_parameter(l, "weights", &weights)) return false;
    bool connected = strcmp(info.type, "connected") == 0;
    if (!connected && strcmp(info.type, "convolutional") != 0) return false;
    size_t inputs = (size_t)info.in_channels * (size_t)info.in_height * (size_t)info.in_width;
    *shape = (hd_layer_shape){.filters = (size_t)info.out_channels,
                              .channels = connected ? inputs : (size_t)info.in_channels,
                              .groups = connected ? 1 : (size_t)info.groups,
                              .size = connected ? 1 : (size_t)info.size,
                              .output_pixels = (size_t)info.out_height * (size_t)info.out_width};
    return true;
}

static bool fill(weight_stream *w, layer *l, const hd_layer_shape *shape, const array_model *model,
                 error *e) {
    darknet_layer_info info;
    layer_get_info(l, &info);
    hd_accelerator own = model->accelerator;
    hd_error h = {0};
    *w = (weight_stream){.index = info.index, .layer = l, .shape = *shape};
    if (!layer_weight_bits(l, &model->accelerator, &own.weight_bits, e) || !read_emphasis(l, &w->emphasis, e))
        return false;
    if (!hd_plan_init(&w->plan, &own, shape, &h)) return from_hd(&h, e);
    w->words = malloc(w->plan.weights);
    w->scales = malloc(shape->filters * sizeof *w->scales);
    return w->words && w->scales ? true : error_set(e, "out of memory");
}

static bool create(weight_streams *s, network *net, const array_model *model, error *e) {
    int layers = network_layer_count(net);
    *s = (weight_streams){.model = *model, .items = calloc((size_t)layers, sizeof *s->items)};
    if (!s->items) return error_set(e, "out of memory");
    for (int i = 0; i < layers; i++) {
        layer *l = network_layer(net, i);
        hd_layer_shape shape;
        if (!shape_of(l, &shape)) continue;
        if (!fill(&s->items[s->count++], l, &shape, model, e)) return false;
    }
    return true;
}

bool weight_streams_create(weight_streams *s, network *net, const array_model *model, error *e) {
    if (create(s, net, model, e) && weight_streams_quantise(s, e)) return true;
    weight_streams_free(s);
    return false;
}

bool weight_streams_quantise(weight_streams *s, error *e) {
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        darknet_parameter weights;
        hd_error h = {0};
        (void)layer_get_parameter(w->layer, "weights", &weights);
        if (!hd_quantise(weights.values, w->shape.filters, hd_layer_filter_weights(&w->shape),
                         w->plan.accelerator.weight_bits, w->words, w->scales, &h))
            return error_set(e, "layer %d: %s", w->index, h.message);
    }
    return true;
}

/* Words and scales always; orders and signs only on the array they were made for. */
static bool take_from_sidecar(weight_stream *w, const hd_stream_layer *from, bool same_array, error *e) {
    hd_error h = {0};
    if (from->weight_bits != w->plan.accelerator.weight_bits ||
        memcmp(&from->shape, &w->shape, sizeof w->shape) != 0)
        return error_set(e, "the .stream's layer %d has another shape or word width than the network's",
                         w->index);
    memcpy(w->words, from->words, w->plan.weights);
    memcpy(w->scales, from->scales, w->shape.filters * sizeof *w->scales);
    if (!same_array) return true;
    hd_plan ordered;
    if (!hd_stream_layer_plan(from, &w->plan.accelerator, &ordered, &h)) return from_hd(&h, e);
    hd_plan_free(&w->plan);
    w->plan = ordered;
    if (from->sign_sets == 0) return true;
    w->streamed = malloc(w->plan.weights);
    w->signs = malloc(from->sign_sets * w->shape.filters);
    if (!w->streamed || !w->signs) return error_set(e, "out of memory");
    memcpy(w->signs, from->signs, from->sign_sets * w->shape.filters);
    w->sign_sets = from->sign_sets;
    return hd_stream_layer_streamed_words(from, &w->plan, w->streamed, &h) || from_hd(&h, e);
}

static bool same_array(const hd_accelerator *a, const hd_accelerator *b) {
    return a->dataflow == b->dataflow && a->rows == b->rows && a->kernel_orders == b->kernel_orders &&
           (a->dataflow != HD_WEIGHT_STATIONARY || a->cols == b->cols);
}

/* A run with the loss switched on in [net] has one more layer at its end, [hdloss], than the same cfg without
 * it: the sidecar's activation scales (laid out as in integer.h) are made to fit the network that is loaded.
 */
static bool fit_scales(hd_stream *stream, size_t layers, error *e) {
    size_t had = (stream->node_count - 1) / 2, kept = had < layers ? had : layers;
    if (!stream->activation_scales || (had != layers + 1 && layers != had + 1)) return true;
    float *scales = calloc(1 + 2 * layers, sizeof *scales);
    uint8_t *flags = calloc(1 + 2 * layers, 1);
    if (!scales || !flags) {
        free(scales);
        free(flags);
        return error_set(e, "out of memory");
    }
    for (size_t half = 0; half < 2; half++) {
        size_t to = half * (1 + layers), from = half * (1 + had), count = kept + (half == 0);
        memcpy(scales + to, stream->activation_scales + from, count * sizeof *scales);
        memcpy(flags + to, stream->activation_flags + from, count);
    }
    free(stream->activation_scales);
    free(stream->activation_flags);
    stream->activation_scales = scales;
    stream->activation_flags = flags;
    stream->node_count = 1 + 2 * layers;
    return true;
}

bool weight_streams_load(weight_streams *s, network *net, const char *weights_path, const array_model *model,
                         error *e) {
    bool found = false;
    hd_stream stream = {0};
    if (!sidecar_read(weights_path, &stream, &found, e)) return false;
    if (!weight_streams_create(s, net, model, e)) {
        hd_stream_free(&stream);
        return false;
    }
    if (!found) return true;
    bool same = same_array(&stream.accelerator, &model->accelerator), good = true;
    for (size_t i = 0; good && i < s->count; i++) {
        const hd_stream_layer *from = hd_stream_find(&stream, s->items[i].index);
        good = from ? take_from_sidecar(&s->items[i], from, same, e)
                    : error_set(e, "%s: its .stream lacks layer %d", weights_path, s->items[i].index);
    }
    s->sidecar = stream;
    good = good && fit_scales(&s->sidecar, (size_t)network_layer_count(net), e);
    if (!good) weight_streams_free(s);
    return good;
}

void weight_streams_free(weight_streams *s) {
    for (size_t i = 0; i < s->count; i++) {
        hd_plan_free(&s->items[i].plan);
        free(s->items[i].words);
        free(s->items[i].streamed);
        free(s->items[i].signs);
        free(s->items[i].scales);
    }
    free(s->items);
    hd_stream_free(&s->sidecar);
    *s = (weight_streams){0};
}

bool weight_streams_make_natural(weight_streams *s, error *e) {
    hd_error h = {0};
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        if (!hd_plan_set_orders(&w->plan, NULL, &h) || !hd_plan_set_lane_channels(&w->plan, NULL, &h))
            return from_hd(&h, e);
        free(w->streamed);
        free(w->signs);
        w->streamed = w->signs = NULL;
        w->sign_sets = 0;
    }
    return true;
}

bool weight_streams_measure(const weight_streams *s, int threads, stream_figures *each, stream_figures *total,
                            error *e) {
    *total = (stream_figures){0};
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        stream_figures f = {0};
        hd_error h = {0};
        const int8_t *words = w->streamed ? w->streamed : w->words;
        if (!hd_count_flips(&w->plan, words, threads, &f.flips, &h) ||
            !hd_energy_plan_level(&s->model.table, &w->plan, &f.flips,
                                  w->activations_measured ? &w->activations : NULL, &f.energy, &h))
            return error_set(e, "layer %d: %s", w->index, h.message);
        hd_energy_round(&f.energy, ENERGY_DECIMALS);
        hd_flips_add(&total->flips, &f.flips);
        hd_energy_add(&total->energy, &f.energy);
        hd_energy_round(&total->energy, ENERGY_DECIMALS);
        if (each) each[i] = f;
    }
    return true;
}

bool weight_streams_reorder(weight_streams *s, bool quick, int threads, error *e) {
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        hd_error h = {0};
        double costs[HD_MAXIMUM_BITS];
        hd_reorder_options o = hd_reorder_defaults();
        o.threads = threads;
        if (quick) o.path.kicks_per_point = 0;
        if (!hd_bit_costs(NULL, &w->plan, costs, &h)) return from_hd(&h, e);
        hd_whole_bit_costs(costs, o.bit_costs);
        uint32_t *orders = malloc(w->plan.order_count * w->plan.order_length * sizeof *orders);
        bool good = orders &&
                    hd_reorder_segments(&w->plan, w->streamed ? w->streamed : w->words, &o, orders, &h) &&
                    hd_plan_set_orders(&w->plan, orders, &h);
        free(orders);
        if (!good) return error_set(e, "layer %d: %s", w->index, h.message[0] ? h.message : "out of memory");
    }
    return true;
}
