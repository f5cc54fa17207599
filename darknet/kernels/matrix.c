/* Matrix products through OpenBLAS. The kernels do their own threading, so OpenBLAS is held to one thread:
 * that is a setting of the whole process, made once at the first product. */
#include "kernels/kernels.h"

#include <cblas.h>
#include <pthread.h>

static pthread_once_t single_thread_once = PTHREAD_ONCE_INIT;

static void use_single_thread(void) {
#ifdef OPENBLAS_CONST
    openblas_set_num_threads(1);
#endif
}

typedef struct product {
    bool transpose_a, transpose_b;
    size_t n, k;
    float alpha, beta;
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;
} product;

static void multiply_rows(const product *p, size_t first, size_t rows) {
    const float *a = p->a + (p->transpose_a ? first : first * p->lda);
    cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans,
                p->transpose_b ? CblasTrans : CblasNoTrans, (blasint)rows, (blasint)p->n, (blasint)p->k,
                p->alpha, a, (blasint)p->lda, p->b, (blasint)p->ldb, p->beta, p->c + first * p->ldc,
                (blasint)p->ldc);
}

void matrix_multiply(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                     const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc,
                     int threads) {
    const product p = {transpose_a, transpose_b, n, k, alpha, beta, a, b, c, lda, ldb, ldc};
    if (m == 0 || n == 0) return;
    pthread_once(&single_thread_once, use_single_thread);
    /* Blocks of rows by the shape alone: the kernel OpenBLAS picks, and so the rounding, may depend on them.
     */
    size_t block = m < 256 ? m : 128;
    size_t blocks = (m + block - 1) / block;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1 && blocks > 1)
    for (size_t i = 0; i < blocks; i++)
        multiply_rows(&p, i * block, m - i * block < block ? m - i * block : block);
}
