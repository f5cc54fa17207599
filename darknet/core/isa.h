/* Instruction sets. Files named *.isa.c are compiled once per level (see the Makefile); each copy sees
 * ISA_NAME and gives its functions that level's suffix. The machine's best level is chosen at run time. */
#ifndef DARKNET_CORE_ISA_H
#define DARKNET_CORE_ISA_H

typedef enum isa_level { ISA_PORTABLE, ISA_AVX2, ISA_AVX512 } isa_level;

#ifdef ISA_SUFFIX
#define ISA_JOIN_(name, suffix) name##_##suffix
#define ISA_JOIN(name, suffix) ISA_JOIN_(name, suffix)
#define ISA_NAME(name) ISA_JOIN(name, ISA_SUFFIX)
#endif

/* The best level that this machine runs. */
static inline isa_level isa_best(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("fma"))
        return ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ISA_AVX2;
#endif
    return ISA_PORTABLE;
}

#endif
