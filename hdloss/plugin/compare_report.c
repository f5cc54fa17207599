/* What `hd compare` found: on the terminal, as CSV and as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

static double ratio(uint64_t before, uint64_t after) {
    return after > 0 ? (double)before / (double)after : before > 0 ? INFINITY : 1.0;
}

/* "conv 3x3" */
static const char *kind_of(const weight_stream *w, char *text, size_t bytes) {
    darknet_layer_info info;
    layer_get_info(w->layer, &info);
    (void)snprintf(text, bytes, "%.4s %zux%zu%s", info.type, w->shape.size, w->shape.size,
                   w->plan.depthwise ? " depthwise" : "");
    return text;
}

/* Whether an entry is of the accelerator's own kind, on the array that the layers are told of. */
static bool told_by_layer(const comparison *c, const compare_entry *entry) {
    const hd_accelerator *own = &c->loaded->model.accelerator, *a = &entry->accelerator;
    int size = c->settings->sizes[0];
    for (int i = 0; i < c->settings->size_count; i++)
        if (c->settings->sizes[i] == own->rows) size = own->rows;
    return a->rows == size && a->representation == own->representation && a->encoding == own->encoding;
}

static void print_layers(const comparison *c) {
    char text[64];
    bool head = false;
    for (size_t i = 0; i < c->count && !head; i++) {
        if (!told_by_layer(c, &c->entries[i])) continue;
        const hd_accelerator *a = &c->entries[i].accelerator;
        printf(
            "By layer on %dx%d, %s, encoding %s: times fewer flips than two's complement in natural order\n",
            a->rows, a->cols, hd_representation_name(a->representation), hd_encoding_name(a->encoding));
        printf("layer kind                         weights   natural flips/image");
        head = true;
    }
    for (size_t i = 0; i < c->count; i++)
        if (told_by_layer(c, &c->entries[i])) {
            const compare_entry *entry = &c->entries[i];
            (void)snprintf(text, sizeof text, "%g dB", entry->sqnr_db);
            printf(" %8s", entry->rounded ? text : order_method_name(entry->order));
        }
    printf("\n");
    for (size_t l = 0; l < c->layer_count; l++) {
        const weight_stream *w = &c->loaded->streams.items[l];
        bool first = true;
        for (size_t i = 0; i < c->count; i++) {
            const compare_entry *entry = &c->entries[i];
            if (!told_by_layer(c, entry)) continue;
            uint64_t natural = comparison_baseline(c, entry)->each[l].flips_per_image;
            if (first)
                printf("%5d %-24s %11zu %21llu", w->index, kind_of(w, text, sizeof text), w->plan.weights,
                       (unsigned long long)natural);
            first = false;
            printf(" %7.3fx", ratio(natural, entry->each[l].flips_per_image));
        }
        printf("\n");
    }
}

static void print_sum(double value) {
    if (isnan(value))
        printf(" %7s", "-");
    else
        printf(" %6.3fx", value);
}

static void print_entry(const comparison *c, const compare_entry *entry) {
    const hd_accelerator *a = &entry->accelerator;
    const compare_entry *base = comparison_baseline(c, entry);
    char name[64];
    printf("%2dx%-2d %-14s %-10s %-24s %13llu %6.4f", a->rows, a->cols,
           hd_representation_name(a->representation), hd_encoding_name(a->encoding),
           compare_entry_name(entry, name, sizeof name),
           (unsigned long long)entry->sums[SCOPE_ALL].flips_per_image, entry->sums[SCOPE_ALL].nhd);
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        uint64_t natural = base->sums[scope].flips_per_image;
        print_sum(natural ? ratio(natural, entry->sums[scope].flips_per_image) : (double)NAN);
    }
    print_sum(ratio(base->sums[SCOPE_ALL].flips, entry->sums[SCOPE_ALL].flips));
    print_sum(base->datapath_pj / entry->datapath_pj);
    if (entry->rounded)
        printf(" %7.2f", entry->rounding.sqnr_db);
    else
        printf(" %7s", "-");
    if (entry->certified && entry->certificate.orders > entry->certificate.uncertified)
        printf(" %6.2f", 100.0 * entry->certificate.mean_gap);
    else
        printf(" %6s", "-");
    if (isnan(entry->top1))
        printf(" %9s\n", "-");
    else
        printf(" %8.2f%%\n", 100.0 * entry->top1);
}

void compare_print(const comparison *c) {
    const weight_streams *s = &c->loaded->streams;
    printf("%s, words %s, %s; flips of one steady-state pass of each stream, recounted from the words\n\n",
           network_name(c->loaded->net), s->sidecar.layer_count ? "from the .stream" : "from the weights",
           hd_dataflow_name(s->model.accelerator.dataflow));
    print_layers(c);
    printf("\nTimes fewer flips an image than two's complement in natural order on the same array, over all "
           "layers, the "
           "1x1 ones,\nthe 3x3 and larger ones; over one pass of all; times less datapath energy (table %s). "
           "Gap: mean of "
           "segments' orders\nabove their proven bound. Accuracy of rounded words: with batch-norm "
           "statistics estimated "
           "anew.\n",
           s->model.table.name);
    printf("array representation encoding   method                     flips/image    nhd     all     1x1    "
           " 3x3    pass"
           "  energy SQNR dB  gap %% int8 top1\n");
    for (size_t i = 0; i < c->count; i++) print_entry(c, &c->entries[i]);
}

/* ---- CSV ---- */
typedef struct text_writer {
    FILE *stream;
    const comparison *c;
    const compare_entry *entry;
} text_writer;

static void write_number(FILE *out, double value, const char *after) {
    if (!isnan(value)) (void)fprintf(out, "%.9g", value);
    (void)fputs(after, out);
}

static void write_row(const text_writer *w, const char *name, const char *kind, const hd_flips *flips,
                      const hd_flips *natural) {
    const compare_entry *entry = w->entry;
    const hd_accelerator *a = &entry->accelerator;
    FILE *out = w->stream;
    (void)fprintf(out, "%d,%d,%s,%s,%s,%s,%s,", a->rows, a->cols, hd_dataflow_name(a->dataflow),
                  hd_representation_name(a->representation), hd_encoding_name(a->encoding),
                  order_method_name(entry->order), entry->rounded ? "trellis" : "nearest");
    write_number(out, entry->rounded ? entry->rounding.sqnr_db : (double)NAN, ",");
    (void)fprintf(out, "%s,%s,%llu,%llu,%llu,%llu,", name, kind, (unsigned long long)flips->words,
                  (unsigned long long)flips->flips, (unsigned long long)flips->flips_inside_tiles,
                  (unsigned long long)flips->flips_per_image);
    write_number(out, flips->nhd, ",");
    write_number(out, ratio(natural->flips_per_image, flips->flips_per_image), ",");
    write_number(out, ratio(natural->flips, flips->flips), ",");
    write_number(out, entry->top1, "\n");
}

static void write_entry(text_writer *w) {
    const compare_entry *base = comparison_baseline(w->c, w->entry);
    char index[16], kind[64];
    for (size_t i = 0; i < w->c->layer_count; i++) {
        const weight_stream *s = &w->c->loaded->streams.items[i];
        (void)snprintf(index, sizeof index, "%d", s->index);
        write_row(w, index, kind_of(s, kind, sizeof kind), &w->entry->each[i], &base->each[i]);
    }
    for (int scope = 0; scope < SCOPE_COUNT; scope++)
        if (w->entry->sums[scope].words)
            write_row(w, "total", compare_scope_name((compare_scope)scope), &w->entry->sums[scope],
                      &base->sums[scope]);
}

char *compare_csv(const comparison *c) {
    char *text = NULL;
    size_t bytes = 0;
    text_writer w = {.stream = open_memstream(&text, &bytes), .c = c};
    if (!w.stream) return NULL;
    (void)fprintf(w.stream, "# darknet %s\n# network: %s\n# energy table: %s\n", darknet_version(),
                  network_name(c->loaded->net), c->loaded->model.table.name);
    (void)fputs("rows,cols,dataflow,representation,encoding,order,rounding,sqnr_db,layer,kind,words,flips,"
                "flips_inside_tiles,flips_per_image,nhd,ratio_per_image,ratio_one_pass,int8_top1\n",
                w.stream);
    for (size_t i = 0; i < c->count; i++) {
        w.entry = &c->entries[i];
        write_entry(&w);
    }
    bool good = ferror(w.stream) == 0;
    good = fclose(w.stream) == 0 && good;
    if (good) return text;
    free(text);
    return NULL;
}

/* ---- JSON ---- */
static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *flips_json(const hd_flips *f, const hd_flips *natural) {
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "words", (json_int_t)f->words, "flips",
                     (json_int_t)f->flips, "flips_inside_tiles", (json_int_t)f->flips_inside_tiles,
                     "flips_per_image", (json_int_t)f->flips_per_image, "nhd", f->nhd, "ratio_per_image",
                     number(ratio(natural->flips_per_image, f->flips_per_image)), "ratio_one_pass",
                     number(ratio(natural->flips, f->flips)));
}

static void add_rounding(const compare_entry *entry, json_t *root) {
    const hd_rounding *r = &entry->rounding;
    if (entry->rounded)
        json_object_set_new(root, "trellis",
                            json_pack("{s:f, s:f, s:o, s:I, s:i}", "asked_sqnr_db", entry->sqnr_db, "mu",
                                      entry->mu, "sqnr_db", number(r->sqnr_db), "moved_words",
                                      (json_int_t)r->moved, "largest_move", (int)r->largest_move));
    if (entry->certified)
        json_object_set_new(
            root, "certificate",
            json_pack("{s:I, s:I, s:I, s:f, s:f}", "orders", (json_int_t)entry->certificate.orders,
                      "uncertified", (json_int_t)entry->certificate.uncertified, "proven_shortest",
                      (json_int_t)entry->certificate.proven_shortest, "mean_gap", entry->certificate.mean_gap,
                      "largest_gap", entry->certificate.largest_gap));
}

static json_t *entry_json(const comparison *c, const compare_entry *entry) {
    const hd_accelerator *a = &entry->accelerator;
    const compare_entry *base = comparison_baseline(c, entry);
    char kind[64];
    json_t *layers = json_array(), *totals = json_object();
    for (size_t i = 0; i < c->layer_count; i++) {
        const weight_stream *s = &c->loaded->streams.items[i];
        json_t *one = flips_json(&entry->each[i], &base->each[i]);
        json_object_set_new(one, "index", json_integer(s->index));
        json_object_set_new(one, "kind", json_string(kind_of(s, kind, sizeof kind)));
        json_array_append_new(layers, one);
    }
    for (int scope = 0; scope < SCOPE_COUNT; scope++)
        if (entry->sums[scope].words)
            json_object_set_new(totals, compare_scope_name((compare_scope)scope),
                                flips_json(&entry->sums[scope], &base->sums[scope]));
    json_t *root = json_pack(
        "{s:i, s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "rows", a->rows, "cols", a->cols, "dataflow",
        hd_dataflow_name(a->dataflow), "representation", hd_representation_name(a->representation),
        "encoding", hd_encoding_name(a->encoding), "order", order_method_name(entry->order), "datapath_pj",
        number(entry->datapath_pj), "int8_top1", number(entry->top1), "total", totals, "layers", layers);
    if (root) add_rounding(entry, root);
    return root;
}

json_t *compare_json(const comparison *c) {
    json_t *entries = json_array();
    for (size_t i = 0; i < c->count; i++) json_array_append_new(entries, entry_json(c, &c->entries[i]));
    return json_pack("{s:s, s:s, s:o, s:o}", "version", darknet_version(), "network",
                     network_name(c->loaded->net), "accelerator", report_accelerator(&c->loaded->model),
                     "entries", entries);
}
