/* Sections that cfg files of this project have for its program's extension: a library without the extension
 * passes their input through, so that the same cfg serves a C or Python client. */
#include "interface/interface.h"

/* Nothing is read, and nothing to be freed. */
static bool create(void *user, const char *(*option)(void *section, const char *key), void *section,
                   void **state, darknet_error *e) {
    (void)user, (void)option, (void)section, (void)e;
    *state = NULL;
    return true;
}

static const darknet_layer_type bit_flip_loss = {.name = "hdloss", .implied_by = "hdloss", .create = create};
static const char *const layer_keys[] = {"hd_lambda", "weight_bits", NULL};
static const darknet_extension extension = {
    .name = "absent", .layer_type = &bit_flip_loss, .layer_keys = layer_keys};

const darknet_extension *const interface_extensions[INTERFACE_EXTENSIONS] = {&extension};
