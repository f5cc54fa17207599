/* A tree of classes, for hierarchical softmax (Redmon and Farhadi, "YOLO9000", 2017): one class a line, its
 * name and the line number (from 0) of its parent, -1 for none. Consecutive classes of one parent are a
 * group: their probabilities are conditional on the parent and sum to 1. */
#ifndef DARKNET_CONFIG_CLASS_TREE_H
#define DARKNET_CONFIG_CLASS_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

typedef struct class_tree {
    size_t count, groups;
    int *parents;        /* [count], each before its children; -1: none */
    size_t *group_sizes; /* [groups] */
    bool *leaves;        /* [count] */
} class_tree;

/* NULL and a sentence when the file cannot be read or is no such tree. */
class_tree *class_tree_read(const char *path, error *e);
void class_tree_destroy(class_tree *t);
/* The truth of one image: ancestors of true classes become true, and every value of a group without a true
 * class becomes `unknown`. truth: [count]. */
void class_tree_fill_truth(const class_tree *t, float unknown, float *truth);
/* Conditional probabilities of one image become absolute ones, in place; with only_leaves those of inner
 * classes become 0. */
void class_tree_multiply(const class_tree *t, bool only_leaves, float *probabilities);

#endif
