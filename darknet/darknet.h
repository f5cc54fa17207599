/* libdarknet: runs and trains the image classifiers of Darknet's cfg and weight files. This is Darknet's own
 * C interface, so that programs and ctypes clients written for Darknet's classifiers run against this
 * library.
 *
 * Images and batches are float32 in CHW order with pixels in [0,1]; what a cfg's mean= and std= do is done
 * inside.
 *
 * These functions have no error argument. One that fails returns NULL, NAN or an empty image (as told below)
 * or leaves everything as it was, and its sentence is darknet_last_error()'s until the thread's next call.
 * The library never prints and never exits. Two threads may use two networks; one network serves one thread
 * at a time. */
#ifndef DARKNET_H
#define DARKNET_H

#include "darknet_extension.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong in this thread's last call of a function of this header, "" when nothing did. */
DARKNET_API const char *darknet_last_error(void);
/* What is worth knowing about this thread's last load_network or load_weights that succeeded, such as which
 * layers kept their initial values; one sentence a line, "" when there is nothing. */
DARKNET_API const char *darknet_last_notes(void);

/* ---- images: float32 [c][h][w] in [0,1]; data is malloc'ed and freed by free_image (or free) ---- */
typedef struct image {
    int w, h, c;
    float *data;
} image;

/* A failure gives an image of size 0 with data NULL, which every function here takes and answers with
 * another. */
DARKNET_API image make_image(int w, int h, int c); /* black */
DARKNET_API void free_image(image m);
/* A JPEG, PNG, BMP, PPM or PGM file as 3 channels; resized to w x h unless one of them is 0. */
DARKNET_API image load_image_color(const char *filename, int w, int h);
/* The results are new images. Bilinear with source position i * (old - 1) / (new - 1). */
DARKNET_API image resize_image(image im, int w, int h);
/* Scaled to fit, keeping the aspect, centred on a canvas of .5. */
DARKNET_API image letterbox_image(image im, int w, int h);
/* The largest centred square, resized. */
DARKNET_API image center_crop_image(image im, int w, int h);
/* Exchanges the first and the third channel in place. */
DARKNET_API void rgbgr_image(image im);

/* ---- networks ---- */

/* Builds the network of a cfg file, with the weights unless weights_file is NULL or "". clear: images seen
 * are 0 afterwards, and a weight file that ends at a layer's border is taken (darknet_last_notes says which
 * layers kept their initial values); without it such a file is an error. NULL on failure. */
DARKNET_API network *load_network(const char *cfg_file, const char *weights_file, int clear);
DARKNET_API void free_network(network *net); /* takes NULL */

/* Images a pass: what network_predict and train_network read. After loading: batch / subdivisions of the cfg.
 */
DARKNET_API void set_batch_network(network *net, int batch);
DARKNET_API int network_batch(const network *net);
DARKNET_API int network_width(const network *net); /* of the input */
DARKNET_API int network_height(const network *net);
DARKNET_API int network_channels(const network *net);

/* Inference. input: [batch][channels][height][width]; the answer, [batch][outputs], belongs to the network
 * and stays until its next pass. NULL on failure. */
DARKNET_API float *network_predict(network *net, float *input);
/* Letterboxes the image to the network's size and predicts it; the batch is 1 from then on. The image must
 * have the network's channels. NULL on failure. */
DARKNET_API float *network_predict_image(network *net, image im);

/* Places of the `n` largest values of the last answer (of its first image), best first; of `n` values of a,
 * the k largest. Of equal values the earlier comes first; where there are fewer than k, the rest is -1. */
DARKNET_API void top_predictions(network *net, int n, int *index);
DARKNET_API void top_k(const float *a, int n, int k, int *index);

/* ---- weight files ---- */

/* The whole file into the whole network, or nothing and darknet_last_error(). */
DARKNET_API void load_weights(network *net, const char *filename);
/* Layers [start, cutoff) from a file that holds those and may hold more. */
DARKNET_API void load_weights_upto(network *net, const char *filename, int start, int cutoff);
/* Complete or not at all: an existing file stays as it is when writing fails. */
DARKNET_API void save_weights(network *net, const char *filename);
DARKNET_API void save_weights_upto(network *net, const char *filename, int cutoff); /* layers [0, cutoff) */

/* ---- training ---- */
typedef struct matrix {
    int rows, cols;
    float **vals; /* rows pointers to cols values */
} matrix;

/* X: one image a row, [channels][height][width]; y: its truth, one value an output. The rest is not read. */
typedef struct data {
    int w, h;
    matrix X, y;
    int shallow;
    int *num_boxes;
    struct box **boxes;
} data;

/* Passes over the rows in order, `batch` a pass (the rows are a multiple of it), a step of the cfg's
 * optimiser at the cfg's learning rate after every `subdivisions` passes. The loss of an image, averaged; NAN
 * on failure. */
DARKNET_API float train_network(network *net, data d);

/* ---- .data files ---- */
typedef struct metadata {
    int classes;
    char **names; /* malloc'ed strings in a malloc'ed array, the caller's (free_ptrs); a NULL stands behind
                     the last */
} metadata;

/* The key `classes` and the lines of the file that `names` (else `labels`) names, at least `classes` of them.
 * On failure classes is 0 and names NULL. */
DARKNET_API metadata get_metadata(const char *filename);
/* A file's lines, owned like metadata.names. NULL on failure. */
DARKNET_API char **get_labels(const char *filename);
DARKNET_API void free_ptrs(void **ptrs, int n); /* frees n pointers and the array */

/* ---- names that Darknet's own ctypes clients look up when they start (other_names.c) ---- */

/* load_network, then set_batch_network. */
DARKNET_API network *load_network_custom(const char *cfg_file, const char *weights_file, int clear,
                                         int batch);
DARKNET_API void free_network_ptr(network *net);
DARKNET_API float *network_predict_ptr(network *net, float *input);
DARKNET_API float *network_predict_image_letterbox(network *net, image im);
/* From [h][w][c] bytes. */
DARKNET_API void copy_image_from_bytes(image im, const char *bytes);
/* There are no devices to choose among, and no recurrent or detection layers: these do nothing, and find no
 * boxes. */
DARKNET_API void cuda_set_device(int device);
DARKNET_API void init_cpu(void);
DARKNET_API void reset_rnn(network *net);
struct detection;
DARKNET_API struct detection *get_network_boxes(network *net, int w, int h, float thresh, float hier,
                                                int *map, int relative, int *num, int letter);
DARKNET_API struct detection *make_network_boxes(network *net, float thresh, int *num);
DARKNET_API void free_detections(struct detection *detections, int n);
DARKNET_API void do_nms_obj(struct detection *detections, int total, int classes, float thresh);
DARKNET_API void do_nms_sort(struct detection *detections, int total, int classes, float thresh);

#ifdef __cplusplus
}
#endif
#endif
