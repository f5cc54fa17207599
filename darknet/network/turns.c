/* Inference in turns: a few images at a time go through a run of layers (a segment), so few that what one
 * layer writes is still in cache for the next. Tensors shrink from layer to layer, so later segments take
 * more images a turn, which spares them reading their weights as often: a turn of a segment is made of
 * several turns of the one before it, whose results are gathered. */
#include <string.h>

#include "network/network.h"

/* What a turn's largest layer reads and writes. Third-level caches hold several times as much; second-level
 * ones hold the part of it that one thread works on. */
#define TURN_BYTES ((size_t)4 << 20)

static size_t layer_bytes(const layer *l) {
    size_t values = tensor_size(l->out);
    for (int k = 0; k < l->input_count; k++) values += tensor_size(layer_input_shape(l, k));
    return values * sizeof(float);
}

static size_t most_bytes_from(const network *net, int first) {
    size_t most = sizeof(float);
    for (int i = first; i < net->layer_count; i++) {
        size_t bytes = layer_bytes(&net->layers[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Whether layers from `end` on read nothing before them but the output of layer end - 1. */
static bool can_cut(const network *net, int end) {
    for (int i = end; i < net->layer_count; i++)
        for (int k = 0; k < net->layers[i].input_count; k++)
            if (net->layers[i].inputs[k] < end - 1) return false;
    return end < net->layer_count && end <= network_output_layer(net)->index;
}

/* A segment ends where all later layers are at most half as large. */
static int segment_end(const network *net, int first) {
    size_t most = most_bytes_from(net, first);
    for (int end = first + 1; end < net->layer_count; end++)
        if (can_cut(net, end) && most_bytes_from(net, end) <= most / 2) return end;
    return net->layer_count;
}

void inference_plan(network *net) {
    int first = 0;
    net->segment_count = 0;
    while (first < net->layer_count && net->segment_count < NETWORK_MOST_SEGMENTS) {
        bool last = net->segment_count + 1 == NETWORK_MOST_SEGMENTS;
        size_t images = TURN_BYTES / most_bytes_from(net, first);
        inference_segment *s = &net->segments[net->segment_count++];
        *s = (inference_segment){.end = last ? net->layer_count : segment_end(net, first)};
        s->images = images < 1 ? 1 : images < net->pass_batch ? images : net->pass_batch;
        first = s->end;
    }
}

/* The layer whose output leaves the segment. */
static layer *leaving(network *net, int segment) {
    if (segment + 1 < net->segment_count) return &net->layers[net->segments[segment].end - 1];
    return &net->layers[network_output_layer(net)->index];
}

size_t inference_gathered_bytes(const network *net, int segment) {
    bool last = segment + 1 == net->segment_count;
    size_t images = last ? net->pass_batch : net->segments[segment + 1].images;
    return images * tensor_size(leaving((network *)(uintptr_t)net, segment)->out) * sizeof(float);
}

/* p->batch images through the layers up to the end of a segment. */
static void run_segments(const pass *p, int segment) {
    network *net = p->net;
    const inference_segment *s = &net->segments[segment];
    layer *l = leaving(net, segment);
    size_t turns = (p->batch + s->images - 1) / s->images;
    size_t image = tensor_size(network_input_shape(net)), values = tensor_size(l->out);
    for (size_t i = 0; i < turns; i++) {
        size_t first = p->batch * i / turns;
        pass turn = *p;
        turn.batch = p->batch * (i + 1) / turns - first;
        turn.input = p->input + first * image;
        if (segment > 0) run_segments(&turn, segment - 1);
        for (int k = segment > 0 ? net->segments[segment - 1].end : 0; k < s->end; k++)
            net->layers[k].type->forward(&net->layers[k], &turn);
        if (turns > 1)
            memcpy(s->gathered + first * values, l->output.data, turn.batch * values * sizeof(float));
    }
    if (turns > 1) l->output.data = s->gathered;
}

void inference_run(const pass *p) {
    run_segments(p, p->net->segment_count - 1);
}
