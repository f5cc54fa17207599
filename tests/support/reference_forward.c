/* The reference network's forward passes: each layer's definition as loops. See reference_network.h. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference_internal.h"
#include "reference_windows.h"

/* ---- what stands behind sums ---- */

static void normalize(reference_layer *l) {
    size_t batch = (size_t)l->net->batch, plane = (size_t)(l->sh * l->sw);
    double n = (double)(batch * plane);
    const double *scales = reference_find(l, "scales")->values;
    double *mean = reference_find(l, "rolling_mean")->values,
           *variance = reference_find(l, "rolling_variance")->values, keep = l->net->keep;
    for (int c = 0; c < l->sc; c++) {
        l->mean[c] = mean[c];
        l->variance[c] = variance[c];
        if (l->net->training) {
            double sum = 0, squares = 0;
            for (size_t b = 0; b < batch; b++)
                for (size_t i = 0; i < plane; i++) sum += l->x[(b * (size_t)l->sc + (size_t)c) * plane + i];
            for (size_t b = 0; b < batch; b++)
                for (size_t i = 0; i < plane; i++)
                    squares += pow(l->x[(b * (size_t)l->sc + (size_t)c) * plane + i] - sum / n, 2);
            l->mean[c] = sum / n;
            l->variance[c] = squares / (n - 1);
            mean[c] = keep * mean[c] + (1 - keep) * l->mean[c];
            variance[c] = keep * variance[c] + (1 - keep) * l->variance[c];
        }
        double deviation = sqrt(l->variance[c] + l->net->form_epsilon_inside) + l->net->form_epsilon_outside;
        for (size_t b = 0; b < batch; b++)
            for (size_t i = 0; i < plane; i++) {
                size_t at = (b * (size_t)l->sc + (size_t)c) * plane + i;
                l->z[at] = (l->x[at] - l->mean[c]) / deviation * scales[c];
            }
    }
}

/* From x: normalisation or not, biases, activation into a. */
static void finish(reference_layer *l, const char *fallback) {
    size_t batch = (size_t)l->net->batch, plane = (size_t)(l->sh * l->sw), stage = plane * (size_t)l->sc;
    const char *activation = reference_text(l, "activation", fallback);
    const reference_array *biases = reference_find(l, "biases");
    bool by_value = biases && biases->count == stage && plane > 1;
    memcpy(l->z, l->x, batch * stage * sizeof *l->z);
    if (reference_find(l, "scales")) normalize(l);
    for (size_t i = 0; biases && i < batch * stage; i++)
        l->z[i] += biases->values[by_value ? i % stage : i / plane % (size_t)l->sc];
    if (strcmp(activation, "normalize_channels") != 0) {
        for (size_t i = 0; i < batch * stage; i++) l->a[i] = reference_activation(activation, l->z[i]);
        return;
    }
    for (size_t b = 0; b < batch; b++)
        for (size_t i = 0; i < plane; i++) {
            double sum = 1e-4;
            for (size_t c = 0; c < (size_t)l->sc; c++) sum += fmax(0, l->z[b * stage + c * plane + i]);
            for (size_t c = 0; c < (size_t)l->sc; c++)
                l->a[b * stage + c * plane + i] = fmax(0, l->z[b * stage + c * plane + i]) / sum;
        }
}

static void blur(reference_layer *l) {
    int kind = reference_int(l, "antialiasing", 0), size = kind == 1 ? 3 : 2, pad = kind == 1 ? 1 : 0;
    int stride = reference_int(l, "stride", 1);
    int stride_y = reference_int(l, "stride_y", stride), stride_x = reference_int(l, "stride_x", stride);
    for (int m = 0; m < l->net->batch * l->sc; m++)
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++) {
                double sum = 0;
                for (int i = 0; i < size * size; i++) {
                    int row = y * stride_y - pad + i / size, column = x * stride_x - pad + i % size;
                    if (row >= 0 && row < l->sh && column >= 0 && column < l->sw)
                        sum += reference_blur(kind, i) * l->a[(m * l->sh + row) * l->sw + column];
                }
                l->out[(m * l->h + y) * l->w + x] = sum;
            }
}

static void hand_over(reference_layer *l) {
    if (reference_int(l, "antialiasing", 0))
        blur(l);
    else
        memcpy(l->out, l->a, (size_t)l->net->batch * reference_size(l) * sizeof *l->out);
}

/* ---- sums of weights ---- */

static const double *binarized(reference_layer *l) {
    const reference_array *weights = reference_find(l, "weights");
    if (!reference_int(l, "binary", 0) && !reference_int(l, "xnor", 0)) return weights->values;
    size_t filter = weights->count / (size_t)l->sc;
    for (size_t k = 0; k < (size_t)l->sc; k++) {
        double mean = 0;
        for (size_t i = 0; i < filter; i++) mean += fabs(weights->values[k * filter + i]) / (double)filter;
        for (size_t i = 0; i < filter; i++)
            l->weights_used[k * filter + i] = weights->values[k * filter + i] > 0 ? mean : -mean;
    }
    return l->weights_used;
}

static void convolution(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    const double *source = reference_sources(l), *weights = binarized(l);
    reference_windows w = reference_windows_of(l);
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0; k < l->sc; k++)
            for (int y = 0; y < l->sh; y++)
                for (int x = 0; x < l->sw; x++) {
                    double sum = 0;
                    for (int c = 0; c < w.channels; c++)
                        for (int i = 0; i < w.size * w.size; i++) {
                            int row, column;
                            if (!reference_window_cell(&w, y, x, i, &row, &column)) continue;
                            int channel = k / w.filters * w.channels + c;
                            sum += weights[(k * w.channels + c) * w.size * w.size + i] *
                                   source[((b * in->c + channel) * in->h + row) * in->w + column];
                        }
                    l->x[((b * l->sc + k) * l->sh + y) * l->sw + x] = sum;
                }
    finish(l, "logistic");
    hand_over(l);
}

static void local(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    const double *weights = reference_find(l, "weights")->values;
    reference_windows w = reference_windows_of(l);
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0; k < l->c; k++)
            for (int place = 0; place < l->h * l->w; place++) {
                double sum = 0;
                for (int c = 0; c < in->c; c++)
                    for (int i = 0; i < w.size * w.size; i++) {
                        int row, column;
                        if (!reference_window_cell(&w, place / l->w, place % l->w, i, &row, &column))
                            continue;
                        sum += weights[((place * l->c + k) * in->c + c) * w.size * w.size + i] *
                               in->out[((b * in->c + c) * in->h + row) * in->w + column];
                    }
                l->x[(b * l->c + k) * l->h * l->w + place] = sum;
            }
    finish(l, "logistic");
    hand_over(l);
}

static void connected(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    const double *weights = reference_find(l, "weights")->values;
    size_t inputs = reference_size(in);
    for (size_t b = 0; b < (size_t)l->net->batch; b++)
        for (size_t k = 0; k < (size_t)l->c; k++) {
            double sum = 0;
            for (size_t i = 0; i < inputs; i++) sum += weights[k * inputs + i] * in->out[b * inputs + i];
            l->x[b * (size_t)l->c + k] = sum;
        }
    finish(l, "logistic");
    hand_over(l);
}

/* Every input value spreads its weighted window over the output. */
static void deconvolution(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    const double *weights = reference_find(l, "weights")->values;
    reference_windows w = reference_windows_of(l);
    memset(l->x, 0, (size_t)l->net->batch * reference_size(l) * sizeof *l->x);
    for (int b = 0; b < l->net->batch; b++)
        for (int c = 0; c < in->c; c++)
            for (int place = 0; place < in->h * in->w; place++)
                for (int k = 0; k < l->c; k++)
                    for (int i = 0; i < w.size * w.size; i++) {
                        int row, column;
                        if (!reference_window_cell(&w, place / in->w, place % in->w, i, &row, &column))
                            continue;
                        l->x[((b * l->c + k) * l->h + row) * l->w + column] +=
                            weights[(c * l->c + k) * w.size * w.size + i] *
                            in->out[(b * in->c + c) * in->h * in->w + place];
                    }
    finish(l, "logistic");
    hand_over(l);
}

/* ---- layers without weights ---- */

static void value_by_value(reference_layer *l) {
    memcpy(l->x, reference_input(l, 0)->out, (size_t)l->net->batch * reference_size(l) * sizeof *l->x);
    finish(l, "linear");
    hand_over(l);
}

static void depth_pool(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int plane = l->h * l->w;
    for (int b = 0; b < l->net->batch; b++)
        for (int g = 0; g < l->c; g++)
            for (int i = 0; i < plane; i++) {
                long best = -1;
                for (int c = g; c < in->c; c += l->c) {
                    long at = (b * in->c + c) * plane + i;
                    if (best < 0 || in->out[at] > in->out[best]) best = at;
                }
                l->winner[(b * l->c + g) * plane + i] = best;
                l->out[(b * l->c + g) * plane + i] = in->out[best];
            }
}

static void max_pool(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    reference_windows w = reference_windows_of(l);
    if (reference_int(l, "maxpool_depth", 0)) {
        depth_pool(l);
        return;
    }
    for (int m = 0; m < l->net->batch * l->sc; m++)
        for (int place = 0; place < l->sh * l->sw; place++) {
            double best = -(double)FLT_MAX;
            long winner = -1;
            for (int i = 0; i < w.size * w.size; i++) {
                int row, column;
                if (!reference_window_cell(&w, place / l->sw, place % l->sw, i, &row, &column)) continue;
                long at = (m * in->h + row) * in->w + column;
                if (in->out[at] > best) {
                    best = in->out[at];
                    winner = at;
                }
            }
            l->a[m * l->sh * l->sw + place] = best;
            l->winner[m * l->sh * l->sw + place] = winner;
        }
    hand_over(l);
}

static void local_average(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    reference_windows w = reference_windows_of(l);
    for (int m = 0; m < l->net->batch * l->c; m++)
        for (int place = 0; place < l->h * l->w; place++) {
            double sum = 0, cells = 0;
            for (int i = 0; i < w.size * w.size; i++) {
                int row, column;
                if (!reference_window_cell(&w, place / l->w, place % l->w, i, &row, &column)) continue;
                sum += in->out[(m * in->h + row) * in->w + column];
                cells++;
            }
            l->out[m * l->h * l->w + place] = sum / cells;
        }
}

static void average(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int plane = in->h * in->w;
    for (int m = 0; m < l->net->batch * l->c; m++) {
        l->out[m] = 0;
        for (int i = 0; i < plane; i++) l->out[m] += in->out[m * plane + i] / plane;
    }
}

static void shortcut(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    bool weighted = reference_find(l, "weights") != NULL;
    double alpha = reference_number(l, "alpha", 1), beta = reference_number(l, "beta", 1);
    size_t values = (size_t)l->net->batch * reference_size(l), plane = (size_t)(l->h * l->w);
    for (size_t i = 0; i < values; i++)
        l->x[i] = in->out[i] * (weighted ? reference_factor(l, 0, (int)(i / plane) % l->c) : 1);
    for (int k = 1; k < l->input_count; k++) {
        const reference_layer *from = reference_input(l, k);
        reference_overlap o = reference_overlap_of(l, from);
        for (size_t i = 0; i < reference_overlap_count(&o); i++) {
            reference_pair p = reference_overlap_pair(&o, i);
            if (weighted)
                l->x[p.own] += reference_factor(l, k, p.channel) * from->out[p.from];
            else
                l->x[p.own] = (k == 1 ? alpha : 1) * l->x[p.own] + beta * from->out[p.from];
        }
    }
    finish(l, "linear");
    hand_over(l);
}

static void route(reference_layer *l) {
    int groups = reference_int(l, "groups", 1), group = reference_int(l, "group_id", 0), plane = l->h * l->w;
    for (int b = 0; b < l->net->batch; b++)
        for (int k = 0, c = 0; k < l->input_count; k++) {
            const reference_layer *in = reference_input(l, k);
            int part = in->c / groups;
            for (int i = 0; i < part * plane; i++)
                l->out[(b * l->c + c) * plane + i] = in->out[(b * in->c + part * group) * plane + i];
            c += part;
        }
}

static void upsample(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int stride = reference_int(l, "stride", 2);
    double scale = reference_number(l, "scale", 1);
    memset(l->out, 0, (size_t)l->net->batch * reference_size(l) * sizeof *l->out);
    int large_h = stride > 0 ? l->h : in->h, large_w = stride > 0 ? l->w : in->w, s = abs(stride);
    for (int m = 0; m < l->net->batch * l->c; m++)
        for (int y = 0; y < large_h; y++)
            for (int x = 0; x < large_w; x++) {
                int large = (m * large_h + y) * large_w + x,
                    small = (m * (large_h / s) + y / s) * (large_w / s) + x / s;
                l->out[stride > 0 ? large : small] += scale * in->out[stride > 0 ? small : large];
            }
}

static void reorg(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    memset(l->out, 0, (size_t)l->net->batch * reference_size(l) * sizeof *l->out);
    for (int b = 0; b < l->net->batch; b++)
        for (int i = 0; i < (int)reference_size(in); i++) {
            reference_pair p = reference_reorg_pair(l, i);
            l->out[b * (int)reference_size(l) + (int)p.own] =
                in->out[b * (int)reference_size(in) + (int)p.from];
        }
}

/* The centre; the other crops are random. */
static void crop(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    bool plain = reference_int(l, "noadjust", 0);
    int top = (in->h - l->h) / 2, left = (in->w - l->w) / 2;
    for (int m = 0; m < l->net->batch * l->c; m++)
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++) {
                double value = in->out[(m * in->h + y + top) * in->w + x + left];
                l->out[(m * l->h + y) * l->w + x] = plain ? value : 2 * value - 1;
            }
}

static void response(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    for (int b = 0; b < l->net->batch; b++)
        for (int c = 0; c < l->c; c++)
            for (int i = 0; i < l->h * l->w; i++) {
                int at = (b * l->c + c) * l->h * l->w + i;
                l->x[at] = reference_response_sum(l, b, c, i);
                l->out[at] = in->out[at] * pow(l->x[at], -reference_number(l, "beta", .75));
            }
}

static void length_norm(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int plane = l->h * l->w;
    for (int b = 0; b < l->net->batch; b++)
        for (int i = 0; i < plane; i++) {
            double squares = 0;
            for (int c = 0; c < l->c; c++) squares += pow(in->out[(b * l->c + c) * plane + i], 2);
            for (int c = 0; c < l->c; c++)
                l->out[(b * l->c + c) * plane + i] = in->out[(b * l->c + c) * plane + i] / sqrt(squares);
        }
}

static void scale_channels(reference_layer *l) {
    const reference_layer *factors = reference_input(l, 0), *from = reference_input(l, 1);
    bool by_pixel = reference_int(l, "scale_wh", 0);
    int plane = l->h * l->w;
    for (int i = 0; i < l->net->batch * l->c * plane; i++) {
        int b = i / plane / l->c, pixel = i % plane;
        l->x[i] = from->out[i] * factors->out[by_pixel ? b * plane + pixel : i / plane];
    }
    finish(l, "linear");
    hand_over(l);
}

static void product(reference_layer *l) {
    for (size_t i = 0; i < (size_t)l->net->batch * reference_size(l); i++)
        l->x[i] = reference_input(l, 0)->out[i] * reference_input(l, 1)->out[i];
    finish(l, "linear");
    hand_over(l);
}

static void dropout(reference_layer *l) {
    memcpy(l->out, reference_input(l, 0)->out, (size_t)l->net->batch * reference_size(l) * sizeof *l->out);
}

/* ---- losses: x keeps the gradient ---- */

static double truth_of(const reference_layer *l, size_t i) {
    double s = reference_number(l, "smooth", 0);
    return (double)l->net->truth[i] * (1 - s) + s / (double)reference_size(l);
}

static void softmax(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int size = (int)reference_size(l), groups = reference_int(l, "groups", 1), plane = l->h * l->w;
    bool spatial = reference_int(l, "spatial", 0);
    double temperature = reference_number(l, "temperature", 1);
    int rows = spatial ? plane : groups, columns = size / rows, step = spatial ? plane : 1;
    for (int row = 0; row < l->net->batch * rows; row++) {
        int first = row / rows * size + (spatial ? row % rows : row % rows * columns);
        double sum = 0, largest = -INFINITY;
        for (int i = 0; i < columns; i++) largest = fmax(largest, in->out[first + i * step]);
        for (int i = 0; i < columns; i++)
            sum += l->out[first + i * step] = exp((in->out[first + i * step] - largest) / temperature);
        for (int i = 0; i < columns; i++) l->out[first + i * step] /= sum;
    }
    for (size_t i = 0; l->net->training && l->is_loss && i < (size_t)l->net->batch * reference_size(l); i++) {
        double t = truth_of(l, i);
        l->x[i] = t - l->out[i];
        if (t > 0) l->net->loss -= t * log(fmax(l->out[i], 1e-30));
    }
    l->net->losses += l->is_loss;
}

static void logistic(reference_layer *l) {
    for (size_t i = 0; i < (size_t)l->net->batch * reference_size(l); i++) {
        double p = l->out[i] = reference_activation("logistic", reference_input(l, 0)->out[i]);
        if (!l->net->training) continue;
        double t = truth_of(l, i);
        l->x[i] = t - p;
        l->net->loss -= t * log(p) + (1 - t) * log(1 - p);
    }
    l->net->losses++;
}

static void cost(reference_layer *l) {
    const char *type = reference_text(l, "type", "sse");
    size_t count = (size_t)l->net->batch * reference_size(l);
    memcpy(l->out, reference_input(l, 0)->out, count * sizeof *l->out);
    l->net->losses++;
    for (size_t i = 0; l->net->training && i < count; i++) {
        double t = truth_of(l, i), d = t - l->out[i], loss = d * d, sign = d > 0 ? 1 : -1;
        if (strcmp(type, "L1") == 0 || (strcmp(type, "smooth") == 0 && fabs(d) >= 1)) {
            loss = strcmp(type, "L1") == 0 ? fabs(d) : 2 * fabs(d) - 1;
            d = sign;
        } else if (strcmp(type, "wgan") == 0) {
            loss = t != 0 ? -l->out[i] : l->out[i];
            d = t > 0 ? 1 : -1;
        }
        double weight = strcmp(type, "masked") == 0 && l->net->truth[i] == -1234 ? 0
                        : strcmp(type, "seg") == 0 && l->net->truth[i] == 0 ? reference_number(l, "noobj", 1)
                                                                            : 1;
        l->x[i] = weight * d * reference_number(l, "scale", 1);
        l->net->loss += weight * loss;
    }
}

void reference_forward(reference_layer *l) {
    static const struct {
        const char *type;
        void (*forward)(reference_layer *l);
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
                 {"crop", crop},
                 {"batchnorm", value_by_value},
                 {"activation", value_by_value},
                 {"dropout", dropout},
                 {"normalization", response},
                 {"l2norm", length_norm},
                 {"softmax", softmax},
                 {"logistic", logistic},
                 {"cost", cost},
                 {"scale_channels", scale_channels},
                 {"sam", product}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (reference_is(l, table[i].type)) table[i].forward(l);
}
