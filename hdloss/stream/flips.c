/* Exact bit flips of a steady-state pass of a stream plan. Counts are integers, so the order in which tiles
 * are counted by several threads does not show in them. */
#include <stdlib.h>
#include <string.h>

#include "stream/flips_kernel.h"
#include "stream/gather.h"
#include "words/isa.h"

enum { CHUNK_WORDS = 1 << 20, BLOCK_BYTES = 1 << 14 }; /* a chunk takes about a millisecond: worth a thread */

typedef struct counter {
    const hd_plan *plan;
    const uint8_t *patterns;
    hd_flip_kernel *kernel;
    bool bus_invert;
    size_t block_steps; /* rows that are gathered at a time */
} counter;

typedef struct tile_counts {
    hd_bit_counts inside, boundary;
} tile_counts;

static hd_flip_kernel *best_kernel(void) {
#if defined(__x86_64__)
    switch (hd_isa_best()) {
    case HD_ISA_AVX512:
        return hd_count_bits_avx512;
    case HD_ISA_AVX2:
        return hd_count_bits_avx2;
    default:
        break;
    }
#endif
    return hd_count_bits_portable;
}

/* rows[(block_steps + 1) * lanes]: the row before the block, then the block. */
static void count_tile(const counter *c, size_t index, uint8_t *rows, size_t *neighbours,
                       tile_counts *counts) {
    hd_tile tile = hd_plan_tile(c->plan, index);
    int bits = c->plan->accelerator.weight_bits;
    hd_tile_weights_before(c->plan, &tile, neighbours);
    for (size_t lane = 0; lane < tile.lanes; lane++) rows[lane] = c->patterns[neighbours[lane]];
    for (size_t step = 0; step < tile.steps; step += c->block_steps) {
        size_t steps = tile.steps - step < c->block_steps ? tile.steps - step : c->block_steps;
        for (size_t t = 0; t < steps; t++)
            hd_row_gather_bytes(c->plan, &tile, step + t, c->patterns, rows + (t + 1) * tile.lanes);
        size_t first = step == 0 ? tile.lanes : 0;
        c->kernel(rows, rows + tile.lanes, first, bits, c->bus_invert, &counts->boundary);
        c->kernel(rows + first, rows + first + tile.lanes, steps * tile.lanes - first, bits, c->bus_invert,
                  &counts->inside);
        memmove(rows, rows + steps * tile.lanes, tile.lanes);
    }
}

static void add_counts(hd_bit_counts *sum, const hd_bit_counts *part) {
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) {
        sum->operand[b] += part->operand[b];
        sum->wire[b] += part->wire[b];
    }
    sum->invert_line += part->invert_line;
}

static bool count_tiles(const counter *c, int threads, tile_counts *total) {
    const hd_plan *plan = c->plan;
    size_t per_tile = plan->tile_steps * plan->tile_lanes;
    size_t chunk = per_tile >= CHUNK_WORDS ? 1 : CHUNK_WORDS / per_tile;
    size_t chunks = (plan->tiles + chunk - 1) / chunk;
    if ((size_t)threads > chunks) threads = (int)chunks;
    bool good = true;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        uint8_t *rows = malloc((c->block_steps + 1) * plan->tile_lanes);
        size_t *neighbours = malloc(plan->tile_lanes * sizeof *neighbours);
        tile_counts mine = {0};
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < chunks; i++)
            for (size_t tile = i * chunk; rows && neighbours && tile < plan->tiles && tile < (i + 1) * chunk;
                 tile++)
                count_tile(c, tile, rows, neighbours, &mine);
#pragma omp critical(hd_count_flips_sum)
        {
            if (!rows || !neighbours) good = false;
            add_counts(&total->inside, &mine.inside);
            add_counts(&total->boundary, &mine.boundary);
        }
        free(rows);
        free(neighbours);
    }
    return good;
}

/* Number of zeros; false and a sentence when a word is outside the range. */
static bool survey_words(const hd_plan *plan, const int8_t *words, uint64_t *zeros, hd_error *error) {
    int least = 0, most = 0, limit = hd_largest_word(plan->accelerator.weight_bits);
    uint64_t count = 0;
    for (size_t i = 0; i < plan->weights; i++) {
        least = words[i] < least ? words[i] : least;
        most = words[i] > most ? words[i] : most;
        count += words[i] == 0;
    }
    *zeros = count;
    if (least >= -limit && most <= limit) return true;
    return hd_fail(error, "the word %d is outside the %d bits of the layer: words lie in -%d to %d",
                   least < -limit ? least : most, plan->accelerator.weight_bits, limit, limit);
}

static uint64_t count_ones(const hd_plan *plan, const uint8_t *patterns) {
    const hd_accelerator *a = &plan->accelerator;
    int bits = a->representation == HD_SIGN_MAGNITUDE ? a->weight_bits - 1 : a->weight_bits;
    uint64_t mask = 0x0101010101010101u * ((UINT64_C(1) << bits) - 1), eight, count = 0;
    size_t i = 0;
    for (; i + sizeof eight <= plan->weights; i += sizeof eight) {
        memcpy(&eight, patterns + i, sizeof eight);
        count += (uint64_t)__builtin_popcountll(eight & mask);
    }
    for (; i < plan->weights; i++)
        count += (uint64_t)__builtin_popcount(patterns[i] & (unsigned)(mask & 255));
    return count;
}

static uint64_t sum_bits(const uint64_t *by_bit) {
    uint64_t sum = 0;
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) sum += by_bit[b];
    return sum;
}

static void set_nhd(hd_flips *f) {
    f->nhd = f->transition_bits ? (double)f->flips / (double)f->transition_bits : 0;
}

static void fill_flips(const hd_plan *plan, const tile_counts *counts, uint64_t zeros, hd_flips *f) {
    hd_bit_counts all = counts->inside;
    add_counts(&all, &counts->boundary);
    bool bus_invert = plan->accelerator.encoding == HD_BUS_INVERT;
    *f = (hd_flips){
        .tiles = plan->tiles, .steps = plan->tile_steps, .lanes = plan->tile_lanes, .repeats = plan->repeats};
    f->words = f->transitions = plan->weights;
    f->zero_words = zeros;
    /* Each of tile_steps rows of a tile has as many words: the first rows are the boundaries. */
    f->transitions_inside_tiles = plan->weights - plan->weights / plan->tile_steps;
    memcpy(f->operand_flips_by_bit, all.operand, sizeof all.operand);
    memcpy(f->flips_by_bit, bus_invert ? all.wire : all.operand, sizeof all.wire);
    f->invert_line_flips = all.invert_line;
    f->flips = sum_bits(f->flips_by_bit) + all.invert_line;
    f->operand_flips = sum_bits(all.operand);
    f->operand_flips_inside_tiles = sum_bits(counts->inside.operand);
    f->flips_inside_tiles = bus_invert ? sum_bits(counts->inside.wire) + counts->inside.invert_line
                                       : f->operand_flips_inside_tiles;
    f->sign_flips = all.operand[plan->accelerator.weight_bits - 1];
    f->flips_per_image = f->flips * plan->image_passes;
    f->transitions_per_image = f->transitions * plan->image_passes;
    f->transition_bits = f->transitions * (uint64_t)plan->accelerator.weight_bits;
    set_nhd(f);
}

bool hd_count_flips(const hd_plan *plan, const int8_t *words, int threads, hd_flips *flips, hd_error *error) {
    uint64_t zeros = 0;
    if (threads < 1) return hd_fail(error, "flips are counted by at least 1 thread, not %d", threads);
    if (!survey_words(plan, words, &zeros, error)) return false;
    uint8_t *patterns = malloc(plan->weights);
    if (!patterns) return hd_fail(error, "no memory for the bit patterns of %zu words", plan->weights);
    const hd_accelerator *a = &plan->accelerator;
    hd_encode_words(words, plan->weights, a->weight_bits, a->representation, patterns);
    size_t block = BLOCK_BYTES / plan->tile_lanes;
    counter c = {.plan = plan,
                 .patterns = patterns,
                 .kernel = best_kernel(),
                 .bus_invert = a->encoding == HD_BUS_INVERT,
                 .block_steps = block < 1                  ? 1
                                : block < plan->tile_steps ? block
                                                           : plan->tile_steps};
    tile_counts total = {0};
    bool good = count_tiles(&c, threads, &total);
    uint64_t ones = count_ones(plan, patterns);
    free(patterns);
    if (!good) return hd_fail(error, "no memory to count the flips of %zu words", plan->weights);
    fill_flips(plan, &total, zeros, flips);
    flips->one_bits = ones;
    return true;
}

void hd_flips_add(hd_flips *total, const hd_flips *layer) {
    total->tiles += layer->tiles;
    total->steps += layer->steps;
    total->lanes += layer->lanes;
    total->repeats += layer->repeats;
    total->words += layer->words;
    total->zero_words += layer->zero_words;
    total->one_bits += layer->one_bits;
    total->transitions += layer->transitions;
    total->transitions_inside_tiles += layer->transitions_inside_tiles;
    total->flips += layer->flips;
    total->flips_inside_tiles += layer->flips_inside_tiles;
    for (int b = 0; b < HD_MAXIMUM_BITS; b++) {
        total->flips_by_bit[b] += layer->flips_by_bit[b];
        total->operand_flips_by_bit[b] += layer->operand_flips_by_bit[b];
    }
    total->invert_line_flips += layer->invert_line_flips;
    total->operand_flips += layer->operand_flips;
    total->operand_flips_inside_tiles += layer->operand_flips_inside_tiles;
    total->sign_flips += layer->sign_flips;
    total->flips_per_image += layer->flips_per_image;
    total->transitions_per_image += layer->transitions_per_image;
    total->transition_bits += layer->transition_bits;
    set_nhd(total);
}
