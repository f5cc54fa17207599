/* The reference network: cfg text, parameters, passes and steps. See reference_network.h. */
#include "reference_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_internal.h"

reference_layer *reference_layer_at(const reference_network *net, int i) {
    return &net->layers[i + 1];
}

reference_layer *reference_input(const reference_layer *l, int k) {
    return reference_layer_at(l->net, l->inputs[k]);
}

size_t reference_size(const reference_layer *l) {
    return (size_t)l->c * (size_t)l->h * (size_t)l->w;
}

bool reference_is(const reference_layer *l, const char *type) {
    return strcmp(l->type, type) == 0;
}

const char *reference_text(const reference_layer *l, const char *key, const char *fallback) {
    for (int i = 0; i < l->key_count; i++)
        if (strcmp(l->keys[i][0], key) == 0) return l->keys[i][1];
    return fallback;
}

double reference_number(const reference_layer *l, const char *key, double fallback) {
    const char *text = reference_text(l, key, NULL);
    return text ? strtod(text, NULL) : fallback;
}

int reference_int(const reference_layer *l, const char *key, int fallback) {
    return (int)reference_number(l, key, fallback);
}

reference_array *reference_find(const reference_layer *l, const char *name) {
    const reference_layer *owner = l->owner ? l->owner : l;
    for (int i = 0; i < owner->array_count; i++)
        if (strcmp(owner->arrays[i].name, name) == 0) return (reference_array *)&owner->arrays[i];
    return NULL;
}

/* ---- cfg text ---- */

static void take_line(reference_layer *l, const char *line) {
    const char *equals = strchr(line, '=');
    if (!equals || l->key_count == REFERENCE_MOST_KEYS) fail_msg("reference: \"%s\"", line);
    char(*key)[96] = l->keys[l->key_count++];
    (void)snprintf(key[0], sizeof key[0], "%.*s", (int)(equals - line), line);
    (void)snprintf(key[1], sizeof key[1], "%s", equals + 1);
}

static int count_sections(const char *text) {
    int count = 0;
    for (const char *at = text; *at; at++) count += *at == '[' && (at == text || at[-1] == '\n');
    return count;
}

static void read_text(reference_network *net, const char *text) {
    int section = -1;
    char line[256];
    while (*text) {
        size_t used = 0, length = strcspn(text, "\n");
        for (size_t i = 0; i < length && used + 1 < sizeof line; i++)
            if (text[i] != ' ' && text[i] != '\t') line[used++] = text[i];
        line[used] = 0;
        text += length + (text[length] != 0);
        if (line[0] == 0 || line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[') {
            section++;
            (void)snprintf(net->layers[section].type, sizeof net->layers[section].type, "%.*s",
                           (int)strcspn(line + 1, "]"), line + 1);
        } else {
            take_line(&net->layers[section], line);
        }
    }
}

static void read_options(reference_network *net) {
    reference_layer *first = &net->layers[0];
    const char *form = reference_text(first, "bn", "darknet");
    bool alexey = strcmp(form, "alexey") == 0;
    net->momentum = reference_number(first, "momentum", .9);
    net->decay = reference_number(first, "decay", .0001);
    net->exact = strcmp(form, "exact") == 0;
    net->form_epsilon_inside = alexey ? 1e-5 : 0;
    net->form_epsilon_outside = alexey ? 0 : 1e-6;
    net->keep = alexey ? .9 : .99;
    first->c = reference_int(first, "channels", 0);
    first->h = reference_int(first, "height", 1);
    first->w = reference_int(first, "width", 1);
    if (!first->c) first->c = reference_int(first, "inputs", 1);
}

static double *zeros(size_t count) {
    double *values = calloc(count ? count : 1, sizeof *values);
    assert_non_null(values);
    return values;
}

static void allocate(reference_layer *l) {
    size_t batch = (size_t)l->net->batch, outputs = batch * reference_size(l),
           staged = batch * (size_t)l->sc * (size_t)l->sh * (size_t)l->sw;
    l->out = zeros(outputs);
    l->delta = zeros(outputs);
    l->x = zeros(staged);
    l->z = zeros(staged);
    l->a = zeros(staged);
    l->stage_delta = zeros(staged);
    l->mean = zeros((size_t)l->sc);
    l->variance = zeros((size_t)l->sc);
    l->winner = calloc(staged > outputs ? staged : outputs, sizeof *l->winner);
    for (int j = 0; j < l->array_count; j++) {
        reference_array *a = &l->arrays[j];
        a->values = zeros(a->count);
        a->gradient = zeros(a->count);
        a->velocity = zeros(a->count);
    }
    reference_array *weights = reference_find(l, "weights");
    if (weights) l->weights_used = zeros(weights->count);
    if (l->index >= 0) l->signs = zeros(batch * reference_size(reference_input(l, 0)));
}

static void freeze(reference_network *net) {
    int last = -1;
    for (int i = 0; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        if (reference_int(l, "stopbackward", 0)) last = i;
        l->frozen = reference_int(l, "onlyforward", 0);
    }
    for (int i = 0; i <= last; i++) reference_layer_at(net, i)->frozen = true;
}

reference_network *reference_create(const char *cfg_text, int batch) {
    reference_network *net = calloc(1, sizeof *net);
    assert_non_null(net);
    net->batch = batch;
    net->count = count_sections(cfg_text) - 1;
    net->layers = calloc((size_t)net->count + 1, sizeof *net->layers);
    assert_non_null(net->layers);
    read_text(net, cfg_text);
    read_options(net);
    for (int i = -1; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        l->net = net;
        l->index = i;
        l->inputs[0] = i - 1;
        l->input_count = i >= 0;
        if (i >= 0) reference_set_up(l);
        if (l->sc == 0) {
            l->sc = l->c;
            l->sh = l->h;
            l->sw = l->w;
        }
        allocate(l);
    }
    freeze(net);
    return net;
}

void reference_destroy(reference_network *net) {
    for (int i = -1; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        double *memory[] = {l->out,      l->delta,        l->x,    l->z, l->a, l->stage_delta, l->mean,
                            l->variance, l->weights_used, l->signs};
        for (size_t j = 0; j < sizeof memory / sizeof *memory; j++) free(memory[j]);
        free(l->winner);
        for (int j = 0; j < l->array_count; j++) {
            free(l->arrays[j].values);
            free(l->arrays[j].gradient);
            free(l->arrays[j].velocity);
        }
    }
    free(net->layers);
    free(net);
}

int reference_layer_count(const reference_network *net) {
    return net->count;
}

size_t reference_inputs(const reference_network *net) {
    return reference_size(&net->layers[0]);
}

size_t reference_outputs(const reference_network *net, int i) {
    return reference_size(reference_layer_at(net, i));
}

const double *reference_output(const reference_network *net, int i) {
    return reference_layer_at(net, i)->out;
}

/* ---- parameters ---- */

/* What a [shortcut] adds is small, so that a hundred of them do not blow rounding up. */
static bool is_branch(const reference_layer *l) {
    return l->index + 1 < l->net->count && reference_is(reference_layer_at(l->net, l->index + 1), "shortcut");
}

/* In (-1, 1), by a linear congruential generator of 64 bits. */
static double next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / (double)(UINT64_C(1) << 30) - 1.0;
}

static double random_value(const reference_array *a, size_t fan_in, uint64_t *state) {
    double r = next_random(state);
    if (strcmp(a->name, "scales") == 0) return .6 + .3 * r;
    if (strcmp(a->name, "rolling_variance") == 0) return 1 + .6 * r;
    if (strcmp(a->name, "weights") == 0) return r * sqrt(6.0 / (double)fan_in);
    return .3 * r;
}

/* Filters of a [shortcut] are factors, all others sum over their inputs. */
static size_t fan_in_of(const reference_layer *l, const reference_array *a) {
    if (reference_is(l, "shortcut")) return 6;
    if (reference_is(l, "deconvolutional")) return 4 * (size_t)reference_input(l, 0)->c;
    size_t filters = reference_is(l, "local") ? reference_size(l) : (size_t)l->sc;
    return a->count / filters;
}

void reference_randomize(reference_network *net, unsigned seed) {
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        for (int j = 0; j < l->array_count; j++) {
            reference_array *a = &l->arrays[j];
            double share = strcmp(a->name, "scales") == 0 && is_branch(l) ? .2 : 1;
            size_t fan_in = strcmp(a->name, "weights") == 0 ? fan_in_of(l, a) : 1;
            for (size_t k = 0; a->in_file && k < a->count; k++)
                a->values[k] = (double)(float)(random_value(a, fan_in ? fan_in : 1, &state) * share);
        }
    }
}

unsigned char *reference_weight_file(const reference_network *net, size_t *bytes) {
    size_t floats = 0, place = 20;
    for (int i = 0; i < net->count; i++)
        for (int j = 0; j < reference_layer_at(net, i)->array_count; j++)
            floats += reference_layer_at(net, i)->arrays[j].count;
    unsigned char *file = calloc(20 + floats, sizeof(float));
    assert_non_null(file);
    const int32_t version[3] = {0, 2, 0};
    memcpy(file, version, sizeof version);
    for (int i = 0; i < net->count; i++) {
        const reference_layer *l = reference_layer_at(net, i);
        for (int j = 0; j < l->array_count && !reference_int(l, "dontsave", 0); j++) {
            const reference_array *a = &l->arrays[j];
            size_t rows = a->transposed_rows, columns = rows ? a->count / rows : 0;
            for (size_t k = 0; a->in_file && k < a->count; k++, place += sizeof(float)) {
                float value = (float)a->values[rows ? k % columns * rows + k / columns : k];
                memcpy(file + place, &value, sizeof value);
            }
        }
    }
    *bytes = place;
    return file;
}

/* ---- passes ---- */

double reference_pass(reference_network *net, const float *images, const float *truth) {
    size_t batch = (size_t)net->batch;
    net->training = truth != NULL;
    net->truth = truth;
    net->loss = 0;
    net->losses = 0;
    for (size_t i = 0; i < batch * reference_inputs(net); i++) net->layers[0].out[i] = (double)images[i];
    for (int i = 0; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        memset(l->delta, 0, batch * reference_size(l) * sizeof *l->delta);
        reference_forward(l);
    }
    for (int i = net->count - 1; truth && i >= 0; i--) {
        reference_layer *l = reference_layer_at(net, i);
        if (reference_int(l, "stopbackward", 0)) break;
        if (!reference_int(l, "onlyforward", 0)) reference_backward(l);
    }
    return net->losses ? net->loss / net->losses : 0;
}

void reference_step(reference_network *net, double rate, int images) {
    for (int i = 0; i < net->count; i++) {
        reference_layer *l = reference_layer_at(net, i);
        double own_rate = rate * reference_number(l, "learning_rate", 1) / images;
        double most = reference_number(l, "clip", reference_number(&net->layers[0], "clip", 0));
        for (int j = 0; j < l->array_count; j++) {
            reference_array *a = &l->arrays[j];
            for (size_t k = 0; a->trained && !l->frozen && k < a->count; k++) {
                double decay = a->decays ? net->decay * images * a->values[k] : 0;
                a->velocity[k] = net->momentum * a->velocity[k] + a->gradient[k] - decay;
                a->values[k] += own_rate * a->velocity[k];
                if (a->decays && most > 0) a->values[k] = fmax(-most, fmin(most, a->values[k]));
            }
            memset(a->gradient, 0, a->count * sizeof *a->gradient);
        }
    }
}
