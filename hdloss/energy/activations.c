/* Statistics of activations: ones, zeros, and the bits that differ between bytes that follow each other in a
 * stream. */
#include "energy.h"

enum { BITS = 8 };

hd_activation_statistics hd_assumed_activations(const hd_energy_table *table) {
    double ones = table->assumed_activation_popcount, share = ones / BITS,
           flips = 2 * BITS * share * (1 - share);
    return (hd_activation_statistics){.ones = ones,
                                      .zero_fraction = table->assumed_activation_zero_fraction,
                                      .flips_between_pixels = flips,
                                      .flips_between_channels = flips,
                                      .flips_apart = flips};
}

/* Flips from values[i] to values[i + apart], i < count. */
static uint64_t count_flips(const uint8_t *values, size_t count, size_t apart) {
    uint64_t flips = 0;
    for (size_t i = 0; i < count; i++) flips += (uint64_t)__builtin_popcount(values[i] ^ values[i + apart]);
    return flips;
}

static void add_row(hd_activation_sums *s, const uint8_t *row, size_t width, size_t channels) {
    s->bytes += width * channels;
    for (size_t i = 0; i < width * channels; i++) {
        s->zeros += row[i] == 0;
        for (int b = 0; b < BITS; b++) s->ones_by_bit[b] += row[i] >> b & 1u;
    }
    s->pixel_pairs += (width - 1) * channels;
    s->pixel_flips += count_flips(row, (width - 1) * channels, channels);
    s->channel_pairs += width * (channels - 1);
    for (size_t x = 0; x < width; x++) s->channel_flips += count_flips(row + x * channels, channels - 1, 1);
}

void hd_activation_sums_add(hd_activation_sums *s, const uint8_t *activations, size_t count, size_t height,
                            size_t width, size_t channels) {
    if (!width || !channels) return;
    for (size_t y = 0; y < count * height; y++)
        add_row(s, activations + y * width * channels, width, channels);
    s->ones = 0;
    for (int b = 0; b < BITS; b++) s->ones += s->ones_by_bit[b];
}

hd_activation_statistics hd_activation_statistics_of(const hd_activation_sums *s) {
    hd_activation_statistics a = {0};
    if (s->bytes == 0) return a;
    double bytes = (double)s->bytes;
    a.ones = (double)s->ones / bytes;
    a.zero_fraction = (double)s->zeros / bytes;
    for (int b = 0; b < BITS; b++) {
        double share = (double)s->ones_by_bit[b] / bytes;
        a.flips_apart += 2 * share * (1 - share);
    }
    a.flips_between_pixels = s->pixel_pairs ? (double)s->pixel_flips / (double)s->pixel_pairs : a.flips_apart;
    a.flips_between_channels =
        s->channel_pairs ? (double)s->channel_flips / (double)s->channel_pairs : a.flips_apart;
    return a;
}
