/* CIFAR's binary form (A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009): records
 * of a label byte (CIFAR-100: coarse, then fine) and 32x32 pixels, the planes red, green and blue after each
 * other. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/memory.h"
#include "data/dataset.h"

#define SIDE 32
#define PLANE ((size_t)SIDE * SIDE)
#define COARSE_CLASSES 20
#define FILE_BYTES_LIMIT ((size_t)2 << 30)

static void interleave(const uint8_t *planes, int channels, uint8_t *pixels) {
    for (size_t i = 0; i < PLANE; i++) {
        const uint8_t red = planes[i], green = planes[PLANE + i], blue = planes[2 * PLANE + i];
        if (channels == 1) {
            pixels[i] = (uint8_t)((red * 77 + green * 150 + blue * 29) >> 8);
        } else {
            pixels[3 * i] = red;
            pixels[3 * i + 1] = green;
            pixels[3 * i + 2] = blue;
        }
    }
}

/* Which byte of a record is the label. */
static size_t label_offset(const dataset *d, cifar_kind kind) {
    return kind == CIFAR_100 && d->classes != COARSE_CLASSES ? 1 : 0;
}

static bool check_bytes(const char *path, size_t bytes, size_t record, cifar_kind kind, error *e) {
    if (bytes && bytes % record == 0) return true;
    size_t whole = bytes / record;
    return error_set(
        e,
        "%s: %zu bytes are no whole number of CIFAR-%d records of %zu bytes: %zu records would be %zu "
        "bytes, %zu would be %zu",
        path, bytes, kind == CIFAR_100 ? 100 : 10, record, whole ? whole : 1, (whole ? whole : 1) * record,
        (whole ? whole : 1) + 1, ((whole ? whole : 1) + 1) * record);
}

static bool take_records(dataset *d, const char *path, const uint8_t *bytes, size_t count, cifar_kind kind,
                         uint8_t *pixels, error *e) {
    size_t header = kind == CIFAR_100 ? 2 : 1, offset = label_offset(d, kind);
    size_t image_bytes = PLANE * (size_t)d->channels;
    for (size_t i = 0; i < count; i++, pixels += image_bytes) {
        const uint8_t *record = bytes + i * (header + 3 * PLANE);
        if (record[offset] >= d->classes)
            return error_set(e, "%s: record %zu (byte %zu) has label %d, but there are %d classes", path, i,
                             i * (header + 3 * PLANE) + offset, record[offset], d->classes);
        interleave(record + header, d->channels, pixels);
        d->images[d->count++] = (stored_image){pixels, SIDE, SIDE, record[offset]};
    }
    return true;
}

bool cifar_read(dataset *d, const char *path, cifar_kind kind, error *e) {
    size_t bytes, record = (kind == CIFAR_100 ? 2 : 1) + 3 * PLANE;
    struct stat status;
    if (stat(path, &status) == 0 && !dataset_has_room(d, (uint64_t)status.st_size, path, e)) return false;
    uint8_t *file = file_read(path, FILE_BYTES_LIMIT, &bytes, e);
    if (!file) return false;
    size_t count = bytes / record, pixel_bytes = count * PLANE * (size_t)d->channels;
    bool good = check_bytes(path, bytes, record, kind, e) && dataset_has_room(d, pixel_bytes, path, e) &&
                dataset_reserve(d, count, path, e);
    uint8_t *pixels = good && pixel_bytes ? malloc(pixel_bytes) : NULL;
    if (good && !pixels) (void)error_set(e, "%s: out of memory for %zu images", path, count);
    if (pixels) d->bytes += pixel_bytes;
    good = pixels && dataset_own_block(d, pixels, path, e) &&
           take_records(d, path, file, count, kind, pixels, e);
    free(file);
    return good;
}
