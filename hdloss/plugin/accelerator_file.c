/* Accelerators: cfg files in Darknet's grammar ([array], [words], [energy], [memory]) and the energy tables
 * that they name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "core/file.h"
#include "ert.h"
#include "internal.h"

static const char DEFAULT_ACCELERATOR[] = "is16x16";

bool from_hd(const hd_error *h, error *e) {
    return error_set(e, "%s", h->message);
}

/* The first of name, resources/accelerators/name, the same with .cfg, that exists. malloc'ed. */
static char *find_file(const plugin *p, const char *name) {
    char path[4096];
    if (access(name, F_OK) == 0) return strdup(name);
    for (int i = 0; i < 2 && p->resources; i++) {
        (void)snprintf(path, sizeof path, "%s/accelerators/%s%s", p->resources, name, i ? "" : ".cfg");
        if (access(path, F_OK) == 0) return strdup(path);
    }
    return NULL;
}

/* A file beside the accelerator: a path relative to its directory, or in tables/ there, with or without the
 * suffix. */
static char *find_table(const char *accelerator_path, const char *name, const char *suffix) {
    static const char *const folders[] = {"", "tables/", "tables/"};
    int directory = (int)(path_base(accelerator_path) - accelerator_path);
    char path[4096];
    if (name[0] == '/') return access(name, F_OK) == 0 ? strdup(name) : NULL;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%.*s%s%s%s", directory, accelerator_path, folders[i], name,
                       i == 2 ? suffix : "");
        if (access(path, F_OK) == 0) return strdup(path);
    }
    return NULL;
}

static void read_array(const cfg *c, hd_accelerator *a, diagnostics *d) {
    const cfg_section *s = cfg_find(c, "array");
    hd_error h = {0};
    if (!s) {
        diagnostics_error(d, "%s:1: has no [array] section (rows, cols, dataflow)", cfg_path(c));
        return;
    }
    a->rows = section_int(s, "rows", a->rows, 1, HD_MAXIMUM_ARRAY_SIDE, d);
    a->cols = section_int(s, "cols", a->cols, 1, HD_MAXIMUM_ARRAY_SIDE, d);
    const char *dataflow = section_string(s, "dataflow", hd_dataflow_name(a->dataflow));
    if (!hd_dataflow_parse(dataflow, &a->dataflow, &h))
        diagnostics_error(d, "%s:%d: dataflow: %s", cfg_path(c), section_key_line(s, "dataflow"), h.message);
    const char *orders = section_string(s, "kernel_orders", hd_kernel_orders_name(a->kernel_orders));
    if (!hd_kernel_orders_parse(orders, &a->kernel_orders, &h))
        diagnostics_error(d, "%s:%d: kernel_orders: %s", cfg_path(c), section_key_line(s, "kernel_orders"),
                          h.message);
    section_report_unknown(s, d);
}

static void read_words(const cfg *c, hd_accelerator *a, diagnostics *d) {
    const cfg_section *s = cfg_find(c, "words");
    hd_error h = {0};
    if (!s) return;
    a->weight_bits = section_int(s, "weight_bits", a->weight_bits, HD_MINIMUM_BITS, HD_MAXIMUM_BITS, d);
    a->activation_bits =
        section_int(s, "activation_bits", a->activation_bits, HD_MINIMUM_BITS, HD_MAXIMUM_BITS, d);
    const char *representation =
        section_string(s, "representation", hd_representation_name(a->representation));
    if (!hd_representation_parse(representation, &a->representation, &h))
        diagnostics_error(d, "%s:%d: representation: %s", cfg_path(c), section_key_line(s, "representation"),
                          h.message);
    const char *encoding = section_string(s, "encoding", hd_encoding_name(a->encoding));
    if (!hd_encoding_parse(encoding, &a->encoding, &h))
        diagnostics_error(d, "%s:%d: encoding: %s", cfg_path(c), section_key_line(s, "encoding"), h.message);
    section_report_unknown(s, d);
}

/* The text of the file that a key of [energy] names; *path is malloc'ed. NULL and a sentence on error. */
static char *read_energy_file(const cfg *c, const char *key, const char *suffix, char **path, size_t *bytes,
                              error *e) {
    const cfg_section *s = cfg_find(c, "energy");
    const char *name = s ? section_string(s, key, NULL) : NULL;
    if (!name) {
        error_set(e, "%s: has no [energy] %s", cfg_path(c), key);
        return NULL;
    }
    *path = find_table(cfg_path(c), name, suffix);
    if (*path) return file_read(*path, 1 << 24, bytes, e);
    error_set(e, "%s:%d: %s: \"%s\" is no file beside it, nor tables/%s%s", cfg_path(c),
              section_key_line(s, key), key, name, name, suffix);
    return NULL;
}

/* [energy] ert=, ert_mac=, ert_wire=: Accelergy's energies in the shape of the table. */
static bool read_ert(const cfg *c, hd_dataflow dataflow, hd_energy_table *table, error *e) {
    const cfg_section *s = cfg_find(c, "energy");
    const char *name = section_string(s, "ert", NULL);
    if (!name) return true;
    hd_ert_use use = {.mac = section_string(s, "ert_mac", "mac"),
                      .wire = section_string(s, "ert_wire", NULL),
                      .dataflow = dataflow};
    char *path = NULL;
    size_t bytes = 0;
    hd_error h = {0};
    hd_ert ert = {0};
    hd_energy_table shape = *table;
    char *text = read_energy_file(c, "ert", ".yaml", &path, &bytes, e);
    bool good = text != NULL;
    if (good && !hd_ert_parse(text, bytes, path, &ert, &h)) good = from_hd(&h, e);
    if (good && !hd_energy_table_from_ert(&ert, &use, &shape, path_base(name), table, &h))
        good = error_set(e, "%s:%d: ert: %s", cfg_path(c), section_key_line(s, "ert"), h.message);
    hd_ert_free(&ert);
    free(text);
    free(path);
    return good;
}

static bool read_table(const cfg *c, hd_dataflow dataflow, hd_energy_table *table, error *e) {
    char *path = NULL;
    size_t bytes = 0;
    hd_error h = {0};
    char *text = read_energy_file(c, "table", ".json", &path, &bytes, e);
    bool good = text && (hd_energy_table_parse(text, bytes, path, table, &h) || from_hd(&h, e));
    free(text);
    free(path);
    return good && read_ert(c, dataflow, table, e);
}

/* [memory]: what a byte costs, for a figure beside the array's energy. */
static void read_memory(const cfg *c, array_model *model, diagnostics *d) {
    const cfg_section *s = cfg_find(c, "memory");
    hd_memory_costs *m = &model->memory;
    struct {
        const char *key;
        double *pj;
    } const costs[] = {{"weight_pj_per_byte", &m->weights},
                       {"activation_pj_per_byte", &m->activations},
                       {"partial_sum_pj_per_byte", &m->partial_sums},
                       {"order_pj_per_byte", &m->orders}};
    model->has_memory = s != NULL;
    *m = (hd_memory_costs){0};
    if (!s) return;
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        *costs[i].pj = section_number(s, costs[i].key, 0, 0, 1e9, d);
    section_report_unknown(s, d);
}

static bool read_cfg(const cfg *c, array_model *model, diagnostics *d, error *e) {
    hd_accelerator *a = &model->accelerator;
    hd_error h = {0};
    *a = hd_accelerator_default();
    const char *base = path_base(cfg_path(c));
    (void)snprintf(a->name, sizeof a->name, "%.*s", (int)strcspn(base, "."), base);
    read_array(c, a, d);
    read_words(c, a, d);
    read_memory(c, model, d);
    for (size_t i = 0; i < cfg_section_count(c); i++) {
        const cfg_section *s = cfg_section_at(c, i);
        static const char *const known[] = {"array", "words", "energy", "memory"};
        bool found = false;
        for (size_t k = 0; k < 4; k++) found = found || strcmp(section_name(s), known[k]) == 0;
        if (!found)
            diagnostics_error(d, "%s:%d: [%s] is not one of [array], [words], [energy], [memory]",
                              cfg_path(c), section_line(s), section_name(s));
    }
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        bool warning;
        const char *sentence = diagnostics_get(d, i, &warning);
        if (!warning) return error_set(e, "%s", sentence);
    }
    return (hd_accelerator_validate(a, &h) || from_hd(&h, e)) && read_table(c, a->dataflow, &model->table, e);
}

bool array_model_read(const plugin *p, const char *name, array_model *model, error *e) {
    if (!name) name = DEFAULT_ACCELERATOR;
    char *path = find_file(p, name);
    if (!path)
        return error_set(e, "%s: no such accelerator file, nor one of that name in %s/accelerators", name,
                         p->resources ? p->resources : "cfg");
    diagnostics *d = diagnostics_create();
    cfg *c = d ? cfg_read(path, d, e) : NULL;
    bool good = c && read_cfg(c, model, d, e);
    if (c) cfg_destroy(c);
    diagnostics_destroy(d);
    free(path);
    return good;
}

bool array_model_of(const plugin *p, const network *net, array_model *model, error *e) {
    if (p->chosen) {
        *model = *p->chosen;
        return true;
    }
    const hdloss_settings *settings = net ? hdloss_settings_of(net) : NULL;
    return array_model_read(p, settings && settings->accelerator[0] ? settings->accelerator : NULL, model, e);
}

static bool same_accelerator(const hd_accelerator *a, const hd_accelerator *b) {
    return a->rows == b->rows && a->cols == b->cols && a->dataflow == b->dataflow &&
           a->weight_bits == b->weight_bits && a->activation_bits == b->activation_bits &&
           a->representation == b->representation && a->encoding == b->encoding &&
           a->kernel_orders == b->kernel_orders;
}

bool array_model_beside(const plugin *p, const network *net, const char *weights_path, array_model *model,
                        error *e) {
    hd_stream stream = {0};
    bool found = false;
    if (p->chosen) return array_model_of(p, net, model, e);
    if (!sidecar_read(weights_path, &stream, &found, e)) return false;
    if (!found) return array_model_of(p, net, model, e);
    bool good = array_model_read(p, stream.accelerator.name, model, NULL) &&
                same_accelerator(&model->accelerator, &stream.accelerator);
    if (!good && (good = array_model_of(p, net, model, e))) model->accelerator = stream.accelerator;
    hd_stream_free(&stream);
    return good;
}
