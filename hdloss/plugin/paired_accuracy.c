/* Accuracy of two integer networks compared image by image, see paired_accuracy.h. */
#include "paired_accuracy.h"

#include <math.h>
#include <stdlib.h>

typedef struct collector {
    const hd_integer_network *integer;
    answers *answers;
    size_t classes, capacity, pass_capacity;
    float *logits;
    int threads;
    error *e;
    bool failed;
} collector;

void answers_free(answers *a) {
    free(a->right);
    *a = (answers){0};
}

static bool make_room(collector *c, size_t more) {
    if (more > c->pass_capacity) {
        free(c->logits);
        c->logits = malloc(more * c->classes * sizeof *c->logits);
        c->pass_capacity = more;
    }
    if (c->answers->count + more > c->capacity) {
        c->capacity = 2 * c->capacity + more;
        uint8_t *right = realloc(c->answers->right, c->capacity);
        if (!right) return error_set(c->e, "out of memory");
        c->answers->right = right;
    }
    return c->logits ? true : error_set(c->e, "out of memory");
}

/* Ties go to the first class, as in evaluation. */
static bool is_right(const float *row, size_t classes, int truth) {
    for (size_t i = 0; i < classes; i++)
        if (row[i] > row[truth] || (row[i] == row[truth] && (int)i < truth)) return false;
    return true;
}

static bool collect(void *user, const float *images, const int *classes, size_t count) {
    collector *c = user;
    hd_error h = {0};
    c->failed = true;
    if (!make_room(c, count)) return false;
    if (!hd_integer_network_run(c->integer, images, count, c->logits, NULL, c->threads, &h))
        return from_hd(&h, c->e);
    for (size_t n = 0; n < count; n++)
        c->answers->right[c->answers->count++] = is_right(c->logits + n * c->classes, c->classes, classes[n]);
    c->failed = false;
    return true;
}

bool integer_answers(const network *net, const network_view *view, const weight_streams *s,
                     const float *activation_scales, image_source source, void *user, answers *a, error *e) {
    *a = (answers){0};
    hd_integer_network *integer = make_integer_network(view, s, activation_scales, e);
    if (!integer) return false;
    collector c = {.integer = integer,
                   .answers = a,
                   .classes = hd_integer_network_classes(integer),
                   .threads = network_threads(net),
                   .e = e};
    bool good = source(user, 0, collect, &c, e) && !c.failed;
    good = good && (a->count > 0 || error_set(e, "there are no images to measure accuracy on"));
    free(c.logits);
    hd_integer_network_destroy(integer);
    if (!good) answers_free(a);
    return good;
}

paired_accuracy compare_answers(const answers *before, const answers *after) {
    double n = (double)before->count, lost = 0.0, won = 0.0, right = 0.0;
    for (size_t i = 0; i < before->count; i++) {
        right += before->right[i];
        lost += before->right[i] > after->right[i];
        won += before->right[i] < after->right[i];
    }
    double drop = (lost - won) / n;
    return (paired_accuracy){.images = before->count,
                             .before = right / n,
                             .after = (right - lost + won) / n,
                             .drop_points = 100.0 * drop,
                             .standard_error_points = 100.0 * sqrt(((lost + won) / n - drop * drop) / n)};
}
