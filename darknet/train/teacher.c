/* Distillation: see teacher.h. */
#include "train/teacher.h"

#include <string.h>

#include "core/memory.h"

bool teacher_create(teacher *t, network *net, double share, const network *student, error *e) {
    *t = (teacher){.net = net, .share = (float)share};
    tensor_shape a = network_input_shape(net), b = network_input_shape(student);
    if (a.height != b.height || a.width != b.width || a.channels != b.channels)
        return error_set(e, "the teacher takes images of %dx%dx%d, the network of %dx%dx%d", a.width,
                         a.height, a.channels, b.width, b.height, b.channels);
    if (network_outputs(net) != network_outputs(student))
        return error_set(e, "the teacher has %d outputs, the network %d", network_outputs(net),
                         network_outputs(student));
    if (strcmp(network_output_layer(net)->type->name, "softmax") != 0)
        return error_set(e, "the teacher's answers are no probabilities: its last layer is no softmax");
    if (net->pass_batch < student->pass_batch)
        return error_set(e, "the teacher takes %zu images a pass, the network %zu", net->pass_batch,
                         student->pass_batch);
    t->truth = memory_allocate(student->pass_batch * (size_t)network_outputs(net), sizeof(float));
    return t->truth ? true : error_set(e, "out of memory for the teacher's answers");
}

void teacher_destroy(teacher *t) {
    memory_free(t->truth);
    t->truth = NULL;
}

const float *teacher_truth(teacher *t, const float *images, const float *truth, size_t batch) {
    network_forward(t->net, images, batch);
    const float *answers = network_output_layer(t->net)->output.data;
    size_t count = batch * (size_t)network_outputs(t->net);
    for (size_t i = 0; i < count; i++) t->truth[i] = (1.0f - t->share) * truth[i] + t->share * answers[i];
    return t->truth;
}
