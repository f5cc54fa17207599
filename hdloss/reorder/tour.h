/* Short closed tours through points with a symmetric distance matrix: the engine below the path solver.
 * Private to the room. A tour is an array of nodes; every change is a sequence of reversals, so that a step
 * that did not pay is undone by playing them back. */
#ifndef HDLOSS_REORDER_TOUR_H
#define HDLOSS_REORDER_TOUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HD_TOUR_NEIGHBOURS = 10 };

typedef struct hd_tour {
    uint32_t count;
    const uint32_t *distances; /* [count][stride], symmetric, the diagonal is not read */
    size_t stride;
    uint32_t near_count;      /* neighbours kept for each node */
    uint32_t *near;           /* [count][near_count], nearest first */
    uint32_t *near_distances; /* the same shape */
    uint32_t *nodes;          /* [count]: the tour */
    uint32_t *positions;      /* [count]: where each node stands in it */
    uint32_t *queue;          /* ring of nodes whose surroundings changed */
    uint32_t queue_first, queue_length;
    bool *queued;
    uint32_t (
        *journal)[2]; /* reversals made since the journal was last emptied, as first position and length */
    size_t journal_length;
} hd_tour;

/* Borrows the matrix. count >= 5. False: out of memory. Freed with hd_tour_free. */
bool hd_tour_create(hd_tour *tour, const uint32_t *distances, size_t stride, uint32_t count);
void hd_tour_free(hd_tour *tour);

/* Fills the lists of nearest neighbours by distance + potential of both ends; potentials may be NULL. */
void hd_tour_find_neighbours(hd_tour *tour, const int64_t *potentials);

/* Sets the tour to a permutation of the nodes. */
void hd_tour_set(hd_tour *tour, const uint32_t *nodes);

uint64_t hd_tour_length(const hd_tour *tour);

/* Sequential 3-opt to a local optimum, starting at every node; then `kicks` double bridges, each repaired
 * locally and kept if the tour has not become longer. Returns the length. */
uint64_t hd_tour_improve(hd_tour *tour, uint64_t kicks, uint64_t seed);

#endif
