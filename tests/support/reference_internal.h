/* The parts of the reference network (reference_network.h): its layers and what works on them. */
#ifndef TESTS_REFERENCE_INTERNAL_H
#define TESTS_REFERENCE_INTERNAL_H

#include "reference_network.h"

enum { REFERENCE_MOST_KEYS = 40, REFERENCE_MOST_INPUTS = 8, REFERENCE_MOST_ARRAYS = 6 };

typedef struct reference_array {
    const char *name;
    size_t count;
    double *values, *gradient, *velocity;
    bool trained, decays, in_file;
    size_t transposed_rows; /* the file holds the matrix transposed: its rows there */
} reference_array;

typedef struct reference_layer {
    reference_network *net;
    char type[32];
    char keys[REFERENCE_MOST_KEYS][2][96];
    int key_count;
    int index, inputs[REFERENCE_MOST_INPUTS], input_count;
    int c, h, w;    /* the output */
    int sc, sh, sw; /* before a blur */
    reference_array arrays[REFERENCE_MOST_ARRAYS];
    int array_count;
    struct reference_layer *owner; /* of the parameters */
    double *out, *delta;           /* [batch][c][h][w] */
    double *x, *z, *a;   /* [batch][sc][sh][sw]: before the normalisation, before and after the activation */
    double *stage_delta; /* of a */
    double *mean, *variance;
    double *weights_used; /* binary */
    double *signs;        /* xnor: of the input */
    long *winner;
    bool is_loss, frozen;
} reference_layer;

struct reference_network {
    reference_layer *layers; /* [count + 1]; the first is the input */
    int count, batch;
    double momentum, decay, form_epsilon_inside, form_epsilon_outside, keep;
    bool exact;
    bool training;
    const float *truth;
    double loss;
    int losses;
};

/* Layer i, -1 for the input. */
reference_layer *reference_layer_at(const reference_network *net, int i);
reference_layer *reference_input(const reference_layer *l, int k);
size_t reference_size(const reference_layer *l);
double reference_number(const reference_layer *l, const char *key, double fallback);
int reference_int(const reference_layer *l, const char *key, int fallback);
const char *reference_text(const reference_layer *l, const char *key, const char *fallback);
bool reference_is(const reference_layer *l, const char *type);
reference_array *reference_find(const reference_layer *l, const char *name);

/* Shapes and parameters, forward, and backward of one layer (delta is complete; adds to inputs' deltas and
 * own gradients). */
void reference_set_up(reference_layer *l);
void reference_forward(reference_layer *l);
void reference_backward(reference_layer *l);

double reference_activation(const char *name, double z);
double reference_slope(const char *name, double z);

#endif
