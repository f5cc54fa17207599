/* Packed weights: one allocation for all layers that have such a form. */
#include "core/memory.h"
#include "network/network.h"

static size_t pack_layer(layer *l, void *packed) {
    return l->type->pack ? size_round_up(l->type->pack(l, packed), MEMORY_ALIGNMENT) : 0;
}

size_t network_packed_bytes(network *net) {
    size_t bytes = 0;
    for (int i = 0; i < net->layer_count; i++) bytes += pack_layer(&net->layers[i], NULL);
    return bytes;
}

static void pack_into(network *net, void *packed) {
    char *at = packed;
    for (int i = 0; i < net->layer_count; i++) at += pack_layer(&net->layers[i], at);
}

bool network_pack_weights(network *net) {
    network_unpack_weights(net);
    net->packed_weights = memory_allocate(network_packed_bytes(net), 1);
    if (!net->packed_weights) return false;
    pack_into(net, net->packed_weights);
    /* Members read the same copies: writing them again changes no byte. */
    uint64_t left = network_memory_left(net, 0), half = net->arena_bytes / 2;
    if (crew_gather(net, left < half ? left : half))
        for (int i = 0; i < net->crew_count; i++) pack_into(net->crew[i], net->packed_weights);
    return true;
}

void network_unpack_weights(network *net) {
    if (!net->packed_weights) return;
    crew_dismiss(net);
    for (int i = 0; i < net->layer_count; i++) (void)pack_layer(&net->layers[i], NULL);
    memory_free(net->packed_weights);
    net->packed_weights = NULL;
}
