/* Inside the plug-in: what its files share. */
#ifndef HDLOSS_PLUGIN_INTERNAL_H
#define HDLOSS_PLUGIN_INTERNAL_H

#include <jansson.h>

#include "hdloss.h"
#include "integer.h"
#include "plugin.h"
#include "reordering.h"
#include "trace.h"

/* An accelerator with the coefficients of its energy. */
typedef struct array_model {
    hd_accelerator accelerator;
    hd_energy_table table;
    bool has_memory; /* a [memory] section */
    hd_memory_costs memory;
} array_model;

struct plugin {
    char *resources;       /* directory with accelerators/, or NULL */
    uint64_t memory_limit; /* bytes a network may take; 0: the machine's */
    array_model *chosen;   /* by the command line; NULL: the network's or the default */
    darknet_extension extension;
    darknet_layer_type layer_type;
    struct epoch_report *epoch; /* what the last epoch's hook found, for its checkpoint hook */
    char header[512];           /* lines for the log */
};

bool from_hd(const hd_error *h, error *e); /* copies the sentence, returns false */

/* ---- accelerator_file.c ---- */
/* name: a path, or the name of a file in accelerators/ (with or without .cfg); NULL: the default, is16x16. */
bool array_model_read(const plugin *p, const char *name, array_model *model, error *e);
/* The command line's, the [hdloss] accelerator of the network, or the default. */
bool array_model_of(const plugin *p, const network *net, array_model *model, error *e);
/* The array that the .stream beside the weights was made for: the file of its name where that still says so,
 * else with the network's energy table. The command line's beats both; without a .stream as array_model_of.
 */
bool array_model_beside(const plugin *p, const network *net, const char *weights_path, array_model *model,
                        error *e);

/* ---- weight_streams.c: a network's layers with weights as words and plans on one accelerator ---- */
typedef struct weight_stream {
    int index; /* of the layer in the cfg */
    layer *layer;
    hd_layer_shape shape;
    hd_plan plan;     /* with the orders of the export, if any */
    int8_t *words;    /* in the tensor's order */
    int8_t *streamed; /* words times signs: what is counted; NULL: words */
    int8_t *signs;    /* [sign_sets][filters], as in the sidecar; NULL: none */
    size_t sign_sets;
    float *scales;
    double emphasis;                      /* hd_lambda= */
    bool activations_measured;            /* on data; else the table's assumption stands */
    hd_activation_statistics activations; /* of what the layer reads */
} weight_stream;

typedef struct weight_streams {
    array_model model;
    weight_stream *items;
    size_t count;
    hd_stream sidecar; /* where they came from, layer_count 0 when from floats */
} weight_streams;

/* Plans with natural orders and the words of the float weights. */
bool weight_streams_create(weight_streams *s, network *net, const array_model *model, error *e);
/* The same, but words, orders and signs from the sidecar beside the weights when there is one
 * (sidecar_only_words: orders stay natural when the accelerator is another than the sidecar's). */
bool weight_streams_load(weight_streams *s, network *net, const char *weights_path, const array_model *model,
                         error *e);
void weight_streams_free(weight_streams *s);
/* New words from the present float weights. */
bool weight_streams_quantise(weight_streams *s, error *e);
/* Takes out the orders and lane channels. */
bool weight_streams_make_natural(weight_streams *s, error *e);

/* Energies are given to the femtojoule, so that the parts of what is written add up to its sums. */
enum { ENERGY_DECIMALS = 3 };
typedef struct stream_figures {
    hd_flips flips;
    hd_energy_report energy; /* plan level */
} stream_figures;
/* Flips and energy of one layer, and summed over all (total). each: [count] or NULL. */
bool weight_streams_measure(const weight_streams *s, int threads, stream_figures *each, stream_figures *total,
                            error *e);
/* Segment reordering of every layer's plan. `quick` leaves out the perturbation. */
bool weight_streams_reorder(weight_streams *s, bool quick, int threads, error *e);

/* ---- network_view.c: a darknet network as libhdloss's plain description ---- */
typedef struct network_view {
    hd_network description;
    hd_node *nodes;
} network_view;
bool network_view_create(network_view *v, network *net, const hd_accelerator *accelerator, error *e);
void network_view_free(network_view *v);
/* Bits of a layer's words: its weight_bits= or the accelerator's. False when the key's value is no width. */
bool layer_weight_bits(const layer *l, const hd_accelerator *accelerator, int *bits, error *e);

/* ---- int8.c: calibration and accuracy of the integer network ---- */
typedef bool (*image_source)(void *user, size_t most, image_visitor visit, void *visit_user, error *e);
/* Activation scales ([hd_integer_scale_count], malloc'ed) from the images that the source gives. */
float *calibrate_activations(network *net, const network_view *v, int activation_bits, image_source source,
                             void *user, error *e);
/* The network of these words, folded; and packed to run. */
hd_integer_model *make_integer_model(const network_view *v, const weight_streams *s,
                                     const float *activation_scales, error *e);
hd_integer_network *make_integer_network(const network_view *v, const weight_streams *s,
                                         const float *activation_scales, error *e);
bool evaluate_integer(const hd_integer_network *n, const network *net, image_source source, void *user,
                      int top, evaluation *result, error *e);

/* ---- activation_streams.c ---- */
enum { STATISTICS_IMAGES = 32 };
/* Runs the integer network on the source's first images: each stream's activation statistics on
 * STATISTICS_IMAGES of them and, unless traced is NULL, the trace level of the first one; traced[s->count].
 */
bool measure_activations(network *net, weight_streams *s, image_source source, void *user,
                         hd_energy_report *traced, error *e);

/* ---- calibration_data.c: images of a data file for the post-training commands ---- */
typedef struct calibration_data {
    network *net;
    data_options options;
    dataset *train, *held_out; /* held_out: only where asked for, then no image of train */
    bool slice_was_trained_on; /* the data file names no valid_split: held_out was drawn from what training
                                  may have seen */
} calibration_data;
/* Opens the training images and, with hold_out, the slice of [valid_split] (none given: 10000 images or a
 * fifth). */
bool calibration_data_open(calibration_data *c, network *net, const char *path, bool hold_out, error *e);
void calibration_data_close(calibration_data *c);
/* image_sources with a calibration_data: a seeded draw of training images, each at most once, as training
 * prepares them; the first ones, and those held out, without augmentation. */
bool visit_sample(void *data, size_t most, image_visitor visit, void *visit_user, error *e);
bool visit_train(void *data, size_t most, image_visitor visit, void *visit_user, error *e);
bool visit_held_out(void *data, size_t most, image_visitor visit, void *visit_user, error *e);

/* ---- statistics.c ---- */
/* New rolling statistics for every batch norm of the network as it is, on up to `images` images. Batches
 * after the first that are not full are left out. */
bool estimate_statistics(network *net, image_source source, void *user, size_t images, error *e);
/* Mean square of what each of streams' layers reads, by input channel (connected layers: by input in C,H,W
 * order): means[i][shape.channels], malloc'ed. On failure all are NULL. */
bool measure_input_power(network *net, const weight_streams *streams, image_source source, void *user,
                         size_t images, float **means, error *e);
/* Makes the network's weights scale * word. *kept, unless kept is NULL, gets what they were, for
 * weights_into_network. */
bool words_into_network(const weight_streams *s, float **kept, error *e);
void weights_into_network(const weight_streams *s, const float *kept);

/* ---- sidecar_file.c ---- */
char *sidecar_path(const char *weights_path); /* malloc'ed */
/* Writes the sidecar of these streams beside the weights. activation_scales may be NULL. */
bool sidecar_write(const char *weights_path, const weight_streams *s, const network_view *v,
                   const float *activation_scales, error *e);
/* found: false (and true returned) when there is none. */
bool sidecar_read(const char *weights_path, hd_stream *stream, bool *found, error *e);

/* ---- hdloss_layer.c: the [hdloss] layer ---- */
/* What the checkpoint hook writes beside a checkpoint. */
typedef enum word_importance { IMPORTANCE_SIGNAL, IMPORTANCE_GRADIENT } word_importance;
typedef enum reorder_method { REORDER_NONE, REORDER_DIRECT, REORDER_SEGMENT, REORDER_BOTH } reorder_method;

typedef struct hdloss_settings {
    double lambda, ramp_epochs, sigma_start, sigma_end;
    bool by_energy;
    hd_surrogate surrogate;
    reorder_method reorder;
    int reorder_every; /* the loss follows segment orders, solved anew every so many epochs; 0: the natural
                          order */
    double round_mu;   /* checkpoints are also written rounded at this price of an error; 0: not */
    int round_every;   /* in every so manieth epoch, and at the end */
    double
        train_mu; /* the forward pass uses trellis-rounded words, see trained_words.h; 0: the float weights */
    double sum_cost;            /* of a partial sum that changes, beside flips of words, for train_mu */
    word_importance importance; /* of the errors of such words */
    int trellis_every;          /* new words every so many updates */
    double pull;                /* of the float weights towards their words */
    char accelerator[256];      /* "" the default */
} hdloss_settings;

void hdloss_layer_type_fill(plugin *p, darknet_layer_type *type);
/* The settings of the network's [hdloss] layer, NULL when it has none. */
const hdloss_settings *hdloss_settings_of(const network *net);
/* The last update's loss of layer `index`, lambda included; NAN when not known. */
double hdloss_layer_value(const network *net, int index);

/* Where the network is trained through its words (*trained): makes them anew from the present weights and
 * gives streams, of this network, these words; then the orders that they were made for. */
bool hdloss_layer_give_words(const network *net, weight_streams *streams, bool *trained, error *e);
bool hdloss_layer_give_orders(const network *net, weight_streams *streams, error *e);

/* ---- epoch_hook.c, checkpoint_hook.c ---- */
typedef struct epoch_report {
    int epoch;
    weight_streams streams;   /* with the orders of the export */
    bool trained_words;       /* the streams' words are those of training, not the nearest ones */
    float *activation_scales; /* NULL when there were no images */
} epoch_report;
void epoch_report_free(epoch_report *r); /* accepts NULL */
/* An image_source: the images that an epoch was evaluated on, see darknet_epoch. */
typedef struct epoch_images {
    const darknet_epoch *epoch;
    const char *which;
} epoch_images;
bool visit_epoch_images(void *epoch_images, size_t most, image_visitor visitor, void *visit_user, error *e);
extern const char *const plugin_columns[];
bool plugin_on_epoch(void *user, network *net, const darknet_epoch *epoch, const char *log_path,
                     double *columns, error *e);
bool plugin_on_checkpoint(void *user, network *net, const darknet_checkpoint *checkpoint, error *e);

/* Reorders the network's own weights directly and writes them with a sidecar. activation_scales may be NULL.
 */
bool write_direct(network *net, const network_view *view, const array_model *model,
                  const float *activation_scales, bool quick, const char *path, error *e);

/* ---- report_json.c ---- */
json_t *report_accelerator(const array_model *model);
/* {"version", "accelerator", "layers": [...], "total": {...}}; energy: with "energy_pj". NULL when out of
 * memory. */
json_t *report_streams(const weight_streams *s, const stream_figures *each, const stream_figures *total,
                       bool energy);
/* Datapath, its parts, clock and idle, in pJ. */
json_t *report_energy_parts(const hd_energy_report *r);
/* To a file, or standard output for "-". Takes the reference. */
bool report_write(json_t *report, const char *path, error *e);

/* ---- commands (commands.c: what they share) ---- */
#include "cli/arguments.h"
/* -cost flips|energy, flips when it is not given. Says on stderr what is wrong. */
bool read_flip_cost(const arguments *a, bool *by_energy);
typedef struct loaded_network {
    network *net;
    array_model model;
    weight_streams streams;
} loaded_network;
/* CFG and WEIGHTS (positions 0 and 1), -accelerator, -threads. Prints what is wrong; false after an error. */
bool command_load(plugin *p, const arguments *a, loaded_network *loaded);
/* The same with room for passes of so many images. */
bool command_load_batch(plugin *p, const arguments *a, int pass_batch, loaded_network *loaded);
#define OPTION_BATCH                                                                                         \
    { "-batch", "N", "images a pass (default 128)" }
void command_unload(loaded_network *loaded);
/* The training images of a -data file as an image_source: open, hand &source to whoever wants images, close.
 */
typedef struct data_images {
    const network *net;
    dataset *set;
} data_images;
bool data_images_open(data_images *d, const network *net, const char *data_path, error *e);
void data_images_close(data_images *d);
bool data_images_visit(void *user, size_t most, image_visitor visitor, void *visit_user, error *e);
/* Activation scales from the -data file's training images. NULL and a sentence on error. */
float *command_calibrate(loaded_network *loaded, const network_view *view, const char *data_path, error *e);

/* command_calibrate.c: new statistics for the network as it is, then the activation scales that belong to
 * them (malloc'ed). */
bool fit_statistics(loaded_network *loaded, const network_view *view, calibration_data *data, size_t images,
                    float **activation_scales, error *e);

int hd_compare_accelerators_command(plugin *p, int argc, char **argv);
int hd_export_command(plugin *p, int argc, char **argv);
int hd_run_command(plugin *p, int argc, char **argv);
int hd_calibrate_command(plugin *p, int argc, char **argv);
int hd_flips_command(plugin *p, int argc, char **argv);
/* command_flips.c: one row a layer, and the total. */
void print_streams_head(const weight_streams *s, const loaded_network *loaded);
int hd_energy_command(plugin *p, int argc, char **argv);
int hd_compare_command(plugin *p, int argc, char **argv);
int hd_reorder_command(plugin *p, int argc, char **argv);
int hd_round_command(plugin *p, int argc, char **argv);

#endif
