/* Two integer networks on the same images: how much accuracy one loses against the other, and how sure that
 * is. Private to the plug-in. */
#ifndef HDLOSS_PLUGIN_PAIRED_ACCURACY_H
#define HDLOSS_PLUGIN_PAIRED_ACCURACY_H

#include "internal.h"

/* Which images a network got right. */
typedef struct answers {
    uint8_t *right; /* [count], 1 or 0; owned */
    size_t count;
} answers;
void answers_free(answers *a);

/* The integer network of these words and activation scales on the source's images. The network's parameters
 * other than weights are those of `net`. */
bool integer_answers(const network *net, const network_view *view, const weight_streams *s,
                     const float *activation_scales, image_source source, void *user, answers *a, error *e);

typedef struct paired_accuracy {
    size_t images;
    double before, after;                      /* top-1, fractions */
    double drop_points, standard_error_points; /* of before - after, from the images on which they differ */
} paired_accuracy;
/* Equal counts, at least one. */
paired_accuracy compare_answers(const answers *before, const answers *after);

#endif
