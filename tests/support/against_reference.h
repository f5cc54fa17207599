/* The library against the reference network (reference_network.h), for tests. */
#ifndef TESTS_AGAINST_REFERENCE_H
#define TESTS_AGAINST_REFERENCE_H

/* Builds the network of the cfg text twice, with the same random parameters, which the library reads from a
 * weight file that the reference wrote. Inference: every layer's output must agree to 1e-4 of its largest
 * value, the answer also where it is computed without an observer and with packed weights. */
void compare_inference(const char *cfg_text, int batch, unsigned seed);
/* Two updates of SGD ([net]'s batch and subdivisions): losses must agree to 1e-4 of themselves, the
 * parameters to 1e-4 of the largest change. */
void compare_training(const char *cfg_text, unsigned seed);
/* Both, and the training with bn=darknet, exact and alexey; the text has no bn= of its own. */
void compare_all(const char *cfg_text, unsigned seed);

#endif
