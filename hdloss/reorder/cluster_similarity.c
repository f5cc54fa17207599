/* Clusters of input channels from the similarity of their columns. A channel's distances between steps are
 * sums over its bits, so the alignment of two channels' centred distance matrices is the sum of the squared
 * covariances of their bits (Gretton et al., "Measuring statistical dependence with Hilbert-Schmidt norms",
 * ALT 2005). Clusters of equal size grow greedily and are improved by exchanges, after Kernighan and Lin,
 * Bell System Technical Journal 49 (1970). */
#include "reorder/reorder.h"

#include <stdlib.h>
#include <string.h>

enum { PASSES = 20 };

/* Bit planes of the channels at one kernel position: bits[channel][bit][blocks], 64 steps a block. */
typedef struct columns {
    const hd_plan *plan;
    size_t channels, blocks, bits;
    uint64_t *planes;
    float *means; /* [channel][bit]: of +-1 */
    const uint32_t *costs;
} columns;

static void fill_columns(columns *c, const uint8_t *patterns, size_t base) {
    const hd_plan *p = c->plan;
    memset(c->planes, 0, c->channels * c->bits * c->blocks * sizeof *c->planes);
    for (size_t channel = 0; channel < c->channels; channel++) {
        const uint8_t *column = patterns + base + channel * p->lane_stride;
        for (size_t bit = 0; bit < c->bits; bit++) {
            uint64_t *plane = c->planes + (channel * c->bits + bit) * c->blocks;
            size_t ones = 0;
            for (size_t k = 0; k < p->order_length; k++) {
                uint64_t set = column[k * p->step_stride] >> bit & 1;
                plane[k / 64] |= set << k % 64;
                ones += set;
            }
            c->means[channel * c->bits + bit] = 1 - 2 * (float)ones / (float)p->order_length;
        }
    }
}

static float alignment(const columns *c, size_t one, size_t other) {
    float sum = 0, steps = (float)c->plan->order_length;
    for (size_t a = 0; a < c->bits; a++)
        for (size_t b = 0; b < c->bits; b++) {
            const uint64_t *x = c->planes + (one * c->bits + a) * c->blocks;
            const uint64_t *y = c->planes + (other * c->bits + b) * c->blocks;
            int differ = 0;
            for (size_t i = 0; i < c->blocks; i++) differ += __builtin_popcountll(x[i] ^ y[i]);
            float covariance =
                1 - 2 * (float)differ / steps - c->means[one * c->bits + a] * c->means[other * c->bits + b];
            sum += (float)c->costs[a] * (float)c->costs[b] * covariance * covariance;
        }
    return sum;
}

static void add_similarities(const columns *c, int threads, float *similarity) {
    size_t n = c->channels;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) similarity[i * n + j] += alignment(c, i, j);
}

static void mirror(float *similarity, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) similarity[j * n + i] = similarity[i * n + j];
}

/* Clusters of `rows` channels, the last one smaller: each begins with the most similar pair left and takes in
 * whatever is most similar to all it has. */
static void grow(const float *similarity, size_t n, size_t rows, uint32_t *assigned, float *sums) {
    for (size_t done = 0; done < n;) {
        size_t size = n - done < rows ? n - done : rows, end = done + size;
        for (size_t i = 0; i < n; i++) sums[i] = 0;
        for (size_t member = 0; member < size; member++, done++) {
            size_t best = done;
            float most = -1;
            for (size_t i = done; i < n; i++) {
                float own = sums[assigned[i]];
                if (member == 0)
                    for (size_t j = done; j < n; j++) {
                        float pair = similarity[(size_t)assigned[i] * n + assigned[j]];
                        if (j != i && pair > own) own = pair;
                    }
                if (own <= most) continue;
                most = own;
                best = i;
            }
            uint32_t chosen = assigned[best];
            memmove(assigned + done + 1, assigned + done, (best - done) * sizeof *assigned);
            assigned[done] = chosen;
            for (size_t i = 0; i < n; i++) sums[i] += similarity[(size_t)chosen * n + i];
        }
        done = end;
    }
}

/* Exchanges of places while the similarity within clusters rises. sums[channel][cluster] is work space. */
static void exchange(const float *similarity, size_t n, size_t rows, uint32_t *assigned, float *sums) {
    size_t clusters = (n + rows - 1) / rows;
    memset(sums, 0, n * clusters * sizeof *sums);
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < n; i++) sums[c * clusters + i / rows] += similarity[c * n + assigned[i]];
    bool gained = true;
    for (int pass = 0; pass < PASSES && gained; pass++) {
        gained = false;
        for (size_t i = 0; i < n; i++)
            for (size_t j = (i / rows + 1) * rows; j < n; j++) {
                size_t a = assigned[i], b = assigned[j], in_a = i / rows, in_b = j / rows;
                float gain = sums[a * clusters + in_b] - sums[a * clusters + in_a] +
                             sums[b * clusters + in_a] - sums[b * clusters + in_b] -
                             2 * similarity[a * n + b];
                if (gain <= 1e-4f * (sums[a * clusters + in_a] + sums[b * clusters + in_b])) continue;
                for (size_t c = 0; c < n; c++) {
                    float change = similarity[c * n + b] - similarity[c * n + a];
                    sums[c * clusters + in_a] += change;
                    sums[c * clusters + in_b] -= change;
                }
                assigned[i] = (uint32_t)b;
                assigned[j] = (uint32_t)a;
                gained = true;
            }
    }
}

static bool cluster_group(columns *c, const hd_distance_source *source, size_t group, int threads,
                          uint32_t *assigned, hd_error *error) {
    const hd_plan *p = c->plan;
    size_t n = c->channels, rows = (size_t)p->accelerator.rows, clusters = (n + rows - 1) / rows;
    float *similarity = calloc(n * n, sizeof *similarity), *sums = malloc(n * clusters * sizeof *sums);
    bool done = similarity && sums;
    for (size_t i = 0; i < n; i++) assigned[i] = (uint32_t)i;
    if (done) {
        for (size_t position = 0; position < p->positions; position++) {
            size_t tile = (group * p->segments * p->positions + position) * p->column_segments;
            fill_columns(c, source->patterns, hd_plan_tile(p, tile).base);
            add_similarities(c, threads, similarity);
        }
        mirror(similarity, n);
        grow(similarity, n, rows, assigned, sums);
        exchange(similarity, n, rows, assigned, sums);
    } else {
        hd_fail(error, "out of memory for the similarities of %zu channels", n);
    }
    free(similarity);
    free(sums);
    return done;
}

bool hd_cluster_by_similarity(const hd_distance_source *source, const uint32_t bit_costs[HD_MAXIMUM_BITS],
                              int threads, uint32_t *lane_channels, hd_error *error) {
    const hd_plan *p = source->plan;
    columns c = {.plan = p, .channels = p->lane_axis, .costs = bit_costs};
    c.blocks = (p->order_length + 63) / 64;
    c.bits = (size_t)p->accelerator.weight_bits;
    c.planes = malloc(c.channels * c.bits * c.blocks * sizeof *c.planes);
    c.means = malloc(c.channels * c.bits * sizeof *c.means);
    bool done =
        (c.planes && c.means) || hd_fail(error, "out of memory for the columns of %zu channels", c.channels);
    for (size_t group = 0; done && group < p->groups; group++)
        done = cluster_group(&c, source, group, threads, lane_channels + group * p->lane_axis, error);
    free(c.planes);
    free(c.means);
    return done;
}
