/* The packed network and the parts that make and run it. */
#ifndef HDLOSS_INTEGER_INTERNAL_H
#define HDLOSS_INTEGER_INTERNAL_H

#include "integer.h"
#include "integer/kernels.h"

typedef enum hd_integer_step_type {
    HD_STEP_PRODUCT,
    HD_STEP_DEPTHWISE,
    HD_STEP_MAXPOOL,
    HD_STEP_AVERAGE_POOL,
    HD_STEP_SUM,
    HD_STEP_ROUTE,
    HD_STEP_TABLE,
    HD_STEP_PASS
} hd_integer_step_type;

/* A layer, packed. */
typedef struct hd_integer_step {
    hd_integer_step_type type;
    int *inputs; /* tensor numbers: 0 the network's input, 1 + i layer i's output */
    int input_count;
    hd_integer_window window;
    hd_integer_product product;
    hd_integer_depthwise depthwise;
    hd_integer_sum sum;
    uint8_t (*route_tables)[256]; /* [input_count], byte to byte */
    bool has_table;
    uint8_t table[256]; /* after the step, byte to byte */
} hd_integer_step;

/* Where a tensor lies: at offset * (images of a chunk), for as many bytes an image. */
typedef struct hd_integer_place {
    hd_integer_tensor tensor;
    int owner; /* the tensor whose bytes these are: itself, or what a pass reads */
    size_t bytes, offset;
    int first, last; /* steps that it is written at (0: before any) and last read at */
} hd_integer_place;

struct hd_integer_network {
    const hd_integer_kernels *kernels;
    int levels; /* of the signed input */
    int layer_count;
    hd_integer_step *steps;   /* [layer_count] */
    hd_integer_place *places; /* [1 + layer_count] */
    size_t arena_bytes;       /* of one image, without slack */
    size_t chunk;             /* images taken together by one thread */
    uint8_t *padding[2];      /* rows of zeros, of unsigned and of signed tensors */

    int logits_layer;
    size_t classes;
    float logits_scale;
    int32_t *logits_multiplier; /* NULL: the logits are not accumulators */
    uint8_t *logits_shift;
};

/* One thread's memory. */
typedef struct hd_integer_workspace {
    uint8_t *arena; /* tensors of a chunk, where their places say */
    int32_t
        *integers; /* [chunk][widest sums or logits]; also where a shortcut's smaller input is spread out */
} hd_integer_workspace;

bool hd_integer_workspace_allocate(const hd_integer_network *network, hd_integer_workspace *w);
void hd_integer_workspace_free(hd_integer_workspace *w); /* also after a failed allocation */

/* Runs one layer on at most `chunk` images in the workspace. */
void hd_integer_run_step(const hd_integer_network *network, int index, const hd_integer_workspace *w,
                         size_t images);

/* The level is for tests; hd_integer_network_create takes the machine's best. */
hd_integer_network *hd_integer_network_create_for(const hd_integer_model *model, hd_isa_level level,
                                                  hd_error *error);

/* Whether a model can be run: shapes, ranges, and that no accumulator can overflow. */
bool hd_integer_check_model(const hd_integer_model *model, hd_error *error);

/* Packs a layer that is known to be valid into a zeroed step. False when out of memory; what was allocated is
 * freed by hd_integer_step_free either way. */
bool hd_integer_pack_step(const hd_integer_network *network, const hd_integer_model *model, int layer,
                          hd_integer_step *step);
void hd_integer_step_free(hd_integer_step *step);

/* Packs a convolution or connected layer, or a depthwise one; input is the tensor that it reads. */
bool hd_integer_pack_product(const hd_integer_layer *layer, const hd_integer_tensor *input,
                             hd_integer_window window, hd_integer_product *product);
bool hd_integer_pack_depthwise(const hd_integer_kernels *kernels, const hd_integer_layer *layer,
                               const hd_integer_tensor *input, hd_integer_window window,
                               hd_integer_depthwise *depthwise);
void hd_integer_scaling_free(hd_integer_scaling *scaling);

/* Gives every tensor its place, so that tensors which live at the same time do not overlap. False: out of
 * memory. */
bool hd_integer_plan_memory(hd_integer_place *places, int count, size_t *arena_bytes);

/* The byte of integer 0. */
static inline uint8_t hd_zero_byte(const hd_integer_tensor *tensor) {
    return tensor->is_signed ? 128 : 0;
}

/* ---- overlap.c: shortcuts of tensors of different shapes ---- */
/* Whether one size is a whole multiple of the other, the same in both directions. */
bool hd_integer_overlap_exists(int height, int width, int other_height, int other_width);
/* output[images][out's shape]: the input on the overlap, its zero elsewhere. */
void hd_integer_spread_overlap(const hd_integer_tensor *out, const hd_integer_tensor *in,
                               const uint8_t *input, size_t images, uint8_t *output);
static inline bool hd_integer_same_shape(const hd_integer_tensor *a, const hd_integer_tensor *b) {
    return a->height == b->height && a->width == b->width && a->channels == b->channels;
}

/* count * bytes zeroed, 64-byte aligned, at least one byte; freed with free(). NULL when too large or out of
 * memory. */
void *hd_integer_allocate(size_t count, size_t bytes);

#endif
