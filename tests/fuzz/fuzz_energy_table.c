/* Energy tables. */
#include "fuzz.h"
#include "hdloss.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static hd_energy_table table;
    hd_error e = {{0}};
    if (hd_energy_table_parse((const char *)bytes, count, "table.json", &table, &e))
        FUZZ_CHECK(memchr(table.name, 0, sizeof table.name) && memchr(table.units, 0, sizeof table.units));
    else
        fuzz_check_sentence(e.message, sizeof e.message);
    return 0;
}
