/* Memory: each buffer lives from a first to a last moment of a step; buffers whose lives do not cross share a
 * place. A step of training has 2N moments (forward of layer i at i, backward at 2N - 1 - i), a pass of
 * inference N. Placement: largest first, each at the lowest place free during its life (greedy by size;
 * Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020). */
#include <stdlib.h>

#include "core/memory.h"
#include "network/network.h"
#include "network/share_deltas.h"

typedef struct placed {
    size_t bytes, offset;
    int first, last;
    void **target;
} placed;

typedef struct plan {
    network *net;
    int *last_readers; /* of each layer's output, through layers that pass it on; itself when there is none */
    placed *items;
    size_t count, capacity;
    size_t top;
    size_t largest; /* bytes that a buffer was asked to have */
} plan;

/* A buffer beyond the memory limit is only noted: the plan is then refused. */
static bool add(plan *p, size_t bytes, int first, int last, void **target) {
    if (bytes > p->largest) p->largest = bytes;
    if (bytes > p->net->memory_limit) return true;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 256;
        placed *grown = realloc(p->items, capacity * sizeof *grown);
        if (!grown) return false;
        p->items = grown;
        p->capacity = capacity;
    }
    p->items[p->count++] = (placed){.bytes = size_round_up(bytes ? bytes : 1, MEMORY_ALIGNMENT),
                                    .first = first,
                                    .last = last,
                                    .target = target};
    return true;
}

static bool passes_through(const layer *l) {
    return l->type->passes_through && l->type->passes_through(l, l->net->training);
}

/* One walk from the last layer to the first: every reader of a layer comes behind it. */
static bool find_readers(plan *p) {
    network *net = p->net;
    size_t count = (size_t)net->layer_count;
    int *last = p->last_readers = malloc(count * sizeof *last);
    bool *is_read = calloc(count, sizeof *is_read);
    bool good = last && is_read;
    for (int i = 0; good && i < net->layer_count; i++) {
        last[i] = i;
        net->layers[i].lazy_output = net->training;
    }
    for (int i = net->layer_count - 1; good && i >= 0; i--) {
        layer *l = &net->layers[i];
        int reach = passes_through(l) ? last[i] : i;
        l->lazy_output = l->lazy_output && is_read[i];
        for (int k = 0; k < l->input_count; k++) {
            int source = l->inputs[k];
            if (source < 0) continue;
            is_read[source] = true;
            if (reach > last[source]) last[source] = reach;
            if (!l->type->reads_lazy) net->layers[source].lazy_output = false;
        }
    }
    free(is_read);
    return good;
}

/* No gradient goes on to the inputs. */
static bool ends_backward(const layer *l) {
    return l->stop_backward || l->only_forward;
}

/* Which parameters will have a gradient: not those of layers before the last stopbackward. */
static void choose_learning(network *net) {
    int last = -1;
    for (int i = 0; i < net->layer_count; i++)
        if (net->layers[i].stop_backward) last = i;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        for (int j = 0; j < l->parameter_count; j++)
            l->parameters[j].learns =
                net->training && i > last && l->parameters[j].trained && !l->only_forward;
    }
}

/* Which layers learn, which deltas are wanted, and which layers' backward passes run. */
static void mark_gradients(network *net) {
    bool *learns = calloc((unsigned)net->layer_count, sizeof *learns);   /* it or something before it */
    bool *reached = calloc((unsigned)net->layer_count, sizeof *reached); /* a loss at or after it */
    if (!learns || !reached) goto done;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        for (int j = 0; j < l->parameter_count; j++) l->trains = l->trains || l->parameters[j].learns;
        if (l->shared) l->trains = !l->only_forward && l->shared->trains;
        learns[i] = l->trains;
        for (int k = 0; k < l->input_count && !ends_backward(l); k++)
            if (l->inputs[k] >= 0 && learns[l->inputs[k]]) learns[i] = true;
    }
    for (int i = net->layer_count - 1; i >= 0; i--) {
        layer *l = &net->layers[i];
        if (l->is_loss) reached[i] = true;
        l->propagates = reached[i] && learns[i] && !ends_backward(l);
        for (int k = 0; reached[i] && k < l->input_count; k++) {
            int source = l->inputs[k];
            if (source < 0 || !learns[source] || ends_backward(l)) continue;
            reached[source] = true;
            net->layers[source].wants_delta = true;
        }
    }
done:
    free(learns);
    free(reached);
}

static bool add_deltas(plan *p, int *owners) {
    network *net = p->net;
    int count = net->layer_count, moments = 2 * count;
    int *oldest = malloc((size_t)count * sizeof *oldest); /* member of each owner's group */
    if (!oldest || !share_deltas(net, owners)) {
        free(oldest);
        return false;
    }
    for (int i = 0; i < count; i++) oldest[i] = -1;
    for (int i = 0; i < count; i++)
        if (net->layers[i].wants_delta && oldest[owners[i]] < 0) oldest[owners[i]] = i;
    bool good = true;
    for (int i = 0; good && i < count; i++) {
        if (oldest[i] < 0) continue;
        size_t bytes = net->pass_batch * tensor_size(net->layers[i].out) * sizeof(float);
        good = add(p, bytes, moments - 1 - p->last_readers[i], moments - 1 - oldest[i],
                   (void **)&net->layers[i].delta);
    }
    free(oldest);
    return good;
}

static bool add_layers(plan *p) {
    network *net = p->net;
    int end = (net->training ? 2 : 1) * net->layer_count;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        for (int b = 0; b < l->buffer_count; b++) {
            buffer_request *r = &l->buffers[b];
            int first = r->life == BUFFER_PERMANENT ? 0 : i;
            int last = r->life == BUFFER_FORWARD    ? p->last_readers[i]
                       : r->life == BUFFER_TRAINING ? 2 * net->layer_count - 1 - i
                                                    : end;
            if (p->last_readers[i] == net->layer_count - 1 || &net->layers[i] == network_output_layer(net))
                last = end;
            if (!add(p, r->bytes, first, last, &r->memory)) return false;
        }
    }
    return true;
}

static int larger_first(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? x->first - y->first : x->last - y->last;
}

static void place_all(plan *p) {
    qsort(p->items, p->count, sizeof *p->items, larger_first);
    for (size_t i = 0; i < p->count; i++) {
        placed *item = &p->items[i];
        bool moved = true;
        while (moved) {
            moved = false;
            for (size_t j = 0; j < i; j++) {
                const placed *other = &p->items[j];
                bool together = item->first <= other->last && other->first <= item->last;
                bool overlap =
                    item->offset < other->offset + other->bytes && other->offset < item->offset + item->bytes;
                if (!together || !overlap) continue;
                item->offset = other->offset + other->bytes;
                moved = true;
            }
        }
        if (item->offset + item->bytes > p->top) p->top = item->offset + item->bytes;
    }
}

static bool allocate(plan *p, error *e) {
    network *net = p->net;
    size_t bytes = p->largest > net->memory_limit ? p->largest : p->top;
    if (!network_check_memory(net, bytes, e) || !network_allocate_parameters(net, e)) return false;
    net->arena = memory_allocate(p->top, 1);
    if (!net->arena)
        return error_set(e, "%s: out of memory for %zu bytes of activations", cfg_path(net->source), p->top);
    net->arena_bytes = p->top;
    for (size_t i = 0; i < p->count; i++) *p->items[i].target = (char *)net->arena + p->items[i].offset;
    return true;
}

static bool add_gathered(plan *p, int end) {
    network *net = p->net;
    inference_plan(net);
    for (int i = 0; i < net->segment_count; i++)
        if (!add(p, inference_gathered_bytes(net, i), 0, end, (void **)&net->segments[i].gathered))
            return false;
    return true;
}

/* Deltas are their owners'; a layer alone with its own owns it. */
static void set_deltas(network *net, const int *owners) {
    int *members = calloc((size_t)net->layer_count, sizeof *members);
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        if (!l->wants_delta) continue;
        l->delta = net->layers[owners[i]].delta;
        if (members) members[owners[i]]++;
    }
    for (int i = 0; members && i < net->layer_count; i++)
        net->layers[i].owns_delta = net->layers[i].wants_delta && members[owners[i]] == 1;
    free(members);
}

bool network_plan(network *net, error *e) {
    plan p = {.net = net};
    if (!network_check_sizes(net, e)) return false;
    bool good = find_readers(&p);
    choose_learning(net);
    if (net->training) mark_gradients(net);
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        if (l->type->plan) l->type->plan(l, net->pass_batch, net->training, net->threads);
        if (l->workspace_bytes > net->workspace_bytes) net->workspace_bytes = l->workspace_bytes;
    }
    int end = (net->training ? 2 : 1) * net->layer_count;
    int *owners = calloc((size_t)net->layer_count, sizeof *owners);
    good = good && owners && add_layers(&p) && add(&p, net->workspace_bytes, 0, end, &net->workspace) &&
           add_gathered(&p, end) && (!net->training || add_deltas(&p, owners));
    if (!good) error_set(e, "%s: out of memory", cfg_path(net->source));
    if (good) place_all(&p);
    good = good && allocate(&p, e);
    if (good && net->training) set_deltas(net, owners);
    free(owners);
    free(p.last_readers);
    free(p.items);
    return good;
}

bool network_replan(network *net, bool training, size_t pass_batch, error *e) {
    network_unpack_weights(net);
    net->training = net->training || training;
    net->pass_batch = pass_batch;
    memory_free(net->arena);
    net->arena = NULL;
    net->arena_bytes = net->workspace_bytes = 0;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        l->buffer_count = 0;
        l->workspace_bytes = 0;
        l->wants_delta = false;
        l->delta = NULL;
    }
    return network_plan(net, e);
}
