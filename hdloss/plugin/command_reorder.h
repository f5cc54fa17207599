/* What the files of `hd reorder` share. Private to the plug-in. */
#ifndef HDLOSS_PLUGIN_COMMAND_REORDER_H
#define HDLOSS_PLUGIN_COMMAND_REORDER_H

#include "reorder_streams.h"

typedef struct reordering_run {
    reorder_request request; /* method may also be direct */
    const char *weights_path, *out, *data_path, *json;
    bool certify;
    loaded_network *loaded;
    weight_streams written; /* OUT as read back */
    stream_figures before, after, *each;
    reorder_gain *gains; /* [written.count] */
    hd_certificate certificate;
} reordering_run;

/* reorder_report.c */
void reorder_print(const reordering_run *run);
json_t *reorder_json(const reordering_run *run); /* NULL when out of memory */

#endif
