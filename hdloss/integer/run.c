/* Running: chunks of images are dealt to threads, each with an arena of its own; a chunk goes through all
 * steps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "integer/internal.h"
#include "integer/requantise.h"

/* What a run is asked for. */
typedef struct request {
    const float *images;
    size_t n;
    int last_step; /* number of steps to run */
    float *logits;
    int32_t *raw_logits;
    const int *layers;
    size_t layer_count;
    uint8_t *const *outputs;
} request;

/* Where a thread is. */
typedef struct chunk {
    size_t first, images;
} chunk;

static uint8_t *tensor_bytes(const hd_integer_network *network, const hd_integer_workspace *w, int tensor) {
    return w->arena + network->places[tensor].offset * network->chunk;
}

static size_t elements(const hd_integer_tensor *t) {
    return (size_t)t->height * (size_t)t->width * (size_t)t->channels;
}

/* sum / count, rounded to nearest, ties away from zero */
static int32_t rounded_mean(int64_t sum, int64_t count) {
    int64_t magnitude = (2 * (sum < 0 ? -sum : sum) + count) / (2 * count);
    return (int32_t)(sum < 0 ? -magnitude : magnitude);
}

static void average_pool(const hd_integer_network *network, const hd_integer_step *step, const uint8_t *input,
                         size_t images, uint8_t zero, int32_t *sums, uint8_t *output) {
    size_t pixels = (size_t)step->window.in_height * (size_t)step->window.in_width;
    size_t channels = (size_t)step->window.in_channels;
    network->kernels->channel_sums(input, images, pixels, channels, zero, sums);
    for (size_t i = 0; i < images * channels; i++)
        output[i] = (uint8_t)(rounded_mean(sums[i], (int64_t)pixels) + zero);
}

static void route(const hd_integer_network *network, const hd_integer_step *step,
                  const hd_integer_workspace *w, size_t images, uint8_t *output) {
    size_t pixels = images * (size_t)step->window.out_height * (size_t)step->window.out_width;
    for (int j = 0; j < step->input_count; j++) {
        size_t channels = (size_t)network->places[step->inputs[j]].tensor.channels;
        network->kernels->spread(step->route_tables[j], tensor_bytes(network, w, step->inputs[j]), pixels,
                                 channels, (size_t)step->window.out_channels, output);
        output += channels;
    }
}

/* The second input of a shortcut in the shape of its output. */
static const uint8_t *second_term(const hd_integer_network *network, const hd_integer_step *step,
                                  const hd_integer_tensor *out, const hd_integer_workspace *w,
                                  size_t images) {
    const uint8_t *bytes = tensor_bytes(network, w, step->inputs[1]);
    const hd_integer_tensor *in = &network->places[step->inputs[1]].tensor;
    if (hd_integer_same_shape(in, out)) return bytes;
    hd_integer_spread_overlap(out, in, bytes, images, (uint8_t *)w->integers);
    return (const uint8_t *)w->integers;
}

void hd_integer_run_step(const hd_integer_network *network, int index, const hd_integer_workspace *w,
                         size_t images) {
    const hd_integer_step *step = &network->steps[index];
    const hd_integer_kernels *kernels = network->kernels;
    const hd_integer_tensor *tensor = &network->places[1 + index].tensor;
    const uint8_t *input = tensor_bytes(network, w, step->inputs[0]);
    uint8_t *output = tensor_bytes(network, w, 1 + index);
    size_t count = images * elements(tensor);
    switch (step->type) {
    case HD_STEP_PRODUCT:
        kernels->product(&step->product, input, images, output, NULL);
        break;
    case HD_STEP_DEPTHWISE:
        kernels->depthwise(&step->depthwise, input, images, output);
        break;
    case HD_STEP_MAXPOOL:
        kernels->maxpool(&step->window, tensor->is_signed ? (uint8_t)(128 - network->levels) : 0, input,
                         images, output);
        break;
    case HD_STEP_AVERAGE_POOL:
        average_pool(network, step, input, images, hd_zero_byte(tensor), w->integers, output);
        break;
    case HD_STEP_SUM:
        kernels->sum(&step->sum, input, second_term(network, step, tensor, w, images), count, output);
        break;
    case HD_STEP_ROUTE:
        route(network, step, w, images, output);
        break;
    case HD_STEP_TABLE:
        kernels->table(step->table, input, count, output);
        return;
    case HD_STEP_PASS:
        return;
    }
    if (step->has_table) kernels->table(step->table, output, count, output);
}

/* integers[images][height][width][channels] of the logits' layer, in 32 bits. */
static void raw_logits(const hd_integer_network *network, const hd_integer_workspace *w, size_t images,
                       int32_t *integers) {
    const hd_integer_step *step = &network->steps[network->logits_layer];
    const hd_integer_tensor *tensor = &network->places[1 + network->logits_layer].tensor;
    const uint8_t *input = tensor_bytes(network, w, step->inputs[0]);
    size_t count = images * network->classes, channels = (size_t)tensor->channels;
    if (network->logits_multiplier) {
        network->kernels->product(&step->product, input, images, NULL, integers);
        for (size_t i = 0; i < count; i++) {
            int32_t multiplier = network->logits_multiplier[i % channels];
            integers[i] = hd_requantise(integers[i], multiplier, network->logits_shift[i % channels]);
        }
    } else if (step->type == HD_STEP_AVERAGE_POOL) {
        network->kernels->channel_sums(input, images,
                                       (size_t)step->window.in_height * (size_t)step->window.in_width,
                                       channels, hd_zero_byte(tensor), integers);
    } else {
        const uint8_t *bytes = tensor_bytes(network, w, 1 + network->logits_layer);
        for (size_t i = 0; i < count; i++) integers[i] = bytes[i] - hd_zero_byte(tensor);
    }
}

static void hand_out_logits(const hd_integer_network *network, const hd_integer_workspace *w,
                            const request *r, chunk c) {
    const hd_integer_tensor *tensor = &network->places[1 + network->logits_layer].tensor;
    size_t channels = (size_t)tensor->channels, pixels = network->classes / channels;
    raw_logits(network, w, c.images, w->integers);
    for (size_t i = 0; i < c.images; i++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t k = 0; k < channels; k++) {
                int32_t raw = w->integers[(i * pixels + p) * channels + k];
                size_t at = (c.first + i) * network->classes + k * pixels + p;
                if (r->logits) r->logits[at] = (float)((double)raw * (double)network->logits_scale);
                if (r->raw_logits) r->raw_logits[at] = raw;
            }
}

/* Copies the tensor to every request for it. */
static void hand_out_tensor(const hd_integer_network *network, const hd_integer_workspace *w,
                            const request *r, chunk c, int tensor) {
    const hd_integer_place *place = &network->places[tensor];
    uint8_t zero = hd_zero_byte(&place->tensor);
    const uint8_t *from = tensor_bytes(network, w, tensor);
    for (size_t j = 0; j < r->layer_count; j++) {
        if (1 + r->layers[j] != tensor) continue;
        uint8_t *to = r->outputs[j] + c.first * place->bytes;
        for (size_t i = 0; i < c.images * place->bytes; i++) to[i] = from[i] ^ zero;
    }
}

static void run_chunk(const hd_integer_network *network, const hd_integer_workspace *w, const request *r,
                      chunk c) {
    size_t image_elements = network->places[0].bytes;
    network->kernels->quantise(r->images + c.first * image_elements, c.images * image_elements,
                               network->places[0].tensor.scale, network->levels, tensor_bytes(network, w, 0));
    hand_out_tensor(network, w, r, c, 0);
    for (int i = 0; i < r->last_step; i++) {
        hd_integer_run_step(network, i, w, c.images);
        hand_out_tensor(network, w, r, c, 1 + i);
        if (i == network->logits_layer && (r->logits || r->raw_logits)) hand_out_logits(network, w, r, c);
    }
}

static size_t most_integers(const hd_integer_network *network) {
    size_t most = network->classes;
    for (int i = 0; i < network->layer_count; i++)
        if (network->steps[i].type == HD_STEP_AVERAGE_POOL &&
            (size_t)network->steps[i].window.in_channels > most)
            most = (size_t)network->steps[i].window.in_channels;
    for (int i = 0; i < network->layer_count; i++) { /* bytes, four to an integer */
        size_t bytes = elements(&network->places[1 + i].tensor) + HD_INTEGER_SLACK;
        if (network->steps[i].type == HD_STEP_SUM && bytes / 4 + 1 > most) most = bytes / 4 + 1;
    }
    return most;
}

bool hd_integer_workspace_allocate(const hd_integer_network *network, hd_integer_workspace *w) {
    w->arena = hd_integer_allocate(network->arena_bytes * network->chunk + HD_INTEGER_SLACK, 1);
    w->integers = hd_integer_allocate(most_integers(network) * network->chunk, sizeof *w->integers);
    return w->arena && w->integers;
}

void hd_integer_workspace_free(hd_integer_workspace *w) {
    free(w->arena);
    free(w->integers);
}

static bool run(const hd_integer_network *network, const request *r, int threads, hd_error *error) {
    if (threads < 1) return hd_fail(error, "a run wants at least 1 thread, not %d", threads);
    size_t images = (r->n + (size_t)threads - 1) / (size_t)threads; /* few images are shared out too */
    if (images > network->chunk) images = network->chunk;
    if (images < 1) images = 1;
    size_t chunks = (r->n + images - 1) / images;
    int team = (size_t)threads < chunks ? threads : chunks ? (int)chunks : 1;
    (void)team; /* where OpenMP is off */
    bool good = true;
#pragma omp parallel num_threads(team) reduction(&& : good)
    {
        hd_integer_workspace w;
        good = hd_integer_workspace_allocate(network, &w);
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < chunks; i++) {
            chunk c = {i * images, images};
            if (c.images > r->n - c.first) c.images = r->n - c.first;
            if (good) run_chunk(network, &w, r, c);
        }
        hd_integer_workspace_free(&w);
    }
    return good ? true : hd_fail(error, "out of memory for the activations of %zu images", network->chunk);
}

bool hd_integer_network_run(const hd_integer_network *network, const float *images, size_t n, float *logits,
                            int32_t *raw_logits_out, int threads, hd_error *error) {
    request r = {.images = images,
                 .n = n,
                 .last_step = network->logits_layer + 1,
                 .logits = logits,
                 .raw_logits = raw_logits_out};
    return run(network, &r, threads, error);
}

bool hd_integer_network_activations(const hd_integer_network *network, const float *images, size_t n,
                                    const int *layers, size_t count, uint8_t *const *outputs, int threads,
                                    hd_error *error) {
    request r = {.images = images, .n = n, .layers = layers, .layer_count = count, .outputs = outputs};
    for (size_t j = 0; j < count; j++) {
        if (layers[j] < -1 || layers[j] >= network->layer_count)
            return hd_fail(error, "layer %d is asked for, but the network has layers 0..%d", layers[j],
                           network->layer_count - 1);
        if (layers[j] + 1 > r.last_step) r.last_step = layers[j] + 1;
    }
    return run(network, &r, threads, error);
}

void hd_integer_softmax(const float *logits, size_t n, size_t classes, float *probabilities) {
    for (size_t i = 0; i < n; i++, logits += classes, probabilities += classes) {
        float largest = -INFINITY, sum = 0;
        for (size_t k = 0; k < classes; k++) largest = fmaxf(largest, logits[k]);
        for (size_t k = 0; k < classes; k++) sum += probabilities[k] = expf(logits[k] - largest);
        for (size_t k = 0; k < classes; k++) probabilities[k] /= sum;
    }
}
