/* Accelerator files. Run from the top directory, table=../cwd/cfg/... leads to the energy tables. */
#include "fuzz.h"
#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    error e = {{0}};
    hd_error h;
    plugin *p = plugin_create("cfg", &e);
    FUZZ_CHECK(p);
    fuzz_file file = fuzz_file_open(bytes, count);
    static array_model model;
    if (array_model_read(p, file.path, &model, &e))
        FUZZ_CHECK(hd_accelerator_validate(&model.accelerator, &h) && model.table.name[0]);
    else
        fuzz_check_sentence(e.message, sizeof e.message);
    fuzz_file_close(&file);
    plugin_destroy(p);
    return 0;
}
