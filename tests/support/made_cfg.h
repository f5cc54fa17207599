/* Networks from cfg text, for tests. */
#ifndef TESTS_MADE_CFG_H
#define TESTS_MADE_CFG_H

#include "network/network.h"

/* Builds a network from cfg text; fails the test with the library's sentence when it cannot. threads 0: all.
 */
network *made_network_from(const char *cfg_text, bool training, int threads, uint64_t seed);
/* The first mistake's sentence of a cfg that must not build, in message[1024]. */
void made_cfg_error(const char *cfg_text, char *message);
/* A fresh path in a directory of this test process, e.g. for weights. Static storage. */
const char *made_path(const char *name);

#endif
