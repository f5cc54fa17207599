/* An epoch's end: see hooks.h. */
#include "train/hooks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 32, ROW_BYTES = 2048, HEAD_BYTES = 8192 };

/* Opens a part within the memory that is left; *taken grows by what it takes. */
static dataset *open_part(const network *net, const data_options *data, data_part part, uint64_t *taken,
                          error *e) {
    dataset *d = dataset_open(data, part, net->options.channels, net->options.seed,
                              network_memory_left(net, *taken), e);
    *taken += dataset_bytes(d);
    return d;
}

bool hooks_open(run_hooks *h, network *net, const data_options *data, const dataset *train, uint64_t taken,
                const train_callbacks *callbacks, error *e) {
    *h = (run_hooks){.net = net, .callbacks = callbacks, .train = train};
    taken += dataset_bytes(train);
    if (data->valid && !(h->valid = open_part(net, data, DATA_VALID, &taken, e))) return false;
    return data->valid_split == 0 || (h->held_out = open_part(net, data, DATA_HELD_OUT, &taken, e)) != NULL;
}

void hooks_close(run_hooks *h) {
    if (h->valid) dataset_close(h->valid);
    if (h->held_out) dataset_close(h->held_out);
    *h = (run_hooks){0};
}

static bool visit_images(const darknet_epoch *epoch, const char *which, size_t most, image_visitor visit,
                         void *user, darknet_error *e) {
    const run_hooks *h = epoch->internal;
    const dataset *d = strcmp(which, "valid") == 0      ? h->valid
                       : strcmp(which, "held_out") == 0 ? h->held_out
                                                        : NULL;
    bool sample = strcmp(which, "sample") == 0;
    if (sample || strcmp(which, "calibration") == 0) d = h->train;
    if (!d) return error_set(e, "there are no \"%s\" images", which);
    return sample ? visit_sample_of(h->net, d, most, visit, user, e)
                  : visit_dataset(h->net, d, most, visit, user, e);
}

static void tell_top(const run_hooks *h, const darknet_epoch *epoch, const evaluation *result) {
    char line[128];
    (void)snprintf(line, sizeof line, "epoch %d: top 1: %f, top %d: %f", epoch->epoch, result->top1, h->top,
                   result->topk);
    if (h->top > 0 && h->callbacks->message) h->callbacks->message(h->callbacks->user, line);
}

bool hooks_evaluate(run_hooks *h, darknet_epoch *epoch, error *e) {
    epoch->internal = h;
    epoch->visit_images = visit_images;
    epoch->valid_top1 = epoch->valid_top5 = epoch->held_out_top1 = NAN;
    evaluation result;
    if (h->valid) {
        if (!evaluate_network(h->net, h->valid, h->top > 0 ? h->top : 5, &result, e)) return false;
        epoch->valid_top1 = result.top1;
        epoch->valid_top5 = result.top5;
        tell_top(h, epoch, &result);
    }
    if (h->held_out) {
        if (!evaluate_network(h->net, h->held_out, 5, &result, e)) return false;
        epoch->held_out_top1 = result.top1;
    }
    return true;
}

static void warn(const run_hooks *h, const char *who, const char *what, const error *why) {
    char line[1400];
    (void)snprintf(line, sizeof line, "%s: %s: %s", who, what, why->message);
    if (h->callbacks->warning) h->callbacks->warning(h->callbacks->user, line);
}

static size_t column_count(const darknet_extension *x) {
    size_t count = 0;
    while (x->column_names && x->column_names[count] && count < MOST_COLUMNS) count++;
    return count;
}

static size_t leading_columns(const darknet_extension *x) {
    size_t count = column_count(x);
    return x->leading_columns < count ? x->leading_columns : count;
}

static void append(char *text, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t bytes, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, bytes - used, format, arguments);
    va_end(arguments);
}

/* A number, or nothing where it was not measured. */
static void append_number(char *text, size_t bytes, const char *format, double value) {
    append(text, bytes, "%s", ",");
    if (isnan(value)) return;
    size_t used = strlen(text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text + used, bytes - used, format, value);
#pragma GCC diagnostic pop
}

static void write_head(const run_hooks *h, char *head) {
    append(head, HEAD_BYTES, "# darknet %s\n# cfg: %s\n# seed: %llu\n", darknet_version(), h->net->name,
           (unsigned long long)h->net->options.seed);
    for (size_t i = 0; i < h->net->extension_count; i++) {
        const darknet_extension *x = h->net->extensions[i];
        const char *lines = x->log_header ? x->log_header(x->user, h->net) : NULL;
        if (lines) append(head, HEAD_BYTES, "%s", lines);
    }
    append(head, HEAD_BYTES, "epoch,batch,loss,task_loss,hd_loss,lr,train_top1,val_top1,val_top5");
    for (size_t i = 0; i < h->net->extension_count; i++)
        for (size_t k = 0; k < leading_columns(h->net->extensions[i]); k++)
            append(head, HEAD_BYTES, ",%s", h->net->extensions[i]->column_names[k]);
    append(head, HEAD_BYTES, ",images_per_s,data_wait_s,wall_s,held_out_top1");
    for (size_t i = 0; i < h->net->extension_count; i++)
        for (size_t k = leading_columns(h->net->extensions[i]); k < column_count(h->net->extensions[i]); k++)
            append(head, HEAD_BYTES, ",%s", h->net->extensions[i]->column_names[k]);
    append(head, HEAD_BYTES, "\n");
}

/* One extension's columns: the leading ones into row, the others into tail. */
static void extension_columns(run_hooks *h, const darknet_extension *x, const darknet_epoch *epoch,
                              const char *log_path, char *row, char *tail) {
    double columns[MOST_COLUMNS];
    size_t count = column_count(x), leading = leading_columns(x);
    for (size_t k = 0; k < MOST_COLUMNS; k++) columns[k] = NAN;
    error why = {0};
    if (x->on_epoch && !x->on_epoch(x->user, h->net, epoch, log_path, columns, &why))
        warn(h, x->name, "after the epoch", &why);
    for (size_t k = 0; k < count; k++) append_number(k < leading ? row : tail, ROW_BYTES, "%.9g", columns[k]);
}

bool hooks_on_epoch(run_hooks *h, darknet_epoch *epoch, const char *log_path, bool fresh, error *e) {
    char row[ROW_BYTES] = "", tail[ROW_BYTES] = "", head[HEAD_BYTES] = "";
    epoch->log_is_fresh = fresh;
    write_head(h, head);
    append(row, sizeof row, "%d,%llu", epoch->epoch, (unsigned long long)epoch->batch);
    append_number(row, sizeof row, "%.6f", epoch->loss);
    append_number(row, sizeof row, "%.6f", epoch->task_loss);
    append_number(row, sizeof row, "%.6f", epoch->regularizer_loss);
    append_number(row, sizeof row, "%.6g", epoch->learning_rate);
    append_number(row, sizeof row, "%.5f", epoch->train_top1);
    append_number(row, sizeof row, "%.5f", epoch->valid_top1);
    append_number(row, sizeof row, "%.5f", epoch->valid_top5);
    for (size_t i = 0; i < h->net->extension_count; i++)
        extension_columns(h, h->net->extensions[i], epoch, log_path, row, tail);
    append_number(row, sizeof row, "%.2f", epoch->images_per_second);
    append_number(row, sizeof row, "%.3f", epoch->data_wait_seconds);
    append_number(row, sizeof row, "%.2f", epoch->wall_seconds);
    append_number(row, sizeof row, "%.5f", epoch->held_out_top1);
    append(row, sizeof row, "%s\n", tail);
    if (h->callbacks->epoch) h->callbacks->epoch(h->callbacks->user, head, row);
    return log_write_epoch(log_path, head, epoch->epoch, row, fresh, e);
}

void hooks_on_checkpoint(run_hooks *h, const char *path, const darknet_epoch *epoch, bool final) {
    for (size_t i = 0; i < h->net->extension_count; i++) {
        const darknet_extension *x = h->net->extensions[i];
        if (!x->on_checkpoint) continue;
        error why = {0};
        network *copy = network_clone(h->net, &why);
        darknet_checkpoint checkpoint = {
            .path = path, .epoch = epoch->epoch, .final = final, .evaluation = epoch};
        if (!copy || !x->on_checkpoint(x->user, copy, &checkpoint, &why)) warn(h, x->name, path, &why);
        network_destroy(copy);
    }
}
