/* Gradients by finite differences, for tests. */
#ifndef TESTS_FINITE_DIFFERENCE_H
#define TESTS_FINITE_DIFFERENCE_H

/* Builds the network of the cfg text (its outputs: classes, with one true class an image) and checks, for
 * every array of parameters that learns, that along a random direction the loss changes as the backward pass
 * says. Batch norm must be exact (bn=exact) and activations smooth. */
void finite_difference_check(const char *cfg_text);
/* The same, leaving out the parameters of one layer (index `except`), whose gradient is no derivative. */
void finite_difference_check_except(const char *cfg_text, int except);

#endif
