/* Networks from cfg text: see made_cfg.h. */
#include "made_cfg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

const char *made_path(const char *name) {
    static char directory[64], path[256];
    if (!directory[0]) {
        (void)snprintf(directory, sizeof directory, "/tmp/made.XXXXXX");
        assert_non_null(mkdtemp(directory));
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static network *build(const char *text, bool training, int threads, uint64_t seed, error *e) {
    const char *path = made_path("made.cfg");
    assert_true(file_write_atomic(path, text, strlen(text), e));
    diagnostics *d = diagnostics_create();
    network_settings settings = {.training = training, .threads = threads, .has_seed = true, .seed = seed};
    network *net = network_create(path, &settings, d, e);
    diagnostics_destroy(d);
    return net;
}

network *made_network_from(const char *cfg_text, bool training, int threads, uint64_t seed) {
    error e = {0};
    network *net = build(cfg_text, training, threads, seed, &e);
    if (!net) fail_msg("%s", e.message);
    return net;
}

void made_cfg_error(const char *cfg_text, char *message) {
    error e = {0};
    network *net = build(cfg_text, false, 1, 1, &e);
    assert_null(net);
    memcpy(message, e.message, sizeof e.message);
}
