/* Stream plans: which weight stands on which lane at which step, for each dataflow, as strides and
 * permutations. Mapping: the three stationary dataflows of Li et al., arXiv 2002.05293; depthwise layers run
 * output stationary. */
#include <stdlib.h>
#include <string.h>

#include "hdloss.h"

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Rows are input channels, steps (or columns) the group's filters. */
static void lay_out_by_input(hd_plan *p) {
    size_t kernel = p->shape.size * p->shape.size, rows = (size_t)p->accelerator.rows;
    size_t group_filters = p->shape.filters / p->shape.groups;
    bool stationary_weights = p->dataflow == HD_WEIGHT_STATIONARY;
    p->groups = p->shape.groups;
    p->lane_axis = p->shape.channels / p->shape.groups;
    p->segments = divide_up(p->lane_axis, rows);
    p->positions = kernel;
    p->column_segments = stationary_weights ? divide_up(group_filters, (size_t)p->accelerator.cols) : 1;
    p->group_stride = group_filters * p->filter_weights;
    p->step_stride = p->filter_weights;
    p->lane_stride = kernel;
    p->order_length = group_filters;
    bool each = p->accelerator.kernel_orders == HD_KERNEL_ORDERS_EACH;
    p->order_count = p->groups * p->segments * (each ? p->positions : 1);
    p->tile_steps = stationary_weights ? 1 : group_filters;
    p->tile_lanes = p->lane_axis < rows ? p->lane_axis : rows;
    if (stationary_weights)
        p->tile_lanes *=
            group_filters < (size_t)p->accelerator.cols ? group_filters : (size_t)p->accelerator.cols;
}

/* Rows are filters, steps the reduction over input channels and kernel positions. */
static void lay_out_by_output(hd_plan *p) {
    size_t rows = (size_t)p->accelerator.rows;
    p->groups = p->depthwise ? 1 : p->shape.groups;
    p->lane_axis = p->shape.filters / p->groups;
    p->segments = divide_up(p->lane_axis, rows);
    p->positions = p->column_segments = 1;
    p->group_stride = p->lane_axis * p->filter_weights;
    p->step_stride = 1;
    p->lane_stride = p->filter_weights;
    p->order_length = p->tile_steps = p->filter_weights;
    p->order_count = p->groups * p->segments;
    p->tile_lanes = p->lane_axis < rows ? p->lane_axis : rows;
}

/* Array cycles of any of the layouts, idle elements included, must fit 63 bits. */
static bool cycles_fit(const hd_plan *p) {
    size_t rows = (size_t)p->accelerator.rows, product = p->tiles;
    size_t steps = p->dataflow == HD_WEIGHT_STATIONARY ? p->shape.output_pixels : p->tile_steps;
    return !__builtin_mul_overflow(product, steps > rows ? steps : rows, &product) &&
           !__builtin_mul_overflow(product, p->repeats, &product) &&
           !__builtin_mul_overflow(product, rows, &product) &&
           !__builtin_mul_overflow(product, (size_t)p->accelerator.cols, &product) &&
           product <= (size_t)INT64_MAX / 2;
}

bool hd_plan_init(hd_plan *plan, const hd_accelerator *accelerator, const hd_layer_shape *shape,
                  hd_error *error) {
    *plan = (hd_plan){0};
    if (!hd_accelerator_validate(accelerator, error) || !hd_layer_shape_validate(shape, error)) return false;
    hd_plan p = {.accelerator = *accelerator, .shape = *shape, .dataflow = accelerator->dataflow};
    p.depthwise = hd_layer_is_depthwise(shape);
    if (p.depthwise) p.dataflow = HD_OUTPUT_STATIONARY;
    p.weights = hd_layer_weights(shape);
    p.filter_weights = hd_layer_filter_weights(shape);
    if (p.dataflow == HD_OUTPUT_STATIONARY)
        lay_out_by_output(&p);
    else
        lay_out_by_input(&p);
    p.tiles = p.groups * p.segments * p.positions * p.column_segments;
    bool stationary_weights = p.dataflow == HD_WEIGHT_STATIONARY;
    p.repeats = stationary_weights ? 1 : divide_up(shape->output_pixels, (size_t)accelerator->cols);
    p.image_passes = stationary_weights ? 1 : shape->output_pixels;
    if (!cycles_fit(&p))
        return hd_fail(error, "the layer's array cycles on accelerator %s do not fit 63 bits",
                       accelerator->name);
    *plan = p;
    return true;
}

void hd_plan_free(hd_plan *plan) {
    free(plan->orders);
    free(plan->lane_channels);
    *plan = (hd_plan){0};
}

bool hd_is_permutation(const uint32_t *values, size_t length, uint8_t *scratch) {
    memset(scratch, 0, length);
    for (size_t i = 0; i < length; i++) {
        if (values[i] >= length || scratch[values[i]]) return false;
        scratch[values[i]] = 1;
    }
    return true;
}

/* A checked copy of rows x length permutations into *slot. */
static bool set_permutations(uint32_t **slot, const uint32_t *rows, size_t count, size_t length,
                             const char *what, hd_error *error) {
    if (!rows) {
        free(*slot);
        *slot = NULL;
        return true;
    }
    size_t entries, bytes;
    if (length > UINT32_MAX || __builtin_mul_overflow(count, length, &entries) ||
        __builtin_mul_overflow(entries, sizeof *rows, &bytes))
        return hd_fail(error, "%zu %ss of %zu entries are too many to store", count, what, length);
    uint32_t *copy = malloc(bytes);
    uint8_t *seen = malloc(length);
    bool good = copy && seen;
    if (!good) hd_fail(error, "no memory for %zu %ss of %zu entries", count, what, length);
    for (size_t i = 0; good && i < count; i++) {
        good = hd_is_permutation(rows + i * length, length, seen);
        if (!good)
            hd_fail(error, "%s %zu is no permutation: each of 0 to %zu must stand in it once", what, i,
                    length - 1);
    }
    free(seen);
    if (!good) {
        free(copy);
        return false;
    }
    memcpy(copy, rows, bytes);
    free(*slot);
    *slot = copy;
    return true;
}

bool hd_plan_set_orders(hd_plan *plan, const uint32_t *orders, hd_error *error) {
    return set_permutations(&plan->orders, orders, plan->order_count, plan->order_length, "order", error);
}

bool hd_plan_set_lane_channels(hd_plan *plan, const uint32_t *lane_channels, hd_error *error) {
    return set_permutations(&plan->lane_channels, lane_channels, plan->groups, plan->lane_axis,
                            "lane assignment", error);
}

bool hd_plan_set_one_order(hd_plan *plan, const uint32_t *order, hd_error *error) {
    if (!order) return hd_plan_set_orders(plan, NULL, error);
    size_t entries, bytes;
    if (__builtin_mul_overflow(plan->order_count, plan->order_length, &entries) ||
        __builtin_mul_overflow(entries, sizeof *order, &bytes))
        return hd_fail(error, "%zu orders of %zu entries are too many to store", plan->order_count,
                       plan->order_length);
    uint32_t *all = malloc(bytes);
    if (!all)
        return hd_fail(error, "no memory for %zu orders of %zu entries", plan->order_count,
                       plan->order_length);
    for (size_t i = 0; i < plan->order_count; i++)
        memcpy(all + i * plan->order_length, order, plan->order_length * sizeof *order);
    bool good = hd_plan_set_orders(plan, all, error);
    free(all);
    return good;
}

bool hd_plan_copy(hd_plan *plan, const hd_plan *from, hd_error *error) {
    *plan = *from;
    plan->orders = plan->lane_channels = NULL;
    if (hd_plan_set_orders(plan, from->orders, error) &&
        hd_plan_set_lane_channels(plan, from->lane_channels, error))
        return true;
    hd_plan_free(plan);
    return false;
}

hd_tile hd_plan_tile(const hd_plan *plan, size_t index) {
    hd_tile t = {.index = index};
    size_t rest = index / plan->column_segments;
    t.column_segment = index % plan->column_segments;
    t.position = rest % plan->positions;
    rest /= plan->positions;
    t.segment = rest % plan->segments;
    t.group = rest / plan->segments;

    t.base = t.group * plan->group_stride + t.position;
    t.steps = plan->tile_steps;
    t.first_channel = t.segment * (size_t)plan->accelerator.rows;
    size_t left = plan->lane_axis - t.first_channel;
    t.rows = left < (size_t)plan->accelerator.rows ? left : (size_t)plan->accelerator.rows;
    t.columns = 1;
    if (plan->dataflow == HD_WEIGHT_STATIONARY) {
        t.first_step = t.column_segment * (size_t)plan->accelerator.cols;
        left = plan->order_length - t.first_step;
        t.columns = left < (size_t)plan->accelerator.cols ? left : (size_t)plan->accelerator.cols;
    }
    t.lanes = t.rows * t.columns;
    bool each = plan->accelerator.kernel_orders == HD_KERNEL_ORDERS_EACH;
    t.order = each ? rest * plan->positions + t.position : rest;
    return t;
}

size_t hd_plan_array_lanes(const hd_plan *plan) {
    size_t rows = (size_t)plan->accelerator.rows;
    return plan->dataflow == HD_WEIGHT_STATIONARY ? rows * (size_t)plan->accelerator.cols : rows;
}

static size_t bytes_for(size_t length) {
    return length <= 1 ? 0 : length <= 256 ? 1 : length <= 65536 ? 2 : 4;
}

size_t hd_plan_table_bytes(const hd_plan *plan) {
    size_t orders = plan->orders ? plan->order_count * plan->order_length * bytes_for(plan->order_length) : 0;
    size_t lanes = plan->lane_channels ? plan->groups * plan->lane_axis * bytes_for(plan->lane_axis) : 0;
    return orders + lanes;
}
