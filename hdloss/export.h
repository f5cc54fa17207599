/* The integer network on disk: a manifest in JSON, and beside it every array as .npy and, where it holds
 * integers, as a $readmemh .hex file; docs/export-format.md describes them. Part of the public interface of
 * libhdloss, which knows no file: an export is written to and read from bytes under names. */
#ifndef HDLOSS_EXPORT_H
#define HDLOSS_EXPORT_H

#include "hdloss.h"
#include "integer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ----------------------------------------------------------------------------------------- .npy arrays */

typedef enum hd_array_type {
    HD_ARRAY_INT8,
    HD_ARRAY_UINT8,
    HD_ARRAY_UINT16,
    HD_ARRAY_INT32,
    HD_ARRAY_UINT32,
    HD_ARRAY_FLOAT32,
    HD_ARRAY_TYPE_COUNT
} hd_array_type;

enum { HD_ARRAY_MOST_DIMENSIONS = 4 };

/* Values in C order. */
typedef struct hd_array {
    hd_array_type type;
    size_t rank, shape[HD_ARRAY_MOST_DIMENSIONS];
    void *values;
} hd_array;

size_t hd_array_count(const hd_array *array); /* of values: the product of the shape */
size_t hd_array_value_bytes(hd_array_type type);

/* NumPy's format 1.0, little endian. *bytes is malloc'ed, the caller frees it. */
bool hd_npy_encode(const hd_array *array, uint8_t **bytes, size_t *count, hd_error *error);
/* array->values is malloc'ed, the caller frees it; nothing to free after a failure. `name` stands in the
 * sentence. */
bool hd_npy_decode(const uint8_t *bytes, size_t count, const char *name, hd_array *array, hd_error *error);

/* --------------------------------------------------------------------------------------------- exports */

enum { HD_EXPORT_FORMAT = 1 };
#define HD_EXPORT_MANIFEST "manifest.json"

/* All arrays are owned. */
typedef struct hd_export {
    char version[HD_NAME_BYTES]; /* of the program that wrote it */
    char network[HD_NAME_BYTES]; /* its name */
    char energy_table[HD_NAME_BYTES];
    hd_accelerator accelerator;
    hd_integer_model *model;
    hd_stream_layer *layers; /* [layer_count]: how the layers with weights stream, by rising index */
    size_t layer_count;
    float *mean, *deviation; /* [channels of the input] or NULL: what images are normalised by */
} hd_export;

void hd_export_free(hd_export *exported); /* its arrays; the struct itself is the caller's */

typedef struct hd_export_file {
    char name[HD_NAME_BYTES];
    uint8_t *bytes; /* owned */
    size_t count;
} hd_export_file;

typedef struct hd_export_files {
    hd_export_file *items; /* the manifest is the last */
    size_t count;
} hd_export_files;

void hd_export_files_free(hd_export_files *files);

/* The files of an export. Fails on a model whose words are not those that stream. */
bool hd_export_encode(const hd_export *exported, hd_export_files *files, hd_error *error);

/* Hands out the file of that name as malloc'ed bytes, or fails with a sentence. */
typedef bool hd_export_loader(void *user, const char *name, uint8_t **bytes, size_t *count, hd_error *error);

/* Reads an export that may be hostile: every file's length and checksum, every array's shape, and the flips
 * of every stream, counted anew, must be what the manifest says. `place` stands before names in sentences.
 * Nothing to free after a failure. */
bool hd_export_decode(hd_export_loader *load, void *user, const char *place, hd_export *exported,
                      hd_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
