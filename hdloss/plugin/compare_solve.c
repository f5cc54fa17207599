/* Every post-training method on every array of a comparison. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

const char *compare_scope_name(compare_scope scope) {
    static const char *const names[SCOPE_COUNT] = {"all", "1x1", "3x3"};
    return names[scope];
}

bool compare_in_scope(compare_scope scope, const weight_stream *w) {
    if (scope == SCOPE_ALL) return true;
    return !w->plan.depthwise && (scope == SCOPE_POINTWISE) == (w->shape.size == 1);
}

const char *compare_entry_name(const compare_entry *entry, char *text, size_t bytes) {
    if (entry->rounded)
        (void)snprintf(text, bytes, "%s + trellis %g dB", order_method_name(entry->order), entry->sqnr_db);
    else
        (void)snprintf(text, bytes, "%s", order_method_name(entry->order));
    return text;
}

const compare_entry *comparison_baseline(const comparison *c, const compare_entry *entry) {
    for (size_t i = 0; i < c->count; i++) {
        const compare_entry *b = &c->entries[i];
        if (b->accelerator.rows == entry->accelerator.rows && b->order == ORDER_NATURAL && !b->rounded &&
            b->accelerator.representation == HD_TWOS_COMPLEMENT &&
            b->accelerator.encoding == HD_ENCODING_NONE)
            return b;
    }
    return NULL;
}

void comparison_free(comparison *c) {
    for (size_t i = 0; i < c->count; i++) free(c->entries[i].each);
    free(c->entries);
    importances_free(&c->importance);
    if (c->valid) dataset_close(c->valid);
    if (c->settings->data_path) calibration_data_close(&c->data);
    network_view_free(&c->view);
}

/* Recounts the streams into a new entry. */
static compare_entry *add_entry(comparison *c, const weight_streams *s, order_method order, error *e) {
    compare_entry *grown = realloc(c->entries, (c->count + 1) * sizeof *grown);
    hd_error h = {0};
    if (grown) c->entries = grown;
    hd_flips *each = calloc(s->count + 1, sizeof *each);
    if (!grown || !each) {
        free(each);
        error_set(e, "out of memory");
        return NULL;
    }
    compare_entry *entry = &grown[c->count++];
    *entry = (compare_entry){.accelerator = s->model.accelerator, .order = order, .each = each, .top1 = NAN};
    for (size_t i = 0; i < s->count; i++) {
        const weight_stream *w = &s->items[i];
        hd_energy_report energy;
        if (!hd_count_flips(&w->plan, w->words, network_threads(c->loaded->net), &each[i], &h)) {
            from_hd(&h, e);
            return NULL;
        }
        for (int scope = 0; scope < SCOPE_COUNT; scope++)
            if (compare_in_scope((compare_scope)scope, w)) hd_flips_add(&entry->sums[scope], &each[i]);
        bool known = hd_energy_plan_level(&s->model.table, &w->plan, &each[i], NULL, &energy, &h);
        entry->datapath_pj += known ? energy.datapath_pj : (double)NAN;
    }
    return entry;
}

static hd_reorder_options options_of(const comparison *c) {
    hd_reorder_options o = hd_reorder_defaults();
    o.threads = network_threads(c->loaded->net);
    if (!c->settings->thorough) {
        o.path.kicks_per_point = 0;
        o.path.bound_steps = 100;
        o.exchanges_per_channel = 2;
    }
    return o;
}

static bool reorder_stream(weight_stream *w, bool cluster, const hd_reorder_options *o, error *e) {
    hd_error h = {0};
    hd_cluster_report report;
    uint32_t *orders = malloc(w->plan.order_count * w->plan.order_length * sizeof *orders);
    uint32_t *channels = malloc(w->plan.groups * w->plan.lane_axis * sizeof *channels);
    bool good = orders && channels;
    if (good && cluster)
        good = hd_reorder_clusters(&w->plan, w->words, o, channels, orders, &report, &h) &&
               hd_plan_set_lane_channels(&w->plan, channels, &h);
    else if (good)
        good = hd_reorder_segments(&w->plan, w->words, o, orders, &h);
    good = good && hd_plan_set_orders(&w->plan, orders, &h);
    free(orders);
    free(channels);
    return good || error_set(e, "layer %d: %s", w->index, h.message[0] ? h.message : "out of memory");
}

static bool certify(const comparison *c, const weight_streams *s, compare_entry *entry, error *e) {
    const hd_accelerator *own = &c->loaded->model.accelerator, *a = &s->model.accelerator;
    hd_reorder_options o = options_of(c);
    hd_error h = {0};
    entry->certified = a->encoding == HD_ENCODING_NONE && a->representation == own->representation;
    for (size_t i = 0; entry->certified && i < s->count; i++) {
        hd_certificate one;
        if (!hd_certify_orders(&s->items[i].plan, s->items[i].words, &o, &one, &h)) return from_hd(&h, e);
        hd_certificate_add(&entry->certificate, &one);
    }
    return true;
}

/* Natural, direct, segment and cluster: the same words in other orders. */
static bool run_orders(comparison *c, weight_streams *s, error *e) {
    hd_reorder_options o = options_of(c);
    for (int order = 0; order < ORDER_METHOD_COUNT; order++) {
        if (!weight_streams_make_natural(s, e)) return false;
        if (order == ORDER_DIRECT &&
            !streams_reorder_direct(s, &c->view, !c->settings->thorough, o.threads, e))
            return false;
        bool own_orders = order == ORDER_SEGMENT || order == ORDER_CLUSTER;
        for (size_t i = 0; own_orders && i < s->count; i++)
            if (!reorder_stream(&s->items[i], order == ORDER_CLUSTER, &o, e)) return false;
        compare_entry *entry = add_entry(c, s, (order_method)order, e);
        if (!entry || (own_orders && !certify(c, s, entry, e))) return false;
        /* The integer network is the same whatever the order, to the bit. */
        if (c->count > 1)
            entry->top1 = c->entries[0].top1;
        else if (c->settings->data_path && !compare_accuracy(c, s, false, &entry->top1, e))
            return false;
    }
    return true;
}

/* Words moved at a stated signal-to-noise ratio, in turns with segment orders. */
static bool run_trellis(comparison *c, weight_streams *s, double sqnr_db, error *e) {
    double mu = 0.0;
    rounding_job job = {.streams = s,
                        .importance = c->importance.values ? &c->importance : NULL,
                        .method = ORDER_SEGMENT,
                        .threads = network_threads(c->loaded->net),
                        .quick = !c->settings->thorough};
    hd_rounding rounding;
    bool good = weight_streams_make_natural(s, e) && rounding_job_begin(&job, e) &&
                rounding_job_to_sqnr(&job, sqnr_db, &mu, e) && rounding_job_measure(&job, NULL, &rounding, e);
    rounding_job_end(&job);
    compare_entry *entry = good ? add_entry(c, s, ORDER_SEGMENT, e) : NULL;
    if (!entry) return false;
    entry->rounded = true;
    entry->sqnr_db = sqnr_db;
    entry->mu = mu;
    entry->rounding = rounding;
    return !c->settings->data_path || compare_accuracy(c, s, true, &entry->top1, e);
}

/* Natural plans of this very array: a sidecar's would bring its own representation. */
static bool reset_plans(weight_streams *s, error *e) {
    for (size_t i = 0; i < s->count; i++) {
        weight_stream *w = &s->items[i];
        hd_accelerator own = s->model.accelerator;
        hd_error h = {0};
        own.weight_bits = w->plan.accelerator.weight_bits;
        hd_plan_free(&w->plan);
        if (!hd_plan_init(&w->plan, &own, &w->shape, &h)) return from_hd(&h, e);
    }
    return true;
}

static bool run_array(comparison *c, int size, hd_representation representation, hd_encoding encoding,
                      error *e) {
    array_model model = c->loaded->model;
    hd_accelerator *a = &model.accelerator;
    weight_streams s = {0};
    a->rows = a->cols = size;
    a->representation = representation;
    a->encoding = encoding;
    bool good = weight_streams_load(&s, c->loaded->net, c->weights_path, &model, e) && reset_plans(&s, e) &&
                run_orders(c, &s, e);
    for (int i = 0; good && i < c->settings->sqnr_count; i++)
        good = run_trellis(c, &s, c->settings->sqnrs_db[i], e);
    weight_streams_free(&s);
    return good;
}

static bool prepare(comparison *c, error *e) {
    loaded_network *loaded = c->loaded;
    c->layer_count = loaded->streams.count;
    if (!network_view_create(&c->view, loaded->net, &loaded->model.accelerator, e)) return false;
    if (!c->settings->data_path) return true;
    int channels = network_input_shape(loaded->net).channels;
    return calibration_data_open(&c->data, loaded->net, c->settings->data_path, false, e) &&
           (c->valid = dataset_open(&c->data.options, DATA_VALID, channels, loaded->net->options.seed,
                                    network_memory_left(loaded->net, dataset_bytes(c->data.train)), e)) &&
           squared_effects(loaded->net, &loaded->streams, &c->view, visit_sample, &c->data,
                           c->settings->images, &c->importance, e);
}

/* Two's complement without encoding first: it is every array's 1x. */
bool comparison_run(comparison *c, error *e) {
    const hd_accelerator *own = &c->loaded->model.accelerator;
    const compare_settings *settings = c->settings;
    if (!prepare(c, e)) return false;
    for (int i = 0; i < settings->size_count; i++)
        for (int representation = 0; representation < HD_REPRESENTATION_COUNT; representation++)
            for (int encoding = 0; encoding < HD_ENCODING_COUNT; encoding++) {
                bool wanted =
                    (settings->both_representations || representation == (int)own->representation) &&
                    (settings->both_encodings || encoding == (int)own->encoding);
                bool baseline = representation == HD_TWOS_COMPLEMENT && encoding == HD_ENCODING_NONE;
                if ((wanted || baseline) &&
                    !run_array(c, settings->sizes[i], (hd_representation)representation,
                               (hd_encoding)encoding, e))
                    return false;
            }
    return true;
}
