/* p_b(u): the probability that bit b of a word is 1 when the word is round(u + Gaussian noise of deviation
 * sigma), clamped. Bit b changes at half-integer edges e, so p_b(u) is a sum of +-Phi((u - e) / sigma). It is
 * kept as cubics between equally spaced nodes that match value and slope there (Hermite): one function, once
 * differentiable, whose slope is exact.
 *
 * Noise narrower than narrowest_sigma sees one edge at a time; it is that of narrowest_sigma with the
 * distance to the edge stretched by warp = narrowest_sigma / sigma and held at the neighbouring integers,
 * where all slopes have vanished. So the table stays small and the hard count is the limit for sigma -> 0. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "loss/expected.h"

static const double narrowest_sigma = 1.0 / 16, reach = 8; /* Phi(-reach) counts as 0 */

typedef struct node {
    double p[HD_MAXIMUM_BITS], slope[HD_MAXIMUM_BITS];
} node;

/* Phi and its density for each place inside a unit interval and each whole distance -span .. span to an edge.
 */
typedef struct edge_profile {
    int span;
    double *probability, *density; /* [intervals_per_word][2 * span + 1] */
} edge_profile;

static bool make_profile(const hd_expected_bits *t, double sigma, edge_profile *profile) {
    profile->span = (int)ceil(reach * sigma) + 1;
    size_t width = 2 * (size_t)profile->span + 1, count = width * (size_t)t->intervals_per_word;
    profile->probability = malloc(2 * count * sizeof *profile->probability);
    if (!profile->probability) return false;
    profile->density = profile->probability + count;
    for (size_t i = 0; i < count; i++) {
        size_t phase = i / width;
        double place = (double)phase / t->intervals_per_word, whole = (double)(i % width) - profile->span;
        double distance = (whole + place - 0.5) / sigma;
        profile->probability[i] = 0.5 * erfc(-distance * M_SQRT1_2);
        profile->density[i] = exp(-0.5 * distance * distance) / (sigma * sqrt(2 * M_PI));
    }
    return true;
}

/* Node i of the table: sums over the edges within the profile's span; the words beyond them are certain. */
static node exact_node(const hd_expected_bits *t, const uint8_t *patterns, const edge_profile *profile,
                       int i) {
    node n = {0};
    int limit = hd_largest_word(t->bits), whole = t->first_word + i / t->intervals_per_word;
    size_t phase = (size_t)(i % t->intervals_per_word) * (2 * (size_t)profile->span + 1);
    int first = whole - profile->span, last = whole + profile->span;
    first = first > limit ? limit : first < -limit ? -limit : first;
    last = last >= limit ? limit - 1 : last;
    for (int b = 0; b < t->bits; b++) n.p[b] = patterns[first + limit] >> b & 1;
    for (int word = first; word <= last; word++) { /* the edge at word + 1/2 */
        size_t entry = phase + (size_t)(whole - word + profile->span);
        int low = patterns[word + limit], high = patterns[word + 1 + limit];
        for (int b = 0; b < t->bits; b++) {
            int change = (high >> b & 1) - (low >> b & 1);
            n.p[b] += change * profile->probability[entry];
            n.slope[b] += change * profile->density[entry];
        }
    }
    return n;
}

static void fill_cubic(const node *a, const node *b, double width, float *cubic) {
    for (int i = 0; i < HD_MAXIMUM_BITS; i++) {
        double rise = b->p[i] - a->p[i], left = a->slope[i] * width, right = b->slope[i] * width;
        cubic[i] = (float)a->p[i];
        cubic[HD_MAXIMUM_BITS + i] = (float)left;
        cubic[2 * HD_MAXIMUM_BITS + i] = (float)(3 * rise - 2 * left - right);
        cubic[3 * HD_MAXIMUM_BITS + i] = (float)(left + right - 2 * rise);
    }
}

/* The cubics of all intervals, and one more, constant, for values at the very end. The ends' slopes are 0. */
static bool fill_table(hd_expected_bits *t, hd_representation representation, double sigma) {
    int intervals = t->words * t->intervals_per_word, limit = hd_largest_word(t->bits);
    double width = 1.0 / t->intervals_per_word;
    uint8_t patterns[256];
    for (int word = -limit; word <= limit; word++)
        patterns[word + limit] = hd_encode_word(word, t->bits, representation);
    edge_profile profile;
    if (!make_profile(t, sigma, &profile)) return false;
    node left = exact_node(t, patterns, &profile, 0);
    memset(left.slope, 0, sizeof left.slope);
    for (int i = 0; i <= intervals; i++) {
        node right = i < intervals ? exact_node(t, patterns, &profile, i + 1) : left;
        if (i + 1 >= intervals) memset(right.slope, 0, sizeof right.slope);
        fill_cubic(&left, &right, width, t->cubics + (size_t)i * 4 * HD_MAXIMUM_BITS);
        left = right;
    }
    free(profile.probability);
    return true;
}

hd_expected_bits *hd_expected_bits_create(int bits, hd_representation representation, double sigma,
                                          hd_error *error) {
    if (bits < HD_MINIMUM_BITS || bits > HD_MAXIMUM_BITS) {
        hd_fail(error, "words of %d bits: weights take %d to %d bits", bits, HD_MINIMUM_BITS,
                HD_MAXIMUM_BITS);
        return NULL;
    }
    if (!(sigma > 0 && sigma <= 100)) {
        hd_fail(error, "sigma of the expected flips is %g words: above 0 and at most 100 is right", sigma);
        return NULL;
    }
    hd_expected_bits *t = calloc(1, sizeof *t);
    double table_sigma = fmax(sigma, narrowest_sigma);
    int beyond = (int)ceil(reach * table_sigma) + 1, limit = hd_largest_word(bits);
    if (t) {
        *t = (hd_expected_bits){.bits = bits,
                                .first_word = -limit - beyond,
                                .words = 2 * (limit + beyond),
                                .intervals_per_word = 1};
        t->warp = (float)fmin(table_sigma / sigma, 1e30);
        while (t->intervals_per_word * table_sigma < 4) t->intervals_per_word *= 2;
        size_t intervals = (size_t)t->words * (size_t)t->intervals_per_word + 1;
        t->cubics = aligned_alloc(64, intervals * 4 * HD_MAXIMUM_BITS * sizeof *t->cubics);
        if (t->cubics && fill_table(t, representation, table_sigma)) return t;
    }
    hd_expected_bits_destroy(t);
    hd_fail(error, "no memory for the table of bit probabilities");
    return NULL;
}

void hd_expected_bits_destroy(hd_expected_bits *table) {
    if (!table) return;
    free(table->cubics);
    free(table);
}
