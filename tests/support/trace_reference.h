/* The array of hdloss/rtl one register at a time, as its README.md states the rules: the trace level's
 * reference. */
#ifndef TESTS_SUPPORT_TRACE_REFERENCE_H
#define TESTS_SUPPORT_TRACE_REFERENCE_H

#include "trace.h"

/* Counts of a layer as hd_trace_layers gives them, and flips of the three registers of each element,
 * [rows][cols], each added to unless NULL. */
void test_trace_reference(const hd_trace_layer *layer, hd_trace_counts *counts, uint64_t *weight,
                          uint64_t *activation, uint64_t *psum);

#endif
