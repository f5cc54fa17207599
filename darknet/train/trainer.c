/* The training loop. One update: batches through forward and backward passes, the extensions' gradients, the
 * step. At an epoch's end: evaluation, the extensions' columns, the log's row, checkpoints, their hooks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "train/checkpoint.h"
#include "train/hooks.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/teacher.h"
#include "train/train.h"

typedef struct trainer {
    network *net;
    const data_options *data;
    const train_options *options;
    const train_callbacks *callbacks;
    optimizer optimizer;
    run_state run;
    run_hooks hooks;
    dataset *train_set;
    data_loader *loader;
    teacher teacher;       /* net NULL: there is none */
    double loader_wait;    /* at the last look */
    double update_seconds; /* smoothed */
    uint64_t last_batch;
    char *backup_path, *final_path, *log_path;
    char last_good[1024];
    bool resumed;
    error *e;
} trainer;

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const trainer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const trainer *t, const char *format, ...) {
    char line[1200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (t->callbacks->message) t->callbacks->message(t->callbacks->user, line);
}

static char *path_join(const char *directory, const char *name, const char *tail) {
    size_t bytes = strlen(directory) + strlen(name) + strlen(tail) + 2;
    char *path = malloc(bytes);
    if (path) (void)snprintf(path, bytes, "%s/%s%s", directory, name, tail);
    return path;
}

/* ---- starting ---- */

static uint64_t updates_of_epochs(const trainer *t, uint64_t epochs) {
    uint64_t images = epochs * dataset_count(t->train_set), batch = (uint64_t)t->net->options.batch;
    return (images + batch - 1) / batch;
}

static bool resolve_length(trainer *t) {
    net_options *o = &t->net->options;
    int epochs = t->options->epochs > 0 ? t->options->epochs : (o->max_batches ? 0 : o->epochs);
    if (epochs) o->max_batches = (int64_t)updates_of_epochs(t, (uint64_t)epochs);
    if (o->max_batches <= 0)
        return error_set(t->e, "%s: neither max_batches nor epochs is given in [net], and no -epochs",
                         cfg_path(t->net->source));
    t->last_batch = (uint64_t)o->max_batches;
    return true;
}

augmentation training_preparation(const network *net, int classes) {
    const net_options *o = &net->options;
    augmentation a = evaluation_preparation(net);
    a.enabled = true;
    a.min_crop = o->min_crop;
    a.max_crop = o->max_crop;
    a.angle_degrees = o->angle;
    a.aspect = o->aspect;
    a.saturation = o->saturation;
    a.exposure = o->exposure;
    a.hue = o->hue;
    a.flip = o->flip;
    a.pad_crop = o->pad_crop;
    a.center = o->center;
    a.mixup = o->mixup;
    a.cutmix = o->cutmix;
    a.mosaic = o->mosaic;
    a.blur = o->blur;
    if (o->label_smooth_eps > 0.0f && classes > 1)
        a.label_smooth = o->label_smooth_eps * (float)classes / (float)(classes - 1);
    return a;
}

static uint64_t teacher_bytes(const trainer *t) {
    return t->options->teacher ? t->options->teacher->memory_bytes : 0;
}

static bool open_training_data(trainer *t) {
    network *net = t->net;
    t->train_set = dataset_open(t->data, DATA_TRAIN, net->options.channels, net->options.seed,
                                network_memory_left(net, teacher_bytes(t)), t->e);
    if (!t->train_set) return false;
    if (dataset_classes(t->train_set) != network_outputs(net))
        return error_set(t->e, "%s: has %d classes, but %s gives %d outputs", t->data->path,
                         dataset_classes(t->train_set), cfg_path(net->source), network_outputs(net));
    return resolve_length(t);
}

static bool start_loader(trainer *t) {
    augmentation a = training_preparation(t->net, dataset_classes(t->train_set));
    data_loader_options o = {.batch = t->net->pass_batch,
                             .workers = 1,
                             .depth = TRAINING_PREFETCH,
                             .shuffle = true,
                             .seed = t->net->options.seed,
                             .start_image = t->net->seen};
    t->loader = data_loader_create(t->train_set, &a, &o, t->e);
    return t->loader != NULL;
}

static bool resume(trainer *t) {
    if (!checkpoint_load_state(t->options->resume_path, t->net, &t->optimizer, &t->run, t->e)) return false;
    t->resumed = true;
    say(t, "resumed from %s at update %llu", t->options->resume_path, (unsigned long long)t->run.steps);
    return true;
}

static bool fine_tune(trainer *t) {
    load_report report;
    network *net = t->net;
    if (!network_load_weights(net, t->options->resume_path, true, &report, t->e)) return false;
    if (t->options->clear) net->seen = 0;
    net->seen -= net->seen % (uint64_t)net->options.batch;
    if (t->optimizer.average) memcpy(t->optimizer.average, net->values, net->parameter_total * sizeof(float));
    say(t, "weights from %s: %d layers loaded, %d kept their initial values%s%s", t->options->resume_path,
        report.loaded, report.kept, report.kept ? ": " : "", report.kept_names);
    if (t->options->clear)
        say(t, "fine-tuning with seen 0: the schedule starts again, momentum 0");
    else
        say(t, "no .state beside them: the schedule goes on at %llu images seen, momentum 0",
            (unsigned long long)net->seen);
    return true;
}

static bool load_start(trainer *t) {
    const char *path = t->options->resume_path;
    t->run.seed = t->net->options.seed;
    t->run.best_epoch = -1;
    if (!path) {
        say(t, "%d layers with their initial values, seed %llu", t->net->layer_count,
            (unsigned long long)t->run.seed);
        return true;
    }
    size_t length = strlen(path);
    bool backup = length > 7 && strcmp(path + length - 7, ".backup") == 0;
    if (backup && !t->options->clear && checkpoint_has_state(path)) return resume(t);
    if (!fine_tune(t)) return false;
    t->run.updated_epoch = (int32_t)(t->net->seen / dataset_count(t->train_set));
    return true;
}

/* ---- one update ---- */

static size_t count_hits(const network *net, const data_batch *batch) {
    size_t outputs = (size_t)network_outputs(net), hits = 0;
    const float *answers = network_output_layer(net)->output.data;
    for (size_t n = 0; n < batch->count; n++) {
        size_t best = 0;
        for (size_t i = 1; i < outputs; i++)
            if (answers[n * outputs + i] > answers[n * outputs + best]) best = i;
        hits += (int)best == batch->labels[n];
    }
    return hits;
}

static double epochs_seen(const trainer *t) {
    return (double)t->net->seen / (double)dataset_count(t->train_set);
}

/* *loss: the update's, an image, without its regulariser's part, *regularizer. */
static bool run_update(trainer *t, double *loss, double *regularizer, error *e) {
    network *net = t->net;
    double epoch = epochs_seen(t);
    *loss = 0.0;
    for (int i = 0; i < net->options.subdivisions; i++) {
        const data_batch *batch = data_loader_next(t->loader);
        const float *truth = t->teacher.net
                                 ? teacher_truth(&t->teacher, batch->images, batch->truth, batch->count)
                                 : batch->truth;
        *loss += network_train_pass(net, batch->images, truth, batch->count);
        t->run.epoch_hits += count_hits(net, batch);
        t->run.epoch_images += batch->count;
    }
    size_t images = (size_t)net->options.batch;
    double progress = (double)(net->seen / images) / (double)t->last_batch;
    *loss /= (double)images;
    return network_regularize(net, images, epoch, progress > 1.0 ? 1.0 : progress, regularizer, e);
}

static bool update(trainer *t) {
    double start = now_seconds(), loss = 0.0, regularizer = 0.0;
    error why = {0};
    if (!run_update(t, &loss, &regularizer, &why))
        return error_set(t->e, "update %llu: %s", (unsigned long long)t->optimizer.steps + 1, why.message);
    /* Darknet counts an update's images before it looks at the schedule: the first update is number 1. */
    double rate = schedule_rate(&t->net->options, t->net->seen / (uint64_t)t->net->options.batch);
    if (!isfinite(loss + regularizer))
        return error_set(
            t->e, "update %llu: the loss is not a number (rate %g); the last good checkpoint is %s",
            (unsigned long long)t->optimizer.steps + 1, rate, t->last_good[0] ? t->last_good : "none");
    optimizer_step(&t->optimizer, rate, (size_t)t->net->options.batch);
    run_state *run = &t->run;
    double seconds = now_seconds() - start, total = loss + regularizer,
           wait = data_loader_wait_seconds(t->loader);
    run->steps = t->optimizer.steps;
    run->seen = t->net->seen;
    run->average_loss = run->steps == 1 ? total : .9 * run->average_loss + .1 * total;
    run->epoch_loss += loss;
    run->epoch_regularizer_loss += regularizer;
    run->epoch_updates++;
    run->epoch_seconds += seconds;
    run->run_seconds += seconds;
    run->epoch_wait_seconds += wait - t->loader_wait;
    t->loader_wait = wait;
    t->update_seconds = t->update_seconds > 0 ? .95 * t->update_seconds + .05 * seconds : seconds;
    uint64_t batch = (uint64_t)t->net->options.batch, done = t->net->seen / batch;
    double epoch = epochs_seen(t);
    train_progress p = {.epoch = run->updated_epoch + 1,
                        .epochs = (int)((t->last_batch * batch - batch) / dataset_count(t->train_set)) + 1,
                        .batch = done,
                        .last_batch = t->last_batch,
                        .images = t->net->seen,
                        .loss = total,
                        .average_loss = run->average_loss,
                        .rate = rate,
                        .seconds = seconds,
                        .images_per_second = t->net->options.batch / t->update_seconds,
                        .eta_seconds =
                            (double)(t->last_batch > done ? t->last_batch - done : 0) * t->update_seconds,
                        .train_top1 = (double)run->epoch_hits / (double)run->epoch_images,
                        .done = epoch - floor(epoch),
                        .epochs_seen = epoch};
    if (t->callbacks->progress) t->callbacks->progress(t->callbacks->user, &p);
    return true;
}

/* ---- an epoch's end ---- */

static bool save_backup(trainer *t) {
    if (!checkpoint_save_backup(t->backup_path, t->net, &t->optimizer, &t->run, t->e)) return false;
    (void)snprintf(t->last_good, sizeof t->last_good, "%s", t->backup_path);
    return true;
}

static void fill_epoch(const trainer *t, darknet_epoch *epoch, double rate) {
    const run_state *run = &t->run;
    double updates = run->epoch_updates ? (double)run->epoch_updates : 1.0;
    epoch->epoch = run->updated_epoch;
    epoch->batch = t->net->seen / (uint64_t)t->net->options.batch;
    epoch->task_loss = run->epoch_loss / updates;
    epoch->regularizer_loss = run->epoch_regularizer_loss / updates;
    epoch->loss = epoch->task_loss + epoch->regularizer_loss;
    epoch->train_top1 = run->epoch_images ? (double)run->epoch_hits / (double)run->epoch_images : NAN;
    epoch->learning_rate = rate;
    epoch->images_per_second = run->epoch_seconds > 0 ? (double)run->epoch_images / run->epoch_seconds : 0.0;
    epoch->data_wait_seconds = run->epoch_wait_seconds;
    epoch->wall_seconds = run->run_seconds;
}

static void clear_epoch_sums(run_state *run) {
    run->epoch_loss = run->epoch_regularizer_loss = run->epoch_seconds = run->epoch_wait_seconds = 0.0;
    run->epoch_updates = run->epoch_images = run->epoch_hits = 0;
}

static void note_best(run_state *run, const darknet_epoch *epoch) {
    double score = isnan(epoch->held_out_top1) ? epoch->valid_top1 : epoch->held_out_top1;
    if (run->best_epoch >= 0 && !(score > run->best_top1)) return;
    run->best_epoch = epoch->epoch;
    run->best_top1 = score;
}

static bool save_epoch_weights(trainer *t, const darknet_epoch *epoch) {
    char tail[32];
    (void)snprintf(tail, sizeof tail, "_%d.weights", epoch->epoch);
    char *path = path_join(t->options->backup, t->net->name, tail);
    bool good = path && network_save_weights(t->net, path, -1, t->e);
    if (good) hooks_on_checkpoint(&t->hooks, path, epoch, false);
    free(path);
    return good;
}

/* Everything that happens when an epoch is done (also a last one that is cut short by max_batches). */
static bool end_epoch(trainer *t, bool last) {
    double rate = schedule_rate(&t->net->options, t->net->seen / (uint64_t)t->net->options.batch);
    double start = now_seconds();
    darknet_epoch epoch = {0};
    t->run.updated_epoch++;
    fill_epoch(t, &epoch, rate);
    optimizer_swap_average(&t->optimizer);
    bool good = hooks_evaluate(&t->hooks, &epoch, t->e);
    if (good) {
        note_best(&t->run, &epoch);
        t->run.run_seconds += now_seconds() - start;
        epoch.wall_seconds = t->run.run_seconds;
        good = hooks_on_epoch(&t->hooks, &epoch, t->log_path,
                              !t->resumed && t->run.epoch_updates == t->run.steps, t->e) &&
               save_epoch_weights(t, &epoch);
    }
    if (good && last) {
        good = network_save_weights(t->net, t->final_path, -1, t->e);
        if (good) hooks_on_checkpoint(&t->hooks, t->final_path, &epoch, true);
    }
    optimizer_swap_average(&t->optimizer);
    if (!good) return false;
    clear_epoch_sums(&t->run);
    checkpoint_prune(t->options->backup, t->net->name, epoch.epoch, t->net->options.keep, t->run.best_epoch);
    return save_backup(t);
}

/* ---- the loop ---- */

static train_result loop(trainer *t) {
    const train_callbacks *c = t->callbacks;
    uint64_t count = dataset_count(t->train_set);
    double saved = now_seconds();
    while (t->net->seen / (uint64_t)t->net->options.batch < t->last_batch) {
        if (!update(t)) return TRAIN_FAILED;
        bool last = t->net->seen / (uint64_t)t->net->options.batch >= t->last_batch;
        bool epoch_done = t->net->seen / count > (uint64_t)t->run.updated_epoch;
        bool stop = c->stop_requested && c->stop_requested(c->user);
        if (epoch_done || last) {
            if (!end_epoch(t, last)) return TRAIN_FAILED;
            saved = now_seconds();
        } else if (stop || now_seconds() - saved > 300.0) {
            if (!save_backup(t)) return TRAIN_FAILED;
            saved = now_seconds();
        }
        if (stop && !last) {
            say(t, "stopped at update %llu; go on with the same options and: train DATA CFG %s",
                (unsigned long long)t->run.steps, t->backup_path);
            return TRAIN_STOPPED;
        }
    }
    say(t, "finished: %s", t->final_path);
    return TRAIN_FINISHED;
}

static bool prepare(trainer *t) {
    network *net = t->net;
    const char *backup = t->options->backup;
    if (!network_has_loss(net))
        return error_set(t->e, "%s: has no loss layer ([softmax] or [cost])", cfg_path(net->source));
    if (!directory_create(backup, t->e)) return false;
    t->backup_path = path_join(backup, net->name, ".backup");
    t->final_path = path_join(backup, net->name, ".weights");
    t->log_path = t->options->log_path ? strdup(t->options->log_path) : path_join(backup, net->name, ".csv");
    if (!t->backup_path || !t->final_path || !t->log_path) return error_set(t->e, "out of memory");
    if (!optimizer_create(&t->optimizer, net, t->e) || !open_training_data(t) || !load_start(t) ||
        (t->options->teacher &&
         !teacher_create(&t->teacher, t->options->teacher, t->options->teacher_share, net, t->e)) ||
        !hooks_open(&t->hooks, net, t->data, t->train_set, teacher_bytes(t), t->callbacks, t->e))
        return false;
    t->hooks.top = t->options->top;
    return start_loader(t);
}

train_result train_network_classifier(network *net, const data_options *data, const train_options *options,
                                      const train_callbacks *callbacks, error *e) {
    trainer t = {.net = net, .data = data, .options = options, .callbacks = callbacks, .e = e};
    train_result result = prepare(&t) ? loop(&t) : TRAIN_FAILED;
    if (t.loader) data_loader_destroy(t.loader);
    hooks_close(&t.hooks);
    teacher_destroy(&t.teacher);
    if (t.train_set) dataset_close(t.train_set);
    optimizer_destroy(&t.optimizer);
    free(t.backup_path);
    free(t.final_path);
    free(t.log_path);
    return result;
}
