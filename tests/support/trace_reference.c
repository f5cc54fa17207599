/* See trace_reference.h. Slow and plain: a word and flags for every element in every cycle of local time. */
#include "trace_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

typedef struct element {
    unsigned weight, activation, product;
    uint32_t psum, base, sum, carry;
    unsigned products[HD_MAXIMUM_BITS]; /* partial products w_k & x */
    uint64_t weight_flips, activation_flips, psum_flips;
} element;

/* What an element is offered in a cycle. */
typedef struct offer {
    bool valid, first, active;
    unsigned row_word, column_word;
} offer;

typedef struct machine {
    const hd_trace_layer *l;
    const hd_plan *plan;
    size_t rows, cols;
    uint32_t mask;
    element *elements;
    unsigned *row_words; /* what each row offered last */
    hd_trace_counts n;
} machine;

static unsigned ones(unsigned x) {
    unsigned n = 0;
    for (; x; x >>= 1) n += x & 1;
    return n;
}

static int activation_value(const machine *m, unsigned word) {
    int bits = m->plan->accelerator.activation_bits;
    return m->l->activation_signed && word >> (bits - 1) ? (int)word - (1 << bits) : (int)word;
}

static unsigned activation_word(const machine *m, size_t channel, size_t position, size_t pixel) {
    const hd_trace_layer *l = m->l;
    const hd_layer_shape *s = &m->plan->shape;
    size_t width = (l->width + 2 * l->padding - l->dilation * (s->size - 1) - 1) / l->stride + 1;
    long y = (long)(pixel / width * l->stride + position / s->size * l->dilation) - (long)l->padding;
    long x = (long)(pixel % width * l->stride + position % s->size * l->dilation) - (long)l->padding;
    if (y < 0 || x < 0 || y >= (long)l->height || x >= (long)l->width) return 0;
    unsigned byte = l->activations[((size_t)y * l->width + (size_t)x) * s->channels + channel];
    return byte & ((1u << m->plan->accelerator.activation_bits) - 1u);
}

static unsigned weight_word(const machine *m, const hd_tile *tile, size_t step, size_t lane) {
    return hd_encode_word(m->l->words[hd_plan_weight(m->plan, tile, step, lane)],
                          m->plan->accelerator.weight_bits, m->plan->accelerator.representation);
}

static size_t channel_of_row(const hd_plan *plan, const hd_tile *tile, size_t row) {
    size_t at = tile->first_channel + row;
    return tile->group * plan->lane_axis +
           (plan->lane_channels ? plan->lane_channels[tile->group * plan->lane_axis + at] : at);
}

/* One cycle of one element; above: the sum of the element above in this cycle. */
static void clock_element(machine *m, element *e, const offer *o, uint32_t above) {
    const hd_accelerator *a = &m->plan->accelerator;
    bool local = m->plan->dataflow == HD_OUTPUT_STATIONARY,
         weight_held = m->plan->dataflow == HD_WEIGHT_STATIONARY;
    bool go = o->valid && o->active;
    element old = *e;
    if (go && !weight_held) e->weight = o->row_word;
    if (go && weight_held) e->activation = o->row_word;
    if (go && local) e->activation = o->column_word;
    if (go && o->first && !local) *(weight_held ? &e->weight : &e->activation) = o->column_word;
    int product = hd_decode_word((uint8_t)e->weight, a->weight_bits, a->representation) *
                  activation_value(m, e->activation);
    uint32_t extended = (uint32_t)product & m->mask;
    e->product = (unsigned)product & 0xffffu;
    e->base = !local ? above : go && o->first ? 0 : old.psum;
    e->sum = (e->base + extended) & m->mask;
    e->carry = e->base ^ extended ^ e->sum;
    if (go) e->psum = e->sum;

    unsigned sign = 1u << (a->weight_bits - 1), flips = 0;
    int gates = a->representation == HD_SIGN_MAGNITUDE ? a->weight_bits - 1 : a->weight_bits;
    for (int k = 0; k < gates; k++) {
        e->products[k] = e->weight >> k & 1 ? e->activation : 0;
        flips += ones(e->products[k] ^ old.products[k]);
    }
    e->weight_flips += ones(e->weight ^ old.weight);
    e->activation_flips += ones(e->activation ^ old.activation);
    e->psum_flips += ones(e->psum ^ old.psum);
    m->n.weight += ones(e->weight ^ old.weight);
    m->n.activation += ones(e->activation ^ old.activation);
    m->n.psum += ones(e->psum ^ old.psum);
    m->n.product += ones(e->product ^ old.product);
    m->n.psum_in += ones(e->base ^ old.base);
    m->n.psum_out += ones(e->sum ^ old.sum);
    m->n.carry += ones(e->carry ^ old.carry);
    m->n.sign += ((e->weight ^ old.weight) & sign) != 0;
    m->n.activation_sign +=
        m->l->activation_signed && (e->activation ^ old.activation) >> (a->activation_bits - 1);
    m->n.partial_products += flips;
    if (flips) m->n.partial_product_histogram[flips]++;
    m->n.enabled_pe_cycles += go;
}

/* The word that a row is offered in a step, and a column. */
static unsigned row_word(const machine *m, const hd_tile *tile, size_t step, size_t row) {
    if (m->plan->dataflow != HD_WEIGHT_STATIONARY) return weight_word(m, tile, step, row);
    return activation_word(m, channel_of_row(m->plan, tile, row), tile->position, step);
}

static unsigned column_word(const machine *m, const hd_tile *tile, size_t step, size_t row, size_t column,
                            size_t first_pixel) {
    const hd_plan *plan = m->plan;
    size_t positions = plan->shape.size * plan->shape.size;
    if (plan->dataflow == HD_OUTPUT_STATIONARY) {
        size_t at = plan->orders ? plan->orders[tile->order * plan->order_length + step] : step;
        size_t channel = plan->depthwise
                             ? channel_of_row(plan, tile, row) / (plan->shape.filters / plan->shape.groups)
                             : tile->group * (plan->shape.channels / plan->shape.groups) + at / positions;
        return activation_word(m, channel, at % positions, first_pixel + column);
    }
    if (plan->dataflow == HD_WEIGHT_STATIONARY) return weight_word(m, tile, 0, row * tile->columns + column);
    return activation_word(m, channel_of_row(plan, tile, row), tile->position, first_pixel + column);
}

static void run_tile(machine *m, size_t index, size_t first_pixel) {
    const hd_plan *plan = m->plan;
    bool local = plan->dataflow == HD_OUTPUT_STATIONARY, by_weight = plan->dataflow == HD_WEIGHT_STATIONARY;
    hd_tile tile = hd_plan_tile(plan, index);
    size_t left = plan->shape.output_pixels - first_pixel;
    size_t steps = by_weight ? plan->shape.output_pixels : tile.steps;
    size_t columns = by_weight ? tile.columns : left < m->cols ? left : m->cols;
    size_t cycles = steps > m->rows ? steps : m->rows;
    for (size_t t = 0; t < cycles; t++) {
        for (size_t r = 0; r < tile.rows && t < steps; r++) m->row_words[r] = row_word(m, &tile, t, r);
        for (size_t c = 0; c < m->cols; c++)
            for (size_t r = 0; r < m->rows; r++) {
                bool used = r < tile.rows && c < columns;
                offer o = {
                    .valid = t < steps && (r < tile.rows || !local), .first = t == 0, .active = c < columns};
                o.row_word = m->row_words[r];
                if (used && t < steps) o.column_word = column_word(m, &tile, t, r, c, first_pixel);
                element *e = &m->elements[r * m->cols + c];
                clock_element(m, e, &o, r ? (e - m->cols)->psum : 0);
            }
    }
    m->n.tiles++;
    m->n.macs += steps * tile.rows * columns;
    m->n.cycles += cycles;
}

void test_trace_reference(const hd_trace_layer *l, hd_trace_counts *counts, uint64_t *weight,
                          uint64_t *activation, uint64_t *psum) {
    int bits = l->accumulator_bits ? l->accumulator_bits : hd_accumulator_bits(l->plan->dataflow);
    machine m = {.l = l,
                 .plan = l->plan,
                 .rows = (size_t)l->plan->accelerator.rows,
                 .cols = (size_t)l->plan->accelerator.cols,
                 .mask = 0xffffffffu >> (32 - bits)};
    m.elements = calloc(m.rows * m.cols, sizeof *m.elements);
    m.row_words = calloc(m.rows, sizeof *m.row_words);
    assert_true(m.elements && m.row_words);
    for (size_t block = 0; block < l->plan->repeats; block++)
        for (size_t i = 0; i < l->plan->tiles; i++) run_tile(&m, i, block * m.cols);
    if (l->plan->dataflow == HD_OUTPUT_STATIONARY) /* one more first flag drains the last sums */
        for (size_t i = 0; i < m.rows * m.cols; i++)
            clock_element(&m, &m.elements[i], &(offer){.first = true}, 0);
    m.n.cycles += m.rows + m.cols;
    m.n.array_pe_cycles = m.n.cycles * m.rows * m.cols;
    for (size_t i = 0; i < m.rows * m.cols; i++) {
        if (weight) weight[i] += m.elements[i].weight_flips;
        if (activation) activation[i] += m.elements[i].activation_flips;
        if (psum) psum[i] += m.elements[i].psum_flips;
    }
    *counts = m.n;
    free(m.elements);
    free(m.row_words);
}
