/* How much memory a network may take, checked from its shapes before any of it is allocated. What counts: the
 * parameters; in training their gradients, the optimiser's state and one copy of the parameters for the
 * checkpoint hooks; activations, gradients and workspace (the arena); the packed weights of inference; the
 * batches that are prepared ahead. Data sets may take what is left then (dataset_open counts them). A crew of
 * inference takes up to half of the arena of what the network leaves, data sets not seen, or there is none.
 */
#include "core/memory.h"
#include "network/network.h"

/* Sums of that many bytes a buffer do not overflow, however many layers there are. */
static const uint64_t MOST_BYTES = (uint64_t)1 << 46;

uint64_t network_memory_limit(uint64_t max_memory_bytes) {
    uint64_t limit = max_memory_bytes ? max_memory_bytes : memory_of_machine();
    return limit < MOST_BYTES ? limit : MOST_BYTES;
}

uint64_t network_memory_left(const network *net, uint64_t taken) {
    uint64_t all = net->memory_bytes + taken;
    return net->memory_limit > all ? net->memory_limit - all : 1;
}

/* Floats that are kept for each parameter. */
static uint64_t copies_of_parameters(const network *net) {
    const net_options *o = &net->options;
    return net->training ? 4u + o->adam + (o->ema > 0.0)
                         : 1u; /* values, gradients, velocity, the hooks' copy */
}

static uint64_t prefetched_floats(const network *net) {
    uint64_t image = tensor_size(network_input_shape(net)) + (uint64_t)network_outputs(net);
    uint64_t batches = EVALUATION_PREFETCH + (net->training ? TRAINING_PREFETCH : 0);
    return layer_product(layer_product(image, net->pass_batch), batches);
}

static bool refuse_layer(const network *net, const layer *l, const char *what, uint64_t floats, error *e) {
    return error_set(e, LAYER_AT "[%s]: wants %.1f MB of memory for its %s, more than the %.1f MB allowed",
                     layer_at(l), section_name(l->section), 4e-6 * (double)floats, what,
                     (double)net->memory_limit / 1e6);
}

bool network_check_sizes(network *net, error *e) {
    uint64_t most = net->memory_limit / sizeof(float), total = 0;
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        uint64_t outputs = layer_product(tensor_size(l->out), net->pass_batch), parameters = 0;
        if (outputs > most)
            return refuse_layer(net, l, "output (a smaller batch or more subdivisions take less)", outputs,
                                e);
        for (int j = 0; j < l->parameter_count && parameters <= most; j++) {
            uint64_t count = l->parameters[j].count;
            parameters += count < most ? count : most + 1;
        }
        total += parameters;
        if (total > most && !net->owner) return refuse_layer(net, l, "parameters", parameters, e);
    }
    net->parameter_total = total;
    return true;
}

bool network_check_memory(network *net, size_t arena_bytes, error *e) {
    if (net->owner) {
        net->memory_bytes = arena_bytes;
        return arena_bytes <= net->memory_limit ||
               error_set(e, "%s: no memory for a crew", cfg_path(net->source));
    }
    uint64_t floats = net->parameter_total * copies_of_parameters(net), prefetched = prefetched_floats(net),
             all;
    if (__builtin_add_overflow(floats, prefetched, &floats) || floats > net->memory_limit / sizeof(float))
        all = floats > UINT64_MAX / sizeof(float) ? UINT64_MAX : floats * sizeof(float);
    else
        all = floats * sizeof(float) + arena_bytes + network_packed_bytes(net);
    if (all > net->memory_limit)
        return error_set(e,
                         "%s: wants %.1f MB of memory at %zu images a pass, more than the %.1f MB allowed; "
                         "lower batch or raise subdivisions",
                         cfg_path(net->source), (double)all / 1e6, net->pass_batch,
                         (double)net->memory_limit / 1e6);
    net->memory_bytes = all;
    return true;
}

bool network_allocate_parameters(network *net, error *e) {
    size_t total = net->parameter_total, place = 0;
    if (net->owner) net->values = net->owner->values;
    if (!net->values) net->values = memory_allocate_zeroed(total, sizeof(float));
    if (net->training && !net->gradients) net->gradients = memory_allocate_zeroed(total, sizeof(float));
    if (!net->values || (net->training && !net->gradients))
        return error_set(e, "%s: out of memory for %zu parameters", cfg_path(net->source), total);
    for (int i = 0; i < net->layer_count; i++)
        for (int j = 0; j < net->layers[i].parameter_count; j++) {
            parameter *p = &net->layers[i].parameters[j];
            p->values = net->values + place;
            p->gradient = p->learns ? net->gradients + place : NULL;
            place += p->count;
        }
    return true;
}
