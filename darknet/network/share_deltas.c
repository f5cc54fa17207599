/* Sharing of gradients between a sum and its inputs. All layers with one owner are a group on one buffer. A
 * layer outside the group's sums that adds to a member's delta must do so after every member that is not to
 * see it has read the buffer: the backward pass goes from high indexes to low ones. */
#include "network/share_deltas.h"

#include <stdlib.h>

/* Members of a group at most: what is checked for each pair of them stays small in any network. */
#define MOST_MEMBERS 32

typedef struct sharing {
    const network *net;
    int *parents; /* the sum whose delta a layer shares, -1 */
    int *owners;
    int *next;   /* the members of a group as a list from the owner on, -1 ends it */
    int *counts; /* of members, at the owner */
} sharing;

/* Whether what is added to x's delta also belongs to y's: x is y or a sum above it. */
static bool receives(const sharing *s, int y, int x) {
    for (; y >= 0; y = s->parents[y])
        if (y == x) return true;
    return false;
}

/* Layer j adds to the delta of member x. */
static bool addition_is_right(const sharing *s, int owner, int x, int j) {
    for (int y = owner; y >= 0; y = s->next[y])
        if (y <= j && (y == j || !receives(s, y, x))) return false;
    return true;
}

static bool group_is_right(const sharing *s, int owner) {
    for (int j = 0; j < s->net->layer_count; j++) {
        const layer *reader = &s->net->layers[j];
        for (int k = 0; reader->propagates && k < reader->input_count; k++) {
            int x = reader->inputs[k];
            if (x < 0 || s->owners[x] != owner || s->parents[x] == j) continue;
            if (!addition_is_right(s, owner, x, j)) return false;
        }
    }
    return true;
}

/* An input joins as a layer without members: what it sums itself comes before it, and later here. */
static void try_to_share(sharing *s, int sum, int input) {
    const layer *l = input >= 0 ? &s->net->layers[input] : NULL;
    int owner = s->owners[sum];
    if (!l || s->parents[input] >= 0 || !l->wants_delta || l->modifies_delta ||
        s->counts[owner] == MOST_MEMBERS)
        return;
    s->parents[input] = sum;
    s->owners[input] = owner;
    s->next[input] = s->next[owner];
    s->next[owner] = input;
    s->counts[owner]++;
    if (group_is_right(s, owner)) return;
    s->counts[owner]--;
    s->next[owner] = s->next[input];
    s->next[input] = -1;
    s->owners[input] = input;
    s->parents[input] = -1;
}

bool share_deltas(const network *net, int *owners) {
    int count = net->layer_count;
    int *memory = malloc(3 * (size_t)count * sizeof *memory);
    if (!memory) return false;
    sharing s = {.net = net,
                 .owners = owners,
                 .parents = memory,
                 .next = memory + count,
                 .counts = memory + 2 * count};
    for (int i = 0; i < count; i++) {
        owners[i] = i;
        s.parents[i] = s.next[i] = -1;
        s.counts[i] = 1;
    }
    for (int i = count - 1; i >= 0; i--) {
        const layer *l = &net->layers[i];
        if (!l->type->shares_delta || !l->type->shares_delta(l) || !l->wants_delta || !l->propagates)
            continue;
        if (l->input_count != 2 || l->inputs[0] == l->inputs[1]) continue;
        for (int k = 0; k < 2; k++) try_to_share(&s, i, l->inputs[k]);
    }
    free(memory);
    return true;
}
