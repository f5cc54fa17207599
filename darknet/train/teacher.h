/* Distillation: the truth of training images mixed with another network's answers (Hinton, Vinyals and Dean,
 * arXiv 1503.02531, at temperature 1). */
#ifndef DARKNET_TRAIN_TEACHER_H
#define DARKNET_TRAIN_TEACHER_H

#include "network/network.h"

typedef struct teacher {
    network *net; /* built for inference; borrowed */
    float share;  /* of its answers in the truth, 0 to 1 */
    float *truth; /* [pass_batch][outputs] */
} teacher;

/* False and a sentence when the two networks do not take the same images and give the same outputs, the
 * teacher takes fewer images a pass, or its last layer is no softmax. */
bool teacher_create(teacher *t, network *net, double share, const network *student, error *e);
void teacher_destroy(teacher *t);

/* (1 - share) * truth + share * the teacher's probabilities, [batch][outputs]; valid until the next call. */
const float *teacher_truth(teacher *t, const float *images, const float *truth, size_t batch);

#endif
