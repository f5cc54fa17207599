/* Memory: see memory.h. */
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *memory_allocate(size_t count, size_t bytes) {
    size_t total;
    if (!size_multiply(count, bytes, &total) || total > SIZE_MAX - MEMORY_ALIGNMENT) return NULL;
    total = size_round_up(total ? total : 1, MEMORY_ALIGNMENT);
    return aligned_alloc(MEMORY_ALIGNMENT, total);
}

void *memory_allocate_zeroed(size_t count, size_t bytes) {
    void *pointer = memory_allocate(count, bytes);
    if (pointer) memset(pointer, 0, count * bytes);
    return pointer;
}

uint64_t memory_of_machine(void) {
    long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
}

void memory_free(void *pointer) {
    free(pointer);
}
