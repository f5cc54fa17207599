/* Chooses the kernels of an instruction-set level. */
#include "integer/kernels.h"

extern const hd_integer_kernels hd_integer_kernels_portable;
#if defined(__x86_64__)
extern const hd_integer_kernels hd_integer_kernels_avx2, hd_integer_kernels_avx512;
#endif

const hd_integer_kernels *hd_integer_kernels_of(hd_isa_level level) {
#if defined(__x86_64__)
    if (level == HD_ISA_AVX512) return &hd_integer_kernels_avx512;
    if (level == HD_ISA_AVX2) return &hd_integer_kernels_avx2;
#endif
    (void)level;
    return &hd_integer_kernels_portable;
}
