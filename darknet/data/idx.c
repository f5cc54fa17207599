/* IDX files (Y. LeCun, C. Cortes, C. Burges, The MNIST database): big-endian magic 00 00 type dimensions, the
 * sizes, then the data; plain or gzip-compressed, which zlib's reader tells apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "data/dataset.h"

#define DATA_BYTES_LIMIT ((size_t)2 << 30)
#define SIDE_LIMIT 4096
#define PIECE ((size_t)1 << 20)
#define UNSIGNED_BYTES 8 /* the type's number */

typedef struct idx_file {
    const char *path;
    gzFile stream;
    size_t sizes[3], dimensions, bytes; /* bytes: the sizes' product */
} idx_file;

static bool stream_error(const idx_file *f, error *e) {
    int code;
    const char *reason = gzerror(f->stream, &code);
    return error_set(e, "%s: cannot be read: %s", f->path, code == Z_ERRNO ? strerror(errno) : reason);
}

/* Exactly `bytes` bytes; `what` and `before` say what they are and where they begin. */
static bool read_bytes(const idx_file *f, void *to, size_t bytes, size_t before, error *e) {
    int got = gzread(f->stream, to, (unsigned)bytes);
    if (got < 0) return stream_error(f, e);
    if ((size_t)got == bytes) return true;
    return error_set(e, "%s: truncated: it ends after %zu bytes, %s", f->path, before + (size_t)got,
                     before ? "before its data do" : "inside its header");
}

static size_t header_bytes(const idx_file *f) {
    return 4 + 4 * f->dimensions;
}

static bool read_header(idx_file *f, size_t dimensions, error *e) {
    uint8_t header[16];
    f->dimensions = dimensions;
    if (!read_bytes(f, header, header_bytes(f), 0, e)) return false;
    if (header[0] || header[1] || header[2] != UNSIGNED_BYTES || header[3] != dimensions)
        return error_set(
            e,
            "%s: begins with %02x %02x %02x %02x: an IDX file of %zu-dimensional bytes with 00 00 08 "
            "%02zx",
            f->path, header[0], header[1], header[2], header[3], dimensions, dimensions);
    f->bytes = 1;
    for (size_t i = 0; i < dimensions; i++) {
        const uint8_t *at = header + 4 + 4 * i;
        f->sizes[i] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (!size_multiply(f->bytes, f->sizes[i], &f->bytes) || f->bytes > DATA_BYTES_LIMIT)
            return error_set(e, "%s: its header claims more than %zu bytes of data", f->path,
                             DATA_BYTES_LIMIT);
    }
    if (f->bytes == 0) return error_set(e, "%s: its header claims no data", f->path);
    return true;
}

/* The data behind the header. Memory grows with what is really there, not with what the header claims. */
static uint8_t *read_data(const idx_file *f, error *e) {
    uint8_t *data = NULL;
    size_t used = 0, capacity = 0;
    while (used < f->bytes) {
        if (used == capacity) {
            capacity = capacity ? capacity * 2 : PIECE;
            if (capacity > f->bytes) capacity = f->bytes;
            uint8_t *grown = realloc(data, capacity);
            if (!grown) {
                error_set(e, "%s: out of memory after %zu bytes", f->path, used);
                break;
            }
            data = grown;
        }
        size_t piece = capacity - used < PIECE ? capacity - used : PIECE;
        if (!read_bytes(f, data + used, piece, header_bytes(f) + used, e)) break;
        used += piece;
    }
    char more;
    if (used == f->bytes) {
        int got = gzread(f->stream, &more, 1), code;
        (void)gzerror(f->stream, &code);
        if (got == 0 && (code == Z_OK || code == Z_STREAM_END)) return data;
        if (got <= 0)
            stream_error(f, e);
        else
            error_set(e, "%s: goes on after the %zu bytes of data that its header claims", f->path, f->bytes);
    }
    free(data);
    return NULL;
}

/* Opens, checks the header and that there is room for the data as the network wants them, reads all. */
static uint8_t *read_idx(const dataset *d, const char *path, size_t dimensions, idx_file *f, error *e) {
    *f = (idx_file){.path = path, .stream = gzopen(path, "rb")};
    if (!f->stream) {
        error_set(e, "%s: cannot be opened: %s", path, errno ? strerror(errno) : "out of memory");
        return NULL;
    }
    bool good = read_header(f, dimensions, e) &&
                dataset_has_room(d, (uint64_t)f->bytes * (uint64_t)d->channels, path, e);
    uint8_t *data = good ? read_data(f, e) : NULL;
    (void)gzclose(f->stream);
    return data;
}

/* The pixels as the network wants them: grey ones repeated over 3 channels. Takes `grey`, returns the result.
 */
static uint8_t *repeat_channels(uint8_t *grey, size_t bytes, size_t channels) {
    if (channels == 1 || !grey) return grey;
    uint8_t *pixels = bytes <= SIZE_MAX / channels ? malloc(bytes * channels) : NULL;
    for (size_t i = 0; pixels && i < bytes; i++) memset(pixels + i * channels, grey[i], channels);
    free(grey);
    return pixels;
}

static bool take_images(dataset *d, const idx_file *f, const uint8_t *pixels, const uint8_t *labels,
                        const char *labels_path, error *e) {
    int height = (int)f->sizes[1], width = (int)f->sizes[2];
    size_t image_bytes = f->sizes[1] * f->sizes[2] * (size_t)d->channels;
    for (size_t i = 0; i < f->sizes[0]; i++) {
        if (labels[i] >= d->classes)
            return error_set(e, "%s: label %zu (byte %zu) is %d, but there are %d classes", labels_path, i,
                             8 + i, labels[i], d->classes);
        d->images[d->count++] = (stored_image){pixels + i * image_bytes, width, height, labels[i]};
    }
    return true;
}

static bool check_sizes(const idx_file *images, const idx_file *labels, error *e) {
    if (images->sizes[1] > SIDE_LIMIT || images->sizes[2] > SIDE_LIMIT)
        return error_set(e, "%s: images of %zu x %zu pixels: at most %d x %d are read", images->path,
                         images->sizes[2], images->sizes[1], SIDE_LIMIT, SIDE_LIMIT);
    if (images->sizes[0] != labels->sizes[0])
        return error_set(e, "%s has %zu labels, but %s has %zu images", labels->path, labels->sizes[0],
                         images->path, images->sizes[0]);
    return true;
}

bool idx_read(dataset *d, const char *images_path, const char *labels_path, error *e) {
    idx_file images, labels;
    uint8_t *label_bytes = read_idx(d, labels_path, 1, &labels, e);
    uint8_t *pixels = label_bytes ? read_idx(d, images_path, 3, &images, e) : NULL;
    bool good = pixels && check_sizes(&images, &labels, e);
    if (good) {
        pixels = repeat_channels(pixels, images.bytes, (size_t)d->channels);
        good = pixels || error_set(e, "%s: out of memory", images_path);
    }
    if (good) {
        d->bytes += (uint64_t)images.bytes * (uint64_t)d->channels;
        good = dataset_own_block(d, pixels, images_path, e) &&
               dataset_reserve(d, images.sizes[0], images_path, e) &&
               take_images(d, &images, pixels, label_bytes, labels_path, e);
        pixels = NULL; /* the data set's */
    }
    free(pixels);
    free(label_bytes);
    return good;
}
