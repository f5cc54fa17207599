/* Layers: the common part that the network, the memory plan, the optimiser and the weight files work on, and
 * the record of functions each layer type gives. A new type is one file here and one line in layers.c.
 *
 * Activations are channels-last (kernels.h). A layer's output is a lazy_tensor: its readers apply the pending
 * map. delta is the gradient of the *mapped* output, in Darknet's sign (the negative gradient). */
#ifndef DARKNET_LAYERS_LAYER_H
#define DARKNET_LAYERS_LAYER_H

#include "config/config.h"
#include "core/error.h"
#include "darknet_extension.h"
#include "kernels/kernels.h"

typedef struct tensor_shape {
    int height, width, channels;
} tensor_shape;

static inline size_t tensor_size(tensor_shape s) {
    return (size_t)s.height * (size_t)s.width * (size_t)s.channels;
}
static inline size_t tensor_pixels(tensor_shape s) {
    return (size_t)s.height * (size_t)s.width;
}

/* One array of a layer as the weight file knows it. A layer lists them in the file's order. */
typedef struct parameter {
    const char *name;
    size_t count;
    bool trained;          /* has a gradient (false: running statistics) */
    bool learns;           /* trained, in a network that trains, and not frozen */
    bool decays;           /* weight decay applies */
    bool not_in_file;      /* trained, but the format has no place for it */
    size_t flipped_rows;   /* files keep this matrix transposed: its rows there, else 0 */
    size_t transpose_rows; /* files of the oldest versions keep this matrix transposed: its rows, else 0 */
    float *values;         /* set by the network: slices of its arrays */
    float *gradient;       /* NULL when the network does not train or the layer is frozen */
} parameter;

#define LAYER_MAX_PARAMETERS 6
#define LAYER_MAX_BUFFERS 12
#define LAYER_MOST_LENGTH (1 << 24)         /* of a tensor's height, width, channels */
#define LAYER_MOST_VALUES ((size_t)1 << 31) /* of a tensor of one image */

/* Memory that a layer asks for in plan(); the network places it so that buffers whose lives do not cross
 * share memory. */
typedef enum buffer_life {
    BUFFER_FORWARD,  /* from this layer's forward pass until its last reader's */
    BUFFER_TRAINING, /* from its forward pass until its own backward pass */
    BUFFER_PERMANENT
} buffer_life;

typedef struct buffer_request {
    size_t bytes;
    buffer_life life;
    void *memory; /* set by the network */
} buffer_request;

typedef struct layer_type layer_type;

struct layer {
    const layer_type *type;
    network *net;
    int index;
    int line; /* in the cfg */
    const cfg_section *section;
    int *inputs; /* layer indexes, -1 the network's input; owned */
    int input_count;
    tensor_shape in; /* of inputs[0] */
    tensor_shape out;
    void *state; /* the type's own */

    parameter parameters[LAYER_MAX_PARAMETERS];
    int parameter_count;
    layer *shared; /* an earlier layer whose parameters this one uses, else NULL; it has none of its own */
    float learning_rate_factor;
    bool only_forward, stop_backward, dont_load, dont_save, dont_load_scales;
    int num_load;
    float clip;            /* > 0: the weights are held within +-clip */
    float smooth;          /* of a loss: see layer_truth */
    bool fresh_statistics; /* rolling statistics still start from the first batch (no file gave them) */
    bool modifies_delta;   /* its backward pass writes into its own delta */
    bool is_loss;          /* starts the backward pass when there is a truth */

    buffer_request buffers[LAYER_MAX_BUFFERS];
    int buffer_count;
    size_t workspace_bytes;

    /* Set by the network's plan. */
    bool lazy_output; /* every reader takes a pending map */
    bool trains;      /* has parameters that learn */
    bool wants_delta; /* something at or before this layer learns, and a loss comes after it */
    bool propagates;  /* its backward pass writes deltas of its inputs */
    float *delta;     /* [batch][out], NULL when not wanted */
    bool owns_delta;  /* no other layer's delta is the same array */

    /* Where the last layer to write this one's delta may leave sums over it that this one's backward pass
     * would begin with (gradient_sums, kernels.h; sum_dz NULL: not wanted), and whether it did. Set by
     * forward passes of training. */
    gradient_sums sums;
    bool sums_made;

    lazy_tensor output; /* set by every forward pass */

    darknet_weight_transform transform;
    void *transform_user;
    float *transformed_weights; /* allocated with the transform */
    uint64_t macs;
};

/* One forward (and backward) pass over a batch. */
typedef struct pass {
    network *net;
    const float *input; /* [batch][height][width][channels] */
    size_t batch;       /* images in this pass, at most the planned number */
    bool training;
    bool batch_statistics; /* inference in which batch norms normalise by the batch's own moments */
    int threads;
    void *workspace;
    const float *truth;   /* [batch][outputs of the loss], NULL when there is none */
    uint64_t seed;        /* dropout: random_hash(seed, ...) */
    uint64_t first_image; /* images seen in training before this pass: the position of random streams */
    double *loss;         /* loss layers add the batch's sum */
    /* inference only: told of the values before an activation; see network_forward_observed */
    void (*observe)(void *user, const layer *l, bool before_activation, const float *values, size_t count);
    void *observe_user;
} pass;

/* y = (x - mean) / (sqrt(var) + 1e-6); the forms differ in the backward pass and in the rolling statistics
 * (Darknet's, the exact gradient of that form, and the sqrt(var + 1e-5) form of the other line). */
typedef enum batch_norm_form { BATCH_NORM_DARKNET, BATCH_NORM_EXACT, BATCH_NORM_ALEXEY } batch_norm_form;

/* What parse() is given beside the section. */
typedef struct layer_context {
    network *net;
    diagnostics *diagnostics;
    tensor_shape network_input;
    batch_norm_form batch_norm_form;
    bool bfloat16;
} layer_context;

struct layer_type {
    const char *name;
    bool reads_lazy;    /* forward takes inputs with a pending map */
    bool takes_numload; /* its parameters go by filters: numload= may load the first ones alone */
    /* The output is the first input itself, in this mode: it takes no memory. NULL: never. */
    bool (*passes_through)(const layer *l, bool training);

    /* Reads the section's keys, sets out, parameters (names and counts), macs and state. l->in, inputs (the
     * previous layer) are set; a type with references replaces inputs through layer_set_inputs. Mistakes go
     * to the diagnostics; the shapes must then still be sensible, so that later layers can be checked. */
    void (*parse)(layer *l, const cfg_section *s, layer_context *context);
    /* Fills fresh parameters (random initial weights); NULL: zeros. */
    void (*initialize)(layer *l, uint64_t seed);
    /* Asks for buffers and workspace for passes of up to `batch` images. */
    void (*plan)(layer *l, size_t batch, bool training, int threads);
    void (*forward)(layer *l, const pass *p);
    /* Makes a copy of the weights in the form that its inference reads, into `packed` (64-byte aligned), and
     * uses it until it is called again; NULL: back to the weights themselves. Returns the bytes wanted. NULL:
     * it has no such form. */
    size_t (*pack)(layer *l, void *packed);
    /* Writes (or adds to, when layer_adds_delta) the deltas of inputs that want them, adds to parameters'
     * gradients. NULL: nothing. */
    void (*backward)(layer *l, const pass *p);
    /* Names the size column and details for `ops` and layer_get_info; may be NULL. */
    void (*describe)(const layer *l, darknet_layer_info *info);
    /* True when delta of the output may simply *be* the delta of every input (a plain sum). NULL: no. */
    bool (*shares_delta)(const layer *l);
    void (*destroy)(layer *l);
};

/* The table of layer types, layers.c. NULL when there is none of that name. */
const layer_type *layer_type_find(const char *name);
/* Recognised but unsupported names (detection and recurrent layers). */
bool layer_type_is_foreign(const char *name);
/* For "did you mean". */
size_t layer_type_names(const char **names, size_t most);

/* ---- helpers for the types ---- */

/* Adds a parameter; values arrive later. */
parameter *layer_add_parameter(layer *l, const char *name, size_t count, bool trained, bool decays);
/* Of the layer itself, or of the one whose parameters it shares; NULL when there is none. */
const parameter *layer_parameter(const layer *l, const char *name);
float *layer_values(const layer *l, const char *name);
float *layer_gradient(const layer *l, const char *name); /* NULL when it does not learn, too */
/* a * b, or SIZE_MAX when that is too large for a size (which the network then refuses). */
size_t layer_product(size_t a, size_t b);
/* A length as an int, cut to what is possible: the network refuses tensors that are too large. */
int layer_length(int64_t length);
/* Asks for memory in plan(); returns the request's number for layer_buffer. */
int layer_request(layer *l, size_t bytes, buffer_life life);
static inline void *layer_buffer(const layer *l, int request) {
    return l->buffers[request].memory;
}
void layer_want_workspace(layer *l, size_t bytes);

/* Replaces the inputs by `count` references (relative when negative). False (and a diagnostic) when one is
 * out of range. */
bool layer_set_inputs(layer *l, const int *references, size_t count, const char *key, layer_context *context);
/* The inputs of a layer that reads the previous one and those of its key `from`; `from` missing is a
 * diagnostic. */
bool layer_set_from(layer *l, const cfg_section *s, layer_context *context);
/* "file:line of the key: key: <the sentence> (layer 3 reads layer 2)": for shapes that do not fit. */
void layer_shape_error(const layer *l, const cfg_section *s, const char *key, diagnostics *d,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Says that a size x size window with this padding fits not into the layer's input. */
void layer_window_error(const layer *l, const cfg_section *s, int size, int padding, diagnostics *d);
tensor_shape layer_input_shape(const layer *l, int k);
lazy_tensor layer_input(const layer *l, const pass *p, int k);
/* The gradient buffer of input k, NULL when it wants none (or it shares this layer's). */
float *layer_input_delta(const layer *l, int k);
/* Whether this layer must add to input k's delta (a later layer has already written it). */
bool layer_adds_delta(const layer *l, int k);
bool layer_writes_deltas(const layer *l);
/* The sums that this layer is to make while it writes input k's delta, as the last one to do so; NULL: none.
 * The input's sums_made is then set: the caller must make them. */
const gradient_sums *layer_input_sums(const layer *l, int k);

/* The weights that this pass uses: the float weights, or what the transform makes of them. */
const float *layer_weights_for_pass(layer *l);

/* The truth as a loss layer takes it, smooth= applied: truth * (1 - s) + s / outputs. */
static inline float layer_truth(const layer *l, const pass *p, size_t i) {
    return p->truth[i] * (1.0f - l->smooth) + l->smooth / (float)tensor_size(l->out);
}

/* activation= key, with "did you mean" for unknown names. */
activation_kind layer_parse_activation(const cfg_section *s, const char *key, const char *fallback,
                                       diagnostics *d);
/* The scalar function of a kind, for layer_get_info. */
float (*layer_activation_function(activation_kind kind))(float);

/* Where a message points: "cfg:line". */
#define LAYER_AT "%s:%d: "
#define layer_at(l) section_path((l)->section), (l)->line

#endif
