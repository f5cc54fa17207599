/* Places of tensors in one arena, by lifetime: largest first, each at the lowest offset that is free while it
 * lives (the greedy-by-size plan of Pisarchyk and Lee, arXiv 2001.03288). */
#include <stdlib.h>
#include <string.h>

#include "integer/internal.h"

enum { ALIGNMENT = 64 };

void *hd_integer_allocate(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || total > SIZE_MAX / 2) return NULL;
    total = (total + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, total);
    if (memory) memset(memory, 0, total);
    return memory;
}

static size_t padded(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool live_together(const hd_integer_place *a, const hd_integer_place *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `place` overlaps none of the placed ones. */
static size_t lowest_offset(const hd_integer_place *places, const int *placed, int count,
                            const hd_integer_place *place) {
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const hd_integer_place *other = &places[placed[i]];
            if (!live_together(place, other)) continue;
            if (offset + padded(place->bytes) <= other->offset ||
                other->offset + padded(other->bytes) <= offset)
                continue;
            offset = other->offset + padded(other->bytes);
            moved = true;
        }
    }
    return offset;
}

bool hd_integer_plan_memory(hd_integer_place *places, int count, size_t *arena_bytes) {
    int *order = calloc((size_t)count, sizeof *order), owners = 0;
    if (!order) return false;
    for (int i = 0; i < count; i++) {
        if (places[i].owner != i) continue;
        int at = owners++;
        for (; at > 0 && places[order[at - 1]].bytes < places[i].bytes; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    *arena_bytes = 0;
    for (int i = 0; i < owners; i++) {
        hd_integer_place *place = &places[order[i]];
        place->offset = lowest_offset(places, order, i, place);
        if (place->offset + padded(place->bytes) > *arena_bytes)
            *arena_bytes = place->offset + padded(place->bytes);
    }
    for (int i = 0; i < count; i++) places[i].offset = places[places[i].owner].offset;
    free(order);
    return true;
}
