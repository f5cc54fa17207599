/* Making of the packed network: places of tensors, rows of padding, steps. */
#include <stdlib.h>
#include <string.h>

#include "integer/internal.h"
#include "integer/requantise.h"

/* Bytes of activations that a thread works on at once: about what its own cache holds. More only where the
 * words, which each chunk reads from further away, are many times the activations. */
static const size_t arena_target = 768 << 10;
enum { LARGEST_CHUNK = 32, WORDS_PER_ACTIVATION = 8 };

static size_t tensor_bytes(const hd_integer_tensor *t) {
    return (size_t)t->height * (size_t)t->width * (size_t)t->channels;
}

static bool place_tensors(hd_integer_network *network, const hd_integer_model *model) {
    int count = network->layer_count;
    network->places = hd_integer_allocate((size_t)count + 1, sizeof *network->places);
    if (!network->places) return false;
    for (int t = 0; t <= count; t++) {
        hd_integer_place *place = &network->places[t];
        place->tensor = t == 0 ? model->input : model->layers[t - 1].output;
        place->owner = t;
        place->bytes = tensor_bytes(&place->tensor);
        place->first = place->last = t;
        if (t == 0) continue;
        const hd_integer_layer *layer = &model->layers[t - 1];
        if (layer->operation == HD_INTEGER_PASS) place->owner = network->places[1 + layer->inputs[0]].owner;
        for (int j = 0; j < layer->input_count; j++)
            network->places[network->places[1 + layer->inputs[j]].owner].last = t;
    }
    return hd_integer_plan_memory(network->places, count + 1, &network->arena_bytes);
}

static bool make_padding(hd_integer_network *network) {
    size_t widest = 0;
    for (int t = 0; t <= network->layer_count; t++)
        if ((size_t)network->places[t].tensor.channels > widest)
            widest = (size_t)network->places[t].tensor.channels;
    for (int i = 0; i < 2; i++) {
        network->padding[i] = hd_integer_allocate(widest + HD_INTEGER_SLACK, 1);
        if (!network->padding[i]) return false;
        memset(network->padding[i], i ? 128 : 0, widest + HD_INTEGER_SLACK);
    }
    return true;
}

static bool copy_logits(hd_integer_network *network, const hd_integer_model *model) {
    network->logits_layer = model->logits_layer;
    network->logits_scale = model->logits_scale;
    network->classes = tensor_bytes(&model->layers[model->logits_layer].output);
    if (!model->logits_multiplier) return true;
    size_t channels = (size_t)model->layers[model->logits_layer].output.channels;
    network->logits_multiplier = hd_integer_allocate(channels, sizeof *network->logits_multiplier);
    network->logits_shift = hd_integer_allocate(channels, sizeof *network->logits_shift);
    if (!network->logits_multiplier || !network->logits_shift) return false;
    const int32_t *own = model->layers[model->logits_layer].multiplier;
    for (size_t k = 0; k < channels;
         k++) { /* packed channels are negated where their own multiplier is negative */
        int32_t multiplier = model->logits_multiplier[k];
        network->logits_multiplier[k] = own[k] < 0 ? -multiplier : multiplier;
    }
    memcpy(network->logits_shift, model->logits_shift, channels * sizeof *network->logits_shift);
    return true;
}

static bool pack_steps(hd_integer_network *network, const hd_integer_model *model) {
    network->steps = hd_integer_allocate((size_t)network->layer_count, sizeof *network->steps);
    for (int i = 0; network->steps && i < network->layer_count; i++)
        if (!hd_integer_pack_step(network, model, i, &network->steps[i])) return false;
    return network->steps != NULL;
}

static size_t words_of(const hd_integer_model *model, const hd_integer_layer *layer) {
    if (!layer->words) return 0;
    const hd_integer_tensor *in =
        layer->inputs[0] < 0 ? &model->input : &model->layers[layer->inputs[0]].output;
    size_t filters = (size_t)layer->output.channels;
    if (layer->operation == HD_INTEGER_CONNECTED) return filters * tensor_bytes(in);
    return filters * (size_t)(in->channels / layer->groups) * (size_t)layer->size * (size_t)layer->size;
}

/* Images that a thread takes at a time. */
static size_t chunk_of(const hd_integer_network *network, const hd_integer_model *model) {
    size_t words = 0, arena = network->arena_bytes + 1;
    for (int i = 0; i < model->layer_count; i++) words += words_of(model, &model->layers[i]);
    size_t by_cache = arena_target / arena, by_words = words / WORDS_PER_ACTIVATION / arena;
    size_t chunk = by_cache > by_words ? by_cache : by_words;
    return chunk < 1 ? 1 : chunk > LARGEST_CHUNK ? LARGEST_CHUNK : chunk;
}

hd_integer_network *hd_integer_network_create_for(const hd_integer_model *model, hd_isa_level level,
                                                  hd_error *error) {
    if (!hd_integer_check_model(model, error)) return NULL;
    hd_integer_network *network = calloc(1, sizeof *network);
    bool good = network != NULL;
    if (good) {
        network->kernels = hd_integer_kernels_of(level);
        network->levels = hd_signed_levels(model->activation_bits);
        network->layer_count = model->layer_count;
        good = place_tensors(network, model) && make_padding(network) && copy_logits(network, model) &&
               pack_steps(network, model);
    }
    if (!good) {
        hd_fail(error, "out of memory for an integer network of %d layers", model->layer_count);
        hd_integer_network_destroy(network);
        return NULL;
    }
    network->chunk = chunk_of(network, model);
    return network;
}

hd_integer_network *hd_integer_network_create(const hd_integer_model *model, hd_error *error) {
    return hd_integer_network_create_for(model, hd_isa_best(), error);
}

void hd_integer_network_destroy(hd_integer_network *network) {
    if (!network) return;
    for (int i = 0; network->steps && i < network->layer_count; i++) hd_integer_step_free(&network->steps[i]);
    free(network->steps);
    free(network->places);
    free(network->padding[0]);
    free(network->padding[1]);
    free(network->logits_multiplier);
    free(network->logits_shift);
    free(network);
}

size_t hd_integer_network_classes(const hd_integer_network *network) {
    return network->classes;
}

hd_integer_tensor hd_integer_network_tensor(const hd_integer_network *network, int layer) {
    return network->places[1 + layer].tensor;
}
