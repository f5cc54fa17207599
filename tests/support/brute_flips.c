/* Counts bit flips by walking an array's lanes word by word: written from the definitions alone, shares
 * nothing with libhdloss, slow on purpose. Reads a text dump on standard input, prints the counts. Alone: cc
 * -o brute_flips this.c input_stationary|output_stationary|weight_stationary ROWS COLS BITS
 * twos_complement|sign_magnitude none|bus_invert each|shared FILTERS CHANNELS GROUPS SIZE OUTPUT_PIXELS all
 * words of W[filters][channels / groups][size][size] [orders COUNT LENGTH, then the values]  [lanes COUNT
 * LENGTH, then the values] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int brute_flips(FILE *in, FILE *out);

static int rows, cols, bits, sign_magnitude, bus_invert, filters, channels, groups, size, *words, *wires;
static int *orders, order_length, *lanes, lanes_length, counting;
static long flips, inside, transitions;

static void stream(int lane, int weight, int first_of_tile) { /* one word onto one lane's wires */
    int word = words[weight], mask = (1 << bits) - 1, flipped = 0, inverted = 0;
    int pattern = word < 0 && sign_magnitude ? -word | (mask + 1) / 2 : word & mask;
    for (int b = 0; b <= bits; b++)
        flipped += (wires[lane] ^ pattern) >> b & 1; /* bit `bits` is the invert line */
    for (int b = 0; b <= bits; b++) inverted += (wires[lane] ^ pattern ^ (2 * mask + 1)) >> b & 1;
    int invert = bus_invert && inverted < flipped;
    wires[lane] = invert ? pattern ^ (2 * mask + 1) : pattern;
    if (!counting) return;
    flips += invert ? inverted : flipped;
    inside += first_of_tile ? 0 : invert ? inverted : flipped;
    transitions++;
}
static int at(const int *table, int length, int which, int i) {
    return table ? table[which * length + i] : i;
}

static void pass(int dataflow, int shared) { /* 0 input, 1 output, 2 weight stationary */
    int area = size * size, depth = channels / groups, depthwise = depth == 1 && groups == channels, tile = 0;
    int n_groups = depthwise ? 1 : groups, group_filters = filters / n_groups;
    int axis = dataflow == 1 ? group_filters : depth;
    for (int g = 0; g < n_groups; g++)
        for (int s = 0; s < axis; s += rows)
            for (int p = 0; p < (dataflow == 1 ? 1 : area); p++, tile++) {
                int which = shared && dataflow != 1 ? tile / area : tile,
                    steps = dataflow == 1 ? depth * area : group_filters;
                for (int t = 0; t < steps; t++)
                    for (int l = s; l < s + rows && l < axis; l++) {
                        int channel = at(lanes, lanes_length, g, l),
                            step = at(orders, order_length, which, t);
                        int filter = g * group_filters + (dataflow == 1 ? channel : step);
                        int inner = dataflow == 1 ? step : channel * area + p;
                        int lane = dataflow == 2 ? (l - s) * cols + t % cols : l - s;
                        stream(lane, filter * depth * area + inner, dataflow == 2 || t == 0);
                    }
            }
}

int brute_flips(FILE *in, FILE *out) {
    char flow[32], representation[32], encoding[32], kernel[32], key[32];
    int pixels, count;
    if (fscanf(in, "%31s %d %d %d %31s %31s %31s", flow, &rows, &cols, &bits, representation, encoding,
               kernel) != 7)
        return 1;
    if (fscanf(in, "%d %d %d %d %d", &filters, &channels, &groups, &size, &pixels) != 5) return 1;
    sign_magnitude = !strcmp(representation, "sign_magnitude"), bus_invert = !strcmp(encoding, "bus_invert");
    int total = filters * (channels / groups) * size * size;
    words = calloc((size_t)total, sizeof *words), wires = calloc((size_t)rows * (size_t)cols, sizeof *wires);
    orders = lanes = NULL, flips = inside = transitions = counting = 0;
    for (int i = 0; i < total; i++)
        if (fscanf(in, "%d", words + i) != 1) return 1;
    while (fscanf(in, "%31s %d", key, &count) == 2) {
        int **table = key[0] == 'o' ? &orders : &lanes,
            *length = key[0] == 'o' ? &order_length : &lanes_length;
        if (fscanf(in, "%d", length) != 1) return 1;
        *table = calloc((size_t)count * (size_t)*length, sizeof **table);
        for (int i = 0; i < count * *length; i++)
            if (fscanf(in, "%d", *table + i) != 1) return 1;
    }
    int dataflow = channels == groups || flow[0] == 'o' ? 1 : flow[0] == 'w' ? 2 : 0;
    pass(dataflow, kernel[0] == 's'); /* the plan repeats: charge the second pass against the first */
    counting = 1;
    pass(dataflow, kernel[0] == 's');
    fprintf(out, "transitions %ld flips %ld flips_inside_tiles %ld flips_per_image %ld\n", transitions, flips,
            inside, flips * (dataflow == 2 ? 1 : pixels));
    free(words), free(wires), free(orders), free(lanes);
    return 0;
}

__attribute__((weak)) int main(void) {
    return brute_flips(stdin, stdout);
}
