/* The triangular factor of a matrix of moments, last column first: M = V V' with V upper triangular gives
 * what the columns after j leave of column j (V[j][j]^2), and the rows of its inverse the combination that
 * explains the rest. */
#include "trellis/factor.h"

#include <math.h>

static const double RAISE = 0.01;

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* v[i][j] for i <= j. */
static bool factor(float *v, size_t n) {
    for (size_t j = n; j-- > 0;) {
        size_t after = n - j - 1;
        double power = (double)v[j * n + j] - dot(v + j * n + j + 1, v + j * n + j + 1, after);
        if (!(power > 0) || !isfinite(power)) return false;
        double root = sqrt(power);
        v[j * n + j] = (float)root;
        for (size_t i = 0; i < j; i++)
            v[i * n + j] =
                (float)(((double)v[i * n + j] - dot(v + i * n + j + 1, v + j * n + j + 1, after)) / root);
    }
    return true;
}

/* u = inverse of v, both upper triangular. */
static void invert(const float *v, size_t n, float *u) {
    for (size_t i = n; i-- > 0;) {
        float *row = u + i * n, scale = 1 / v[i * n + i];
        for (size_t j = 0; j < n; j++) row[j] = 0;
        for (size_t k = i + 1; k < n; k++) {
            const float *other = u + k * n;
            float factor_k = v[i * n + k];
            for (size_t j = k; j < n; j++) row[j] -= factor_k * other[j];
        }
        for (size_t j = i + 1; j < n; j++) row[j] *= scale;
        row[i] = scale;
    }
}

bool hd_factor_moments(const float *moments, const size_t *order, size_t n, float *left, float *combination,
                       float *work) {
    double trace = 0;
    for (size_t i = 0; i < n; i++) trace += (double)moments[i * n + i];
    float raise = (float)(RAISE * trace / (double)n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            work[i * n + j] =
                moments[(order ? order[i] : i) * n + (order ? order[j] : j)] + (i == j ? raise : 0);
    if (!factor(work, n)) return false;
    invert(work, n, combination);
    for (size_t j = 0; j < n; j++) {
        float root = work[j * n + j];
        left[j] = root * root;
        for (size_t i = j + 1; i < n; i++) combination[j * n + i] *= -root;
    }
    return true;
}
