/* Memory: aligned, size-checked allocation. Every buffer that numeric code touches is 64-byte aligned. */
#ifndef DARKNET_CORE_MEMORY_H
#define DARKNET_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_ALIGNMENT 64

/* a * b, or false when the product does not fit a size_t. */
static inline bool size_multiply(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

static inline size_t size_round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

/* count elements of `bytes` each, 64-byte aligned, NULL when out of memory or when the size overflows.
 * A count of 0 gives a valid pointer. Freed with memory_free. */
void *memory_allocate(size_t count, size_t bytes);

/* The same, zero-filled. */
void *memory_allocate_zeroed(size_t count, size_t bytes);

/* Physical memory of the machine in bytes; what no machine has where that cannot be told. */
uint64_t memory_of_machine(void);

/* Accepts NULL. */
void memory_free(void *pointer);

#endif
