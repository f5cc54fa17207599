/* IDX files, plain and compressed: the bytes as images beside sound labels, and as labels beside sound
 * images. */
#include "data/dataset.h"
#include "fuzz.h"

static const uint8_t sound_images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                       0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t sound_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 0};

static void read_pair(const char *images, const char *labels) {
    enum { CLASSES = 10 };
    error e = {{0}};
    dataset *d = calloc(1, sizeof *d);
    FUZZ_CHECK(d);
    d->classes = CLASSES;
    d->channels = 3;
    if (idx_read(d, images, labels, &e)) {
        FUZZ_CHECK(dataset_count(d) > 0);
        for (size_t i = 0; i < dataset_count(d); i++)
            FUZZ_CHECK(dataset_label(d, i) >= 0 && dataset_label(d, i) < CLASSES);
        const stored_image *last = &d->images[dataset_count(d) - 1];
        size_t bytes = (size_t)last->width * (size_t)last->height * 3;
        FUZZ_CHECK(bytes > 0 && last->pixels[0] <= 255 && last->pixels[bytes - 1] <= 255);
    } else {
        fuzz_check_sentence(e.message, sizeof e.message);
    }
    dataset_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_file input = fuzz_file_open(bytes, count);
    fuzz_file images = fuzz_file_open(sound_images, sizeof sound_images);
    fuzz_file labels = fuzz_file_open(sound_labels, sizeof sound_labels);
    read_pair(input.path, labels.path);
    read_pair(images.path, input.path);
    fuzz_file_close(&input);
    fuzz_file_close(&images);
    fuzz_file_close(&labels);
    return 0;
}
