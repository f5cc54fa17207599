/* Inside the C interface (darknet.h): what its files share. They are the only ones that include darknet.h:
 * its short names (image, data) stay out of the other rooms. */
#ifndef DARKNET_INTERFACE_INTERFACE_H
#define DARKNET_INTERFACE_INTERFACE_H

#include "darknet.h"
#include "data/data.h"
#include "network/network.h"
#include "train/optimizer.h"

/* What load_network registers (absent.c). */
enum { INTERFACE_EXTENSIONS = 1 };
extern const darknet_extension *const interface_extensions[INTERFACE_EXTENSIONS];

/* This thread's sentence, emptied: every public function that can fail begins with it. */
error *interface_begin(void);
/* This thread's notes, emptied. A line is added with its newline before it where it is not the first. */
void interface_clear_notes(void);
void interface_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a network from load_network has beside itself. */
struct network_client {
    size_t batch; /* images a pass that the caller wants; memory for them is planned when a pass comes */
    float *input; /* [batch][height][width][channels] */
    size_t input_room;
    float *answers;     /* [batch][outputs] in CHW order, of the last pass */
    size_t answer_room; /* values that fit there */
    float *truth;       /* [batch][outputs], channels-last */
    size_t truth_room;
    optimizer optimizer;
    bool optimizes; /* optimizer is there */
};

/* Sees that passes of client->batch images have memory, training ones too when asked for. */
bool client_ready(network *net, bool training, error *e);
/* An image in CHW order to its place in client->input. */
void client_put_image(network *net, size_t place, const float *pixels);
/* Room for count floats at *buffer. */
bool client_room(float **buffer, size_t *room, size_t count, error *e);

#endif
