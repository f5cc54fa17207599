/* Instruction sets: files named *.isa.c are compiled once per level (see the Makefile), each copy's functions
 * carry the level's suffix, and the best level of the machine is chosen at run time. All levels give equal
 * results. */
#ifndef HDLOSS_WORDS_ISA_H
#define HDLOSS_WORDS_ISA_H

typedef enum hd_isa_level { HD_ISA_PORTABLE, HD_ISA_AVX2, HD_ISA_AVX512 } hd_isa_level;

#ifdef ISA_SUFFIX
#define HD_ISA_JOIN_(name, suffix) name##_##suffix
#define HD_ISA_JOIN(name, suffix) HD_ISA_JOIN_(name, suffix)
#define HD_ISA_NAME(name) HD_ISA_JOIN(name, ISA_SUFFIX)
#endif

/* The best level that this machine runs; AVX512 here includes VNNI, VPOPCNTDQ, BITALG and VBMI. */
static inline hd_isa_level hd_isa_best(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg") &&
        __builtin_cpu_supports("avx512vbmi"))
        return HD_ISA_AVX512;
    if (__builtin_cpu_supports("avx2")) return HD_ISA_AVX2;
#endif
    return HD_ISA_PORTABLE;
}

#endif
