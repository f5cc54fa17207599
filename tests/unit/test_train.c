/* The training loop through its public hooks: extensions' layers, epoch and checkpoint hooks, stopping,
 * resuming, a loss that is no number, weight transforms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/random.h"
#include "made_cfg.h"
#include "train/train.h"

enum { IMAGES = 96, RECORD = 3073 };

/* A CIFAR-10 file of IMAGES bright or dark pictures (classes 0 and 1), and a .data file for it. */
static const char *make_data(void) {
    static unsigned char bytes[IMAGES * RECORD];
    random_state r = random_seeded(1, 2);
    error e;
    for (size_t n = 0; n < IMAGES; n++) {
        bytes[n * RECORD] = n % 2;
        for (size_t i = 1; i < RECORD; i++)
            bytes[n * RECORD + i] = (unsigned char)((n % 2 ? 150 : 20) + random_below(&r, 80));
    }
    char text[1024], images[256];
    (void)snprintf(images, sizeof images, "%s", made_path("images.bin"));
    assert_true(file_write_atomic(images, bytes, sizeof bytes, &e));
    (void)snprintf(text, sizeof text,
                   "classes=10\ntrain=%s\nvalid=%s\nformat=cifar10\nvalid_split=16\nbackup=unused\n", images,
                   images);
    assert_true(file_write_atomic(made_path("made.data"), text, strlen(text), &e));
    return made_path("made.data");
}

#define HEAD                                                                                                 \
    "[net]\nbatch=16\nheight=32\nwidth=32\nchannels=3\nlearning_rate=.05\nepochs=3\npad_crop=2\nema=.9\n%"   \
    "s\n"
#define BODY                                                                                                 \
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=4\npad=1\nactivation=relu\n[avgpool]\n%"  \
    "s[connected]\noutput=10\n"                                                                              \
    "activation=linear\n[dropout]\nprobability=.2\n[softmax]\n"

/* ---- an extension: a layer that doubles its input, and hooks that count ---- */
typedef struct watcher {
    int made, destroyed, forwards, backwards, regularized, epochs, checkpoints, finals;
    size_t visited;
    bool checkpoint_fails;
    float scale_seen;
} watcher;

static bool twice_create(void *user, const char *(*option)(void *section, const char *key), void *section,
                         void **state, darknet_error *e) {
    watcher *w = user;
    const char *scale = option(section, "scale");
    w->scale_seen = scale ? strtof(scale, NULL) : 0.0f;
    w->made++;
    *state = w;
    if (w->scale_seen == 99.0f) {
        (void)snprintf(e->message, sizeof e->message, "scale: 99 is too much");
        return false;
    }
    return true;
}

static void twice_forward(void *state, network *net, const float *in, float *out, size_t batch,
                          bool training) {
    (void)training;
    ((watcher *)state)->forwards++;
    darknet_layer_info info;
    layer_get_info(network_layer(net, 2), &info);
    for (size_t i = 0; i < batch * (size_t)info.out_channels; i++) out[i] = 2.0f * in[i];
}

static void twice_backward(void *state, network *net, const float *in, const float *out, const float *delta,
                           float *in_delta, size_t batch) {
    (void)in;
    (void)out;
    ((watcher *)state)->backwards++;
    darknet_layer_info info;
    layer_get_info(network_layer(net, 2), &info);
    for (size_t i = 0; i < batch * (size_t)info.out_channels; i++) in_delta[i] += 2.0f * delta[i];
}

static bool twice_regularize(void *state, network *net, size_t images, double epoch, double progress,
                             double *loss, darknet_error *e) {
    (void)net;
    (void)e;
    assert_int_equal(images, 16);
    assert_true(epoch >= 0 && progress >= 0 && progress <= 1);
    ((watcher *)state)->regularized++;
    *loss = .25;
    return true;
}

static void twice_destroy(void *state) {
    ((watcher *)state)->destroyed++;
}

static bool count_visited(void *user, const float *images, const int *classes, size_t count) {
    watcher *w = user;
    assert_true(isfinite(images[0]) && classes[0] >= 0);
    w->visited += count;
    return true;
}

static bool on_epoch(void *user, network *net, const darknet_epoch *epoch, const char *log_path,
                     double *columns, darknet_error *e) {
    watcher *w = user;
    assert_non_null(net);
    assert_non_null(log_path);
    w->epochs++;
    assert_int_equal(epoch->epoch, w->epochs);
    assert_true(epoch->visit_images(epoch, "held_out", 0, count_visited, w, e));
    columns[0] = 42.5;
    return true;
}

static bool on_checkpoint(void *user, network *net, const darknet_checkpoint *checkpoint, darknet_error *e) {
    watcher *w = user;
    darknet_parameter p;
    assert_true(access(checkpoint->path, F_OK) == 0);
    assert_true(layer_get_parameter(network_layer(net, 0), "weights", &p));
    p.values[0] = 1e9f; /* a copy: training must not notice */
    w->checkpoints++;
    w->finals += checkpoint->final;
    if (w->checkpoint_fails) (void)snprintf(e->message, sizeof e->message, "the hook gave up");
    return !w->checkpoint_fails;
}

static const char *const columns[] = {"answer", NULL};

/* ---- running ---- */
typedef struct listener {
    int stop_after; /* updates; 0 never */
    int updates;
    char warnings[4096], row[2048], head[4096];
} listener;

static void hear_progress(void *user, const train_progress *p) {
    listener *l = user;
    l->updates++;
    assert_true(p->last_batch == 15);
}
static void hear_epoch(void *user, const char *head, const char *row) {
    listener *l = user;
    (void)snprintf(l->row, sizeof l->row, "%s", row);
    (void)snprintf(l->head, sizeof l->head, "%s", head);
}
static void hear_warning(void *user, const char *line) {
    listener *l = user;
    (void)snprintf(l->warnings + strlen(l->warnings), sizeof l->warnings - strlen(l->warnings), "%s\n", line);
}
static bool hear_stop(void *user) {
    listener *l = user;
    return l->stop_after && l->updates >= l->stop_after;
}

typedef struct run {
    const char *keys, *extra, *backup, *resume;
    int threads, stop_after;
    watcher *watcher;
} run;

/* Trains; the values at the end are copied into *values when not NULL. */
static train_result train(const run *r, listener *l, float **values, error *e) {
    char text[2048], full[1024];
    data_options data;
    watcher own = {0};
    watcher *w = r->watcher ? r->watcher : &own;
    darknet_layer_type type = {.name = "twice",
                               .create = twice_create,
                               .forward = twice_forward,
                               .backward = twice_backward,
                               .regularize = twice_regularize,
                               .destroy = twice_destroy};
    darknet_extension extension = {.name = "watcher",
                                   .user = w,
                                   .layer_type = &type,
                                   .column_names = columns,
                                   .leading_columns = 1,
                                   .on_epoch = on_epoch,
                                   .on_checkpoint = on_checkpoint};
    const darknet_extension *list[] = {&extension};
    assert_true(data_options_read(make_data(), &data, e));
    (void)snprintf(text, sizeof text, HEAD BODY, r->keys, r->extra);
    assert_true(file_write_atomic(made_path("run.cfg"), text, strlen(text), e));
    network_settings settings = {.training = true, .threads = r->threads, .has_seed = true, .seed = 5};
    settings.extensions = list;
    settings.extension_count = r->watcher ? 1 : 0;
    diagnostics *d = diagnostics_create();
    network *net = network_create(made_path("run.cfg"), &settings, d, e);
    diagnostics_destroy(d);
    train_result result = TRAIN_FAILED;
    if (net) {
        (void)snprintf(full, sizeof full, "%s", made_path(r->backup));
        *l = (listener){.stop_after = r->stop_after};
        train_options options = {.backup = full, .resume_path = r->resume};
        train_callbacks callbacks = {.user = l,
                                     .progress = hear_progress,
                                     .epoch = hear_epoch,
                                     .warning = hear_warning,
                                     .stop_requested = hear_stop};
        result = train_network_classifier(net, &data, &options, &callbacks, e);
        if (values) {
            *values = malloc(net->parameter_total * sizeof **values);
            memcpy(*values, net->values, net->parameter_total * sizeof **values);
        }
    }
    network_destroy(net);
    data_options_free(&data);
    return result;
}

static void hooks_are_called(void **state) {
    (void)state;
    watcher w = {0};
    listener l;
    error e = {0};
    run r = {.keys = "", .extra = "[twice]\nscale=3\n", .backup = "hooked", .threads = 2, .watcher = &w};
    if (train(&r, &l, NULL, &e) != TRAIN_FINISHED) fail_msg("%s", e.message);
    assert_true(w.scale_seen == 3.0f);
    assert_int_equal(w.regularized, 15); /* 80 images in batches of 16, three times */
    assert_int_equal(w.backwards, 15);
    assert_true(w.forwards > 15);
    assert_int_equal(w.epochs, 3);
    assert_int_equal(w.visited, 3 * 16);
    assert_int_equal(w.checkpoints, 4);
    assert_int_equal(w.finals, 1);
    assert_int_equal(w.made, w.destroyed);
    assert_string_equal(l.warnings, "");
    assert_non_null(strstr(l.head, "val_top5,answer,images_per_s"));
    assert_non_null(strstr(l.row, ",42.5,"));
    assert_non_null(strstr(l.row, ",0.250000,")); /* the regulariser's loss */
}

static void a_failing_hook_is_a_warning(void **state) {
    (void)state;
    watcher w = {.checkpoint_fails = true};
    listener l;
    error e = {0};
    run r = {.keys = "", .extra = "", .backup = "failing", .threads = 1, .watcher = &w};
    assert_int_equal(train(&r, &l, NULL, &e), TRAIN_FINISHED);
    assert_non_null(strstr(l.warnings, "the hook gave up"));
}

static void a_refused_section_names_its_line(void **state) {
    (void)state;
    watcher w = {0};
    listener l;
    error e = {0};
    run r = {.keys = "", .extra = "[twice]\nscale=99\n", .backup = "refused", .threads = 1, .watcher = &w};
    assert_int_equal(train(&r, &l, NULL, &e), TRAIN_FAILED);
    assert_non_null(strstr(e.message, "run.cfg:"));
    assert_non_null(strstr(e.message, "scale: 99 is too much"));
}

static void stopping_and_resuming_gives_the_same(void **state) {
    (void)state;
    listener l;
    error e = {0};
    float *whole, *stopped, *resumed;
    char backup[1024];
    run r = {.keys = "nesterov=1", .extra = "", .backup = "whole", .threads = 2};
    assert_int_equal(train(&r, &l, &whole, &e), TRAIN_FINISHED);
    r = (run){.keys = "nesterov=1", .extra = "", .backup = "cut", .threads = 1, .stop_after = 7};
    assert_int_equal(train(&r, &l, &stopped, &e), TRAIN_STOPPED);
    assert_int_equal(l.updates, 7);
    (void)snprintf(backup, sizeof backup, "%s", made_path("cut/run.backup"));
    r = (run){.keys = "nesterov=1", .extra = "", .backup = "cut", .threads = 2, .resume = backup};
    if (train(&r, &l, &resumed, &e) != TRAIN_FINISHED) fail_msg("%s", e.message);
    assert_int_equal(l.updates, 8);
    size_t count = 8 * 27 + 4 * 8 + 10 * 8 + 10;
    assert_memory_equal(whole, resumed, count * sizeof(float));
    size_t a_bytes, b_bytes;
    char *a = file_read(made_path("whole/run.weights"), 0, &a_bytes, &e),
         *b = file_read(made_path("cut/run.weights"), 0, &b_bytes, &e);
    assert_true(a && b && a_bytes == b_bytes);
    assert_memory_equal(a, b, a_bytes);
    free(a);
    free(b);
    free(whole);
    free(stopped);
    free(resumed);
}

static void a_loss_that_is_no_number_stops(void **state) {
    (void)state;
    listener l;
    error e = {0};
    run r = {.keys = "std=1e-40", .extra = "", .backup = "nan", .threads = 1};
    assert_int_equal(train(&r, &l, NULL, &e), TRAIN_FAILED);
    assert_non_null(strstr(e.message, "the loss is not a number"));
    assert_non_null(strstr(e.message, "last good checkpoint is"));
}

static void halve(void *user, const layer *l, const float *weights, float *used, size_t count) {
    (void)l;
    (*(int *)user)++;
    for (size_t i = 0; i < count; i++) used[i] = .5f * weights[i];
}

static void transforms_replace_weights(void **state) {
    (void)state;
    const char *text = "[net]\ninputs=4\n[connected]\noutput=3\nactivation=linear\n";
    network *net = made_network_from(text, false, 1, 1);
    float in[4] = {1, 2, 3, 4}, before[3];
    int calls = 0;
    network_forward(net, in, 1);
    memcpy(before, network_output_layer(net)->output.data, sizeof before);
    assert_true(layer_set_weight_transform(network_layer(net, 0), halve, &calls));
    network_forward(net, in, 1);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(network_output_layer(net)->output.data[i] - .5f * before[i]) < 1e-6f);
    assert_int_equal(calls, 1);
    assert_true(layer_set_weight_transform(network_layer(net, 0), NULL, NULL));
    network_forward(net, in, 1);
    assert_memory_equal(network_output_layer(net)->output.data, before, sizeof before);
    network_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_are_called),
        cmocka_unit_test(a_failing_hook_is_a_warning),
        cmocka_unit_test(a_refused_section_names_its_line),
        cmocka_unit_test(stopping_and_resuming_gives_the_same),
        cmocka_unit_test(a_loss_that_is_no_number_stops),
        cmocka_unit_test(transforms_replace_weights),
    };
    return cmocka_run_group_tests_name("training", tests, NULL, NULL);
}
