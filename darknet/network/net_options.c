/* [net]: the keys of the first section. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "network/network.h"

static const struct {
    const char *name;
    learning_policy policy;
} policies[] = {{"constant", POLICY_CONSTANT}, {"step", POLICY_STEP},   {"steps", POLICY_STEPS},
                {"exp", POLICY_EXP},           {"poly", POLICY_POLY},   {"random", POLICY_RANDOM},
                {"sigmoid", POLICY_SIGMOID},   {"sig", POLICY_SIGMOID}, {"sgdr", POLICY_SGDR}};

static const char *const norm_forms[] = {"darknet", "exact", "alexey"}; /* in the order of batch_norm_form */

static learning_policy parse_policy(const cfg_section *s, diagnostics *d) {
    enum { COUNT = sizeof policies / sizeof policies[0] };
    const char *name = section_string(s, "policy", "constant"), *names[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(policies[i].name, name) == 0) return policies[i].policy;
        names[i] = policies[i].name;
    }
    const char *closest = closest_name(name, names, COUNT);
    diagnostics_error(
        d,
        LAYER_AT "policy: \"%s\" is not one of constant, step, steps, exp, poly, random, sigmoid, sgdr%s%s%s",
        section_path(s), section_key_line(s, "policy"), name, closest ? "; did you mean \"" : "",
        closest ? closest : "", closest ? "\"?" : "");
    return POLICY_CONSTANT;
}

static void parse_steps(const cfg_section *s, net_options *o, diagnostics *d) {
    size_t steps = section_int_list(s, "steps", &o->steps, d);
    size_t scales = section_number_list(s, "scales", &o->scales, d);
    if (o->policy == POLICY_STEPS && (steps == 0 || steps != scales))
        diagnostics_error(d, LAYER_AT "steps: policy=steps wants as many steps as scales, here %zu and %zu",
                          section_path(s), section_key_line(s, "steps"), steps, scales);
    o->step_count = steps < scales ? steps : scales;
}

static void parse_schedule(const cfg_section *s, net_options *o, diagnostics *d) {
    o->learning_rate = section_number(s, "learning_rate", .001, 0.0, 1e6, d);
    o->momentum = section_number(s, "momentum", .9, 0.0, 1.0, d);
    o->decay = section_number(s, "decay", .0001, 0.0, 1e6, d);
    o->policy = parse_policy(s, d);
    o->burn_in = section_int(s, "burn_in", 0, 0, 1 << 30, d);
    o->power = section_number(s, "power", 4.0, -1e6, 1e6, d);
    o->step = section_int(s, "step", 1, 1, 1 << 30, d);
    o->scale = section_number(s, "scale", 1.0, 0.0, 1e6, d);
    o->gamma = section_number(s, "gamma", 1.0, 0.0, 1e6, d);
    parse_steps(s, o, d);
    o->max_batches = section_int(s, "max_batches", 0, 0, 1 << 30, d);
    o->epochs = section_int(s, "epochs", 0, 0, 1 << 20, d);
    o->keep = section_int(s, "keep", 3, 1, 1 << 20, d);
    o->sgdr_minimum = section_number(s, "learning_rate_min", 1e-5, 0.0, 1e6, d);
    o->sgdr_cycle = section_int(s, "sgdr_cycle", 0, 0, 1 << 30, d);
    o->sgdr_multiplier = section_number(s, "sgdr_mult", 2.0, 1.0, 1e6, d);
    o->adam = section_flag(s, "adam", false, d);
    o->beta1 = section_number(s, "B1", .9, 0.0, 1.0, d);
    o->beta2 = section_number(s, "B2", .999, 0.0, 1.0, d);
    o->adam_epsilon = section_number(s, "eps", 1e-7, 0.0, 1.0, d);
    o->nesterov = section_flag(s, "nesterov", false, d);
    o->clip = section_number(s, "clip", 0.0, 0.0, 1e9, d);
    o->ema = section_number(s, "ema", 0.0, 0.0, .9999999, d);
}

/* A list of one number or one per channel, spread over the channels. NULL when the key is absent. */
static float *per_channel(const cfg_section *s, const char *key, int channels, diagnostics *d) {
    double *values = NULL;
    size_t count = section_number_list(s, key, &values, d);
    float *spread = NULL;
    if (count == 1 || count == (size_t)channels) {
        spread = malloc((size_t)channels * sizeof *spread);
        for (int c = 0; spread && c < channels; c++) spread[c] = (float)values[count == 1 ? 0 : c];
    } else if (count) {
        diagnostics_error(d, LAYER_AT "%s: has %zu values; 1 or %d (channels) are wanted", section_path(s),
                          section_key_line(s, key), key, count, channels);
    }
    free(values);
    return spread;
}

/* mixup, cutmix, mosaic are probabilities. Cfgs that switch on several by 1 mean that each takes its turn. */
static void parse_mixing(const cfg_section *s, net_options *o, diagnostics *d) {
    o->mixup = (float)section_number(s, "mixup", 0.0, 0.0, 1.0, d);
    o->cutmix = (float)section_number(s, "cutmix", 0.0, 0.0, 1.0, d);
    o->mosaic = (float)section_number(s, "mosaic", 0.0, 0.0, 1.0, d);
    o->blur = (float)section_number(s, "blur", 0.0, 0.0, 64.0, d);
    float sum = o->mixup + o->cutmix + o->mosaic;
    if (sum <= 1.0f) return;
    o->mixup /= sum;
    o->cutmix = fminf(o->cutmix / sum, 1.0f - o->mixup);
    o->mosaic = fminf(o->mosaic / sum, fmaxf(0.0f, 1.0f - o->mixup - o->cutmix));
}

static void parse_augmentation(const cfg_section *s, net_options *o, diagnostics *d) {
    int width = o->width;
    bool has_ratio = section_has(s, "max_ratio") || section_has(s, "min_ratio");
    o->max_crop = section_int(s, "max_crop", width * 2, 1, 1 << 16, d);
    o->min_crop = section_int(s, "min_crop", width, 1, 1 << 16, d);
    double max_ratio =
        section_number(s, "max_ratio", width ? (double)o->max_crop / width : 1.0, .01, 100.0, d);
    double min_ratio =
        section_number(s, "min_ratio", width ? (double)o->min_crop / width : 1.0, .01, 100.0, d);
    if (has_ratio && !section_has(s, "max_crop")) o->max_crop = (int)(max_ratio * width);
    if (has_ratio && !section_has(s, "min_crop")) o->min_crop = (int)(min_ratio * width);
    if (o->min_crop > o->max_crop)
        diagnostics_error(d, LAYER_AT "min_crop: %d is larger than max_crop %d", section_path(s),
                          section_key_line(s, "min_crop"), o->min_crop, o->max_crop);
    o->pad_crop = section_int(s, "pad_crop", 0, 0, 1024, d);
    o->angle = (float)section_number(s, "angle", 0.0, 0.0, 360.0, d);
    o->aspect = (float)section_number(s, "aspect", 1.0, .01, 100.0, d);
    o->saturation = (float)section_number(s, "saturation", 1.0, .01, 100.0, d);
    o->exposure = (float)section_number(s, "exposure", 1.0, .01, 100.0, d);
    o->hue = (float)section_number(s, "hue", 0.0, 0.0, 1.0, d);
    o->flip = section_flag(s, "flip", true, d);
    o->center = section_flag(s, "center", false, d);
    parse_mixing(s, o, d);
    o->label_smooth_eps = (float)section_number(s, "label_smooth_eps", 0.0, 0.0, 1.0, d);
    o->mean = per_channel(s, "mean", o->channels, d);
    o->deviation = per_channel(s, "std", o->channels, d);
    for (int c = 0; o->deviation && c < o->channels; c++)
        if (!(o->deviation[c] > 0.0f)) {
            diagnostics_error(d, LAYER_AT "std: must be above 0", section_path(s),
                              section_key_line(s, "std"));
            break;
        }
}

static batch_norm_form parse_norm_form(const cfg_section *s, diagnostics *d) {
    const char *name = section_string(s, "bn", norm_forms[0]);
    for (int i = 0; i < 3; i++)
        if (strcmp(name, norm_forms[i]) == 0) return (batch_norm_form)i;
    diagnostics_error(d, LAYER_AT "bn: \"%s\" is not one of darknet, exact, alexey", section_path(s),
                      section_key_line(s, "bn"), name);
    return BATCH_NORM_DARKNET;
}

static void parse_shape(const cfg_section *s, net_options *o, diagnostics *d) {
    size_t mistakes = diagnostics_error_count(d);
    o->height = section_int(s, "height", 0, 0, 1 << 15, d);
    o->width = section_int(s, "width", 0, 0, 1 << 15, d);
    o->channels = section_int(s, "channels", 0, 0, 1 << 15, d);
    int inputs = section_int(s, "inputs", 0, 0, 1 << 28, d);
    if (!o->height && !o->width && !o->channels && inputs) {
        o->height = o->width = 1;
        o->channels = inputs;
    }
    size_t values = layer_product((size_t)o->height * (size_t)o->width, (size_t)o->channels);
    if (values > LAYER_MOST_VALUES) {
        diagnostics_error(
            d, LAYER_AT "height, width, channels: an input of %dx%dx%d is too large: at most %zu values",
            section_path(s), section_line(s), o->width, o->height, o->channels, LAYER_MOST_VALUES);
        o->height = o->width = o->channels = 1;
    }
    if (o->height && o->width && o->channels) return;
    if (diagnostics_error_count(d) == mistakes)
        diagnostics_error(
            d, LAYER_AT "height, width, channels: all three are wanted (or inputs), here %d, %d, %d",
            section_path(s), section_line(s), o->height, o->width, o->channels);
    o->height = o->height ? o->height : 1;
    o->width = o->width ? o->width : 1;
    o->channels = o->channels ? o->channels : 1;
}

void net_options_parse(const cfg_section *s, net_options *o, diagnostics *d) {
    *o = (net_options){0};
    static const char *const ignored[] = {"time_steps", "notruth", "random", "decay_schedule"};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) (void)section_string(s, ignored[i], NULL);
    o->batch = section_int(s, "batch", 1, 1, 1 << 20, d);
    o->subdivisions = section_int(s, "subdivisions", 1, 1, 1 << 20, d);
    if (o->batch % o->subdivisions != 0) {
        diagnostics_error(d, LAYER_AT "subdivisions: %d does not divide batch %d", section_path(s),
                          section_key_line(s, "subdivisions"), o->subdivisions, o->batch);
        o->subdivisions = 1;
    }
    parse_shape(s, o, d);
    parse_schedule(s, o, d);
    parse_augmentation(s, o, d);
    o->bn = parse_norm_form(s, d);
    o->bfloat16 = section_flag(s, "bfloat16", false, d);
    if (o->bfloat16 && !bfloat16_is_there())
        diagnostics_warning(d,
                            LAYER_AT
                            "bfloat16: this processor does not multiply bfloat16 (AVX512-BF16): products "
                            "stay in float32",
                            section_path(s), section_key_line(s, "bfloat16"));
    o->seed = (uint64_t)section_int(s, "seed", 0, 0, 0x7fffffff, d);
}

void net_options_free(net_options *o) {
    free(o->steps);
    free(o->scales);
    free(o->mean);
    free(o->deviation);
    *o = (net_options){0};
}
