/* The integer network's definition by plain loops: nothing is folded ahead, packed or shared with the
 * library. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "made_network.h"

typedef struct fixed {
    int64_t multiplier;
    int shift;
} fixed;

static fixed fixed_point(double ratio) {
    double magnitude = fabs(ratio);
    if (magnitude < 0x1p-40) return (fixed){0, 1};
    int shift = 0;
    for (; magnitude < 0x1p30; shift++) magnitude *= 2;
    int64_t multiplier = (int64_t)floor(magnitude + 0.5);
    if (multiplier == INT64_C(1) << 31) {
        multiplier /= 2;
        shift--;
    }
    if (shift > 62) return (fixed){0, 1};
    assert(shift >= 1);
    return (fixed){ratio < 0 ? -multiplier : multiplier, shift};
}

static int64_t requantise(int64_t value, fixed f) {
    __int128 product = (__int128)value * f.multiplier, one = 1;
    __int128 magnitude = ((product < 0 ? -product : product) * 2 + (one << f.shift)) / (one << (f.shift + 1));
    return (int64_t)(product < 0 ? -magnitude : magnitude);
}

/* What is known of a tensor. */
typedef struct form {
    bool is_signed;
    float scale;
} form;

typedef struct state {
    const made_network *made;
    int **activations;
    form forms[1 + MADE_MOST_NODES];
    int32_t *raw_logits;
    float *logits_scale;
    int logits_node;
} state;

static int levels(const state *s, bool is_signed) {
    return is_signed ? (1 << (s->made->activation_bits - 1)) - 1 : (1 << s->made->activation_bits) - 1;
}

static int clamp(double value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

static float activate(const hd_node *node, float z) {
    if (node->activation == HD_ACTIVATION_RELU || node->activation == HD_ACTIVATION_RELU6)
        return z > 0 ? z : 0;
    if (node->activation == HD_ACTIVATION_LEAKY) return z > 0 ? z : 0.1f * z;
    return node->activation == HD_ACTIVATION_OTHER ? node->activation_function(z) : z;
}

static bool is_relu(const hd_node *node) {
    return node->activation == HD_ACTIVATION_RELU || node->activation == HD_ACTIVATION_RELU6;
}

static bool has_table(const hd_node *node) {
    return !is_relu(node) && node->activation != HD_ACTIVATION_LINEAR;
}

static int through_table(const state *s, int at, float scale, int q) {
    int high = levels(s, s->forms[1 + at].is_signed), low = s->forms[1 + at].is_signed ? -high : 0;
    float y = activate(&s->made->nodes[at], (float)q * scale);
    return clamp(round((double)y / (double)s->forms[1 + at].scale), low, high);
}

static float scale_before(const state *s, int at) {
    return has_table(&s->made->nodes[at]) ? s->made->pre_activation_scales[at] : s->forms[1 + at].scale;
}

/* Saturation and activation of a requantised integer. */
static int finish(const state *s, int at, int64_t q) {
    const hd_node *node = &s->made->nodes[at];
    if (is_relu(node)) return clamp((double)q, 0, levels(s, false));
    int limited = clamp((double)q, -levels(s, true), levels(s, true));
    return has_table(node) ? through_table(s, at, scale_before(s, at), limited) : limited;
}

static int64_t dot(const state *s, int at, int k, int y, int x) {
    const hd_node *n = &s->made->nodes[at];
    const int *in = s->activations[1 + n->inputs[0]];
    if (n->type == HD_NODE_BATCHNORM) return 64 * in[(y * n->in_width + x) * n->in_channels + k];
    const int8_t *words = s->made->weights[at].words;
    int64_t sum = 0;
    if (n->type == HD_NODE_CONNECTED) {
        int area = n->in_height * n->in_width;
        for (int c = 0; c < n->in_channels; c++)
            for (int p = 0; p < area; p++)
                sum += words[((int64_t)k * n->in_channels + c) * area + p] * in[p * n->in_channels + c];
        return sum;
    }
    int group_in = n->in_channels / n->groups, group = k / (n->out_channels / n->groups);
    for (int c = 0; c < group_in; c++)
        for (int r = 0; r < n->size; r++)
            for (int q = 0; q < n->size; q++) {
                int iy = y * n->stride - n->padding + r * n->dilation,
                    ix = x * n->stride - n->padding + q * n->dilation;
                if (iy < 0 || ix < 0 || iy >= n->in_height || ix >= n->in_width) continue;
                sum += words[(((int64_t)k * group_in + c) * n->size + r) * n->size + q] *
                       in[(iy * n->in_width + ix) * n->in_channels + group * group_in + c];
            }
    return sum;
}

static void linear_node(state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    form in = s->forms[1 + n->inputs[0]];
    int pixels = n->out_height * n->out_width;
    for (int k = 0; k < n->out_channels; k++) {
        double factor = 1, offset = (double)n->biases[k];
        if (n->batch_normalize) {
            factor =
                (double)n->scales[k] / (sqrt((double)n->rolling_variance[k] + (double)n->epsilon_inside) +
                                        (double)n->epsilon_outside);
            offset -= factor * (double)n->rolling_mean[k];
        }
        float word_scale = n->type == HD_NODE_BATCHNORM ? 1.0f / 64 : s->made->weights[at].scales[k];
        double step = (double)in.scale * (double)word_scale * factor;
        int64_t bias = (int64_t)round(offset / step);
        fixed f = fixed_point(step / (double)scale_before(s, at));
        float logits_scale = s->forms[1 + at].scale / 65536;
        bool logits =
            at == s->logits_node && n->activation == HD_ACTIVATION_LINEAR && n->type != HD_NODE_BATCHNORM;
        for (int p = 0; p < pixels; p++) {
            int64_t sum = dot(s, at, k, p / n->out_width, p % n->out_width) + bias;
            s->activations[1 + at][p * n->out_channels + k] = finish(s, at, requantise(sum, f));
            if (!logits) continue;
            int64_t raw = requantise(sum, fixed_point(step / (double)logits_scale));
            s->raw_logits[k * pixels + p] = raw > INT32_MAX    ? INT32_MAX
                                            : raw < -INT32_MAX ? -INT32_MAX
                                                               : (int32_t)raw;
            *s->logits_scale = logits_scale;
        }
    }
}

static void pool_node(state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    const int *in = s->activations[1 + n->inputs[0]];
    bool average = n->type == HD_NODE_AVERAGE_POOL;
    int lowest = s->forms[1 + at].is_signed ? -levels(s, true) : 0, channels = n->in_channels;
    for (int y = 0; y < n->out_height; y++)
        for (int x = 0; x < n->out_width; x++)
            for (int c = 0; c < channels; c++) {
                int largest = lowest, sum = 0, count = n->in_height * n->in_width;
                for (int iy = 0; iy < n->in_height; iy++)
                    for (int ix = 0; ix < n->in_width; ix++) {
                        int q = in[(iy * n->in_width + ix) * channels + c];
                        int dy = iy - (y * n->stride - n->padding / 2),
                            dx = ix - (x * n->stride - n->padding / 2);
                        if (dy >= 0 && dx >= 0 && dy < n->size && dx < n->size && q > largest) largest = q;
                        sum += q;
                    }
                s->activations[1 + at][(y * n->out_width + x) * channels + c] =
                    average ? (int)round((double)sum / count) : largest;
                if (!average || at != s->logits_node) continue;
                s->raw_logits[c] = sum;
                *s->logits_scale = (float)((double)s->forms[1 + at].scale / count);
            }
}

/* The second input at (y, x, c) of a shortcut's output: 0 off the overlap of the two shapes. */
static int second_input(const state *s, const hd_node *n, int y, int x, int c) {
    int from = n->inputs[1];
    const hd_node *source = from < 0 ? NULL : &s->made->nodes[from];
    int height = source ? source->out_height : s->made->network.height;
    int width = source ? source->out_width : s->made->network.width;
    int depth = source ? source->out_channels : s->made->network.channels;
    if (c >= depth) return 0;
    if (width >= n->out_width) {
        int r = width / n->out_width;
        return s->activations[1 + from][((y * r) * width + x * r) * depth + c];
    }
    int r = n->out_width / width;
    if (y % r || x % r || y / r >= height || x / r >= width) return 0;
    return s->activations[1 + from][((y / r) * width + x / r) * depth + c];
}

static void shortcut_node(state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    double before = (double)scale_before(s, at);
    fixed a = fixed_point((double)n->alpha * (double)s->forms[1 + n->inputs[0]].scale / before);
    fixed b = fixed_point((double)n->beta * (double)s->forms[1 + n->inputs[1]].scale / before);
    for (int i = 0; i < (int)made_elements(s->made, at); i++) {
        int c = i % n->out_channels, x = i / n->out_channels % n->out_width,
            y = i / n->out_channels / n->out_width;
        s->activations[1 + at][i] = finish(s, at,
                                           requantise(s->activations[1 + n->inputs[0]][i], a) +
                                               requantise(second_input(s, n, y, x, c), b));
    }
}

static void route_node(state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    int first = 0, high = levels(s, s->forms[1 + at].is_signed), low = s->forms[1 + at].is_signed ? -high : 0;
    for (int j = 0; j < n->input_count; j++) {
        int from = n->inputs[j];
        int channels = from < 0 ? s->made->network.channels : s->made->nodes[from].out_channels;
        fixed f = fixed_point((double)s->forms[1 + from].scale / (double)s->forms[1 + at].scale);
        for (int p = 0; p < n->out_height * n->out_width; p++)
            for (int c = 0; c < channels; c++)
                s->activations[1 + at][p * n->out_channels + first + c] =
                    clamp((double)requantise(s->activations[1 + from][p * channels + c], f), low, high);
        first += channels;
    }
}

/* Signedness and scale of node's output. */
static form form_of(const state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    form result = {true, s->made->output_scales[at]}, in = s->forms[1 + n->inputs[0]];
    switch (n->type) {
    case HD_NODE_ROUTE: {
        bool equal = true;
        result.is_signed = false;
        for (int j = 0; j < n->input_count; j++) {
            form other = s->forms[1 + n->inputs[j]];
            equal = equal && other.is_signed == in.is_signed && other.scale == in.scale;
            result.is_signed = result.is_signed || other.is_signed;
        }
        return equal ? in : result;
    }
    case HD_NODE_MAXPOOL:
    case HD_NODE_AVERAGE_POOL:
    case HD_NODE_IDENTITY:
    case HD_NODE_SOFTMAX:
        return in;
    default:
        if (n->type == HD_NODE_ACTIVATION && n->activation == HD_ACTIVATION_LINEAR) return in;
        result.is_signed = !is_relu(n);
        if (n->activation == HD_ACTIVATION_RELU6) result.scale = 6.0f / (float)levels(s, false);
        return result;
    }
}

static void run_node(state *s, int at) {
    const hd_node *n = &s->made->nodes[at];
    switch (n->type) {
    case HD_NODE_CONVOLUTION:
    case HD_NODE_CONNECTED:
    case HD_NODE_BATCHNORM:
        linear_node(s, at);
        return;
    case HD_NODE_MAXPOOL:
    case HD_NODE_AVERAGE_POOL:
        pool_node(s, at);
        return;
    case HD_NODE_SHORTCUT:
        shortcut_node(s, at);
        return;
    case HD_NODE_ROUTE:
        route_node(s, at);
        return;
    default:
        for (size_t i = 0; i < made_elements(s->made, at); i++) {
            int q = s->activations[1 + n->inputs[0]][i];
            bool table = n->type == HD_NODE_ACTIVATION && n->activation != HD_ACTIVATION_LINEAR;
            s->activations[1 + at][i] = table ? through_table(s, at, s->forms[1 + n->inputs[0]].scale, q) : q;
        }
    }
}

void made_reference(const made_network *made, const float *image, int **activations, int32_t *raw_logits,
                    float *logits_scale) {
    state s = {
        .made = made, .activations = activations, .raw_logits = raw_logits, .logits_scale = logits_scale};
    int count = made->network.node_count, high = levels(&s, true);
    s.logits_node = count - 1;
    while (made->nodes[s.logits_node].type == HD_NODE_SOFTMAX ||
           made->nodes[s.logits_node].type == HD_NODE_IDENTITY)
        s.logits_node = made->nodes[s.logits_node].inputs[0];
    s.forms[0] = (form){true, made->input_scale};
    for (int i = -1; i < count; i++) {
        activations[1 + i] = calloc(made_elements(made, i), sizeof(int));
        assert(activations[1 + i]);
    }
    for (size_t i = 0; i < made_elements(made, -1); i++)
        activations[0][i] = clamp((double)rintf(image[i] / made->input_scale), -high, high);
    for (int i = 0; i < count; i++) {
        s.forms[1 + i] = form_of(&s, i);
        if (i == s.logits_node) *logits_scale = s.forms[1 + i].scale;
        run_node(&s, i);
        if (i != s.logits_node) continue;
        const hd_node *n = &made->nodes[i];
        bool wide = (n->type == HD_NODE_CONVOLUTION || n->type == HD_NODE_CONNECTED) &&
                    n->activation == HD_ACTIVATION_LINEAR;
        int pixels = n->out_height * n->out_width;
        for (size_t e = 0; !wide && n->type != HD_NODE_AVERAGE_POOL && e < made_elements(made, i); e++)
            raw_logits[e % (size_t)n->out_channels * (size_t)pixels + e / (size_t)n->out_channels] =
                activations[1 + i][e];
    }
}
