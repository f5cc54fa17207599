/* The reference network's backward passes: deltas are negative gradients, added to inputs' deltas. See
 * reference_network.h. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "reference_internal.h"
#include "reference_windows.h"

static size_t values_of(const reference_layer *l) {
    return (size_t)l->net->batch * reference_size(l);
}

static double *gradient_of(const reference_layer *l, const char *name) {
    reference_array *a = reference_find(l, name);
    return a ? a->gradient : NULL;
}

/* ---- what stands behind sums: from delta to that of x, in stage_delta ---- */

static void blur_back(reference_layer *l) {
    int kind = reference_int(l, "antialiasing", 0), size = kind == 1 ? 3 : 2, pad = kind == 1 ? 1 : 0;
    int stride = reference_int(l, "stride", 1);
    int stride_y = reference_int(l, "stride_y", stride), stride_x = reference_int(l, "stride_x", stride);
    memset(l->stage_delta, 0, (size_t)(l->net->batch * l->sc * l->sh * l->sw) * sizeof *l->stage_delta);
    for (int m = 0; m < l->net->batch * l->sc; m++)
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++)
                for (int i = 0; i < size * size; i++) {
                    int row = y * stride_y - pad + i / size, column = x * stride_x - pad + i % size;
                    if (row >= 0 && row < l->sh && column >= 0 && column < l->sw)
                        l->stage_delta[(m * l->sh + row) * l->sw + column] +=
                            reference_blur(kind, i) * l->delta[(m * l->h + y) * l->w + x];
                }
}

static void take_delta(reference_layer *l) {
    if (reference_int(l, "antialiasing", 0))
        blur_back(l);
    else
        memcpy(l->stage_delta, l->delta, values_of(l) * sizeof *l->delta);
}

static void activate_back(reference_layer *l, const char *fallback) {
    const char *activation = reference_text(l, "activation", fallback);
    size_t plane = (size_t)(l->sh * l->sw), stage = plane * (size_t)l->sc, batch = (size_t)l->net->batch;
    if (strcmp(activation, "normalize_channels") != 0) {
        for (size_t i = 0; i < batch * stage; i++) l->stage_delta[i] *= reference_slope(activation, l->z[i]);
        return;
    }
    for (size_t b = 0; b < batch; b++)
        for (size_t i = b * stage; i < b * stage + plane; i++) {
            double sum = 1e-4, along = 0;
            for (size_t c = 0; c < stage; c += plane) {
                sum += fmax(0, l->z[i + c]);
                along += l->stage_delta[i + c] * l->a[i + c];
            }
            for (size_t c = 0; c < stage; c += plane)
                l->stage_delta[i + c] = l->z[i + c] > 0 ? (l->stage_delta[i + c] - along) / sum : 0;
        }
}

/* One channel's sums of delta and of delta * (x - mean), then its gradient. */
static void normalize_channel_back(reference_layer *l, size_t c) {
    size_t batch = (size_t)l->net->batch, plane = (size_t)(l->sh * l->sw), channels = (size_t)l->sc;
    double n = (double)(batch * plane), v = l->variance[c], sum = 0, centred = 0;
    double scale = reference_find(l, "scales")->values[c];
    double deviation = sqrt(v + l->net->form_epsilon_inside) + l->net->form_epsilon_outside;
    for (size_t i = 0; i < batch * plane; i++) {
        size_t at = (i / plane * channels + c) * plane + i % plane;
        sum += l->stage_delta[at];
        centred += l->stage_delta[at] * (l->x[at] - l->mean[c]);
    }
    gradient_of(l, "scales")[c] += centred / deviation;
    for (size_t i = 0; i < batch * plane; i++) {
        size_t at = (i / plane * channels + c) * plane + i % plane;
        double d = l->stage_delta[at], x = l->x[at] - l->mean[c];
        if (l->net->exact)
            d = (d - sum / n) / deviation - x * centred / (deviation * deviation * sqrt(v) * (n - 1));
        else
            d = d / sqrt(v + 1e-5) - sum / n / sqrt(v + 1e-5) - x * centred / n * pow(v + 1e-5, -1.5);
        l->stage_delta[at] = scale * d;
    }
}

static void finish_back(reference_layer *l, const char *fallback) {
    size_t plane = (size_t)(l->sh * l->sw), stage = plane * (size_t)l->sc;
    const reference_array *biases = reference_find(l, "biases");
    bool by_value = biases && biases->count == stage && plane > 1;
    take_delta(l);
    activate_back(l, fallback);
    for (size_t i = 0; biases && i < (size_t)l->net->batch * stage; i++)
        biases->gradient[by_value ? i % stage : i / plane % (size_t)l->sc] += l->stage_delta[i];
    for (size_t c = 0; reference_find(l, "scales") && c < (size_t)l->sc; c++) normalize_channel_back(l, c);
}

/* ---- sums of weights ---- */

static void convolution(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    const double *source = reference_sources(l);
    bool binary = reference_int(l, "binary", 0) || reference_int(l, "xnor", 0),
         xnor = reference_int(l, "xnor", 0);
    const double *weights = binary ? l->weights_used : reference_find(l, "weights")->values;
    double *gradient = gradient_of(l, "weights");
    reference_windows w = reference_windows_of(l);
    finish_back(l, "logistic");
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0; k < l->sc; k++)
            for (int place = 0; place < l->sh * l->sw; place++) {
                double d = l->stage_delta[(b * l->sc + k) * l->sh * l->sw + place];
                for (int c = 0; c < w.channels; c++)
                    for (int i = 0; i < w.size * w.size; i++) {
                        int row, column, weight = (k * w.channels + c) * w.size * w.size + i;
                        if (!reference_window_cell(&w, place / l->sw, place % l->sw, i, &row, &column))
                            continue;
                        int at =
                            ((b * in->c + k / w.filters * w.channels + c) * in->h + row) * in->w + column;
                        gradient[weight] += d * source[at];
                        if (!xnor || fabs(in->out[at]) < 1) in->delta[at] += d * weights[weight];
                    }
            }
}

static void local(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    reference_array *weights = reference_find(l, "weights");
    reference_windows w = reference_windows_of(l);
    finish_back(l, "logistic");
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0; k < l->c; k++)
            for (int place = 0; place < l->h * l->w; place++) {
                double d = l->stage_delta[(b * l->c + k) * l->h * l->w + place];
                for (int c = 0; c < in->c; c++)
                    for (int i = 0; i < w.size * w.size; i++) {
                        int row, column, weight = ((place * l->c + k) * in->c + c) * w.size * w.size + i;
                        if (!reference_window_cell(&w, place / l->w, place % l->w, i, &row, &column))
                            continue;
                        int at = ((b * in->c + c) * in->h + row) * in->w + column;
                        weights->gradient[weight] += d * in->out[at];
                        in->delta[at] += d * weights->values[weight];
                    }
            }
}

static void connected(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    reference_array *weights = reference_find(l, "weights");
    size_t inputs = reference_size(in);
    finish_back(l, "logistic");
    for (size_t b = 0; b < (size_t)l->net->batch; b++)
        for (size_t k = 0; k < (size_t)l->c; k++)
            for (size_t i = 0; i < inputs; i++) {
                double d = l->stage_delta[b * (size_t)l->c + k];
                weights->gradient[k * inputs + i] += d * in->out[b * inputs + i];
                in->delta[b * inputs + i] += d * weights->values[k * inputs + i];
            }
}

static void deconvolution(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    reference_array *weights = reference_find(l, "weights");
    reference_windows w = reference_windows_of(l);
    finish_back(l, "logistic");
    for (int b = 0; b < l->net->batch; b++)
        for (int c = 0; c < in->c; c++)
            for (int place = 0; place < in->h * in->w; place++)
                for (int k = 0; k < l->c; k++)
                    for (int i = 0; i < w.size * w.size; i++) {
                        int row, column, weight = (c * l->c + k) * w.size * w.size + i,
                                         at = (b * in->c + c) * in->h * in->w + place;
                        if (!reference_window_cell(&w, place / in->w, place % in->w, i, &row, &column))
                            continue;
                        double d = l->stage_delta[((b * l->c + k) * l->h + row) * l->w + column];
                        weights->gradient[weight] += d * in->out[at];
                        in->delta[at] += d * weights->values[weight];
                    }
}

/* ---- layers without weights ---- */

static void value_by_value(reference_layer *l) {
    finish_back(l, "linear");
    for (size_t i = 0; i < values_of(l); i++) reference_input(l, 0)->delta[i] += l->stage_delta[i];
}

static void max_pool(reference_layer *l) {
    take_delta(l);
    for (size_t i = 0; i < (size_t)(l->net->batch * l->sc * l->sh * l->sw); i++)
        if (l->winner[i] >= 0) reference_input(l, 0)->delta[l->winner[i]] += l->stage_delta[i];
}

static void local_average(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    reference_windows w = reference_windows_of(l);
    for (int m = 0; m < l->net->batch * l->c; m++)
        for (int place = 0; place < l->h * l->w; place++) {
            int row, column;
            double cells = 0;
            for (int i = 0; i < w.size * w.size; i++)
                cells += reference_window_cell(&w, place / l->w, place % l->w, i, &row, &column);
            for (int i = 0; i < w.size * w.size; i++)
                if (reference_window_cell(&w, place / l->w, place % l->w, i, &row, &column))
                    in->delta[(m * in->h + row) * in->w + column] +=
                        l->delta[m * l->h * l->w + place] / cells;
        }
}

static void average(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    size_t plane = (size_t)(in->h * in->w);
    for (size_t i = 0; i < values_of(in); i++) in->delta[i] += l->delta[i / plane] / (double)plane;
}

/* The factors' gradients, by the slope of each in each weight (by differences). */
static void factor_gradients(reference_layer *l, const double *sums) {
    reference_array *weights = reference_find(l, "weights");
    int per_input = (int)weights->count / l->input_count;
    for (size_t i = 0; i < weights->count; i++) {
        double kept = weights->values[i], h = 1e-6;
        int channel = (int)i % per_input;
        for (int k = 0; k < l->input_count; k++) {
            weights->values[i] = kept + h;
            double above = reference_factor(l, k, channel);
            weights->values[i] = kept - h;
            double below = reference_factor(l, k, channel);
            weights->values[i] = kept;
            weights->gradient[i] += sums[k * per_input + channel] * (above - below) / (2 * h);
        }
    }
}

static void weighted_shortcut(reference_layer *l) {
    int per_input = (int)reference_find(l, "weights")->count / l->input_count;
    double *sums = calloc((size_t)(l->input_count * per_input), sizeof *sums);
    for (int k = 0; sums && k < l->input_count; k++) {
        reference_layer *in = reference_input(l, k);
        reference_overlap o = reference_overlap_of(l, in);
        for (size_t i = 0; i < reference_overlap_count(&o); i++) {
            reference_pair p = reference_overlap_pair(&o, i);
            in->delta[p.from] += reference_factor(l, k, p.channel) * l->stage_delta[p.own];
            sums[k * per_input + (per_input > 1 ? p.channel : 0)] += in->out[p.from] * l->stage_delta[p.own];
        }
    }
    if (sums) factor_gradients(l, sums);
    free(sums);
}

static void shortcut(reference_layer *l) {
    double alpha = reference_number(l, "alpha", 1), beta = reference_number(l, "beta", 1);
    finish_back(l, "linear");
    if (reference_find(l, "weights")) {
        weighted_shortcut(l);
        return;
    }
    for (size_t i = 0; i < values_of(l); i++) reference_input(l, 0)->delta[i] += l->stage_delta[i];
    for (int k = 1; k < l->input_count; k++) {
        reference_layer *in = reference_input(l, k);
        reference_overlap o = reference_overlap_of(l, in);
        for (size_t i = 0; i < reference_overlap_count(&o); i++) {
            reference_pair p = reference_overlap_pair(&o, i);
            in->delta[p.from] += beta * l->stage_delta[p.own];
            if (k == 1) reference_input(l, 0)->delta[p.own] += (alpha - 1) * l->stage_delta[p.own];
        }
    }
}

static void route(reference_layer *l) {
    int groups = reference_int(l, "groups", 1), group = reference_int(l, "group_id", 0), plane = l->h * l->w;
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0, c = 0; k < l->input_count; k++) {
            reference_layer *in = reference_input(l, k);
            int part = in->c / groups;
            for (int i = 0; i < part * plane; i++)
                in->delta[(b * in->c + part * group) * plane + i] += l->delta[(b * l->c + c) * plane + i];
            c += part;
        }
}

static void upsample(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    int stride = reference_int(l, "stride", 2), s = abs(stride);
    int large_h = stride > 0 ? l->h : in->h, large_w = stride > 0 ? l->w : in->w;
    for (int m = 0; m < l->net->batch * l->c; m++)
        for (int y = 0; y < large_h; y++)
            for (int x = 0; x < large_w; x++) {
                int large = (m * large_h + y) * large_w + x,
                    small = (m * (large_h / s) + y / s) * (large_w / s) + x / s;
                in->delta[stride > 0 ? small : large] +=
                    reference_number(l, "scale", 1) * l->delta[stride > 0 ? large : small];
            }
}

static void reorg(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    for (int b = 0; b < l->net->batch; b++)
        for (int i = 0; i < (int)reference_size(in); i++) {
            reference_pair p = reference_reorg_pair(l, i);
            in->delta[b * (int)reference_size(in) + (int)p.from] +=
                l->delta[b * (int)reference_size(l) + (int)p.own];
        }
}

/* Darknet leaves the sums out of the gradient. */
static void response(reference_layer *l) {
    for (size_t i = 0; i < values_of(l); i++)
        reference_input(l, 0)->delta[i] += l->delta[i] * pow(l->x[i], -reference_number(l, "beta", .75));
}

static void length_norm(reference_layer *l) {
    reference_layer *in = reference_input(l, 0);
    int plane = l->h * l->w;
    for (int b = 0; b < l->net->batch; b++)
        for (int i = 0; i < plane; i++) {
            double squares = 0, along = 0;
            for (int c = 0; c < l->c; c++) {
                int at = (b * l->c + c) * plane + i;
                squares += pow(in->out[at], 2);
                along += l->out[at] * l->delta[at];
            }
            for (int c = 0; c < l->c; c++) {
                int at = (b * l->c + c) * plane + i;
                in->delta[at] += (l->delta[at] - l->out[at] * along) / sqrt(squares);
            }
        }
}

static void scale_channels(reference_layer *l) {
    reference_layer *factors = reference_input(l, 0), *from = reference_input(l, 1);
    bool by_pixel = reference_int(l, "scale_wh", 0);
    int plane = l->h * l->w;
    finish_back(l, "linear");
    for (int i = 0; i < l->net->batch * l->c * plane; i++) {
        int b = i / plane / l->c, factor = by_pixel ? b * plane + i % plane : i / plane;
        factors->delta[factor] += l->stage_delta[i] * from->out[i];
        from->delta[i] += l->stage_delta[i] * factors->out[factor];
    }
}

static void product(reference_layer *l) {
    reference_layer *a = reference_input(l, 0), *b = reference_input(l, 1);
    finish_back(l, "linear");
    for (size_t i = 0; i < values_of(l); i++) {
        a->delta[i] += l->stage_delta[i] * b->out[i];
        b->delta[i] += l->stage_delta[i] * a->out[i];
    }
}

static void pass_on(reference_layer *l) {
    for (size_t i = 0; i < values_of(l); i++)
        reference_input(l, 0)->delta[i] += l->delta[i] + (l->is_loss ? l->x[i] : 0);
}

void reference_backward(reference_layer *l) {
    static const struct {
        const char *type;
        void (*backward)(reference_layer *l);
    } table[] = {{"convolutional", convolution},
                 {"connected", connected},
                 {"local", local},
                 {"deconvolutional", deconvolution},
                 {"maxpool", max_pool},
                 {"local_avgpool", local_average},
                 {"avgpool", average},
                 {"shortcut", shortcut},
                 {"route", route},
                 {"upsample", upsample},
                 {"reorg", reorg},
                 {"reorg3d", reorg},
                 {"batchnorm", value_by_value},
                 {"activation", value_by_value},
                 {"dropout", pass_on},
                 {"normalization", response},
                 {"l2norm", length_norm},
                 {"softmax", pass_on},
                 {"logistic", pass_on},
                 {"cost", pass_on},
                 {"scale_channels", scale_channels},
                 {"sam", product}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (reference_is(l, table[i].type)) table[i].backward(l);
}
