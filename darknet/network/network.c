/* Building a network: cfg sections to layers with shapes, then parameters, then memory. Every mistake of the
 * cfg is collected before anything large is allocated. */
#include "network/network.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "layers/external.h"

const char *darknet_version(void) {
    return PROJECT_VERSION;
}
int network_layer_count(const network *net) {
    return net->layer_count;
}
layer *network_layer(network *net, int index) {
    return index >= 0 && index < net->layer_count ? &net->layers[index] : NULL;
}
const char *network_name(const network *net) {
    return net->name;
}
int network_threads(const network *net) {
    return net->threads;
}

static char *name_of(const char *path) {
    char *name = strdup(path_base(path));
    size_t length = name ? strlen(name) : 0;
    if (length > 4 && strcmp(name + length - 4, ".cfg") == 0) name[length - 4] = 0;
    return name;
}

/* "section.key" = value, into every section of that name. */
static bool apply_overrides(cfg *c, const network_settings *settings) {
    for (size_t i = 0; i < settings->override_count; i++) {
        const char *path = settings->overrides[i][0], *dot = strchr(path, '.');
        if (!dot) continue;
        size_t length = (size_t)(dot - path);
        for (size_t s = 0; s < cfg_section_count(c); s++) {
            cfg_section *section = cfg_section_at(c, s);
            const char *name = section_name(section);
            bool net = s == 0 && length == 3 && strncmp(path, "net", 3) == 0;
            if (!net && (strlen(name) != length || strncmp(name, path, length) != 0)) continue;
            if (!cfg_set(section, dot + 1, settings->overrides[i][1])) return false;
        }
    }
    return true;
}

/* A key of [net] that stands for a whole layer: "hdloss=0.5". */
static bool append_implied(const network *net, cfg *c) {
    for (size_t i = 0; i < net->extension_count; i++) {
        const darknet_layer_type *type = net->extensions[i]->layer_type;
        if (!type || !type->implied_by || cfg_section_count(c) == 0) continue;
        cfg_section *first = cfg_section_at(c, 0);
        const char *value = section_string(first, type->implied_by, NULL);
        char *end = NULL;
        if (!value) continue;
        cfg_section *present = cfg_find(c, type->name);
        if (present) {
            if (!cfg_set(present, type->implied_by, value)) return false;
            continue;
        }
        if (strtod(value, &end) == 0.0 && end && *end == 0) continue;
        cfg_section *made = cfg_append(c, type->name);
        if (!made || !cfg_set(made, type->implied_by, value)) return false;
    }
    return true;
}

static const layer_type *type_of(const network *net, const cfg_section *s, diagnostics *d) {
    const char *name = section_name(s);
    const layer_type *type = layer_type_find(name);
    if (type) return type;
    if (external_is_registered(net, name)) return &layer_external;
    if (layer_type_is_foreign(name)) {
        diagnostics_error(d, LAYER_AT "layer type %s is not supported: this build trains classifiers",
                          section_path(s), section_line(s), name);
        return NULL;
    }
    const char *names[64];
    const char *closest = closest_name(name, names, layer_type_names(names, 64));
    diagnostics_error(d, LAYER_AT "[%s] is no layer type%s%s%s", section_path(s), section_line(s), name,
                      closest ? "; did you mean [" : "", closest ? closest : "", closest ? "]?" : "");
    return NULL;
}

static void read_common_keys(layer *l, const cfg_section *s, diagnostics *d) {
    l->learning_rate_factor = (float)section_number(s, "learning_rate", 1.0, 0.0, 1e6, d);
    l->clip = (float)section_number(s, "clip", l->net->options.clip, 0.0, 1e9, d);
    l->only_forward = section_flag(s, "onlyforward", false, d);
    l->stop_backward = section_int(s, "stopbackward", 0, 0, INT_MAX, d) > 0;
    l->dont_save = section_flag(s, "dontsave", false, d);
    l->dont_load = section_flag(s, "dontload", false, d);
    l->dont_load_scales = section_flag(s, "dontloadscales", false, d);
    l->num_load = section_int(s, "numload", 0, 0, 1 << 20, d);
    l->smooth = (float)section_number(s, "smooth", 0.0, 0.0, 1.0, d);
    for (size_t i = 0; i < l->net->extension_count; i++)
        for (const char *const *key = l->net->extensions[i]->layer_keys; key && *key; key++)
            (void)section_string(s, *key, NULL);
}

/* Stands where a section is no layer, so that the layers behind it are checked, too. */
static void parse_nothing(layer *l, const cfg_section *s, layer_context *context) {
    (void)s;
    (void)context;
    l->out = l->in;
}

static const layer_type layer_unknown = {.name = "unknown", .parse = parse_nothing};

static bool parse_layer(network *net, int index, cfg_section *s, diagnostics *d) {
    layer *l = &net->layers[index];
    const layer_type *type = type_of(net, s, d);
    if (!type) type = &layer_unknown;
    *l = (layer){.type = type, .net = net, .index = index, .line = section_line(s), .section = s};
    l->inputs = malloc(sizeof *l->inputs);
    if (!l->inputs) return false;
    l->inputs[0] = index - 1;
    l->input_count = 1;
    l->in = layer_input_shape(l, 0);
    layer_context context = {.net = net,
                             .diagnostics = d,
                             .network_input = network_input_shape(net),
                             .batch_norm_form = net->options.bn,
                             .bfloat16 = net->options.bfloat16};
    type->parse(l, s, &context);
    read_common_keys(l, s, d);
    if (type != &layer_unknown) section_report_unknown(s, d);
    size_t outputs =
        layer_product(layer_product((size_t)l->out.height, (size_t)l->out.width), (size_t)l->out.channels);
    bool too_long = l->out.height > LAYER_MOST_LENGTH || l->out.width > LAYER_MOST_LENGTH ||
                    l->out.channels > LAYER_MOST_LENGTH;
    if (too_long || outputs > LAYER_MOST_VALUES) {
        diagnostics_error(
            d, LAYER_AT "[%s]: its output of %dx%dx%d is too large: at most %zu values, no side above %d",
            section_path(s), section_line(s), section_name(s), l->out.width, l->out.height, l->out.channels,
            LAYER_MOST_VALUES, LAYER_MOST_LENGTH);
        l->out = (tensor_shape){1, 1, 1};
    }
    return l->state != NULL || !type->destroy;
}

static void parse_all(network *net, diagnostics *d) {
    cfg_section *first = cfg_section_count(net->source) ? cfg_section_at(net->source, 0) : NULL;
    if (!first && diagnostics_error_count(d)) return; /* the grammar's mistakes say it all */
    const char *name = first ? section_name(first) : "";
    if (strcmp(name, "net") != 0 && strcmp(name, "network") != 0) {
        const char *meant = closest_name(name, (const char *const[]){"net", "network"}, 2);
        diagnostics_error(d, "%s:%d: the first section must be [net] or [network]%s%.40s%s",
                          cfg_path(net->source), first ? section_line(first) : 1, meant ? ", not [" : "",
                          meant ? name : "", meant ? "]" : "");
        if (!meant) return; /* there is no telling shapes then */
    }
    net_options_parse(first, &net->options, d);
    section_report_unknown(first, d);
    size_t count = cfg_section_count(net->source) - 1;
    if (count == 0 || count > 10000) {
        diagnostics_error(d, "%s: has %zu layers; 1 to 10000 are wanted", cfg_path(net->source), count);
        return;
    }
    net->layers =
        calloc(count + 1, sizeof *net->layers); /* one more: a layer whose parse failed is destroyed too */
    if (!net->layers) return;
    for (size_t i = 0; i < count; i++) {
        if (!parse_layer(net, (int)i, cfg_section_at(net->source, i + 1), d)) {
            if (diagnostics_error_count(d) == 0)
                diagnostics_error(d, "%s: out of memory", cfg_path(net->source));
            return;
        }
        net->layer_count = (int)i + 1;
    }
}

static bool fail_with(const diagnostics *d, error *e) {
    size_t errors = diagnostics_error_count(d);
    for (size_t i = 0; i < diagnostics_count(d); i++) {
        bool warning;
        const char *sentence = diagnostics_get(d, i, &warning);
        if (warning) continue;
        if (errors == 1) return error_set(e, "%s", sentence);
        return error_set(e, "%s (and %zu more mistakes)", sentence, errors - 1);
    }
    return error_set(e, "out of memory");
}

/* The losses of a network that trains share one truth, of as many values as the network has outputs. */
static void check_losses(const network *net, diagnostics *d) {
    const layer *answer = network_output_layer(net);
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        if (!l->is_loss || tensor_size(l->out) == tensor_size(answer->out)) continue;
        diagnostics_error(
            d, "%s:%d: layer %d is a loss of %zu values, but layer %d, the network's answer, has %zu",
            cfg_path(net->source), l->line, i, tensor_size(l->out), answer->index, tensor_size(answer->out));
    }
}

static bool build(network *net, const network_settings *settings, diagnostics *d, error *e) {
    if (!apply_overrides(net->source, settings) || !append_implied(net, net->source))
        return error_set(e, "%s: out of memory", cfg_path(net->source));
    parse_all(net, d);
    if (net->training && !diagnostics_error_count(d)) check_losses(net, d);
    if (diagnostics_error_count(d)) return fail_with(d, e);
    if (settings->has_seed) net->options.seed = settings->seed;
    int default_batch = net->training ? net->options.batch / net->options.subdivisions : 1;
    net->pass_batch = (size_t)(settings->pass_batch > 0 ? settings->pass_batch : default_batch);
    net->memory_limit = network_memory_limit(settings->max_memory_bytes);
    if (!network_plan(net, e)) return false;
    for (int i = 0; i < net->layer_count && !net->owner; i++)
        if (net->layers[i].type->initialize)
            net->layers[i].type->initialize(&net->layers[i], net->options.seed);
    return true;
}

static network *allocate_network(const network_settings *settings, const char *path, error *e) {
    network *net = calloc(1, sizeof *net);
    if (!net) {
        error_set(e, "%s: out of memory", path);
        return NULL;
    }
    net->training = settings->training;
    net->extensions = settings->extensions;
    net->extension_count = settings->extension_count;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    net->threads = settings->threads > 0 ? settings->threads : (processors > 0 ? (int)processors : 1);
    return net;
}

/* A second network of the same cfg; owner: whose parameters it reads, NULL: it gets its own. */
static network *build_alike(const network *net, const network *owner, const network_settings *settings,
                            error *e) {
    network *copy = allocate_network(settings, cfg_path(net->source), e);
    if (!copy) return NULL;
    diagnostics *d = diagnostics_create();
    copy->source = net->source;
    copy->borrows_source = true;
    copy->owner = owner;
    copy->name = strdup(net->name);
    if (!d || !copy->name || !build(copy, settings, d, e)) {
        network_destroy(copy);
        copy = NULL;
    }
    diagnostics_destroy(d);
    return copy;
}

network *network_clone(const network *net, error *e) {
    /* the copy's parameters are counted among what the network takes */
    uint64_t own =
        net->training ? net->memory_bytes - net->parameter_total * sizeof(float) : net->memory_bytes;
    const network_settings settings = {.pass_batch = (int)net->pass_batch,
                                       .max_memory_bytes =
                                           net->memory_limit > own ? net->memory_limit - own : 1,
                                       .threads = net->threads,
                                       .extensions = net->extensions,
                                       .extension_count = net->extension_count};
    network *copy = build_alike(net, NULL, &settings, e);
    if (!copy) return NULL;
    memcpy(copy->values, net->values, net->parameter_total * sizeof(float));
    copy->seen = net->seen;
    copy->options.seed = net->options.seed;
    for (int i = 0; i < copy->layer_count; i++)
        copy->layers[i].fresh_statistics = net->layers[i].fresh_statistics;
    return copy;
}

network *network_share(const network *net, size_t pass_batch, uint64_t most_bytes, error *e) {
    const network_settings settings = {.pass_batch = (int)pass_batch,
                                       .max_memory_bytes = most_bytes ? most_bytes : 1,
                                       .threads = 1,
                                       .extensions = net->extensions,
                                       .extension_count = net->extension_count};
    return build_alike(net, net, &settings, e);
}

network *network_create(const char *cfg_path_name, const network_settings *settings, diagnostics *d,
                        error *e) {
    network *net = allocate_network(settings, cfg_path_name, e);
    if (!net) return NULL;
    net->name = name_of(cfg_path_name);
    net->source = cfg_read(cfg_path_name, d, e);
    if (!net->source || !net->name || !build(net, settings, d, e)) {
        network_destroy(net);
        return NULL;
    }
    return net;
}

void network_destroy(network *net) {
    if (!net) return;
    for (int i = 0; net->layers && i <= net->layer_count && net->layers[i].type; i++) {
        layer *l = &net->layers[i];
        if (l->type->destroy) l->type->destroy(l);
        memory_free(l->transformed_weights);
        free(l->inputs);
    }
    free(net->layers);
    net_options_free(&net->options);
    crew_dismiss(net);
    if (!net->owner) memory_free(net->values);
    memory_free(net->gradients);
    memory_free(net->arena);
    memory_free(net->packed_weights);
    class_tree_destroy(net->classes);
    if (net->source && !net->borrows_source) cfg_destroy(net->source);
    free(net->name);
    free(net);
}

void layer_get_info(const layer *l, darknet_layer_info *info) {
    *info = (darknet_layer_info){.index = l->index,
                                 .type = l->section ? section_name(l->section) : l->type->name,
                                 .line = l->line,
                                 .inputs = l->inputs,
                                 .input_count = l->input_count,
                                 .in_height = l->in.height,
                                 .in_width = l->in.width,
                                 .in_channels = l->in.channels,
                                 .out_height = l->out.height,
                                 .out_width = l->out.width,
                                 .out_channels = l->out.channels,
                                 .stride = 1,
                                 .dilation = 1,
                                 .groups = 1,
                                 .alpha = 1.0f,
                                 .beta = 1.0f,
                                 .activation = "linear",
                                 .macs = l->macs};
    if (l->type != &layer_external) info->type = l->type->name;
    if (l->type->describe) l->type->describe(l, info);
}

bool layer_get_parameter(const layer *l, const char *name, darknet_parameter *p) {
    const parameter *own = layer_parameter(l, name);
    if (!own) return false;
    *p = (darknet_parameter){.values = own->values, .gradient = own->gradient, .count = own->count};
    return true;
}

const char *layer_option(const layer *l, const char *key) {
    return section_string(l->section, key, NULL);
}
