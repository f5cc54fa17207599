/* A surrogate at work on the rows of a tile, inside libhdloss: rows are pushed in stream order, and each row
 * is combined with the one before and the one after. Two surrogates stand behind it. */
#ifndef HDLOSS_LOSS_ROW_LOSS_H
#define HDLOSS_LOSS_ROW_LOSS_H

#include "loss/expected.h"

typedef struct row_loss {
    hd_surrogate surrogate;
    const hd_expected_bits *table;
    int bits;
    double linear_scale; /* flips that a distance of 1 counts for */
    hd_expected_row *expected_row;
    hd_combine_rows *combine_rows;
} row_loss;

row_loss row_loss_make(hd_surrogate surrogate, int bits, const hd_expected_bits *table);

/* Scratch of one thread. A row's lanes are padded with lanes that contribute nothing. */
typedef struct row_workspace {
    float *u, *du, *lane_inverse; /* [lanes] */
    size_t *indices;              /* [lanes] */
    float *p[3],
        *slopes[2]; /* expected: [lanes][8], the last rows in turn; linear: p holds the rows themselves */
    size_t pushed, lanes, padded, since_flush;
    float partial[16];
    double sums[16];
    float *block; /* owns them all but indices */
} row_workspace;

bool row_workspace_make(row_workspace *w, size_t widest);
void row_workspace_free(row_workspace *w);

void row_begin(const row_loss *loss, row_workspace *w, size_t lanes);
/* Takes w->u[lanes] as the next row. */
void row_push(const row_loss *loss, row_workspace *w, bool with_slopes);
/* Charges the row before the last pushed one against its predecessor; with the gradient, w->du[lanes] for it.
 */
void row_combine(const row_loss *loss, row_workspace *w, const double costs[HD_MAXIMUM_BITS], bool gradient);
/* Adds the tile's cost-weighted and plain flips. */
void row_end(const row_loss *loss, row_workspace *w, const double costs[HD_MAXIMUM_BITS], double *cost,
             double *flips);

#endif
