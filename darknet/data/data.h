/* Data: image lists, CIFAR and IDX files decoded once into memory, augmented by worker threads ahead of
 * whoever asks. Everything random is a function of (seed, epoch, position): the batches are the same for any
 * number of workers and after a resume. */
#ifndef DARKNET_DATA_DATA_H
#define DARKNET_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/error.h"

/* ---- images: float CHW in [0,1] (the public boundary's layout) ---- */
typedef struct image_f32 {
    int width, height, channels;
    float *data; /* [channels][height][width], memory_allocate'd */
} image_f32;

/* Decodes a JPEG, PNG, BMP or binary PPM/PGM to `channels` channels (1 or 3). At most 32 Mi pixels; a
 * truncated file is an error. On any failure *image is empty and need not be freed. */
bool image_load(const char *path, int channels, image_f32 *image, error *e);
bool image_load_memory(const void *bytes, size_t count, const char *name, int channels, image_f32 *image,
                       error *e);
void image_free(image_f32 *image);
bool image_make(int width, int height, int channels, image_f32 *image, error *e);
/* Separable bilinear with align-corners positions i * (old - 1) / (new - 1). */
bool image_resize(const image_f32 *in, int width, int height, image_f32 *out, error *e);
/* Scaled to fit keeping the aspect, centred on a .5 canvas. */
bool image_letterbox(const image_f32 *in, int width, int height, image_f32 *out, error *e);
/* The largest centred square, resized to width x height. */
bool image_center_crop(const image_f32 *in, int width, int height, image_f32 *out, error *e);

/* ---- labelled sets ---- */
typedef struct dataset dataset;

/* What a .data file says. Strings are owned by the struct. */
typedef struct data_options {
    int classes;
    int top;
    char *train, *valid,
        *test; /* a list file, a CIFAR .bin (several separated by ','), an IDX image file (.gz too) */
    char *train_labels, *valid_labels,
        *test_labels; /* IDX label files, keys train_labels, valid_labels, test_labels */
    char *format;     /* key format = auto | list | cifar10 | cifar100 | idx; auto goes by the file's name and
                         size */
    char *labels, *names, *backup;
    size_t valid_split; /* key valid_split: seeded training images held out, 0 none */
    char *path;         /* of the .data file, for messages */
} data_options;

/* Paths are taken relative to the working directory first and, when absent there, to the .data file's
 * directory. A leading $NAME/ in a path is replaced by that environment variable (an unset one is an error
 * naming it). */
bool data_options_read(const char *path, data_options *options, error *e);
/* The same; all mistakes, and warnings of keys that nobody knows, go to d besides (e then holds the first
 * mistake). */
bool data_options_diagnose(const char *path, data_options *options, diagnostics *d, error *e);
void data_options_free(data_options *options);
/* Whether that file, one of train, valid and test, is a list of image paths: by the key format or its name.
 */
bool data_is_list(const data_options *options, const char *path);

typedef enum data_part { DATA_TRAIN, DATA_HELD_OUT, DATA_VALID, DATA_TEST } data_part;

/* Decodes a part into memory as bytes. `channels` is the network's. DATA_TRAIN is without, DATA_HELD_OUT with
 * exactly, the valid_split images that `seed` draws. Images of a list keep their own sizes; CIFAR and IDX
 * have one. A grey image is repeated over 3 channels when the network wants 3.
 * CIFAR-100's fine labels are taken, or the coarse ones when there are 20 classes. Which images are held out
 * depends on the seed and their number alone; a smaller split is part of a larger one. A list's images are
 * sought from the working directory, beside the .data file, then beside the list. A part of more than
 * most_bytes (0: the machine's memory) of pixels is an error as soon as that is known. NULL and a sentence on
 * error. */
dataset *dataset_open(const data_options *options, data_part part, int channels, uint64_t seed,
                      uint64_t most_bytes, error *e);
void dataset_close(dataset *d);
/* What it takes of memory; 0 for NULL. */
uint64_t dataset_bytes(const dataset *d);
size_t dataset_count(const dataset *d);
int dataset_classes(const dataset *d);
int dataset_label(const dataset *d, size_t i);

/* ---- augmentation: [net]'s keys ---- */
typedef struct augmentation {
    bool enabled; /* false: centre crop and resize only (evaluation), no smoothing */
    int width, height, channels;
    int min_crop,
        max_crop; /* Darknet's random scale, the image's shorter side in pixels; min_crop <= 0: off */
    float angle_degrees, aspect, saturation, exposure,
        hue; /* the ratios aspect, saturation, exposure: 1 or 0 off */
    bool flip;
    int pad_crop;        /* > 0: zero-pad by so many pixels and crop at random instead of the random scale */
    bool center;         /* the centre crop instead of both; flip and colours all the same */
    float mixup, cutmix; /* probabilities, their sum with mosaic at most 1; 0: off. The partner is any image
                            of the set, its share uniform in [0,1]; labels mixed by area */
    float mosaic;        /* probability: parts of four images about a random centre, labels mixed by area */
    float blur;          /* > 0: a Gaussian of standard deviation uniform in [0, blur] pixels */
    float label_smooth;  /* truth <- truth * (1 - s) + s / classes */
    const float *mean, *deviation; /* [channels] or NULL: x <- (x - mean) / deviation, last of all; a loader
                                      copies them */
} augmentation;

/* ---- batches ---- */
typedef struct data_batch {
    size_t count;  /* images filled; the last batch of a sequential pass may be short, the rest then repeats
                      the set's image 0 */
    float *images; /* [batch][height][width][channels] */
    float *truth;  /* [batch][classes] */
    int *labels;   /* [batch]: the class before any mixing */
} data_batch;

typedef struct data_loader data_loader;
typedef struct data_loader_options {
    size_t batch; /* images a data_batch */
    int workers;  /* threads that prepare batches, at least 1 */
    int depth;    /* batches prepared ahead, at least 2 */
    bool shuffle; /* true: endless, each epoch a seeded permutation of the set; batches cross epochs' ends;
                     false: one pass in order, then loader_next returns NULL */
    uint64_t seed;
    uint64_t start_image; /* shuffle: how many images were already drawn (resume position) */
} data_loader_options;

/* The dataset must outlive the loader; its channels are the augmentation's. NULL and a sentence on error. */
data_loader *data_loader_create(const dataset *d, const augmentation *a, const data_loader_options *o,
                                error *e);
void data_loader_destroy(data_loader *l);
/* The next batch, valid until the following call; NULL at the end of a sequential pass. One thread calls it.
 */
const data_batch *data_loader_next(data_loader *l);
/* Seconds that data_loader_next has waited for workers, since creation. */
double data_loader_wait_seconds(const data_loader *l);

/* One image prepared as evaluation does (no randomness): out is [height][width][channels]. */
bool data_prepare_image(const image_f32 *in, const augmentation *a, bool letterbox, float *out, error *e);

#endif
