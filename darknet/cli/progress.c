/* What training shows: see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct progress_view {
    bool terminal;
    bool bar_shown;
    double last_drawn; /* of the bar, or of the line that tells the speed */
};

enum { BAR_WIDTH = 24 };

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

progress_view *progress_create(void) {
    progress_view *view = calloc(1, sizeof *view);
    if (view) view->terminal = isatty(STDOUT_FILENO);
    return view;
}

static void end_bar(progress_view *view) {
    if (view->bar_shown) printf("\n");
    view->bar_shown = false;
}

void progress_destroy(progress_view *view) {
    if (view) end_bar(view);
    free(view);
}

static void format_duration(double seconds, char *text, size_t bytes) {
    long whole = (long)seconds;
    if (whole >= 3600)
        (void)snprintf(text, bytes, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
    else
        (void)snprintf(text, bytes, "%ldm%02lds", whole / 60, whole % 60);
}

static void draw_bar(progress_view *view, const train_progress *p) {
    double now = now_seconds();
    if (now - view->last_drawn < .1) return;
    view->last_drawn = now;
    char bar[BAR_WIDTH + 1], eta[32];
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < (int)(p->done * BAR_WIDTH) ? '=' : '.';
    bar[BAR_WIDTH] = 0;
    format_duration(p->eta_seconds, eta, sizeof eta);
    printf("\repoch %d/%d [%s] loss %.4f  top1 %.2f%%  rate %.5f  %.0f images/s  ETA %s \033[K", p->epoch,
           p->epochs, bar, p->average_loss, 100 * p->train_top1, p->rate, p->images_per_second, eta);
    (void)fflush(stdout);
    view->bar_shown = true;
}

/* A line of its own now and then: the others are Darknet's to the letter. */
static void tell_speed(progress_view *view, const train_progress *p) {
    double now = now_seconds();
    if (view->last_drawn > 0 && now - view->last_drawn < 30.0) return;
    view->last_drawn = now;
    char eta[32];
    format_duration(p->eta_seconds, eta, sizeof eta);
    printf("    %.1f images/s, top1 %.2f%%, ETA %s\n", p->images_per_second, 100 * p->train_top1, eta);
}

static void show_progress(void *user, const train_progress *p) {
    progress_view *view = user;
    if (view->terminal) {
        draw_bar(view, p);
        return;
    }
    printf("%llu, %.3f: %f, %f avg, %f rate, %f seconds, %llu images\n", (unsigned long long)p->batch,
           p->epochs_seen, p->loss, p->average_loss, p->rate, p->seconds, (unsigned long long)p->images);
    tell_speed(view, p);
    (void)fflush(stdout);
}

/* The text of column `name` in a row, given the head's last line. */
static bool column(const char *head, const char *row, const char *name, char *value, size_t bytes) {
    while (*head == '#') {
        head = strchr(head, '\n');
        if (!head) return false;
        head++;
    }
    size_t length = strlen(name);
    while (*head && *row) {
        size_t name_length = strcspn(head, ",\n"), value_length = strcspn(row, ",\n");
        if (name_length == length && strncmp(head, name, length) == 0) {
            (void)snprintf(value, bytes, "%.*s", (int)value_length, row);
            return value_length > 0;
        }
        head += name_length + (head[name_length] == ',');
        row += value_length + (row[value_length] == ',');
        if (*head == '\n') break;
    }
    return false;
}

static void show_epoch(void *user, const char *head, const char *row) {
    static const char *const shown[] = {"epoch",    "loss",          "train_top1",   "val_top1",
                                        "val_top5", "held_out_top1", "int8_top1",    "flips",
                                        "nhd",      "energy_uj",     "energy_ratio", "data_wait_s"};
    progress_view *view = user;
    end_bar(view);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        char value[64];
        if (column(head, row, shown[i], value, sizeof value))
            printf("%s%s %s", i ? "  " : "", shown[i], value);
    }
    printf("\n");
    (void)fflush(stdout);
}

static void show_message(void *user, const char *line) {
    end_bar(user);
    printf("%s\n", line);
    (void)fflush(stdout);
}

static void show_warning(void *user, const char *line) {
    end_bar(user);
    (void)fflush(stdout);
    (void)fprintf(stderr, "darknet: warning: %s\n", line);
}

train_callbacks progress_callbacks(progress_view *view) {
    return (train_callbacks){.user = view,
                             .progress = show_progress,
                             .epoch = show_epoch,
                             .message = show_message,
                             .warning = show_warning};
}
