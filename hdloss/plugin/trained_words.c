/* Trellis-rounded words in the forward pass: see trained_words.h. */
#include "trained_words.h"

#include <stdlib.h>
#include <string.h>

enum { GRADIENTS_NEEDED = 16 };

static bool fill(trained_layer *l, const weight_stream *w, const hd_energy_table *table, bool by_gradients,
                 error *e) {
    hd_error h = {0};
    *l = (trained_layer){.layer = w->layer,
                         .plan = (hd_plan *)&w->plan,
                         .emphasis = w->emphasis,
                         .filters = w->shape.filters,
                         .filter_weights = hd_layer_filter_weights(&w->shape),
                         .words = malloc(w->plan.weights),
                         .scales = malloc(w->shape.filters * sizeof *l->scales),
                         .errors = malloc(w->plan.weights * sizeof *l->errors)};
    if (!l->words || !l->scales || !l->errors) return error_set(e, "out of memory");
    if (by_gradients) {
        l->importance = malloc(w->plan.weights * sizeof *l->importance);
        if (!l->importance || !gradient_importance_create(&l->gradients, l->filters, l->filter_weights))
            return error_set(e, "out of memory");
    }
    return hd_bit_costs(table, &w->plan, l->bit_costs, &h) || from_hd(&h, e);
}

/* Of one pass over the layer's words, each of whose bits flips every second time, and every sum changes. */
static double random_cost(const trained_layer *l, double sum_cost) {
    double cost = 0.0;
    for (int bit = 0; bit < l->plan->accelerator.weight_bits; bit++) cost += l->bit_costs[bit];
    double sums = hd_sums_flow(l->plan)
                      ? (double)(l->plan->tiles * l->plan->tile_steps) * l->plan->accelerator.rows
                      : 0.0;
    return cost / 2.0 * (double)l->plan->weights + sum_cost * sums;
}

trained_words *trained_words_create(const weight_streams *streams, bool by_energy, bool by_gradients,
                                    double sum_cost, error *e) {
    trained_words *t = calloc(1, sizeof *t);
    if (t) t->layers = calloc(streams->count ? streams->count : 1, sizeof *t->layers);
    bool good = t && t->layers ? true : error_set(e, "out of memory");
    if (good) t->sum_cost = sum_cost;
    for (size_t i = 0; good && i < streams->count; i++) {
        if (!(streams->items[i].emphasis > 0.0)) continue;
        trained_layer *l = &t->layers[t->count++];
        good = fill(l, &streams->items[i], by_energy ? &streams->model.table : NULL, by_gradients, e);
        if (good) t->random_cost += random_cost(l, sum_cost) * (double)l->plan->image_passes;
    }
    if (good) {
        t->age = -1;
        t->by_gradients = by_gradients;
        return t;
    }
    trained_words_destroy(t);
    return NULL;
}

void trained_words_destroy(trained_words *t) {
    if (!t) return;
    for (size_t i = 0; t->layers && i < t->count; i++) {
        free(t->layers[i].words);
        free(t->layers[i].scales);
        free(t->layers[i].errors);
        free(t->layers[i].importance);
        gradient_importance_free(&t->layers[i].gradients);
    }
    free(t->layers);
    free(t);
}

/* The layer's float weights, and their gradient while it trains. */
static darknet_parameter weights_of(const trained_layer *l) {
    darknet_parameter w = {0};
    (void)layer_get_parameter(l->layer, "weights", &w);
    return w;
}

/* ---- the passes ---- */
static void add_errors(void *user, const layer *l, const float *weights, float *used, size_t count) {
    (void)l;
    const trained_layer *own = user;
    for (size_t k = 0; k < count; k++) used[k] = weights[k] + own->errors[k];
}

bool trained_words_attach(trained_words *t, error *e) {
    for (size_t i = 0; i < t->count; i++)
        if (!layer_set_weight_transform(t->layers[i].layer, add_errors, &t->layers[i]))
            return error_set(e, "out of memory for the words of the forward pass");
    return true;
}

void trained_words_watch(trained_words *t) {
    if (!t->by_gradients) return;
    for (size_t i = 0; i < t->count; i++) {
        darknet_parameter w = weights_of(&t->layers[i]);
        if (w.gradient) gradient_importance_add(&t->layers[i].gradients, w.gradient);
    }
    t->gradients_seen++;
}

void trained_words_pull(const trained_words *t, double pull, size_t images) {
    float factor = (float)(pull * (double)images);
    for (size_t i = 0; i < t->count; i++) {
        const trained_layer *l = &t->layers[i];
        darknet_parameter w = weights_of(l);
        for (size_t k = 0; w.gradient && k < w.count; k++)
            w.gradient[k] += factor * (l->scales[k / l->filter_weights] * (float)l->words[k] - w.values[k]);
    }
}

/* ---- new words ---- */
static double signal_of(const trained_layer *l, const float *weights, const float *importance) {
    double sum = 0.0;
    for (size_t k = 0; k < l->plan->weights; k++) {
        double x = (double)weights[k] / (double)l->scales[k / l->filter_weights];
        sum += x * x * (importance ? (double)importance[k] : 1.0);
    }
    return sum;
}

static bool reorder_layer(const hd_round_layer *r, double mu, int threads, hd_error *h) {
    hd_reorder_options o = hd_reorder_defaults();
    o.threads = threads;
    o.path.kicks_per_point = 0;
    uint32_t *orders = malloc(r->plan->order_count * r->plan->order_length * sizeof *orders);
    bool good =
        orders && hd_reorder_for_rounding(r, mu, &o, orders, h) && hd_plan_set_orders(r->plan, orders, h);
    free(orders);
    return good;
}

static void note_errors(trained_layer *l, const float *weights) {
    hd_dequantise(l->words, l->filters, l->filter_weights, l->scales, l->errors);
    for (size_t k = 0; k < l->plan->weights; k++) l->errors[k] -= weights[k];
}

/* Scales of the present weights, and their importances. by_gradients: in, whether these are wanted; out,
 * whether every layer has them. */
static bool survey(trained_words *t, bool *by_gradients, error *e) {
    for (size_t i = 0; i < t->count; i++) {
        trained_layer *l = &t->layers[i];
        hd_error h = {0};
        if (!hd_quantise(weights_of(l).values, l->filters, l->filter_weights,
                         l->plan->accelerator.weight_bits, l->words, l->scales, &h))
            return from_hd(&h, e);
        *by_gradients =
            *by_gradients && gradient_importance_of_words(&l->gradients, l->scales, l->importance);
    }
    return true;
}

/* What the trellis is given for a layer whose noise is told by its `share` of the signal. */
static hd_round_layer round_layer_of(const trained_words *t, const trained_layer *l, const float *importance,
                                     double share) {
    hd_round_layer r = {.plan = l->plan,
                        .weights = weights_of(l).values,
                        .scales = l->scales,
                        .importance = importance,
                        .emphasis = (double)l->plan->image_passes * l->emphasis * share,
                        .sum_cost = t->sum_cost,
                        .words = l->words};
    memcpy(r.bit_costs, l->bit_costs, sizeof r.bit_costs);
    return r;
}

/* Orders and words of all layers; errors cost mu / signal, or by layers mu / (layers * the layer's signal).
 */
static bool solve_layers(trained_words *t, double mu, bool by_gradients, bool reorder, int threads,
                         error *e) {
    double signal = 0.0, price = mu * t->random_cost;
    hd_error h = {0};
    size_t count = 0;
    hd_round_layer *layers = calloc(t->count + 1, sizeof *layers);
    bool good = layers ? true : error_set(e, "out of memory");
    for (size_t i = 0; i < t->count; i++) signal += t->layers[i].signal;
    for (size_t i = 0; good && i < t->count; i++) {
        trained_layer *l = &t->layers[i];
        if (!(l->signal > 0.0)) continue;
        double share = by_gradients ? signal : (double)t->count * l->signal;
        hd_round_layer *r = &layers[count++];
        *r = round_layer_of(t, l, by_gradients ? l->importance : NULL, share);
        good = !reorder || reorder_layer(r, price, threads, &h) || from_hd(&h, e);
    }
    good = good && (hd_round_trellis(layers, count, price, threads, &h) || from_hd(&h, e));
    free(layers);
    return good;
}

bool trained_words_solve(trained_words *t, double mu, bool reorder, int threads, error *e) {
    bool by_gradients = t->by_gradients && t->gradients_seen >= GRADIENTS_NEEDED;
    if (!survey(t, &by_gradients, e)) return false;
    for (size_t i = 0; i < t->count; i++) {
        trained_layer *l = &t->layers[i];
        l->signal = signal_of(l, weights_of(l).values, by_gradients ? l->importance : NULL);
    }
    if (!solve_layers(t, mu, by_gradients, reorder, threads, e)) return false;
    for (size_t i = 0; i < t->count; i++) note_errors(&t->layers[i], weights_of(&t->layers[i]).values);
    t->age = 0;
    return true;
}

/* The stream of a layer, which there is. */
static weight_stream *stream_of(const trained_layer *l, weight_streams *streams) {
    weight_stream *w = streams->items;
    while (w->layer != l->layer) w++;
    return w;
}

void trained_words_give(const trained_words *t, weight_streams *streams) {
    for (size_t i = 0; i < t->count; i++) {
        const trained_layer *from = &t->layers[i];
        weight_stream *to = stream_of(from, streams);
        memcpy(to->words, from->words, from->plan->weights);
        memcpy(to->scales, from->scales, from->filters * sizeof *to->scales);
    }
}

bool trained_words_give_orders(const trained_words *t, weight_streams *streams, error *e) {
    for (size_t i = 0; i < t->count; i++) {
        hd_error h = {0};
        if (!hd_plan_set_orders(&stream_of(&t->layers[i], streams)->plan, t->layers[i].plan->orders, &h))
            return from_hd(&h, e);
    }
    return true;
}

/* ---- state ---- */
/* Each layer's arrays and their bytes. */
enum { STATE_ARRAYS = 4 };

static size_t arrays_of(const trained_layer *l, void *arrays[STATE_ARRAYS], size_t bytes[STATE_ARRAYS]) {
    arrays[0] = l->words, bytes[0] = l->plan->weights;
    arrays[1] = l->scales, bytes[1] = l->filters * sizeof *l->scales;
    arrays[2] = l->errors, bytes[2] = l->plan->weights * sizeof *l->errors;
    arrays[3] = l->gradients.rows, bytes[3] = gradient_importance_bytes(&l->gradients);
    return bytes[0] + bytes[1] + bytes[2] + bytes[3];
}

size_t trained_words_bytes(const trained_words *t) {
    size_t total = sizeof t->age + sizeof t->gradients_seen, bytes[STATE_ARRAYS];
    void *arrays[STATE_ARRAYS];
    for (size_t i = 0; i < t->count; i++) total += arrays_of(&t->layers[i], arrays, bytes);
    return total;
}

void trained_words_save(const trained_words *t, char *to) {
    size_t bytes[STATE_ARRAYS];
    void *arrays[STATE_ARRAYS];
    memcpy(to, &t->age, sizeof t->age);
    to += sizeof t->age;
    memcpy(to, &t->gradients_seen, sizeof t->gradients_seen);
    to += sizeof t->gradients_seen;
    for (size_t i = 0; i < t->count; i++) {
        (void)arrays_of(&t->layers[i], arrays, bytes);
        for (int k = 0; k < STATE_ARRAYS; to += bytes[k++])
            if (bytes[k]) memcpy(to, arrays[k], bytes[k]);
    }
}

void trained_words_load(trained_words *t, const char *from) {
    size_t bytes[STATE_ARRAYS];
    void *arrays[STATE_ARRAYS];
    memcpy(&t->age, from, sizeof t->age);
    from += sizeof t->age;
    memcpy(&t->gradients_seen, from, sizeof t->gradients_seen);
    from += sizeof t->gradients_seen;
    for (size_t i = 0; i < t->count; i++) {
        (void)arrays_of(&t->layers[i], arrays, bytes);
        for (int k = 0; k < STATE_ARRAYS; from += bytes[k++])
            if (bytes[k]) memcpy(arrays[k], from, bytes[k]);
    }
}
