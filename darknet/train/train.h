/* Training: the loop, evaluation, checkpoints and the log. */
#ifndef DARKNET_TRAIN_TRAIN_H
#define DARKNET_TRAIN_TRAIN_H

#include "data/data.h"
#include "network/network.h"

/* ---- evaluation (evaluate.c) ---- */
typedef struct evaluation {
    size_t images;
    double top1, topk; /* fractions; k is the caller's */
    double top5;       /* of evaluate_network */
    double loss;       /* cross entropy a image, from the network's probabilities */
    double seconds;
} evaluation;

/* How [net] wants images prepared for evaluation. The result borrows net's arrays. */
augmentation evaluation_preparation(const network *net);
bool evaluate_network(network *net, const dataset *d, int top, evaluation *result, error *e);

/* Walks prepared images of a set: visit(images, classes, count) until all (at most `most`, 0: all) are seen
 * or it returns false. */
typedef bool (*image_visitor)(void *user, const float *images, const int *classes, size_t count);
bool visit_dataset(const network *net, const dataset *d, size_t most, image_visitor visit, void *user,
                   error *e);
/* The same without a network: images prepared so, in passes of so many. */
bool visit_prepared(const dataset *d, const augmentation *a, size_t pass_batch, size_t most,
                    image_visitor visit, void *user, error *e);

/* How it prepares them for training. */
augmentation training_preparation(const network *net, int classes);
/* The same in a drawn order, by the network's seed, and as training prepares them: batch-norm statistics
 * belong to such images (those of a network trained with padded crops differ by a sixth, and a point of
 * accuracy, on images without). */
bool visit_sample_of(const network *net, const dataset *d, size_t most, image_visitor visit, void *user,
                     error *e);

/* ---- CSV logs (log.c) ---- */
/* Writes rows of one epoch: lines of that and later epochs (a first field >= epoch) are dropped from an
 * existing file, which must begin with the same heading; `rows` (ending in newlines) are appended. fresh: an
 * existing file is replaced. head: "# ..." lines and the column line. */
bool log_write_epoch(const char *path, const char *head, int epoch, const char *rows, bool fresh, error *e);

/* ---- the loop (trainer.c) ---- */
typedef struct train_progress {
    int epoch, epochs;          /* 1 is the first; epochs 0: unknown */
    uint64_t batch, last_batch; /* updates done; the last of the run */
    uint64_t images;            /* seen */
    double loss, average_loss;  /* of this update; running average as Darknet's */
    double rate;
    double seconds;           /* of this update */
    double images_per_second; /* smoothed */
    double eta_seconds;
    double train_top1; /* of this epoch so far */
    double done;       /* fraction of the epoch */
    double epochs_seen;
} train_progress;

typedef struct train_callbacks {
    void *user;
    void (*progress)(void *user, const train_progress *p);
    void (*epoch)(void *user, const char *head, const char *row); /* the log's head and new row */
    void (*message)(void *user, const char *line);
    void (*warning)(void *user, const char *line);
    bool (*stop_requested)(void *user);
} train_callbacks;

typedef struct train_options {
    const char *backup;      /* directory */
    const char *log_path;    /* CSV, or NULL: <backup>/<name>.csv */
    const char *resume_path; /* weights given on the command line, or NULL */
    bool clear;              /* seen = 0: the schedule starts again */
    int epochs;              /* > 0: beats [net] max_batches and epochs */
    int top;                 /* > 0: a message after each epoch tells top-1 and top-`top` accuracy */
    network *teacher;        /* NULL, or a network for inference whose answers are mixed into the truth */
    double teacher_share;    /* of its answers, 0 to 1 */
} train_options;

typedef enum train_result { TRAIN_FINISHED, TRAIN_STOPPED, TRAIN_FAILED } train_result;

train_result train_network_classifier(network *net, const data_options *data, const train_options *options,
                                      const train_callbacks *callbacks, error *e);

#endif
