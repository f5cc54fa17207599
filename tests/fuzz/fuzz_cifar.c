/* CIFAR's records, of both kinds. */
#include "data/dataset.h"
#include "fuzz.h"

static void read_kind(const char *path, cifar_kind kind, int classes, int channels) {
    error e = {{0}};
    dataset *d = calloc(1, sizeof *d);
    FUZZ_CHECK(d);
    d->classes = classes;
    d->channels = channels;
    if (cifar_read(d, path, kind, &e)) {
        FUZZ_CHECK(dataset_count(d) > 0);
        for (size_t i = 0; i < dataset_count(d); i++)
            FUZZ_CHECK(dataset_label(d, i) >= 0 && dataset_label(d, i) < classes);
    } else {
        fuzz_check_sentence(e.message, sizeof e.message);
    }
    dataset_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_file file = fuzz_file_open(bytes, count);
    read_kind(file.path, CIFAR_10, 10, 3);
    read_kind(file.path, CIFAR_100, 100, 1);
    read_kind(file.path, CIFAR_100, 20, 3);
    fuzz_file_close(&file);
    return 0;
}
