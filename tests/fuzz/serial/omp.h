/* OpenMP's header for the fuzz targets, which run on one thread: clang's own belongs to a run-time library
 * that nothing else here needs. */
#ifndef TESTS_FUZZ_SERIAL_OMP_H
#define TESTS_FUZZ_SERIAL_OMP_H

static inline int omp_get_thread_num(void) {
    return 0;
}

static inline int omp_get_max_threads(void) {
    return 1;
}

#endif
