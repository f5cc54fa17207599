/* The plug-in's life and what it hangs on darknet's hooks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const layer_keys[] = {"hd_lambda", "weight_bits", NULL};

static const char *log_header(void *user, network *net) {
    plugin *p = user;
    array_model model;
    if (!array_model_of(p, net, &model, NULL)) return NULL;
    const hd_accelerator *a = &model.accelerator;
    (void)snprintf(p->header, sizeof p->header, "# accelerator: %s (%dx%d, %s, %s)\n# energy_table: %s\n",
                   a->name, a->rows, a->cols, hd_dataflow_name(a->dataflow),
                   hd_representation_name(a->representation), model.table.name);
    return p->header;
}

plugin *plugin_create(const char *resource_directory, error *e) {
    plugin *p = calloc(1, sizeof *p);
    if (p && resource_directory) p->resources = strdup(resource_directory);
    if (!p || (resource_directory && !p->resources)) {
        free(p);
        error_set(e, "out of memory");
        return NULL;
    }
    hdloss_layer_type_fill(p, &p->layer_type);
    p->extension = (darknet_extension){.name = "hdloss",
                                       .user = p,
                                       .layer_type = &p->layer_type,
                                       .layer_keys = layer_keys,
                                       .column_names = plugin_columns,
                                       .leading_columns = 5,
                                       .on_epoch = plugin_on_epoch,
                                       .on_checkpoint = plugin_on_checkpoint,
                                       .log_header = log_header};
    return p;
}

void plugin_limit_memory(plugin *p, uint64_t bytes) {
    p->memory_limit = bytes;
}

uint64_t plugin_memory_limit(const plugin *p) {
    return p->memory_limit;
}

void plugin_destroy(plugin *p) {
    if (!p) return;
    epoch_report_free(p->epoch);
    free(p->chosen);
    free(p->resources);
    free(p);
}

const darknet_extension *plugin_extension(plugin *p) {
    return &p->extension;
}

bool plugin_use_accelerator(plugin *p, const char *path, error *e) {
    if (!path) return true;
    array_model *model = malloc(sizeof *model);
    if (!model) return error_set(e, "out of memory");
    if (!array_model_read(p, path, model, e)) {
        free(model);
        return false;
    }
    free(p->chosen);
    p->chosen = model;
    return true;
}

const plugin_command *plugin_commands(void) {
    static const plugin_command commands[] = {
        {"flips", "bit flips of a network's weight streams", hd_flips_command},
        {"energy", "datapath energy of a network on an array", hd_energy_command},
        {"compare-accelerators", "datapath energy of a network on several arrays",
         hd_compare_accelerators_command},
        {"reorder", "reorder a checkpoint's weights for fewer flips", hd_reorder_command},
        {"round", "round weights to words that flip few bits, without training", hd_round_command},
        {"calibrate", "estimate batch-norm statistics anew for rounded words", hd_calibrate_command},
        {"compare", "post-training methods side by side, over arrays and encodings", hd_compare_command},
        {"export", "write the integer network: words as they stream, scales, orders", hd_export_command},
        {"run", "run an export", hd_run_command},
        {NULL, NULL, NULL}};
    return commands;
}
