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

bool network_pack_weights(network *net) {
    network_unpack_weights(net);
    size_t bytes = network_packed_bytes(net);
    char *at = net->packed_weights = memory_allocate(bytes, 1);
    if (!at) return false;
    for (int i = 0; i < net->layer_count; i++) at += pack_layer(&net->layers[i], at);
    return true;
}

void network_unpack_weights(network *net) {
    if (!net->packed_weights) return;
    for (int i = 0; i < net->layer_count; i++) (void)pack_layer(&net->layers[i], NULL);
    memory_free(net->packed_weights);
    net->packed_weights = NULL;
}
