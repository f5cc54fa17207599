/* A network with its weights and its classes' names, and its answer to an image file: what predict, test, csv
 * and label share. */
#ifndef DARKNET_CLI_CLASSIFIER_H
#define DARKNET_CLI_CLASSIFIER_H

#include "cli/commands.h"

/* How an image comes to the network's size: letterboxed (predict), its largest centred square (valid), or
 * stretched. */
typedef enum sizing { SIZE_LETTERBOX, SIZE_CENTER_CROP, SIZE_STRETCH } sizing;

typedef struct classifier {
    network *net;
    string_list names; /* of the file `names`, or `labels`; empty when the data file has neither */
    float *input, *answer;
    int outputs, top;
} classifier;

/* Builds CFG and loads WEIGHTS (positions 1 and 2 of the command line), reads the names, -t and -threads.
 * False after an error that is told already. */
bool classifier_open(classifier *c, program *p, const arguments *a, const data_options *data,
                     const char *names);
void classifier_close(classifier *c);

/* The answer to an image file in c->answer, [outputs]. */
bool classifier_answer(classifier *c, const char *path, sizing how, error *e);
/* The places of the c->top largest answers, best first (of equal ones the first): room for that many at
 * index. */
void classifier_best(const classifier *c, int *index);
/* "dog", or "class 16" for one without a name; the text is the names' or stands in buffer. */
const char *classifier_name(const classifier *c, int index, char *buffer, size_t bytes);

#define OPTION_TOP                                                                                           \
    { "-t", "K", "how many classes (default: the data file's top)" }
#define OPTION_CLEAR                                                                                         \
    { "-clear", "[1]", "images seen are 0: nothing changes in what is printed" }
#define OPTION_TOPK                                                                                          \
    { "-topk", NULL, "top-K accuracy is told: it always is" }

#endif
