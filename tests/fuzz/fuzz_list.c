/* Lists, and the labels of the paths that stand in them. The input is a labels file, a line "--" and a list.
 */
#include "config/config.h"
#include "data/labels.h"
#include "fuzz.h"

static void match_all(const char *labels_path, const string_list *paths) {
    string_list labels;
    error e = {{0}};
    if (!string_list_read(labels_path, &labels, &e)) return;
    label_matcher *matcher = labels.count ? label_matcher_create(labels_path, (int)labels.count, &e) : NULL;
    for (size_t i = 0; matcher && i < paths->count; i++) {
        int found = label_matcher_find(matcher, paths->items[i], &e);
        FUZZ_CHECK(found >= -1 && found < (int)labels.count);
        if (found < 0)
            fuzz_check_sentence(e.message, sizeof e.message);
        else
            FUZZ_CHECK(strstr(paths->items[i], labels.items[found]));
    }
    label_matcher_destroy(matcher);
    string_list_free(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static const char border[] = "\n--\n";
    const uint8_t *middle = memmem(bytes, count, border, sizeof border - 1);
    size_t first = middle ? (size_t)(middle - bytes) : 0, second = middle ? first + sizeof border - 1 : 0;
    fuzz_file labels = fuzz_file_open(bytes, first), list = fuzz_file_open(bytes + second, count - second);
    string_list paths;
    error e = {{0}};
    if (string_list_read(list.path, &paths, &e)) {
        for (size_t i = 0; i < paths.count; i++)
            FUZZ_CHECK(paths.items[i][0] && !strchr(paths.items[i], '\n'));
        match_all(labels.path, &paths);
        string_list_free(&paths);
    } else {
        fuzz_check_sentence(e.message, sizeof e.message);
    }
    fuzz_file_close(&labels);
    fuzz_file_close(&list);
    return 0;
}
