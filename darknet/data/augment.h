/* One image made ready for the network: geometry, colour, mixing with another, normalisation, truth. */
#ifndef DARKNET_DATA_AUGMENT_H
#define DARKNET_DATA_AUGMENT_H

#include "data/transform.h"

typedef struct augmentor {
    augmentation options; /* checked; its mean and deviation pointers are not used */
    float mean[3], deviation[3];
    bool normalizes;
    byte_table plain, normalized; /* bytes to pixel values: in [0,1], and as the network gets them */
    size_t image_floats;          /* width * height * channels */
} augmentor;

/* What one worker needs besides its output. */
typedef struct augment_scratch {
    float *partner, *base, *rows;
} augment_scratch;

/* Checks the options and copies all of them. */
bool augmentor_set_up(augmentor *a, const augmentation *options, error *e);

/* Scratch for the images of d. */
bool augment_scratch_make(augment_scratch *s, const augmentor *a, const dataset *d, error *e);
void augment_scratch_free(augment_scratch *s);

/* Image `index` of d, the position-th drawn with this seed: its pixels [height][width][channels] and its
 * truth [classes]. The same whoever asks. */
void augment_image(const augmentor *a, const dataset *d, size_t index, uint64_t seed, uint64_t position,
                   augment_scratch *s, float *pixels, float *truth);

#endif
