/* A plain network for tests: double precision, planes (NCHW), one loop over each definition, written from the
 * published formats and formulas alone. It reads cfg text by its own small reader and shares nothing with the
 * library. */
#ifndef TESTS_REFERENCE_NETWORK_H
#define TESTS_REFERENCE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct reference_network reference_network;

/* The network of a cfg text, for passes of exactly `batch` images. What it does not know fails the test. */
reference_network *reference_create(const char *cfg_text, int batch);
void reference_destroy(reference_network *net);

int reference_layer_count(const reference_network *net);
size_t reference_inputs(const reference_network *net);
/* Values of one image at layer i's output. */
size_t reference_outputs(const reference_network *net, int i);

/* Parameters as random numbers of sensible size that float32 holds exactly. */
void reference_randomize(reference_network *net, unsigned seed);
/* A weight file of the present parameters, malloc'ed. */
unsigned char *reference_weight_file(const reference_network *net, size_t *bytes);

/* images: [batch][channels][height][width]; truth: [batch][outputs of the loss] or NULL (inference).
 * Afterwards reference_output gives any layer's [batch][outputs]; with a truth the gradients were added to
 * and the loss (summed over images, averaged over loss layers) is returned. */
double reference_pass(reference_network *net, const float *images, const float *truth);
const double *reference_output(const reference_network *net, int i);
/* One step of SGD over `images` images' gradients, which then are 0. */
void reference_step(reference_network *net, double rate, int images);

#endif
