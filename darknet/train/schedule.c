/* Learning-rate schedules: see schedule.h. */
#include "train/schedule.h"

#include <math.h>

#include "core/random.h"

static double steps_rate(const net_options *o, double batch) {
    double rate = o->learning_rate;
    for (size_t i = 0; i < o->step_count && batch >= o->steps[i]; i++) rate *= o->scales[i];
    return rate;
}

/* Cosine from the full rate to the smallest, which the cycle's last update has; cycles grow by the multiplier
 * (Loshchilov and Hutter, SGDR, 2017). */
static double cosine_rate(const net_options *o, double batch) {
    double start = 0.0, cycle = (double)(o->sgdr_cycle ? o->sgdr_cycle : o->max_batches);
    if (cycle <= 0.0) return o->learning_rate;
    if (!o->sgdr_cycle && batch >= cycle) return o->sgdr_minimum;
    while (batch > start + cycle) {
        start += cycle;
        cycle *= o->sgdr_multiplier;
    }
    double share = (batch - start) / cycle;
    return o->sgdr_minimum +
           (o->learning_rate - o->sgdr_minimum) / 2.0 * (1.0 + cos(3.14159265358979323846 * share));
}

double schedule_rate(const net_options *o, uint64_t batch_number) {
    double batch = (double)batch_number, rate = o->learning_rate;
    if (o->burn_in && batch < o->burn_in) return rate * pow(batch / o->burn_in, o->power);
    switch (o->policy) {
    case POLICY_CONSTANT:
        return rate;
    case POLICY_STEP:
        return rate * pow(o->scale, floor(batch / o->step));
    case POLICY_STEPS:
        return steps_rate(o, batch);
    case POLICY_EXP:
        return rate * pow(o->gamma, batch);
    case POLICY_POLY:
        return o->max_batches > 0 ? rate * pow(fmax(1.0 - batch / (double)o->max_batches, 0.0), o->power)
                                  : rate;
    case POLICY_RANDOM:
        return rate * pow((double)random_to_unit(random_hash(o->seed, 0x72617465, batch_number)), o->power);
    case POLICY_SIGMOID:
        return rate / (1.0 + exp(o->gamma * (batch - o->step)));
    case POLICY_SGDR:
        return cosine_rate(o, batch);
    }
    return rate;
}
