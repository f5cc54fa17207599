/* Trees of classes, with a truth and probabilities walked through those that are read. */
#include "config/class_tree.h"
#include "fuzz.h"

static void walk(const class_tree *t) {
    float *values = malloc(t->count * sizeof *values);
    size_t grouped = 0;
    FUZZ_CHECK(values);
    for (size_t g = 0; g < t->groups; g++) grouped += t->group_sizes[g];
    FUZZ_CHECK(grouped == t->count);
    for (size_t i = 0; i < t->count; i++) {
        FUZZ_CHECK(t->parents[i] >= -1 && t->parents[i] < (int)i);
        values[i] = i + 1 == t->count ? 1.0f : 0.0f;
    }
    class_tree_fill_truth(t, -1.0f, values);
    class_tree_multiply(t, false, values);
    class_tree_multiply(t, true, values);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_file file = fuzz_file_open(bytes, count);
    error e = {{0}};
    class_tree *t = class_tree_read(file.path, &e);
    if (t)
        walk(t);
    else
        fuzz_check_sentence(e.message, sizeof e.message);
    class_tree_destroy(t);
    fuzz_file_close(&file);
    return 0;
}
