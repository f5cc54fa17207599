/* The table of a network's layers, of `ops` and at the start of training. */
#ifndef DARKNET_CLI_TABLE_H
#define DARKNET_CLI_TABLE_H

#include <stdio.h>

#include "network/network.h"

/* Returns the network's multiply-accumulates an image. */
uint64_t table_print(const network *net, FILE *to);

#endif
