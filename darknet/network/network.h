/* Network: layers built from a cfg, their parameters and memory, forward and backward passes, weight files.
 */
#ifndef DARKNET_NETWORK_NETWORK_H
#define DARKNET_NETWORK_NETWORK_H

#include "config/class_tree.h"
#include "config/config.h"
#include "core/error.h"
#include "layers/layer.h"

typedef enum learning_policy {
    POLICY_CONSTANT,
    POLICY_STEP,
    POLICY_STEPS,
    POLICY_EXP,
    POLICY_POLY,
    POLICY_RANDOM,
    POLICY_SIGMOID,
    POLICY_SGDR
} learning_policy;

/* [net]. */
typedef struct net_options {
    int batch;        /* images an update */
    int subdivisions; /* passes an update */
    int height, width, channels;
    double learning_rate, momentum, decay;
    learning_policy policy;
    int burn_in;
    double power, gamma, scale;
    int step;
    int *steps;
    double *scales;
    size_t step_count;
    int64_t max_batches;
    int keep;   /* epoch checkpoints kept */
    int epochs; /* alternative to max_batches; 0 not given */
    double sgdr_minimum, sgdr_multiplier;
    int64_t sgdr_cycle;
    bool adam, nesterov;
    double beta1, beta2, adam_epsilon;
    double clip;   /* weights are held within +-clip; 0 off */
    bool bfloat16; /* products of dense convolutions on bfloat16, where the machine has them */
    double ema;    /* decay of the moving average of weights, 0 off */
    batch_norm_form bn;
    uint64_t seed;
    /* augmentation */
    int min_crop, max_crop, pad_crop;
    float angle, aspect, saturation, exposure, hue;
    bool flip, center;
    float mixup, cutmix, mosaic, blur;
    float label_smooth_eps;  /* truth 1 - eps, the others eps / (classes - 1) */
    float *mean, *deviation; /* [channels] or NULL */
} net_options;

/* Layers that inference runs together, a few images at a time: see turns.c. */
typedef struct inference_segment {
    int end;         /* they are those before it, from the end of the segment before */
    size_t images;   /* a turn */
    float *gathered; /* what leaves the segment, of several turns */
} inference_segment;

#define NETWORK_MOST_SEGMENTS 4

struct network {
    char *name;
    cfg *source;
    bool borrows_source;  /* a clone: the original's */
    const network *owner; /* whose parameters these are, NULL: its own */
    net_options options;
    layer *layers;
    int layer_count;
    bool training; /* built with gradients */
    int threads;
    size_t pass_batch; /* images a pass at most */
    uint64_t seen;     /* images seen in training */

    float *values;    /* every parameter, in the file's order */
    float *gradients; /* the same places; NULL without training */
    size_t parameter_total;

    uint64_t memory_limit; /* bytes that it may take */
    uint64_t memory_bytes; /* that it takes, with what training and evaluation keep beside it: see limits.c */

    void *arena; /* activations, deltas, workspace */
    size_t arena_bytes;
    void *workspace;
    size_t workspace_bytes;
    inference_segment segments[NETWORK_MOST_SEGMENTS];
    int segment_count;
    void *packed_weights; /* see network_pack_weights; NULL: none */
    network **crew;       /* [crew_count], while weights are packed: see crew.c */
    int crew_count;
    const darknet_extension *const *extensions;
    size_t extension_count;
    struct network_client *client; /* of the C interface, NULL in networks that it did not load */
    class_tree *classes;           /* of a [softmax] with tree=; NULL: none */
};

typedef struct network_settings {
    bool training;
    int pass_batch; /* 0: the cfg's batch / subdivisions in training, 1 otherwise */
    int threads;    /* 0: all processors */
    bool has_seed;
    uint64_t seed;                              /* beats [net] seed */
    uint64_t max_memory_bytes;                  /* 0: the machine's; see limits.c for what counts */
    const darknet_extension *const *extensions; /* must outlive the network */
    size_t extension_count;
    /* Keys that a command line sets over the cfg's, "section.key" = value pairs. A section that is absent is
     * left out unless it is "net". */
    const char *const (*overrides)[2];
    size_t override_count;
} network_settings;

/* Batches that are prepared ahead of a training run and of an evaluation. */
enum { TRAINING_PREFETCH = 4, EVALUATION_PREFETCH = 3 };

/* Reads the cfg, checks every layer (all mistakes go to d), then allocates. NULL and a sentence in e (the
 * first mistake and how many more) when anything was wrong. Parameters have their initial values. */
network *network_create(const char *cfg_path, const network_settings *settings, diagnostics *d, error *e);
void network_destroy(network *net);

/* [net] into options; names.c of keys is net_options.c. */
void net_options_parse(const cfg_section *s, net_options *o, diagnostics *d);
void net_options_free(net_options *o);

/* ---- memory (limits.c, plan.c) ---- */
/* That no tensor or parameter of the parsed network is beyond its memory limit alone; sums of sizes then do
 * not overflow. Sets parameter_total. */
bool network_check_sizes(network *net, error *e);
/* That all of it, with an arena of so many bytes, is within the limit. Sets memory_bytes. */
bool network_check_memory(network *net, size_t arena_bytes, error *e);
/* Values and gradients of the parameters where there are none yet, zeros. */
bool network_allocate_parameters(network *net, error *e);
/* Places activations, deltas and workspace, checks the memory, then allocates them and the parameters. */
bool network_plan(network *net, error *e);
/* Plans anew for passes of up to pass_batch images, from now on with gradients when training (a network that
 * trains stays one). Parameters keep their values. On error there is no memory for passes: another replan or
 * the end. */
bool network_replan(network *net, bool training, size_t pass_batch, error *e);
/* What network_pack_weights would allocate. */
size_t network_packed_bytes(network *net);
/* What is allowed: max_memory_bytes, or the machine's memory when that is 0. */
uint64_t network_memory_limit(uint64_t max_memory_bytes);
/* What the network and `taken` bytes beside it leave of what is allowed, at least 1 byte. */
uint64_t network_memory_left(const network *net, uint64_t taken);

/* ---- turns of inference (turns.c) ---- */
void inference_plan(network *net);
/* Bytes of the segment's gathered outputs. */
size_t inference_gathered_bytes(const network *net, int segment);
/* A pass of inference over any batch up to the planned one. */
void inference_run(const pass *p);

/* ---- inference by a crew of threads (crew.c) ---- */
/* Images that a member takes at a time; 0: this network has no crew. */
size_t crew_chunk(const network *net);
/* One member a thread, of at most so many bytes together; false when there is no use for them, or not the
 * memory. */
bool crew_gather(network *net, uint64_t most_bytes);
void crew_dismiss(network *net);
/* A pass of inference over any batch up to the planned one, by the crew that was gathered. */
void crew_run(const pass *p);

/* ---- passes (run.c) ---- */
tensor_shape network_input_shape(const network *net);
/* The layer whose output is the network's answer: the last one that is no cost and passes nothing through. */
const layer *network_output_layer(const network *net);
bool network_has_loss(const network *net);

/* Called with a layer's values in inference: before its activation (only where that is a separate step of the
 * layer) and its output. */
typedef void (*layer_observer)(void *user, const layer *l, bool before_activation, const float *values,
                               size_t count);
void network_forward_observed(network *net, const float *images, size_t batch, layer_observer observe,
                              void *user);

/* An inference pass in which every batch norm normalises by this batch's own moments and leaves them as its
 * rolling statistics (of the batch alone; the variance with divisor n - 1): how statistics are estimated anew
 * for changed weights. */
void network_forward_batch_statistics(network *net, const float *images, size_t batch);

/* images: [batch][height][width][channels]. The answer stays in the network:
 * network_output_layer(net)->output.data, [batch][outputs], plain, until the next pass. A few images at a
 * time go through all layers, so that what one layer writes is still in cache for the next; what the other
 * layers' outputs are then is not told. */
void network_forward(network *net, const float *images, size_t batch);

/* Until network_unpack_weights, inference reads copies of the weights that are laid out for its kernels, and
 * whatever is written to the weights themselves is not seen. A pass of training or of batch statistics,
 * loading weights or setting a transform end this too. False when out of memory; then the passes work as
 * without. */
bool network_pack_weights(network *net);
void network_unpack_weights(network *net);
/* After a pass, where classes are a tree: the answer's conditional probabilities become absolute ones, those
 * of inner classes 0. Otherwise nothing. */
void network_resolve_tree(network *net, size_t batch);
/* Forward, loss and backward of one pass; gradients are added to. Returns the pass's loss: summed over its
 * images, averaged over the loss layers. truth: [batch][outputs]. */
double network_train_pass(network *net, const float *images, const float *truth, size_t batch);
void network_clear_gradients(network *net);

/* ---- extensions' state that lives in layers ---- */
/* After the passes of an update: extension layers add their gradients; *loss: the sum of their losses. */
bool network_regularize(network *net, size_t images, double epoch, double progress, double *loss, error *e);

/* ---- weight files (weights.c) ---- */
typedef struct load_report {
    int loaded, kept; /* layers with parameters that got values / kept their initial ones */
    char kept_names[256];
    uint64_t seen;
} load_report;

/* Reads Darknet's format. A short file is an error naming layer and bytes unless it ends at a layer's border
 * and `partial`. A longer one is an error. On error no parameter was changed. seen is set from the file. */
bool network_load_weights(network *net, const char *path, bool partial, load_report *report, error *e);
/* Layers [start, cutoff) from a file that begins with those; what it holds behind them is not read. */
bool network_load_weights_upto(network *net, const char *path, int start, int cutoff, load_report *report,
                               error *e);
/* Writes layers [0, upto) (upto < 0: all), atomically. */
bool network_save_weights(const network *net, const char *path, int upto, error *e);
/* A second network of the same cfg without training buffers, with this one's values: for hooks that change
 * weights. `net` must outlive it. */
network *network_clone(const network *net, error *e);
/* One of the same cfg for inference on one thread, which reads this one's parameters and whose activations
 * and workspace take at most so many bytes. */
network *network_share(const network *net, size_t pass_batch, uint64_t most_bytes, error *e);

#endif
