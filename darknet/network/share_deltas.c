/* Sharing of gradients between a sum and its inputs. All layers with one owner are a group on one buffer. A
 * layer outside the group's sums that adds to a member's delta must do so after every member that is not to
 * see it has read the buffer: the backward pass goes from high indexes to low ones. */
#include "network/share_deltas.h"

int delta_owner(const int *parents, int i) {
    while (parents[i] >= 0) i = parents[i];
    return i;
}

/* Whether what is added to x's delta also belongs to y's: x is y or a sum above it. */
static bool receives(const int *parents, int y, int x) {
    for (; y >= 0; y = parents[y])
        if (y == x) return true;
    return false;
}

/* Layer j adds to the delta of member x. */
static bool addition_is_right(const network *net, const int *parents, int owner, int x, int j) {
    for (int y = 0; y <= j && y < net->layer_count; y++) {
        if (delta_owner(parents, y) != owner) continue;
        if (y == j || !receives(parents, y, x)) return false;
    }
    return true;
}

static bool group_is_right(const network *net, const int *parents, int owner) {
    for (int j = 0; j < net->layer_count; j++) {
        const layer *reader = &net->layers[j];
        for (int k = 0; reader->propagates && k < reader->input_count; k++) {
            int x = reader->inputs[k];
            if (x < 0 || delta_owner(parents, x) != owner || parents[x] == j) continue;
            if (!addition_is_right(net, parents, owner, x, j)) return false;
        }
    }
    return true;
}

static void try_to_share(const network *net, int *parents, int sum, int input) {
    const layer *l = input >= 0 ? &net->layers[input] : NULL;
    if (!l || parents[input] >= 0 || !l->wants_delta || l->modifies_delta) return;
    parents[input] = sum;
    if (!group_is_right(net, parents, delta_owner(parents, sum))) parents[input] = -1;
}

void share_deltas(const network *net, int *parents) {
    for (int i = 0; i < net->layer_count; i++) parents[i] = -1;
    for (int i = net->layer_count - 1; i >= 0; i--) {
        const layer *l = &net->layers[i];
        if (!l->type->shares_delta || !l->type->shares_delta(l) || !l->wants_delta || !l->propagates)
            continue;
        if (l->input_count != 2 || l->inputs[0] == l->inputs[1]) continue;
        for (int k = 0; k < 2; k++) try_to_share(net, parents, i, l->inputs[k]);
    }
}
