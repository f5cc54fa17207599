/* Places in the reference network's layers: see reference_windows.h. */
#include "reference_windows.h"

#include <math.h>
#include <string.h>

reference_windows reference_windows_of(const reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    int groups = reference_int(l, "groups", 1), stride = reference_int(l, "stride", 1);
    bool pool = reference_is(l, "maxpool") || reference_is(l, "local_avgpool"),
         spreads = reference_is(l, "deconvolutional"), blurred = reference_int(l, "antialiasing", 0);
    int size = reference_int(l, "size", pool ? stride : 1),
        dilation = size == 1 ? 1 : reference_int(l, "dilation", 1);
    int padding = reference_int(l, "padding", pool ? size - 1 : 0);
    if (reference_int(l, "pad", 0)) padding = size / 2;
    return (reference_windows){.channels = in->c / groups,
                               .filters = l->sc / groups,
                               .size = size,
                               .stride_y = blurred ? 1 : reference_int(l, "stride_y", stride),
                               .stride_x = blurred ? 1 : reference_int(l, "stride_x", stride),
                               .offset = pool ? padding / 2 : padding * dilation,
                               .dilation = dilation,
                               .height = spreads ? l->h : in->h,
                               .width = spreads ? l->w : in->w};
}

bool reference_window_cell(const reference_windows *w, int y, int x, int i, int *row, int *column) {
    *row = y * w->stride_y - w->offset + i / w->size * w->dilation;
    *column = x * w->stride_x - w->offset + i % w->size * w->dilation;
    return *row >= 0 && *row < w->height && *column >= 0 && *column < w->width;
}

double reference_blur(int kind, int i) {
    static const double three[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
    return kind == 1 ? three[i] / 16 : .25;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

reference_overlap reference_overlap_of(const reference_layer *l, const reference_layer *from) {
    return (reference_overlap){.own = l,
                               .from = from,
                               .batch = l->net->batch,
                               .channels = smaller(l->c, from->c),
                               .height = smaller(l->h, from->h),
                               .width = smaller(l->w, from->w),
                               .own_step = l->w > from->w ? l->w / from->w : 1,
                               .from_step = from->w > l->w ? from->w / l->w : 1};
}

size_t reference_overlap_count(const reference_overlap *o) {
    return (size_t)(o->batch * o->channels * o->height * o->width);
}

reference_pair reference_overlap_pair(const reference_overlap *o, size_t i) {
    int x = (int)i % o->width, y = (int)i / o->width % o->height,
        c = (int)i / o->width / o->height % o->channels, b = (int)i / o->width / o->height / o->channels;
    return (reference_pair){
        .own = (size_t)(((b * o->own->c + c) * o->own->h + y * o->own_step) * o->own->w + x * o->own_step),
        .from =
            (size_t)(((b * o->from->c + c) * o->from->h + y * o->from_step) * o->from->w + x * o->from_step),
        .channel = c};
}

double reference_factor(const reference_layer *l, int k, int channel) {
    const reference_array *weights = reference_find(l, "weights");
    int per_input = (int)weights->count / l->input_count, place = per_input > 1 ? channel : 0;
    const char *norm = reference_text(l, "weights_normalization", "none");
    double own = 0, sum = 1e-4, largest = -INFINITY;
    for (int j = 0; j < l->input_count; j++) largest = fmax(largest, weights->values[j * per_input + place]);
    for (int j = 0; j < l->input_count; j++) {
        double w = weights->values[j * per_input + place];
        if (strcmp(norm, "relu") == 0) w = fmax(w, 1e-3);
        if (strcmp(norm, "softmax") == 0) w = exp(w - largest);
        sum += w;
        if (j == k) own = w;
    }
    return strcmp(norm, "none") == 0 ? own : own / sum;
}

/* Between an image's planes and Darknet's reading of it as an image `s` times larger with fewer channels. */
static size_t stretched(const reference_layer *in, int s, int i) {
    int x = i % in->w, y = i / in->w % in->h, c = i / in->w / in->h, few = in->c / (s * s);
    int row = y * s + c / few / s, column = x * s + c / few % s;
    return (size_t)(column + in->w * s * (row + in->h * s * (c % few)));
}

/* Pixel (y, x) of channel c of the deep image, s * s times as many channels as the wide one. */
static size_t wide_place(int few, int height, int width, int s, int i) {
    int x = i % width, y = i / width % height, c = i / width / height;
    return (size_t)((c % few * height * s + y * s + c / few / s) * width * s + x * s + c / few % s);
}

reference_pair reference_reorg_pair(const reference_layer *l, int i) {
    const reference_layer *in = reference_input(l, 0);
    int s = reference_int(l, "stride", 1), plane = in->h * in->w;
    bool reverse = reference_int(l, "reverse", 0);
    size_t place = (size_t)i, other = place;
    if (reference_int(l, "extra", 0)) return (reference_pair){.own = place, .from = place};
    if (reference_int(l, "flatten", 0))
        other = (size_t)(i % plane * in->c + i / plane);
    else if (reference_is(l, "reorg3d"))
        other = reverse ? wide_place(l->c, in->h, in->w, s, i) : wide_place(in->c, l->h, l->w, s, i);
    else
        other = stretched(in, s, i);
    bool to_other = reference_int(l, "flatten", 0) ? !reverse : reverse;
    return to_other ? (reference_pair){.own = other, .from = place}
                    : (reference_pair){.own = place, .from = other};
}

/* Darknet's sums lack the square of channel size / 2; see docs/darknet.md. */
double reference_response_sum(const reference_layer *l, int image, int c, int i) {
    const reference_layer *in = reference_input(l, 0);
    int size = reference_int(l, "size", 5), plane = l->h * l->w, lost = size / 2;
    double sum = 0;
    for (int j = c - (size - 1) / 2; j <= c + size / 2; j++)
        if (j >= 0 && j < l->c) sum += pow(in->out[(image * l->c + j) * plane + i], 2);
    if (!l->net->exact && lost < l->c) sum -= pow(in->out[(image * l->c + lost) * plane + i], 2);
    return reference_number(l, "kappa", 1) + reference_number(l, "alpha", .0001) * sum;
}

const double *reference_sources(reference_layer *l) {
    const reference_layer *in = reference_input(l, 0);
    if (!reference_int(l, "xnor", 0)) return in->out;
    for (size_t i = 0; i < (size_t)l->net->batch * reference_size(in); i++)
        l->signs[i] = in->out[i] > 0 ? 1 : -1;
    return l->signs;
}
