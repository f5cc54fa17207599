/* Reordering a network's weight streams: what `hd reorder` offers. Private to the plug-in. */
#ifndef HDLOSS_PLUGIN_REORDER_STREAMS_H
#define HDLOSS_PLUGIN_REORDER_STREAMS_H

#include "rounding_job.h"

typedef enum sign_choice {
    SIGNS_KEPT,
    SIGNS_FOLDED, /* a filter is negated as a whole, and its batch norm takes that back */
    SIGNS_SEGMENT /* each segment its own, in the sidecar: for adders that can subtract */
} sign_choice;

typedef struct reorder_request {
    order_method method; /* segment or cluster */
    sign_choice signs;
    bool by_energy; /* flips cost what the energy table says; else ones */
    int threads;
} reorder_request;

/* What each layer gained. */
typedef struct reorder_gain {
    hd_cluster_report
        cluster;    /* of ORDER_CLUSTER; counted on words whose signs were chosen, where they are folded */
    size_t negated; /* filters, or filters of segments */
} reorder_gain;

/* Sets the plans' orders and lane channels. SIGNS_FOLDED also negates words, and the network's parameters
 * behind view; layers that do not normalise, or do not stream input stationary, keep their signs. gains:
 * [s->count]. */
bool reorder_streams(weight_streams *s, const network_view *view, const reorder_request *request,
                     reorder_gain *gains, error *e);

#endif
