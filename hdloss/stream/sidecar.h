/* The .stream format's constants and the checks that its writer and its reader share, inside libhdloss. The
 * format is described in docs/stream-format.md. */
#ifndef HDLOSS_STREAM_SIDECAR_H
#define HDLOSS_STREAM_SIDECAR_H

#include "hdloss.h"

#define HD_STREAM_MAGIC "HDSTREAM"
enum {
    HD_STREAM_MAGIC_BYTES = 8,
    HD_STREAM_FORMAT = 1,
    HD_STREAM_HEADER_BYTES = 24,
    HD_STREAM_LAYER_HEADER_BYTES = 52
};
enum { HD_STREAM_HAS_ORDERS = 1, HD_STREAM_HAS_LANE_CHANNELS = 2 };

/* Bytes of an entry of a permutation of that length: 1, 2 or 4. */
size_t hd_stream_entry_bytes(size_t permutation_length);
/* The natural plan of a layer on the sidecar's accelerator: what its orders' and lane channels' sizes must
 * be. */
bool hd_stream_natural_plan(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_plan *plan,
                            hd_error *error);
/* Everything about a layer's arrays: counts, positive scales, words in range, permutations, signs. */
bool hd_stream_layer_check(const hd_stream_layer *layer, const hd_accelerator *accelerator, hd_error *error);
bool hd_stream_activations_check(const hd_stream *stream, hd_error *error);

#endif
