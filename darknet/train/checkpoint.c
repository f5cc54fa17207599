/* Checkpoints: see checkpoint.h. The .state file: "DNSTATE1", then blocks {char tag[24]; uint64 bytes; data},
 * the block "end" with a CRC-32 of all before it last. Little endian. */
#include "train/checkpoint.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/file.h"
#include "layers/external.h"

static const char MAGIC[8] = "DNSTATE1";
enum { TAG = 24 };

static char *state_path(const char *weights_path) {
    size_t length = strlen(weights_path);
    const char *dot = strrchr(path_base(weights_path), '.');
    size_t stem = dot ? (size_t)(dot - weights_path) : length;
    char *path = malloc(stem + sizeof ".state");
    if (!path) return NULL;
    memcpy(path, weights_path, stem);
    memcpy(path + stem, ".state", sizeof ".state");
    return path;
}

/* ---- writing ---- */
typedef struct block_writer {
    file_writer file;
    uLong crc;
    error *e;
    bool good;
} block_writer;

static void put(block_writer *w, const void *data, size_t bytes) {
    if (!w->good) return;
    w->good = file_writer_write(&w->file, data, bytes, w->e);
    w->crc = crc32_z(w->crc, data, bytes);
}

static void put_block(block_writer *w, const char *tag, const void *data, size_t bytes) {
    char name[TAG] = {0};
    uint64_t size = bytes;
    (void)snprintf(name, sizeof name, "%s", tag);
    put(w, name, sizeof name);
    put(w, &size, sizeof size);
    put(w, data, bytes);
}

static void put_layers(block_writer *w, const network *net) {
    for (int i = 0; i < net->layer_count; i++) {
        void *own;
        const darknet_layer_type *type = external_type(&net->layers[i], &own);
        if (!type || !type->save) continue;
        size_t bytes = 0;
        void *data = type->save(own, &bytes);
        char tag[TAG];
        (void)snprintf(tag, sizeof tag, "layer %d", i);
        if (data) put_block(w, tag, data, bytes);
        free(data);
    }
}

static bool save_state(const char *path, const network *net, const optimizer *o, const run_state *run,
                       error *e) {
    block_writer w = {.e = e, .good = true, .crc = crc32_z(0, NULL, 0)};
    size_t bytes = net->parameter_total * sizeof(float);
    uint64_t total = net->parameter_total;
    if (!file_writer_open(&w.file, path, e)) return false;
    put(&w, MAGIC, sizeof MAGIC);
    put_block(&w, "parameters", &total, sizeof total);
    put_block(&w, "run", run, sizeof *run);
    put_block(&w, "values", net->values, bytes);
    put_block(&w, "velocity", o->velocity, bytes);
    if (o->second) put_block(&w, "second", o->second, bytes);
    if (o->average) put_block(&w, "average", o->average, bytes);
    put_layers(&w, net);
    uint32_t crc = (uint32_t)w.crc;
    put_block(&w, "end", &crc, sizeof crc);
    if (w.good) return file_writer_commit(&w.file, e);
    file_writer_abort(&w.file);
    return false;
}

bool checkpoint_save_backup(const char *weights_path, const network *net, const optimizer *o,
                            const run_state *run, error *e) {
    char *path = state_path(weights_path);
    bool good = path && save_state(path, net, o, run, e) && network_save_weights(net, weights_path, -1, e);
    free(path);
    return good;
}

/* ---- reading ---- */
typedef struct block_reader {
    const char *path;
    const unsigned char *bytes;
    size_t size, place;
    error *e;
} block_reader;

/* The next block, which must carry this tag. Its data, NULL and a sentence when it is absent or of another
 * size (SIZE_MAX: any). */
static const void *next_block(block_reader *r, const char *tag, size_t wanted, size_t *got) {
    uint64_t size = 0;
    if (r->size - r->place < TAG + sizeof size) {
        error_set(r->e, "%s: ends at byte %zu, where the block \"%s\" should stand", r->path, r->size, tag);
        return NULL;
    }
    const unsigned char *head = r->bytes + r->place;
    memcpy(&size, head + TAG, sizeof size);
    if (strncmp((const char *)head, tag, TAG) != 0 || size > r->size - r->place - TAG - sizeof size ||
        (wanted != SIZE_MAX && size != wanted)) {
        error_set(r->e,
                  "%s: the block \"%s\" of %zu bytes should stand at byte %zu: the state belongs to another "
                  "network or cfg",
                  r->path, tag, wanted, r->place);
        return NULL;
    }
    r->place += TAG + sizeof size + (size_t)size;
    if (got) *got = (size_t)size;
    return head + TAG + sizeof size;
}

static bool check_whole(const block_reader *r) {
    uint32_t stored = 0;
    size_t tail = TAG + sizeof(uint64_t) + sizeof stored;
    if (r->size < sizeof MAGIC + tail || memcmp(r->bytes, MAGIC, sizeof MAGIC) != 0)
        return error_set(r->e, "%s: is no training state of this program", r->path);
    memcpy(&stored, r->bytes + r->size - sizeof stored, sizeof stored);
    if ((uint32_t)crc32_z(crc32_z(0, NULL, 0), r->bytes, r->size - tail) != stored)
        return error_set(r->e, "%s: is damaged (its checksum differs); train from the .weights file instead",
                         r->path);
    return true;
}

static bool restore_layers(block_reader *r, network *net) {
    for (int i = 0; i < net->layer_count; i++) {
        void *own;
        const darknet_layer_type *type = external_type(&net->layers[i], &own);
        if (!type || !type->save || !type->load) continue;
        size_t bytes = 0, size = 0;
        void *probe = type->save(own, &size); /* a layer without state wrote no block */
        if (!probe) continue;
        free(probe);
        char tag[TAG];
        (void)snprintf(tag, sizeof tag, "layer %d", i);
        const void *data = next_block(r, tag, SIZE_MAX, &bytes);
        if (!data || !type->load(own, net, data, bytes, r->e)) return false;
    }
    return true;
}

static bool restore(block_reader *r, network *net, optimizer *o, run_state *run) {
    if (!check_whole(r)) return false;
    r->place = sizeof MAGIC;
    size_t bytes = net->parameter_total * sizeof(float);
    const uint64_t *total = next_block(r, "parameters", sizeof *total, NULL);
    const void *own = total ? next_block(r, "run", sizeof *run, NULL) : NULL;
    const void *values = own ? next_block(r, "values", bytes, NULL) : NULL;
    const void *velocity = values ? next_block(r, "velocity", bytes, NULL) : NULL;
    const void *second = velocity && o->second ? next_block(r, "second", bytes, NULL) : velocity;
    const void *average = second && o->average ? next_block(r, "average", bytes, NULL) : second;
    if (!average || !restore_layers(r, net) || !next_block(r, "end", sizeof(uint32_t), NULL)) return false;
    memcpy(run, own, sizeof *run);
    memcpy(net->values, values, bytes);
    memcpy(o->velocity, velocity, bytes);
    if (o->second) memcpy(o->second, second, bytes);
    if (o->average) memcpy(o->average, average, bytes);
    net->seen = run->seen;
    net->options.seed = run->seed;
    o->steps = run->steps;
    for (int i = 0; i < net->layer_count; i++) net->layers[i].fresh_statistics = run->seen == 0;
    return true;
}

bool checkpoint_has_state(const char *weights_path) {
    char *path = state_path(weights_path);
    bool has = path && access(path, F_OK) == 0;
    free(path);
    return has;
}

/* The weights may be one save older than the state (the run died between the two), but of no other network or
 * run. */
static bool check_weights(const char *weights_path, network *net, const run_state *run, error *e) {
    load_report report;
    network *copy = network_clone(net, e);
    bool good = copy && network_load_weights(copy, weights_path, false, &report, e);
    if (good && report.seen > run->seen)
        good =
            error_set(e, "%s: has seen %llu images, its .state only %llu: the state belongs to other weights",
                      weights_path, (unsigned long long)report.seen, (unsigned long long)run->seen);
    if (good && report.seen == run->seen &&
        memcmp(copy->values, net->values, net->parameter_total * sizeof(float)) != 0)
        good = error_set(
            e, "%s: differs from the weights in its .state: remove the .state to fine-tune these weights",
            weights_path);
    network_destroy(copy);
    return good;
}

bool checkpoint_load_state(const char *weights_path, network *net, optimizer *o, run_state *run, error *e) {
    char *path = state_path(weights_path);
    block_reader r = {.path = path, .e = e};
    void *bytes = path ? file_read(path, 0, &r.size, e) : NULL;
    r.bytes = bytes;
    bool good = bytes && restore(&r, net, o, run) && check_weights(weights_path, net, run, e);
    free(bytes);
    free(path);
    return good;
}

/* ---- pruning ---- */
/* The epoch of "<name>_<digits>.<anything>", -1 for other files. */
static int epoch_of(const char *file, const char *name) {
    size_t length = strlen(name);
    if (strncmp(file, name, length) != 0 || file[length] != '_') return -1;
    char *end;
    long epoch = strtol(file + length + 1, &end, 10);
    if (end == file + length + 1 || *end != '.' || epoch < 0 || epoch > INT_MAX) return -1;
    return (int)epoch;
}

void checkpoint_prune(const char *directory, const char *name, int epoch, int keep, int best_epoch) {
    DIR *d = opendir(directory);
    if (!d) return;
    struct dirent *entry;
    while ((entry = readdir(d))) {
        int own = epoch_of(entry->d_name, name);
        if (own < 0 || own == best_epoch || own > epoch - keep) continue;
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    closedir(d);
}
