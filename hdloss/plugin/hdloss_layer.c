/* The [hdloss] layer: passes its input through; once an update it adds the bit-flip loss's gradient to the
 * weights' and gives the loss, and it makes new words for the forward pass where those are trained. The
 * orders that it follows are solved anew from the current weights every few epochs, and are part of a run's
 * state. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "layers/external.h"
#include "trained_words.h"

typedef struct hdloss_layer {
    plugin *plugin;
    hdloss_settings settings;
    bool built;
    weight_streams streams;
    hd_loss_layer *losses;
    trained_words *trained; /* NULL: the forward pass uses the float weights */
    int64_t ordered_epoch;  /* the epoch at whose start the orders were solved, -1 never */
    double last_lambda, mu; /* at the last update, at the last trellis */
} hdloss_layer;

/* ---- the section ---- */
typedef struct option_reader {
    const char *(*option)(void *section, const char *key);
    void *section;
    error *e;
    bool good;
} option_reader;

/* One more line of mistakes. */
static void refuse(option_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(option_reader *r, const char *format, ...) {
    size_t used = r->good ? 0 : strlen(r->e->message), room = sizeof r->e->message;
    r->good = false;
    if (used && used + 1 < room) r->e->message[used++] = '\n';
    va_list pieces;
    va_start(pieces, format);
    (void)vsnprintf(r->e->message + used, room - used, format, pieces);
    va_end(pieces);
}

static double read_number(option_reader *r, const char *key, double fallback, double least, double most) {
    const char *text = r->option(r->section, key);
    if (!text) return fallback;
    char *end;
    double value = strtod(text, &end);
    if (end != text && *end == 0 && isfinite(value) && value >= least && value <= most) return value;
    refuse(r, "%s: \"%.80s\" is not a number from %g to %g", key, text, least, most);
    return fallback;
}

/* The place of the key's word in names (NULL-terminated), `fallback` when the key is absent. */
static int read_choice(option_reader *r, const char *key, const char *const *names, int fallback) {
    const char *text = r->option(r->section, key);
    if (!text) return fallback;
    char list[256] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) return i;
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    refuse(r, "%s: \"%.80s\" is not one of %s", key, text, list);
    return fallback;
}

static const char *const reorder_names[] = {"none", "direct", "segment", "both",
                                            NULL}; /* in the order of reorder_method */
static const char *const cost_names[] = {"flips", "energy", NULL};
static const char *const importance_names[] = {"signal", "gradient",
                                               NULL}; /* in the order of word_importance */
static const char *const surrogate_names[] = {"expected", "linear", NULL}; /* in the order of hd_surrogate */

static void read_settings(hdloss_settings *s, option_reader *r) {
    double implied = read_number(r, "hdloss", 0.0, 0.0, 1e9);
    s->lambda = read_number(r, "lambda", implied, 0.0, 1e9);
    s->ramp_epochs = read_number(r, "ramp_epochs", 1.0, 0.0, 1e6);
    s->sigma_start = read_number(r, "sigma_start", 4.0, .05, 64.0);
    s->sigma_end = read_number(r, "sigma_end", .7, .05, 64.0);
    s->by_energy = read_choice(r, "hd_cost", cost_names, 1) == 1;
    s->surrogate = (hd_surrogate)read_choice(r, "surrogate", surrogate_names, HD_SURROGATE_EXPECTED);
    s->reorder = (reorder_method)read_choice(r, "reorder", reorder_names, REORDER_BOTH);
    s->reorder_every = (int)read_number(r, "reorder_every", 0, 0, 1e6);
    s->train_mu = read_number(r, "train_mu", 0.0, 0.0, 1e12);
    s->sum_cost = read_number(r, "sum_cost", 0.0, 0.0, 1e6);
    s->importance = (word_importance)read_choice(r, "importance", importance_names, IMPORTANCE_SIGNAL);
    s->trellis_every = (int)read_number(r, "trellis_every", 8.0, 1.0, 1e6);
    s->pull = read_number(r, "pull", 0.0, 0.0, 1e6);
    s->round_mu = read_number(r, "round_mu", 0.0, 0.0, 1e12);
    s->round_every = (int)read_number(r, "round_every", 1, 1, 1e6);
    const char *accelerator = r->option(r->section, "accelerator");
    if (accelerator) (void)snprintf(s->accelerator, sizeof s->accelerator, "%s", accelerator);
}

static bool create(void *user, const char *(*option)(void *section, const char *key), void *section,
                   void **state, darknet_error *e) {
    hdloss_layer *own = calloc(1, sizeof *own);
    if (!own) return error_set(e, "out of memory");
    *state = own;
    own->plugin = user;
    own->ordered_epoch = -1;
    option_reader r = {.option = option, .section = section, .e = e, .good = true};
    read_settings(&own->settings, &r);
    return r.good;
}

static void destroy(void *state) {
    hdloss_layer *own = state;
    if (own) trained_words_destroy(own->trained);
    if (own) weight_streams_free(&own->streams);
    if (own) free(own->losses);
    free(own);
}

/* ---- the loss ---- */
static bool build(hdloss_layer *own, network *net, error *e) {
    array_model model;
    if (!array_model_of(own->plugin, net, &model, e) || !weight_streams_create(&own->streams, net, &model, e))
        return false;
    own->losses = calloc(own->streams.count ? own->streams.count : 1, sizeof *own->losses);
    if (!own->losses) return error_set(e, "out of memory");
    for (size_t i = 0; i < own->streams.count; i++) {
        weight_stream *w = &own->streams.items[i];
        darknet_parameter weights;
        hd_error h = {0};
        (void)layer_get_parameter(w->layer, "weights", &weights);
        own->losses[i] = (hd_loss_layer){.plan = &w->plan,
                                         .weights = weights.values,
                                         .scales = w->scales,
                                         .emphasis = w->emphasis,
                                         .gradient = weights.gradient};
        if (!hd_bit_costs(own->settings.by_energy ? &model.table : NULL, &w->plan, own->losses[i].bit_costs,
                          &h))
            return from_hd(&h, e);
    }
    if (own->settings.train_mu > 0.0 &&
        !(own->trained = trained_words_create(&own->streams, own->settings.by_energy,
                                              own->settings.importance == IMPORTANCE_GRADIENT,
                                              own->settings.sum_cost, e)))
        return false;
    own->built = true;
    return true;
}

/* Whether the orders are to be solved anew; they count as solved from here on. */
static bool orders_are_due(hdloss_layer *own, double epoch) {
    const hdloss_settings *s = &own->settings;
    if (s->reorder_every == 0) return false;
    int64_t now = (int64_t)floor(epoch);
    if (own->ordered_epoch >= 0 && now < own->ordered_epoch + s->reorder_every) return false;
    own->ordered_epoch = now;
    return true;
}

/* The trellis begins gently, at a hundred times the mu, and reaches it when the ramp ends. */
static double mu_now(const hdloss_settings *s, double epoch) {
    double share = s->ramp_epochs > 0.0 ? fmin(1.0, epoch / s->ramp_epochs) : 1.0;
    return s->train_mu * pow(100.0, 1.0 - share);
}

static bool refresh_words(hdloss_layer *own, const network *net, size_t images, double epoch, error *e) {
    const hdloss_settings *s = &own->settings;
    trained_words *t = own->trained;
    bool first = t->age < 0;
    trained_words_watch(t);
    if (!first && s->pull > 0.0) trained_words_pull(t, s->pull, images);
    if (!first && ++t->age < s->trellis_every) return true;
    own->mu = mu_now(s, epoch);
    return trained_words_solve(t, own->mu, orders_are_due(own, epoch), network_threads(net), e) &&
           (!first || trained_words_attach(t, e));
}

/* Geometric from sigma_start to sigma_end, in 20 steps, so that the table of probabilities is made seldom. */
static double sigma_now(const hdloss_settings *s, double progress) {
    double share = floor(progress * 20.0) / 20.0;
    return s->sigma_start * pow(s->sigma_end / s->sigma_start, share);
}

/* *loss: lambda times the surrogate's. */
static bool surrogate_loss(hdloss_layer *own, const network *net, size_t images, double epoch,
                           double progress, double *loss, error *e) {
    const hdloss_settings *s = &own->settings;
    hd_error h = {0};
    double lambda = s->ramp_epochs > 0.0 ? s->lambda * fmin(1.0, epoch / s->ramp_epochs) : s->lambda;
    own->last_lambda = lambda;
    int threads = network_threads(net);
    if (!weight_streams_quantise(&own->streams, e) ||
        (!own->trained && orders_are_due(own, epoch) &&
         !weight_streams_reorder(&own->streams, true, threads, e)))
        return false;
    hd_loss_options options = {.surrogate = s->surrogate,
                               .sigma = sigma_now(s, progress),
                               .gradient_scale = -lambda * (double)images,
                               .threads = threads};
    if (!hd_loss(own->losses, own->streams.count, &options, loss, &h)) return from_hd(&h, e);
    *loss *= lambda;
    return true;
}

static bool regularize(void *state, network *net, size_t images, double epoch, double progress, double *loss,
                       error *e) {
    hdloss_layer *own = state;
    const hdloss_settings *s = &own->settings;
    *loss = 0.0;
    if (s->lambda <= 0.0 && s->train_mu <= 0.0) return true;
    return (own->built || build(own, net, e)) &&
           (!own->trained || refresh_words(own, net, images, epoch, e)) &&
           (s->lambda <= 0.0 || surrogate_loss(own, net, images, epoch, progress, loss, e));
}

/* ---- state: the epoch of the orders and the trellis's mu, then each layer's orders (epoch -1: none), then
 * the words ---- */
typedef struct state_head {
    int64_t ordered_epoch;
    double mu;
} state_head;

static size_t order_entries(const weight_stream *w) {
    return w->plan.orders ? w->plan.order_count * w->plan.order_length : 0;
}

static void *save(const void *state, size_t *bytes) {
    const hdloss_layer *own = state;
    size_t entries = 0;
    for (size_t i = 0; own->built && i < own->streams.count; i++)
        entries += order_entries(&own->streams.items[i]);
    bool words = own->trained && own->trained->age >= 0;
    *bytes =
        sizeof(state_head) + entries * sizeof(uint32_t) + (words ? trained_words_bytes(own->trained) : 0);
    char *data = malloc(*bytes), *place = data;
    if (!data) return NULL;
    state_head head = {.ordered_epoch = entries ? own->ordered_epoch : -1, .mu = own->mu};
    memcpy(place, &head, sizeof head);
    place += sizeof head;
    for (size_t i = 0; entries && i < own->streams.count; i++) {
        size_t part = order_entries(&own->streams.items[i]) * sizeof(uint32_t);
        memcpy(place, own->streams.items[i].plan.orders, part);
        place += part;
    }
    if (words) trained_words_save(own->trained, place);
    return data;
}

static bool load_orders(hdloss_layer *own, const char **place, size_t *bytes, error *e) {
    for (size_t i = 0; i < own->streams.count; i++) {
        hd_plan *plan = &own->streams.items[i].plan;
        size_t part = plan->order_count * plan->order_length * sizeof(uint32_t);
        hd_error h = {0};
        uint32_t *orders = malloc(part);
        bool good = orders && part <= *bytes;
        if (good) memcpy(orders, *place, part);
        good = good && hd_plan_set_orders(plan, orders, &h);
        free(orders);
        if (!good) return error_set(e, "the state of [hdloss] does not fit this network: %s", h.message);
        *place += part;
        *bytes -= part;
    }
    return true;
}

static bool load(void *state, network *net, const void *data, size_t bytes, darknet_error *e) {
    hdloss_layer *own = state;
    const char *place = data;
    state_head head;
    if (bytes < sizeof head) return error_set(e, "the state of [hdloss] is too short");
    if (own->settings.lambda <= 0.0 && own->settings.train_mu <= 0.0) return true;
    if (!own->built && !build(own, net, e)) return false;
    memcpy(&head, place, sizeof head);
    place += sizeof head;
    bytes -= sizeof head;
    own->ordered_epoch = head.ordered_epoch;
    own->mu = head.mu;
    if (head.ordered_epoch >= 0 && !load_orders(own, &place, &bytes, e)) return false;
    if (own->trained && bytes == trained_words_bytes(own->trained)) {
        trained_words_load(own->trained, place);
        return trained_words_attach(own->trained, e);
    }
    return bytes == 0 ? true : error_set(e, "the state of [hdloss] belongs to another network");
}

void hdloss_layer_type_fill(plugin *p, darknet_layer_type *type) {
    (void)p;
    *type = (darknet_layer_type){.name = "hdloss",
                                 .implied_by = "hdloss",
                                 .create = create,
                                 .regularize = regularize,
                                 .destroy = destroy,
                                 .save = save,
                                 .load = load};
}

static hdloss_layer *find(const network *net) {
    for (int i = 0; i < net->layer_count; i++) {
        void *state;
        const darknet_layer_type *type = external_type(&net->layers[i], &state);
        if (type && type->create == create) return state;
    }
    return NULL;
}

const hdloss_settings *hdloss_settings_of(const network *net) {
    const hdloss_layer *own = find(net);
    return own ? &own->settings : NULL;
}

double hdloss_layer_value(const network *net, int index) {
    const hdloss_layer *own = find(net);
    if (!own || !own->built) return NAN;
    for (size_t i = 0; i < own->streams.count; i++)
        if (own->streams.items[i].index == index) return own->last_lambda * own->losses[i].value;
    return NAN;
}

bool hdloss_layer_give_words(const network *net, weight_streams *streams, bool *trained, error *e) {
    hdloss_layer *own = find(net);
    *trained = own && own->trained && own->trained->age >= 0;
    if (!*trained) return true;
    int64_t age = own->trained->age;
    if (!trained_words_solve(own->trained, own->mu, false, network_threads(net), e)) return false;
    own->trained->age = age;
    trained_words_give(own->trained, streams);
    return true;
}

bool hdloss_layer_give_orders(const network *net, weight_streams *streams, error *e) {
    return trained_words_give_orders(find(net)->trained, streams, e);
}
