/* Memory: each buffer lives from a first to a last moment of a step; buffers whose lives do not cross share a
 * place. A step of training has 2N moments (forward of layer i at i, backward at 2N - 1 - i), a pass of
 * inference N. Placement: largest first, each at the lowest place free during its life (greedy by size;
 * Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020). */
#include <stdlib.h>
#include <unistd.h>

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
    placed *items;
    size_t count, capacity;
    size_t top;
} plan;

static bool add(plan *p, size_t bytes, int first, int last, void **target) {
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

/* The last layer that reads the output of i, through layers that pass it on; i itself when there is none. */
static int last_reader(const network *net, int i) {
    int last = i;
    for (int j = i + 1; j < net->layer_count; j++)
        for (int k = 0; k < net->layers[j].input_count; k++) {
            if (net->layers[j].inputs[k] != i) continue;
            int reach = passes_through(&net->layers[j]) ? last_reader(net, j) : j;
            if (reach > last) last = reach;
        }
    return last;
}

/* Whether every reader of i takes a pending map. */
static bool read_lazily(const network *net, int i) {
    bool read = false;
    for (int j = i + 1; j < net->layer_count; j++)
        for (int k = 0; k < net->layers[j].input_count; k++) {
            if (net->layers[j].inputs[k] != i) continue;
            read = true;
            if (!net->layers[j].type->reads_lazy) return false;
        }
    return read;
}

/* No gradient goes on to the inputs. */
static bool ends_backward(const layer *l) {
    return l->stop_backward || l->only_forward;
}

/* Which layers learn, which deltas are wanted, and which layers' backward passes run. */
static void mark_gradients(network *net) {
    bool *learns = calloc((size_t)net->layer_count, sizeof *learns);   /* it or something before it */
    bool *reached = calloc((size_t)net->layer_count, sizeof *reached); /* a loss at or after it */
    if (!learns || !reached) goto done;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        for (int j = 0; j < l->parameter_count; j++) l->trains = l->trains || l->parameters[j].gradient;
        if (l->shared) l->trains = layer_gradient(l, "weights") != NULL;
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
    int moments = 2 * net->layer_count;
    int *parents = malloc((size_t)net->layer_count * sizeof *parents);
    if (!parents) return false;
    share_deltas(net, parents);
    for (int i = 0; i < net->layer_count; i++) owners[i] = delta_owner(parents, i);
    free(parents);
    for (int owner = 0; owner < net->layer_count; owner++) {
        int oldest = -1;
        for (int i = 0; i < net->layer_count; i++)
            if (owners[i] == owner && net->layers[i].wants_delta && (oldest < 0 || i < oldest)) oldest = i;
        if (oldest < 0) continue;
        int first = moments - 1 - last_reader(net, owner), last = moments - 1 - oldest;
        size_t bytes = net->pass_batch * tensor_size(net->layers[owner].out) * sizeof(float);
        if (!add(p, bytes, first, last, (void **)&net->layers[owner].delta)) return false;
    }
    return true;
}

static bool add_layers(plan *p) {
    network *net = p->net;
    int end = (net->training ? 2 : 1) * net->layer_count;
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        for (int b = 0; b < l->buffer_count; b++) {
            buffer_request *r = &l->buffers[b];
            int first = r->life == BUFFER_PERMANENT ? 0 : i;
            int last = r->life == BUFFER_FORWARD    ? last_reader(net, i)
                       : r->life == BUFFER_TRAINING ? 2 * net->layer_count - 1 - i
                                                    : end;
            if (last_reader(net, i) == net->layer_count - 1 || &net->layers[i] == network_output_layer(net))
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

uint64_t machine_memory_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
}

static bool allocate(plan *p, uint64_t max_bytes, error *e) {
    network *net = p->net;
    uint64_t limit = max_bytes ? max_bytes : machine_memory_bytes();
    uint64_t parameters = (uint64_t)net->parameter_total * sizeof(float) * (net->training ? 3 : 1);
    if ((uint64_t)p->top + parameters > limit)
        return error_set(e,
                         "%s: wants %.1f MB of memory at %zu images a pass, more than the %.1f MB allowed; "
                         "lower batch or raise subdivisions",
                         cfg_path(net->source), (double)((uint64_t)p->top + parameters) / 1e6,
                         net->pass_batch, (double)limit / 1e6);
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

bool network_plan(network *net, uint64_t max_bytes, error *e) {
    plan p = {.net = net};
    if (net->training) mark_gradients(net);
    for (int i = 0; i < net->layer_count; i++) {
        layer *l = &net->layers[i];
        l->lazy_output = net->training && read_lazily(net, i);
        if (l->type->plan) l->type->plan(l, net->pass_batch, net->training, net->threads);
        if (l->workspace_bytes > net->workspace_bytes) net->workspace_bytes = l->workspace_bytes;
    }
    int end = (net->training ? 2 : 1) * net->layer_count;
    int *owners = calloc((size_t)net->layer_count, sizeof *owners);
    bool good = owners && add_layers(&p) && add(&p, net->workspace_bytes, 0, end, &net->workspace) &&
                add_gathered(&p, end) && (!net->training || add_deltas(&p, owners));
    if (!good) error_set(e, "%s: out of memory", cfg_path(net->source));
    if (good) place_all(&p);
    good = good && allocate(&p, max_bytes, e);
    for (int i = 0; good && net->training && i < net->layer_count; i++)
        if (net->layers[i].wants_delta) net->layers[i].delta = net->layers[owners[i]].delta;
    free(owners);
    free(p.items);
    return good;
}

bool network_replan(network *net, bool training, size_t pass_batch, uint64_t max_bytes, error *e) {
    if (training && !net->gradients && !network_allocate_gradients(net, e)) return false;
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
    return network_plan(net, max_bytes, e);
}
