/* How an extension reaches into libdarknet: layers and their parameters, and the hook points that a layer
 * type, an epoch's end and a checkpoint offer. Programs that load and run networks include darknet.h. The
 * library never prints and never exits: functions that can fail return false or NULL and leave one sentence
 * in the darknet_error their caller passed. */
#ifndef DARKNET_EXTENSION_H
#define DARKNET_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DARKNET_API __attribute__((visibility("default")))

typedef struct darknet_error {
    char message[1024];
} darknet_error;

typedef struct network network;
typedef struct layer layer;

/* The program's version, e.g. "0.1.0". */
DARKNET_API const char *darknet_version(void);

/* ---- looking at a network ---- */

DARKNET_API int network_layer_count(const network *net);
DARKNET_API layer *network_layer(network *net, int index); /* NULL when there is none */
DARKNET_API const char *network_name(const network *net);  /* of its cfg file, without directory and ".cfg" */
DARKNET_API int network_outputs(const network *net);       /* values of an image's answer */
DARKNET_API int network_threads(const network *net);

/* What a layer is. Strings and arrays belong to the network. Sizes that a type has no use for are 0 (stride,
 * dilation and groups: 1). */
typedef struct darknet_layer_info {
    int index;         /* as in the cfg: the first section after [net] is 0 */
    const char *type;  /* the section's name */
    int line;          /* in the cfg; 0 when the layer is implied by a key of [net] */
    const int *inputs; /* indexes of the layers it reads; -1 is the network's input */
    int input_count;
    int in_height, in_width, in_channels; /* of inputs[0] */
    int out_height, out_width, out_channels;
    int size, stride, padding, dilation, groups;
    float alpha, beta; /* shortcut: out = activation(alpha * inputs[0] + beta * inputs[1]) */
    const char *activation;
    float (*activation_function)(float z);
    bool batch_normalize;
    float epsilon_inside,
        epsilon_outside; /* y = scales * (x - mean) / (sqrt(variance + inside) + outside) + biases */
    uint64_t macs;       /* multiply-accumulates an image, forward */
} darknet_layer_info;

DARKNET_API void layer_get_info(const layer *l, darknet_layer_info *info);

/* A parameter of a layer: "weights", "biases", "scales", "rolling_mean", "rolling_variance". Darknet's
 * layouts. gradient is NULL for statistics and in networks that do not train; it holds Darknet's *negative*
 * gradient summed over the images of the update. */
typedef struct darknet_parameter {
    float *values;
    float *gradient;
    size_t count;
} darknet_parameter;

DARKNET_API bool layer_get_parameter(const layer *l, const char *name, darknet_parameter *p);

/* A number or a word of the layer's own section, for keys that an extension adds to every layer
 * (hd_lambda=...): the text, or NULL when the key is absent. The key must have been claimed with
 * darknet_extension.layer_keys. */
DARKNET_API const char *layer_option(const layer *l, const char *key);

/* Replaces the weights that the forward and backward passes use: called before each forward pass with the
 * float weights; writes what is used instead. Gradients pass straight through. Set with function NULL to
 * remove. */
typedef void (*darknet_weight_transform)(void *user, const layer *l, const float *weights, float *used,
                                         size_t count);
DARKNET_API bool layer_set_weight_transform(layer *l, darknet_weight_transform function, void *user);

/* ---- extensions: the hook points ---- */

/* A layer type registered from outside. Its output has its input's shape. */
typedef struct darknet_layer_type {
    const char *name;       /* of the cfg section */
    const char *implied_by; /* a key of [net]: when it is there (and not 0) and no section of this name is,
                               one is appended; or NULL */

    /* Reads the section through `option` (marks the key as known; NULL when absent) and makes the layer's
     * state. False with what is wrong, one line a mistake, each beginning "key: ". */
    bool (*create)(void *user, const char *(*option)(void *section, const char *key), void *section,
                   void **state, darknet_error *e);
    /* output[n] from input[n], batch * outputs values each, channels-last. NULL: the input is passed through.
     */
    void (*forward)(void *state, network *net, const float *input, float *output, size_t batch,
                    bool training);
    /* Adds to in_delta. NULL with forward NULL: the gradient is passed through. */
    void (*backward)(void *state, network *net, const float *input, const float *output, const float *delta,
                     float *in_delta, size_t batch);
    /* Once an update, after the backward pass of all its images and before the step: may add to parameters'
     * gradients (Darknet's sign: the negative gradient, summed over `images`); *loss is the loss that it
     * stands for, per image. epoch: epochs seen so far; progress: the share of the run that is done, 0 to 1.
     * False ends the run with the sentence. */
    bool (*regularize)(void *state, network *net, size_t images, double epoch, double progress, double *loss,
                       darknet_error *e);
    void (*destroy)(void *state);
    /* The state that a resumed run needs, as bytes: save returns a malloc'ed buffer (NULL when there is
     * none). NULL: none. */
    void *(*save)(const void *state, size_t *bytes);
    bool (*load)(void *state, network *net, const void *data, size_t bytes, darknet_error *e);
} darknet_layer_type;

/* What was measured after an epoch. Accuracies are fractions; NAN where not measured. */
typedef struct darknet_epoch {
    int epoch;      /* 1 is the first */
    uint64_t batch; /* updates done */
    double loss, task_loss, regularizer_loss;
    double train_top1, valid_top1, valid_top5, held_out_top1;
    double learning_rate;
    double images_per_second, data_wait_seconds, wall_seconds;
    bool log_is_fresh; /* the run's log begins with this epoch: files of an earlier run are replaced */

    /* The images on which valid_top1 was measured, in order, prepared as for the network: calls visit with
     * [count][height][width][channels] floats and their classes until they are all seen or visit returns
     * false. which: "valid", "held_out", "calibration" (the first training images, without augmentation) or
     * "sample" (a seeded draw, as training prepares them).
     * False when there are none. */
    bool (*visit_images)(const struct darknet_epoch *epoch, const char *which, size_t most,
                         bool (*visit)(void *user, const float *images, const int *classes, size_t count),
                         void *user, darknet_error *e);
    void *internal;
} darknet_epoch;

typedef struct darknet_checkpoint {
    const char *path; /* the .weights file, complete and synced */
    int epoch;
    bool final;                      /* <name>.weights at the end of training */
    const darknet_epoch *evaluation; /* of that epoch */
} darknet_checkpoint;

typedef struct darknet_extension {
    const char *name;
    void *user;
    const darknet_layer_type *layer_type; /* or NULL */
    const char *const *layer_keys; /* keys that it adds to every layer's section, NULL-terminated; or NULL */

    /* After every epoch, before the log's row is written: fills columns[i] for column_names[i]. The network
     * holds the weights that were evaluated. A failure is one warning and never stops training. */
    const char *const *column_names; /* NULL-terminated, or NULL */
    size_t leading_columns; /* how many of them stand before the log's own last columns; the others end the
                               row */
    bool (*on_epoch)(void *user, network *net, const darknet_epoch *epoch, const char *log_path,
                     double *columns, darknet_error *e);
    /* After a checkpoint of an epoch, or the final one, is safely on disk. May write more files beside it. A
     * failure is one warning, never stops training and cannot touch the training weights: the hook gets a
     * copy of the network's. */
    bool (*on_checkpoint)(void *user, network *net, const darknet_checkpoint *checkpoint, darknet_error *e);
    /* Lines for the head of the log, "#key: value", NULL when there is none; static or owned by user. */
    const char *(*log_header)(void *user, network *net);
} darknet_extension;

#ifdef __cplusplus
}
#endif
#endif
