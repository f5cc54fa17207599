/* .data files. */
#include "data/data.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_file file = fuzz_file_open(bytes, count);
    data_options options;
    diagnostics *d = diagnostics_create();
    error e = {{0}};
    FUZZ_CHECK(d);
    if (data_options_diagnose(file.path, &options, d, &e)) {
        FUZZ_CHECK(options.classes >= 1 && options.top >= 1 && options.top <= options.classes);
        FUZZ_CHECK(options.format && options.backup && diagnostics_error_count(d) == 0);
        data_options_free(&options);
    } else {
        fuzz_check_sentence(e.message, sizeof e.message);
    }
    diagnostics_destroy(d);
    fuzz_file_close(&file);
    return 0;
}
