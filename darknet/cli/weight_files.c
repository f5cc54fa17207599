/* darknet partial, average, statistics: commands about weight files. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"

static const option_spec options[] = {OPTION_END};

/* The network of CFG, the first word. NULL after an error or a help that is told; *status is then the
 * program's. */
static network *open_network(program *p, const command_spec *spec, int argc, char **argv, arguments *a,
                             int *status) {
    parse_result parsed = arguments_parse(a, spec, argc, argv);
    *status = parsed == PARSE_ERROR;
    if (parsed != PARSE_OK) return NULL;
    network_settings settings = {.pass_batch = 1};
    network *net = command_build(p, a->positions[0], &settings);
    *status = net == NULL;
    return net;
}

/* ---- partial ---- */

static const command_spec partial_spec = {
    "partial CFG WEIGHTS OUT N",
    "Writes the first N layers of WEIGHTS to OUT, for fine-tuning a network that begins with the same "
    "layers. WEIGHTS\n"
    "may be of a network that differs behind them. Images seen are 0 in OUT.",
    4, 4, options};

int command_partial(program *p, int argc, char **argv) {
    arguments a;
    int status, layers;
    network *net = open_network(p, &partial_spec, argc, argv, &a, &status);
    if (!net) return status;
    error e = {0};
    bool good = whole_number(a.positions[3], 1, net->layer_count, &layers);
    if (!good)
        status = fail("\"%s\" is no number of layers: %s has 1 to %d", a.positions[3], a.positions[0],
                      net->layer_count);
    good = good && network_load_weights_upto(net, a.positions[1], 0, layers, NULL, &e);
    net->seen = 0;
    good = good && network_save_weights(net, a.positions[2], layers, &e);
    network_destroy(net);
    return status ? status : good ? 0 : fail("%s", e.message);
}

/* ---- average ---- */

static const command_spec average_spec = {
    "average CFG OUT WEIGHTS...",
    "Writes the mean of the files' weights to OUT, statistics too; images seen are the first one's.", 3,
    MOST_POSITIONS, options};

/* The sums of all files' values, divided by their number, as the network's values. */
static bool average(network *net, const char *const *paths, int count, double *sums, error *e) {
    uint64_t seen = 0;
    for (int k = 0; k < count; k++) {
        if (!network_load_weights(net, paths[k], false, NULL, e)) return false;
        if (k == 0) seen = net->seen;
        for (size_t i = 0; i < net->parameter_total; i++) sums[i] += (double)net->values[i];
    }
    for (size_t i = 0; i < net->parameter_total; i++) net->values[i] = (float)(sums[i] / count);
    net->seen = seen;
    return true;
}

int command_average(program *p, int argc, char **argv) {
    arguments a;
    int status;
    network *net = open_network(p, &average_spec, argc, argv, &a, &status);
    if (!net) return status;
    error e = {0};
    double *sums = calloc(net->parameter_total + 1, sizeof *sums);
    if (!sums) error_set(&e, "out of memory for %zu sums", net->parameter_total);
    bool good = sums && average(net, a.positions + 2, a.position_count - 2, sums, &e) &&
                network_save_weights(net, a.positions[1], -1, &e);
    free(sums);
    network_destroy(net);
    return good ? 0 : fail("%s", e.message);
}

/* ---- statistics ---- */

static const command_spec statistics_spec = {
    "statistics CFG WEIGHTS",
    "Each layer's arrays in WEIGHTS: how many values, their mean, deviation, smallest and largest.", 2, 2,
    options};

static void print_parameter(const layer *l, const parameter *p) {
    double sum = 0.0, squares = 0.0, least = DBL_MAX, most = -DBL_MAX;
    for (size_t i = 0; i < p->count; i++) {
        double value = (double)p->values[i];
        sum += value;
        least = fmin(least, value);
        most = fmax(most, value);
    }
    double mean = sum / (double)p->count;
    for (size_t i = 0; i < p->count; i++) squares += pow((double)p->values[i] - mean, 2.0);
    printf("%4d %-15s %-16s %10zu %13.6g %13.6g %13.6g %13.6g\n", l->index, l->type->name, p->name, p->count,
           mean, sqrt(squares / (double)p->count), least, most);
}

int command_statistics(program *p, int argc, char **argv) {
    arguments a;
    int status;
    network *net = open_network(p, &statistics_spec, argc, argv, &a, &status);
    if (!net) return status;
    error e = {0};
    bool good = network_load_weights(net, a.positions[1], false, NULL, &e);
    if (good) {
        printf("%llu images seen\n", (unsigned long long)net->seen);
        printf("   # type            array                 values          mean     deviation      smallest  "
               "     largest\n");
        for (int i = 0; i < net->layer_count; i++)
            for (int j = 0; j < net->layers[i].parameter_count; j++)
                print_parameter(&net->layers[i], &net->layers[i].parameters[j]);
    }
    network_destroy(net);
    return good ? 0 : fail("%s", e.message);
}
