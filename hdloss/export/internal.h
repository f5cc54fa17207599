/* What the files of this room share. */
#ifndef HDLOSS_EXPORT_INTERNAL_H
#define HDLOSS_EXPORT_INTERNAL_H

#include <jansson.h>

#include "export.h"

/* ---- stream_array.c: words as they stand on the lanes, cycle by cycle ---- */
/* Its shape [tiles][steps][lanes] for a plan; the lanes are those that the widest tile uses, for weight
 * stationary plans its processing elements row by row. */
void hd_stream_array_shape(const hd_plan *plan, hd_array *array);
/* array->values[tiles][steps][lanes] (the caller's) from streamed[plan->weights]. A lane that a narrower tile
 * leaves unused holds its word, from the end of the pass before its start too; one that is never used has 0.
 */
void hd_stream_array_fill(const hd_plan *plan, const int8_t *streamed, hd_array *array);
/* The way back. */
void hd_stream_array_read(const hd_plan *plan, const hd_array *array, int8_t *streamed);
/* +1 or -1 for each weight of the layer: streamed = sign * word. */
bool hd_export_signs(const hd_stream_layer *layer, const hd_plan *plan, int8_t *signs, hd_error *error);

/* ---- hex.c: $readmemh text ---- */
/* One value a line, two's complement in as many digits as its type has. */
bool hd_hex_encode(const hd_array *array, uint8_t **bytes, size_t *count, hd_error *error);
/* One step a line: all lanes' bit patterns of `bits` bits as one number, lane 0 in the lowest bits. */
bool hd_hex_encode_stream(const hd_array *array, int bits, hd_representation representation, uint8_t **bytes,
                          size_t *count, hd_error *error);

/* ---- the manifest's own checksum (manifest.c) ---- */
/* Takes the reference. */
bool hd_manifest_seal(json_t *root, uint8_t **bytes, size_t *count, hd_error *error);
/* A new reference, or NULL and a sentence. */
json_t *hd_manifest_open(const uint8_t *bytes, size_t count, const char *name, hd_error *error);

/* Operations by the names they have in the manifest; NULL beyond the last. */
const char *hd_operation_name(int operation);

/* The plan's own channels, filters and so on of a model's layer. */
hd_layer_shape hd_export_shape(const hd_integer_model *model, const hd_integer_layer *layer);
/* Words of one channel of a convolution or connected layer. */
size_t hd_export_channel_words(const hd_integer_model *model, const hd_integer_layer *layer);

#endif
