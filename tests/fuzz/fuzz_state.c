/* .state files of training runs, of a network with the bit-flip loss. The checksum is set right first, or
 * nothing behind it would ever be reached. */
#include <zlib.h>

#include "core/file.h"
#include "fuzz.h"
#include "plugin.h"
#include "train/checkpoint.h"

static const char cfg_text[] = "[net]\nheight=3\nwidth=3\nchannels=1\nadam=1\nema=.9\nseed=3\n"
                               "[convolutional]\nfilters=3\nsize=2\nbatch_normalize=1\n"
                               "[connected]\noutput=2\nactivation=linear\n[softmax]\n[hdloss]\nlambda=1\n";

static char directory[] = "/tmp/fuzz_state.XXXXXX";
static char weights_path[64], state_path[64];

static void remove_files(void) {
    (void)unlink(weights_path);
    (void)unlink(state_path);
    (void)rmdir(directory);
}

static void make_directory(void) {
    FUZZ_CHECK(mkdtemp(directory));
    (void)snprintf(weights_path, sizeof weights_path, "%s/x.backup", directory);
    (void)snprintf(state_path, sizeof state_path, "%s/x.state", directory);
    (void)atexit(remove_files);
}

static void write_file(const char *path, const uint8_t *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

static network *make_network(plugin *p) {
    fuzz_file file = fuzz_file_open(cfg_text, sizeof cfg_text - 1);
    static const darknet_extension *extensions[1];
    extensions[0] = plugin_extension(p);
    network_settings settings = {
        .training = true, .threads = 1, .extensions = extensions, .extension_count = 1};
    error e = {{0}};
    network *net = network_create(file.path, &settings, NULL, &e);
    if (!net) (void)fprintf(stderr, "%s\n", e.message);
    FUZZ_CHECK(net);
    fuzz_file_close(&file);
    return net;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    enum { TAIL = 36, CHECKSUM = 4 }; /* the last block: 24 bytes of name, 8 of length, the checksum */
    if (!weights_path[0]) make_directory();
    error e = {{0}};
    plugin *p = plugin_create("cfg", &e);
    FUZZ_CHECK(p);
    network *net = make_network(p);
    optimizer o;
    run_state run = {0};
    FUZZ_CHECK(optimizer_create(&o, net, &e));
    if (access(weights_path, F_OK) != 0) FUZZ_CHECK(network_save_weights(net, weights_path, -1, &e));
    uint8_t *copy = malloc(count + 1);
    FUZZ_CHECK(copy);
    memcpy(copy, bytes, count);
    if (count >= TAIL) {
        uint32_t checksum = (uint32_t)crc32_z(crc32_z(0, NULL, 0), copy, count - TAIL);
        memcpy(copy + count - CHECKSUM, &checksum, sizeof checksum);
    }
    write_file(state_path, copy, count);
    free(copy);
    if (!checkpoint_load_state(weights_path, net, &o, &run, &e))
        fuzz_check_sentence(e.message, sizeof e.message);
    optimizer_destroy(&o);
    network_destroy(net);
    plugin_destroy(p);
    return 0;
}
