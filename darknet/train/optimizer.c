/* The step: see optimizer.h. SGD after Darknet's update rule; Adam: Kingma and Ba, 2015. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"

bool optimizer_create(optimizer *o, network *net, error *e) {
    *o = (optimizer){.net = net};
    size_t count = net->parameter_total;
    o->velocity = memory_allocate_zeroed(count, sizeof(float));
    if (net->options.adam) o->second = memory_allocate_zeroed(count, sizeof(float));
    if (net->options.ema > 0.0) o->average = memory_allocate(count, sizeof(float));
    if (!o->velocity || (net->options.adam && !o->second) || (net->options.ema > 0.0 && !o->average)) {
        optimizer_destroy(o);
        return error_set(e, "out of memory for the optimiser's state of %zu parameters", count);
    }
    if (o->average) memcpy(o->average, net->values, count * sizeof(float));
    return true;
}

void optimizer_destroy(optimizer *o) {
    memory_free(o->velocity);
    memory_free(o->second);
    memory_free(o->average);
    *o = (optimizer){0};
}

typedef struct step_rule {
    float rate, momentum, decay; /* rate is per summed gradient; decay too */
    float beta1, beta2, epsilon, correction1, correction2, images;
} step_rule;

static void sgd(float *w, const float *gradient, float *u, size_t count, const step_rule *r, bool nesterov) {
    for (size_t i = 0; i < count; i++) {
        float d = gradient[i] - r->decay * w[i];
        u[i] = r->momentum * u[i] + d;
        w[i] += r->rate * (nesterov ? d + r->momentum * u[i] : u[i]);
    }
}

static void adam(float *w, const float *gradient, float *first, float *second, size_t count,
                 const step_rule *r) {
    for (size_t i = 0; i < count; i++) {
        float d = (gradient[i] - r->decay * w[i]) / r->images;
        first[i] = r->beta1 * first[i] + (1.0f - r->beta1) * d;
        second[i] = r->beta2 * second[i] + (1.0f - r->beta2) * d * d;
        w[i] += r->rate * (first[i] / r->correction1) / (sqrtf(second[i] / r->correction2) + r->epsilon);
    }
}

static void hold_within(float *w, size_t count, float most) {
    for (size_t i = 0; i < count; i++) w[i] = w[i] > most ? most : w[i] < -most ? -most : w[i];
}

static void step_parameter(optimizer *o, const layer *l, const parameter *p, step_rule rule) {
    network *net = o->net;
    const net_options *options = &net->options;
    size_t place = (size_t)(p->values - net->values);
    rule.rate *= l->learning_rate_factor;
    if (!p->decays) rule.decay = 0.0f;
    if (options->adam)
        adam(p->values, p->gradient, o->velocity + place, o->second + place, p->count, &rule);
    else
        sgd(p->values, p->gradient, o->velocity + place, p->count, &rule, options->nesterov);
    if (p->decays && l->clip > 0.0f) hold_within(p->values, p->count, l->clip);
}

static void move_average(optimizer *o) {
    double steps = (double)o->steps, decay = fmin(o->net->options.ema, (1.0 + steps) / (10.0 + steps));
    float keep = (float)decay, take = (float)(1.0 - decay);
    float *average = o->average;
    const float *values = o->net->values;
    for (size_t i = 0; i < o->net->parameter_total; i++) average[i] = keep * average[i] + take * values[i];
}

void optimizer_step(optimizer *o, double rate, size_t images) {
    const net_options *options = &o->net->options;
    o->steps++;
    double steps = (double)o->steps, n = (double)images;
    step_rule rule = {.rate = (float)(options->adam ? rate : rate / n),
                      .momentum = (float)options->momentum,
                      .decay = (float)(options->decay * n),
                      .beta1 = (float)options->beta1,
                      .beta2 = (float)options->beta2,
                      .epsilon = (float)options->adam_epsilon,
                      .correction1 = (float)(1.0 - pow(options->beta1, steps)),
                      .correction2 = (float)(1.0 - pow(options->beta2, steps)),
                      .images = (float)images};
#pragma omp parallel for num_threads(o->net->threads) schedule(dynamic, 1)
    for (int i = 0; i < o->net->layer_count; i++) {
        const layer *l = &o->net->layers[i];
        for (int j = 0; j < l->parameter_count; j++)
            if (l->parameters[j].gradient) step_parameter(o, l, &l->parameters[j], rule);
    }
    network_clear_gradients(o->net);
    if (o->average) move_average(o);
}

void optimizer_swap_average(optimizer *o) {
    if (!o->average) return;
    float *values = o->net->values, *average = o->average;
    for (size_t i = 0; i < o->net->parameter_total; i++) {
        float value = values[i];
        values[i] = average[i];
        average[i] = value;
    }
}
