/* What a data set is in memory, for the files that fill it and those that draw from it. */
#ifndef DARKNET_DATA_DATASET_H
#define DARKNET_DATA_DATASET_H

#include "data/data.h"

typedef struct stored_image {
    const uint8_t *pixels; /* [height][width][channels] */
    int width, height;
    int label;
} stored_image;

struct dataset {
    stored_image *images;
    size_t count, capacity;
    int classes, channels;
    uint8_t **blocks; /* what the pixels lie in */
    size_t block_count, block_capacity;
    uint64_t bytes, most_bytes; /* of pixels; most_bytes 0: the machine's */
};

/* Room for `more` images behind those there are. */
bool dataset_reserve(dataset *d, size_t more, const char *name, error *e);

/* The block becomes the data set's, freed with free() when it closes, or at once when memory is out. */
bool dataset_own_block(dataset *d, uint8_t *block, const char *name, error *e);

/* Whether `bytes` more of pixels are within what is allowed; a sentence when they are not. */
bool dataset_has_room(const dataset *d, uint64_t bytes, const char *name, error *e);

/* One file of CIFAR records; `coarse` takes CIFAR-100's 20 coarse labels. */
typedef enum cifar_kind { CIFAR_10, CIFAR_100 } cifar_kind;
bool cifar_read(dataset *d, const char *path, cifar_kind kind, error *e);

/* An IDX image file and its labels, both plain or .gz. */
bool idx_read(dataset *d, const char *images_path, const char *labels_path, error *e);

/* The images of a list file, their labels from their paths by way of options->labels. */
bool list_read(dataset *d, const char *list_path, const data_options *options, error *e);

#endif
