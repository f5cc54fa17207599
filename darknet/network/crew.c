/* Inference by a crew: every thread takes chunks of a batch through all layers by itself, with activations of
 * its own, so that nothing but weights is shared and no thread waits at a layer's end. Its members are
 * networks of the same cfg that read one network's parameters and packed weights. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "layers/external.h"
#include "network/network.h"

/* Chunks a thread of a full batch: handed out on demand, so that a slower thread takes fewer. */
enum { CHUNKS_A_THREAD = 4 };

size_t crew_chunk(const network *net) {
    size_t chunks = (size_t)net->threads * CHUNKS_A_THREAD;
    if (net->training || net->threads < 2 || net->pass_batch < chunks) return 0;
    return (net->pass_batch + chunks - 1) / chunks;
}

/* Weights that a pass makes anew are one array for all, and passes from outside need not be fit for threads.
 */
static bool can_share(const network *net) {
    for (int i = 0; i < net->layer_count; i++) {
        void *state;
        const darknet_layer_type *outside = external_type(&net->layers[i], &state);
        if (net->layers[i].transform || (outside && outside->forward)) return false;
    }
    return true;
}

void crew_dismiss(network *net) {
    for (int i = 0; net->crew && i < net->crew_count; i++) network_destroy(net->crew[i]);
    free(net->crew);
    net->crew = NULL;
    net->crew_count = 0;
}

bool crew_gather(network *net, uint64_t most_bytes) {
    size_t chunk = crew_chunk(net);
    if (!chunk || !can_share(net)) return false;
    net->crew = calloc((size_t)net->threads, sizeof(network *));
    while (net->crew && net->crew_count < net->threads) {
        network *member = network_share(net, chunk, most_bytes, NULL);
        if (!member) break;
        net->crew[net->crew_count++] = member;
        most_bytes -= member->arena_bytes;
    }
    if (net->crew && net->crew_count == net->threads) return true;
    crew_dismiss(net);
    return false;
}

void crew_run(const pass *p) {
    network *net = p->net;
    inference_segment *last = &net->segments[net->segment_count - 1];
    layer *answer = &net->layers[network_output_layer(net)->index];
    size_t image = tensor_size(network_input_shape(net)), values = tensor_size(answer->out);
    size_t chunk = net->crew[0]->pass_batch, chunks = (p->batch + chunk - 1) / chunk;
#pragma omp parallel for num_threads(net->crew_count) schedule(dynamic, 1)
    for (size_t i = 0; i < chunks; i++) {
        network *member = net->crew[omp_get_thread_num()];
        size_t first = p->batch * i / chunks;
        pass own = *p;
        own.net = member;
        own.threads = 1;
        own.workspace = member->workspace;
        own.batch = p->batch * (i + 1) / chunks - first;
        own.input = p->input + first * image;
        inference_run(&own);
        memcpy(last->gathered + first * values, network_output_layer(member)->output.data,
               own.batch * values * sizeof(float));
    }
    answer->output = (lazy_tensor){.data = last->gathered};
}
