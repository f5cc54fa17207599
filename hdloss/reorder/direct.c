/* Direct reordering: one order of channels for a whole layer, shared by all layers that are tied to it, so
 * that it can be folded into the network. Li et al., arXiv 2002.05293; the ties and their joint solution are
 * this project's. */
#include "reorder/distances.h"
#include "reorder/seeded.h"
#include "reorder/solve_order.h"
#include "reorder/ties.h"

#include <stdlib.h>
#include <string.h>

/* Words that stream when a channel's turn comes: `enter` is what the array sees first of it and `leave` last;
 * the same but for reductions of several words a channel. */
typedef struct turns {
    size_t count, lanes; /* channels, words of each */
    size_t enter, leave; /* offset in weights of the first and last words */
    size_t step, lane;   /* weights from channel to channel and from lane to lane */
} turns;

typedef struct joint {
    const hd_network *network;
    const hd_accelerator *accelerator;
    const hd_reorder_options *options;
    hd_cost_groups groups;
    hd_ties ties;
    uint8_t **patterns; /* [node_count]: encoded words, NULL for nodes without weights */
    uint32_t **solved;  /* [variable_count]: NULL: stays */
} joint;

static uint32_t *planes_of(const uint8_t *patterns, const turns *t, size_t offset) {
    size_t planes = (t->lanes + 3) / 4;
    uint32_t *packed = calloc(planes * t->count + 1, sizeof *packed);
    for (size_t lane = 0; packed && lane < t->lanes; lane++)
        for (size_t i = 0; i < t->count; i++)
            packed[lane / 4 * t->count + i] |= (uint32_t)patterns[offset + i * t->step + lane * t->lane]
                                               << 8 * (lane % 4);
    return packed;
}

/* sums[i][j] += passes x (flips from i to j + flips from j to i). */
static bool add_turns(const joint *q, const uint8_t *patterns, const turns *t, uint64_t passes,
                      uint64_t *sums) {
    hd_distance_row_function *add_row = hd_distance_row();
    size_t n = t->count, planes = (t->lanes + 3) / 4;
    uint32_t *enter = planes_of(patterns, t, t->enter), *leave = planes_of(patterns, t, t->leave);
    bool done = enter && leave;
#pragma omp parallel num_threads(q->options->threads) if (done)
    {
        uint32_t *row = done ? malloc(n * sizeof *row) : NULL;
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) {
            if (!row) {
#pragma omp atomic write
                done = false;
                continue;
            }
            memset(row, 0, n * sizeof *row);
            for (size_t plane = 0; plane < planes; plane++) {
                add_row(enter + plane * n, n, leave[plane * n + i], &q->groups, row);
                add_row(leave + plane * n, n, enter[plane * n + i], &q->groups, row);
            }
            for (size_t j = 0; j < n; j++) sums[i * n + j] += passes * row[j];
        }
        free(row);
    }
    free(enter);
    free(leave);
    return done;
}

/* Channels of this node that stream one after the other, `offset` first: its filters, or what it reads. */
static turns turns_of(const hd_node *node, const hd_layer_shape *shape, bool by_output, size_t offset,
                      size_t count) {
    size_t kernel = shape->size * shape->size, filter = hd_layer_filter_weights(shape);
    if (!by_output) return (turns){count, filter, offset * filter, offset * filter, filter, 1};
    size_t spatial =
        node->type == HD_NODE_CONNECTED ? (size_t)node->in_height * (size_t)node->in_width : kernel;
    size_t group_channels = (size_t)node->in_channels / shape->groups,
           group_filters = shape->filters / shape->groups;
    size_t group = offset / group_channels;
    size_t first = group * group_filters * filter + offset % group_channels * spatial;
    return (turns){count, group_filters, first, first + spatial - 1, spatial, filter};
}

/* Adds what one node contributes to the distances of a variable's channels. */
static bool add_node(const joint *q, size_t index, size_t variable, uint64_t *sums) {
    const hd_node *node = &q->network->nodes[index];
    hd_layer_shape shape;
    if (!q->patterns[index] || !hd_layer_shape_of_node(node, &shape) || hd_layer_is_depthwise(&shape))
        return true;
    bool by_output = q->accelerator->dataflow == HD_OUTPUT_STATIONARY;
    const hd_blocks *blocks = by_output ? hd_ties_input(&q->ties, node) : &q->ties.outputs[index];
    uint64_t passes = q->accelerator->dataflow == HD_WEIGHT_STATIONARY ? 1 : shape.output_pixels;
    for (size_t i = 0, offset = 0; i < blocks->count;
         offset += q->ties.variables[blocks->variables[i++]].length) {
        if (blocks->variables[i] != variable) continue;
        turns t = turns_of(node, &shape, by_output, offset, q->ties.variables[variable].length);
        if (!add_turns(q, q->patterns[index], &t, passes, sums)) return false;
    }
    return true;
}

/* Sums of 64 bits shifted down until a path through them fits the solver's 32. */
static uint32_t *narrow(const uint64_t *sums, size_t n) {
    uint64_t largest = 0;
    for (size_t i = 0; i < n * n; i++)
        if (sums[i] > largest) largest = sums[i];
    unsigned shift = 0;
    while (largest >> shift > (UINT32_C(1) << 31) / n) shift++;
    uint32_t *matrix = malloc(n * n * sizeof *matrix);
    for (size_t i = 0; matrix && i < n * n; i++) matrix[i] = (uint32_t)(sums[i] >> shift);
    return matrix;
}

static bool solve_variable(joint *q, size_t variable, hd_error *error) {
    size_t n = q->ties.variables[variable].length;
    uint64_t *sums = calloc(n * n, sizeof *sums);
    uint32_t *order = malloc(n * sizeof *order), *matrix = NULL, *natural = malloc(n * sizeof *natural);
    bool done = sums && order && natural;
    for (size_t i = 0; done && i < q->ties.node_count; i++) done = add_node(q, i, variable, sums);
    if (done) done = (matrix = narrow(sums, n)) != NULL;
    free(sums);
    if (done) {
        for (size_t i = 0; i < n; i++) natural[i] = (uint32_t)i;
        hd_path_problem p = {.distances = matrix, .stride = n, .count = n, .known = natural};
        hd_path_options options = q->options->path;
        options.seed = hd_seeded_derive(options.seed, variable);
        done = hd_solve_path(&p, &options, order, NULL, error);
        if (done && q->accelerator->dataflow == HD_WEIGHT_STATIONARY)
            done = hd_deal_to_columns(matrix, n, (size_t)q->accelerator->cols, natural, order, error);
    } else {
        hd_fail(error, "out of memory for the distances of %zu channels", n);
    }
    free(matrix);
    free(natural);
    q->solved[variable] = done ? order : NULL;
    if (!done) free(order);
    return done;
}

static bool encode_nodes(joint *q, hd_error *error) {
    for (size_t i = 0; i < q->ties.node_count; i++) {
        const hd_node *node = &q->network->nodes[i];
        hd_layer_shape shape;
        if (!hd_layer_shape_of_node(node, &shape)) continue;
        if (!hd_layer_shape_validate(&shape, error)) return false;
        size_t count = hd_layer_weights(&shape);
        uint8_t *patterns = malloc(count);
        int8_t *words = malloc(count);
        float *scales = malloc(shape.filters * sizeof *scales);
        bool done = patterns && words && scales;
        if (!done) hd_fail(error, "out of memory for the %zu words of layer %d", count, node->index);
        done = done && hd_quantise(node->weights, shape.filters, hd_layer_filter_weights(&shape),
                                   node->weight_bits, words, scales, error);
        if (done) hd_encode_words(words, count, node->weight_bits, q->accelerator->representation, patterns);
        free(words);
        free(scales);
        q->patterns[i] = patterns;
        if (!done) return false;
    }
    return true;
}

/* Sets each node's order together from those of its blocks. */
static bool compose(const joint *q, hd_channel_orders *orders, hd_error *error) {
    for (size_t node = 0; node < q->ties.node_count; node++) {
        const hd_blocks *blocks = &q->ties.outputs[node];
        size_t channels = 0;
        bool moves = false;
        for (size_t i = 0; i < blocks->count; i++) {
            channels += q->ties.variables[blocks->variables[i]].length;
            moves |= q->solved[blocks->variables[i]] != NULL;
        }
        if (!moves) continue;
        uint32_t *order = orders->orders[node] = malloc(channels * sizeof *order);
        if (!order) return hd_fail(error, "out of memory for an order of %zu channels", channels);
        size_t at = 0;
        for (size_t i = 0; i < blocks->count; i++) {
            const uint32_t *solved = q->solved[blocks->variables[i]];
            size_t length = q->ties.variables[blocks->variables[i]].length, first = at;
            for (size_t place = 0; place < length; place++)
                order[at++] = (uint32_t)(first + (solved ? solved[place] : place));
        }
    }
    return true;
}

static bool solve_all(joint *q, hd_error *error) {
    for (size_t v = 0; v < q->ties.variable_count; v++) {
        const hd_variable *variable = &q->ties.variables[v];
        bool whole_root = variable->parent == v && variable->parts[0] == SIZE_MAX;
        if (!whole_root || variable->held || variable->length < 2 || variable->length > HD_LARGEST_MATRIX)
            continue;
        if (!solve_variable(q, v, error)) return false;
    }
    return true;
}

static bool find_orders(joint *q, hd_channel_orders *orders, hd_error *error) {
    if (!hd_ties_find(q->network, &q->ties, error)) return false;
    q->patterns = calloc(q->ties.node_count + 1, sizeof *q->patterns);
    q->solved = calloc(q->ties.variable_count + 1, sizeof *q->solved);
    orders->orders = calloc(q->ties.node_count + 1, sizeof *orders->orders);
    if (!q->patterns || !q->solved || !orders->orders)
        return hd_fail(error, "out of memory for the orders of %s", q->network->name);
    orders->node_count = q->ties.node_count;
    return encode_nodes(q, error) && solve_all(q, error) && compose(q, orders, error);
}

bool hd_reorder_direct(const hd_network *network, const hd_accelerator *accelerator,
                       const hd_reorder_options *options, hd_channel_orders *orders, hd_error *error) {
    const hd_reorder_options defaults = hd_reorder_defaults();
    if (!options) options = &defaults;
    *orders = (hd_channel_orders){0};
    if (options->threads < 1)
        return hd_fail(error, "%d threads for a reordering: at least 1", options->threads);
    if (!hd_accelerator_validate(accelerator, error)) return false;
    joint q = {.network = network, .accelerator = accelerator, .options = options};
    q.groups = hd_cost_groups_on(accelerator, options->bit_costs);
    bool done = find_orders(&q, orders, error);
    for (size_t i = 0; q.patterns && i < q.ties.node_count; i++) free(q.patterns[i]);
    for (size_t i = 0; q.solved && i < q.ties.variable_count; i++) free(q.solved[i]);
    free(q.patterns);
    free(q.solved);
    hd_ties_free(&q.ties);
    if (!done) hd_channel_orders_free(orders);
    return done;
}

void hd_channel_orders_free(hd_channel_orders *orders) {
    for (size_t i = 0; i < orders->node_count; i++) free(orders->orders[i]);
    free(orders->orders);
    *orders = (hd_channel_orders){0};
}
