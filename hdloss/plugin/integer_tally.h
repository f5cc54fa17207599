/* Accuracy of the integer network, and records of its inputs and logits. */
#ifndef HDLOSS_PLUGIN_INTEGER_TALLY_H
#define HDLOSS_PLUGIN_INTEGER_TALLY_H

#include "internal.h"

/* Start from a zeroed struct with the wanted flags set. */
typedef struct integer_records {
    bool keep_logits, keep_inputs;
    size_t images, classes, height, width, channels;
    float *logits;   /* [images][classes] */
    uint8_t *inputs; /* [images][height][width][channels]: the quantised images, two's complement */
    size_t logits_capacity, inputs_capacity; /* in bytes */
} integer_records;

void integer_records_free(integer_records *r);
/* As .npy: float32 [images][classes]; int8 [images][height][width][channels]. */
bool integer_records_write_logits(const integer_records *r, const char *path, error *e);
bool integer_records_write_inputs(const integer_records *r, const char *path, error *e);

/* As evaluate_integer; records may be NULL. */
bool tally_integer(const hd_integer_network *n, int threads, image_source source, void *user, int top,
                   integer_records *records, evaluation *result, error *e);

#endif
