/* Names that Darknet's ctypes clients look up when they start, beside what a classifier needs: other names of
 * functions that are here, and the detector's, which find nothing in a network without detection layers. */
#include <stdlib.h>
#include <string.h>

#include "interface/interface.h"

/* ---- the same under another name ---- */

network *load_network_custom(const char *cfg_file, const char *weights_file, int clear, int batch) {
    network *net = load_network(cfg_file, weights_file, clear);
    if (net) set_batch_network(net, batch);
    if (!net || net->client->batch == (size_t)batch) return net;
    free_network(net);
    return NULL;
}

void free_network_ptr(network *net) {
    free_network(net);
}
float *network_predict_ptr(network *net, float *input) {
    return network_predict(net, input);
}
float *network_predict_image_letterbox(network *net, image im) {
    return network_predict_image(net, im);
}

void copy_image_from_bytes(image im, const char *bytes) {
    if (!im.data || !bytes) return;
    size_t channels = (size_t)im.c, plane = (size_t)im.w * (size_t)im.h;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < channels; c++)
            im.data[c * plane + i] = (float)(unsigned char)bytes[i * channels + c] / 255.0f;
}

/* ---- processors without a choice ---- */

void cuda_set_device(int device) {
    (void)device;
}
void init_cpu(void) {}

/* ---- layers that no classifier has ---- */

void reset_rnn(network *net) {
    (void)net;
}

struct detection *get_network_boxes(network *net, int w, int h, float thresh, float hier, int *map,
                                    int relative, int *num, int letter) {
    (void)net, (void)w, (void)h, (void)thresh, (void)hier, (void)map, (void)relative, (void)letter;
    if (num) *num = 0;
    return NULL;
}

struct detection *make_network_boxes(network *net, float thresh, int *num) {
    (void)net, (void)thresh;
    if (num) *num = 0;
    return NULL;
}

void free_detections(struct detection *detections, int n) {
    (void)n;
    free(detections);
}

void do_nms_obj(struct detection *detections, int total, int classes, float thresh) {
    (void)detections, (void)total, (void)classes, (void)thresh;
}
void do_nms_sort(struct detection *detections, int total, int classes, float thresh) {
    (void)detections, (void)total, (void)classes, (void)thresh;
}
