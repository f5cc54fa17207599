/* Second moments of what each input-stationary layer reads, channel by channel, about the means where a batch
 * norm follows whose statistics are estimated anew. Of each image a few pixels, spread over it. */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "rounding_job.h"

enum { PIXELS_OF_AN_IMAGE = 8 };

/* What one stream's layer reads. */
typedef struct accumulator {
    int input; /* layer number, -1: the image */
    size_t groups, axis, pixels;
    double *sums;     /* [groups][axis] */
    double *products; /* [groups][axis][axis], the upper triangle; NULL: not asked for */
    double samples;
} accumulator;

typedef struct gathering {
    network *net;
    accumulator *accumulators;
    size_t count;
    float *rows, *products; /* of a batch */
    size_t capacity;
    uint64_t images;
    bool failed;
} gathering;

/* rows[..][channels] of a batch's chosen pixels. */
static size_t choose_pixels(const accumulator *a, const float *values, size_t images, uint64_t first_image,
                            float *rows) {
    size_t channels = a->groups * a->axis, count = 0;
    size_t stride = (a->pixels + PIXELS_OF_AN_IMAGE - 1) / PIXELS_OF_AN_IMAGE;
    for (size_t n = 0; n < images; n++)
        for (size_t p = (size_t)((first_image + n) * 7 % stride); p < a->pixels; p += stride)
            memcpy(rows + count++ * channels, values + (n * a->pixels + p) * channels,
                   channels * sizeof *rows);
    return count;
}

static void add_rows(accumulator *a, const float *rows, size_t count, float *products) {
    int axis = (int)a->axis, stride = (int)(a->groups * a->axis);
    for (size_t g = 0; g < a->groups; g++) {
        const float *group = rows + g * a->axis;
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, axis, (int)count, 1.0f, group, stride, 0.0f,
                    products, axis);
        double *sums = a->sums + g * a->axis, *all = a->products + g * a->axis * a->axis;
        for (size_t i = 0; i < a->axis; i++)
            for (size_t j = i; j < a->axis; j++) all[i * a->axis + j] += (double)products[i * a->axis + j];
        for (size_t n = 0; n < count; n++)
            for (size_t i = 0; i < a->axis; i++) sums[i] += (double)group[n * (size_t)stride + i];
    }
    a->samples += (double)count;
}

static bool make_room(gathering *s, size_t images) {
    if (images <= s->capacity) return true;
    size_t rows = 1, products = 1;
    for (size_t i = 0; i < s->count; i++) {
        const accumulator *a = &s->accumulators[i];
        size_t values = images * PIXELS_OF_AN_IMAGE * a->groups * a->axis;
        if (a->products && values > rows) rows = values;
        if (a->products && a->axis * a->axis > products) products = a->axis * a->axis;
    }
    free(s->rows);
    free(s->products);
    s->rows = malloc(rows * sizeof *s->rows);
    s->products = malloc(products * sizeof *s->products);
    s->capacity = images;
    return s->rows && s->products;
}

static void add_place(gathering *s, int place, const float *values, size_t images) {
    for (size_t i = 0; i < s->count; i++) {
        accumulator *a = &s->accumulators[i];
        if (!a->products || a->input != place) continue;
        add_rows(a, s->rows, choose_pixels(a, values, images, s->images, s->rows), s->products);
    }
}

static void observe(void *user, const layer *l, bool before_activation, const float *values, size_t count) {
    gathering *s = user;
    size_t image = tensor_size(l->out);
    if (!before_activation) add_place(s, l->index, values, count / image);
}

static bool observe_batch(void *user, const float *images, const int *classes, size_t count) {
    (void)classes;
    gathering *s = user;
    s->failed = !make_room(s, count);
    if (s->failed) return false;
    add_place(s, -1, images, count);
    network_forward_observed(s->net, images, count, observe, s);
    s->images += count;
    return true;
}

static bool ask(accumulator *a, const weight_stream *w, error *e) {
    darknet_layer_info info;
    layer_get_info(w->layer, &info);
    *a = (accumulator){.input = info.inputs[0],
                       .groups = w->plan.groups,
                       .axis = w->plan.lane_axis,
                       .pixels = (size_t)info.in_height * (size_t)info.in_width};
    if (!hd_can_compensate(&w->plan) || a->groups * a->axis != (size_t)info.in_channels) return true;
    a->sums = calloc(a->groups * a->axis, sizeof *a->sums);
    a->products = calloc(a->groups * a->axis * a->axis, sizeof *a->products);
    return (a->sums && a->products) || error_set(e, "out of memory");
}

/* [groups][axis][axis], malloc'ed. */
static float *moments_of(const accumulator *a, bool about_means) {
    float *moments = malloc(a->groups * a->axis * a->axis * sizeof *moments);
    for (size_t g = 0; moments && g < a->groups; g++) {
        const double *all = a->products + g * a->axis * a->axis, *sums = a->sums + g * a->axis;
        float *own = moments + g * a->axis * a->axis;
        for (size_t i = 0; i < a->axis; i++)
            for (size_t j = i; j < a->axis; j++) {
                double means = about_means ? sums[i] * sums[j] / (a->samples * a->samples) : 0.0;
                own[i * a->axis + j] = own[j * a->axis + i] =
                    (float)(all[i * a->axis + j] / a->samples - means);
            }
    }
    return moments;
}

bool measure_input_moments(network *net, const weight_streams *streams, const network_view *view,
                           image_source source, void *user, size_t images, float **moments, error *e) {
    gathering s = {.net = net,
                   .accumulators = calloc(streams->count + 1, sizeof *s.accumulators),
                   .count = streams->count};
    for (size_t i = 0; i < streams->count; i++) moments[i] = NULL;
    if (!s.accumulators) return error_set(e, "out of memory");
    bool good = true;
    for (size_t i = 0; good && i < streams->count; i++) good = ask(&s.accumulators[i], &streams->items[i], e);
    good = good && source(user, images, observe_batch, &s, e) &&
           (!s.failed || error_set(e, "out of memory")) &&
           (s.images > 0 || error_set(e, "there are no images to measure activations on"));
    for (size_t i = 0; good && i < streams->count; i++)
        if (s.accumulators[i].products) {
            moments[i] = moments_of(&s.accumulators[i], view->nodes[streams->items[i].index].batch_normalize);
            good = moments[i] || error_set(e, "out of memory");
        }
    for (size_t i = 0; i < streams->count; i++) {
        free(s.accumulators[i].sums);
        free(s.accumulators[i].products);
    }
    free(s.accumulators);
    free(s.rows);
    free(s.products);
    return good;
}
