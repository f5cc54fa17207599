/* Finds the ties by walking the network once: union-find over variables that are split where blocks of
 * different length meet. Tarjan, "Efficiency of a good but not linear set union algorithm", Journal of the
 * ACM 22 (1975). */
#include "reorder/ties.h"

#include <stdlib.h>
#include <string.h>

static size_t root_of(hd_ties *ties, size_t variable) {
    while (ties->variables[variable].parent != variable) {
        size_t *parent = &ties->variables[variable].parent;
        *parent = ties->variables[*parent].parent;
        variable = *parent;
    }
    return variable;
}

/* SIZE_MAX: out of memory. */
static size_t new_variable(hd_ties *ties, size_t length, bool held) {
    if (ties->variable_count == ties->variable_capacity) {
        size_t capacity = 2 * ties->variable_capacity + 64;
        hd_variable *more = realloc(ties->variables, capacity * sizeof *more);
        if (!more) return SIZE_MAX;
        ties->variables = more;
        ties->variable_capacity = capacity;
    }
    size_t made = ties->variable_count++;
    ties->variables[made] =
        (hd_variable){.length = length, .parent = made, .parts = {SIZE_MAX, SIZE_MAX}, .held = held};
    return made;
}

static bool append(hd_blocks *blocks, size_t variable) {
    if (variable == SIZE_MAX) return false;
    if (blocks->count == blocks->capacity) {
        size_t capacity = 2 * blocks->capacity + 4;
        size_t *more = realloc(blocks->variables, capacity * sizeof *more);
        if (!more) return false;
        blocks->variables = more;
        blocks->capacity = capacity;
    }
    blocks->variables[blocks->count++] = variable;
    return true;
}

static bool append_whole(hd_ties *ties, hd_blocks *blocks, size_t variable) {
    size_t root = root_of(ties, variable);
    const size_t *parts = ties->variables[root].parts;
    if (parts[0] == SIZE_MAX) return append(blocks, root);
    size_t second = parts[1];
    return append_whole(ties, blocks, parts[0]) && append_whole(ties, blocks, second);
}

/* Replaces variables by their roots, and split ones by their parts. */
static bool resolve(hd_ties *ties, hd_blocks *blocks) {
    hd_blocks whole = {0};
    for (size_t i = 0; i < blocks->count; i++)
        if (!append_whole(ties, &whole, blocks->variables[i])) {
            free(whole.variables);
            return false;
        }
    free(blocks->variables);
    *blocks = whole;
    return true;
}

static bool copy_blocks(hd_blocks *blocks, const hd_blocks *from) {
    for (size_t i = 0; i < from->count; i++)
        if (!append(blocks, from->variables[i])) return false;
    return true;
}

static bool split(hd_ties *ties, size_t root, size_t length) {
    size_t rest = ties->variables[root].length - length;
    bool held = ties->variables[root].held;
    size_t first = new_variable(ties, length, held), second = new_variable(ties, rest, held);
    if (first == SIZE_MAX || second == SIZE_MAX) return false;
    ties->variables[root].parts[0] = first;
    ties->variables[root].parts[1] = second;
    return true;
}

/* Splits whatever reaches across a multiple of `length`. */
static bool part(hd_ties *ties, hd_blocks *blocks, size_t length) {
    for (size_t i = 0, at = 0; i < blocks->count;) {
        size_t room = length - at % length, own = ties->variables[blocks->variables[i]].length;
        if (own <= room) {
            at += own;
            i++;
            continue;
        }
        if (!split(ties, blocks->variables[i], room) || !resolve(ties, blocks)) return false;
        i = at = 0;
    }
    return true;
}

static bool tie(hd_ties *ties, hd_blocks *a, hd_blocks *b) {
    for (;;) {
        if (!resolve(ties, a) || !resolve(ties, b)) return false;
        size_t i = 0;
        for (; i < a->count && i < b->count; i++) {
            size_t one = root_of(ties, a->variables[i]), other = root_of(ties, b->variables[i]);
            size_t length = ties->variables[one].length, other_length = ties->variables[other].length;
            if (length != other_length) {
                if (!split(ties, length > other_length ? one : other,
                           length > other_length ? other_length : length))
                    return false;
                break;
            }
            ties->variables[other].parent = one;
            ties->variables[one].held |= ties->variables[other].held;
        }
        if (i == a->count || i == b->count) return true;
    }
}

static void hold(hd_ties *ties, const hd_blocks *blocks) {
    for (size_t i = 0; i < blocks->count; i++)
        ties->variables[root_of(ties, blocks->variables[i])].held = true;
}

static hd_blocks *output_of(hd_ties *ties, int node) {
    return node < 0 ? &ties->image : &ties->outputs[node];
}

static bool fresh(hd_ties *ties, hd_blocks *output, size_t channels, size_t blocks) {
    for (size_t i = 0; i < blocks; i++)
        if (!append(output, new_variable(ties, channels / blocks, false))) return false;
    return true;
}

static bool visit(hd_ties *ties, const hd_node *node, hd_blocks *output) {
    hd_blocks *input = output_of(ties, node->inputs[0]);
    if (!resolve(ties, input)) return false;
    switch (node->type) {
    case HD_NODE_CONVOLUTION:
        if (hd_node_keeps_channels(node)) return copy_blocks(output, input);
        if (!part(ties, input, (size_t)(node->in_channels / node->groups))) return false;
        return fresh(ties, output, (size_t)node->out_channels, (size_t)node->groups);
    case HD_NODE_CONNECTED:
        return fresh(ties, output, (size_t)node->out_channels, 1);
    case HD_NODE_SHORTCUT:
        for (int i = 1; i < node->input_count; i++)
            if (!tie(ties, input, output_of(ties, node->inputs[i]))) return false;
        return copy_blocks(output, input);
    case HD_NODE_ROUTE:
        for (int i = 0; i < node->input_count; i++)
            if (!copy_blocks(output, output_of(ties, node->inputs[i]))) return false;
        return true;
    case HD_NODE_MAXPOOL:
    case HD_NODE_AVERAGE_POOL:
    case HD_NODE_BATCHNORM:
    case HD_NODE_ACTIVATION:
    case HD_NODE_IDENTITY:
        return copy_blocks(output, input);
    case HD_NODE_SOFTMAX:
    case HD_NODE_UNSUPPORTED:
        break;
    }
    for (int i = 0; i < node->input_count; i++) hold(ties, output_of(ties, node->inputs[i]));
    return append(output, new_variable(ties, (size_t)node->out_channels, true));
}

bool hd_ties_find(const hd_network *network, hd_ties *ties, hd_error *error) {
    size_t count = (size_t)network->node_count;
    *ties = (hd_ties){.node_count = count};
    ties->outputs = calloc(count + 1, sizeof *ties->outputs);
    bool *read = calloc(count + 1, sizeof *read);
    bool done =
        ties->outputs && read && append(&ties->image, new_variable(ties, (size_t)network->channels, true));
    for (size_t i = 0; done && i < count; i++) {
        const hd_node *node = &network->nodes[i];
        done = visit(ties, node, &ties->outputs[i]);
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] >= 0) read[node->inputs[j]] = true;
    }
    for (size_t i = 0; done && i < count; i++)
        if (!read[i]) hold(ties, &ties->outputs[i]);
    for (size_t i = 0; done && i < count; i++) done = resolve(ties, &ties->outputs[i]);
    if (done) done = resolve(ties, &ties->image);
    free(read);
    return done || hd_fail(error, "out of memory for the ties between the channels of %s", network->name);
}

void hd_ties_free(hd_ties *ties) {
    for (size_t i = 0; i < ties->node_count && ties->outputs; i++) free(ties->outputs[i].variables);
    free(ties->outputs);
    free(ties->image.variables);
    free(ties->variables);
    *ties = (hd_ties){0};
}
