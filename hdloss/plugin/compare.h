/* `hd compare`: what its files share. Private to the plug-in. */
#ifndef HDLOSS_PLUGIN_COMPARE_H
#define HDLOSS_PLUGIN_COMPARE_H

#include "rounding_job.h"

enum { COMPARE_MOST_SIZES = 16, COMPARE_MOST_SQNRS = 8 };

typedef struct compare_settings {
    int sizes[COMPARE_MOST_SIZES]; /* rows and columns of the arrays */
    int size_count;
    double sqnrs_db[COMPARE_MOST_SQNRS]; /* of trellis rounding, beside the words of plain rounding */
    int sqnr_count;
    bool both_representations, both_encodings; /* or the accelerator's own alone */
    bool thorough;                             /* the full budgets of perturbations and exchanges */
    const char *data_path;                     /* NULL: no accuracies */
    size_t images;                             /* for batch-norm statistics */
} compare_settings;

/* Which layers a sum is over. */
typedef enum compare_scope { SCOPE_ALL, SCOPE_POINTWISE, SCOPE_SPATIAL, SCOPE_COUNT } compare_scope;
const char *compare_scope_name(compare_scope scope);
/* 1x1: convolutions with one position, connected layers too; 3x3 and larger: the others but depthwise ones.
 */
bool compare_in_scope(compare_scope scope, const weight_stream *w);

/* One method on one array. All flips are recounted from words and plans. */
typedef struct compare_entry {
    hd_accelerator accelerator;
    order_method order;
    bool rounded; /* trellis; then sqnr_db was asked for, and these are what came out */
    double sqnr_db;
    double mu;
    hd_rounding rounding;
    hd_flips *each; /* [layers]; owned */
    hd_flips sums[SCOPE_COUNT];
    double datapath_pj; /* of an image; NAN where the energy table lacks the dataflow or representation */
    bool certified;     /* segment and cluster, by the accelerator's own representation without encoding */
    hd_certificate certificate;
    double top1; /* of the integer network; NAN without data */
} compare_entry;

typedef struct comparison {
    const compare_settings *settings;
    loaded_network *loaded;
    const char *weights_path;
    network_view view;
    calibration_data data;  /* open when there is a data_path */
    dataset *valid;         /* the same */
    importances importance; /* the same */
    size_t layer_count;     /* with weights */
    compare_entry *entries; /* array by array; the first of an array is natural two's complement, plain */
    size_t count;
} comparison;

/* compare_solve.c: runs every method on every array. comparison_free also after a failure. */
bool comparison_run(comparison *c, error *e);
void comparison_free(comparison *c);
/* The 1x of an entry: natural order, two's complement, no encoding, on an array of that size. */
const compare_entry *comparison_baseline(const comparison *c, const compare_entry *entry);
/* "segment", or "segment + trellis 22 dB". */
const char *compare_entry_name(const compare_entry *entry, char *text, size_t bytes);

/* compare_direct.c: the streams' plans become those of the directly reordered network, whose words are the
 * same in another order: channels on lanes and steps instead of a folded copy. */
bool streams_reorder_direct(weight_streams *s, const network_view *view, bool quick, int threads, error *e);

/* compare_accuracy.c: top-1 of the integer network of these words on the data's validation set; refit: batch
 * norms' statistics are estimated anew first. The network is left as it was. */
bool compare_accuracy(comparison *c, const weight_streams *s, bool refit, double *top1, error *e);

/* compare_report.c */
void compare_print(const comparison *c);
char *compare_csv(const comparison *c); /* malloc'ed; NULL: out of memory */
json_t *compare_json(const comparison *c);

#endif
