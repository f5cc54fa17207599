/* Reading an export: what its files share. Private to the room. */
#ifndef HDLOSS_EXPORT_READER_H
#define HDLOSS_EXPORT_READER_H

#include "export/internal.h"

typedef struct hd_reader {
    hd_export_loader *load;
    void *user;
    const char *place;
    json_t *files;  /* borrowed from the manifest */
    char where[48]; /* "layers[3]", for sentences */
    hd_export *out;
    hd_error *error;
} hd_reader;

/* Writes "place/manifest.json: where.key: what"; false. */
bool hd_reader_wrong(const hd_reader *r, const char *key, const char *what);

/* object[key], which must be such a value. */
bool hd_read_int(const hd_reader *r, const json_t *object, const char *key, int least, int most, int *value);
bool hd_read_scale(const hd_reader *r, const json_t *object, const char *key, float *value);
const char *hd_read_text(const hd_reader *r, const json_t *object, const char *key); /* borrowed; or NULL */
bool hd_copy_text(const hd_reader *r, const json_t *object, const char *key, char out[HD_NAME_BYTES]);

/* Loads a file, which must have the length and checksum that the manifest lists. */
bool hd_load_file(const hd_reader *r, const char *name, uint8_t **bytes, size_t *count);
/* The array in the file that object[key] names: it must have the wanted type and shape. *values is malloc'ed.
 */
bool hd_load_array(const hd_reader *r, const json_t *object, const char *key, const hd_array *wanted,
                   void **values);
/* count x length numbers, widened; *out stays NULL without the key. */
bool hd_read_permutations(const hd_reader *r, const json_t *object, const char *key, size_t count,
                          size_t length, uint32_t **out);
/* entry.multiplier and entry.shift, count of each; what was read is the caller's after a failure too. */
bool hd_read_ratios(const hd_reader *r, const json_t *entry, size_t count, int32_t **multiplier,
                    uint8_t **shift);

static inline hd_array hd_vector(hd_array_type type, size_t count) {
    return (hd_array){.type = type, .rank = 1, .shape = {count}};
}

/* Fills the export's next stream layer and the words of the model's layer, which has its shape. */
bool hd_read_stream(const hd_reader *r, const json_t *entry, const hd_layer_shape *shape,
                    hd_integer_layer *l);

#endif
