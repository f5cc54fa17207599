/* Words to the bit patterns that stand on the wires, and back. */
#include "hdloss.h"

uint8_t hd_encode_word(int word, int bits, hd_representation representation) {
    unsigned mask = (1u << bits) - 1u;
    if (representation == HD_SIGN_MAGNITUDE && word < 0)
        return (uint8_t)((1u << (bits - 1)) | ((unsigned)-word & mask));
    return (uint8_t)((unsigned)word & mask);
}

int hd_decode_word(uint8_t pattern, int bits, hd_representation representation) {
    int sign = 1 << (bits - 1);
    if (!(pattern & sign)) return pattern;
    return representation == HD_SIGN_MAGNITUDE ? -(pattern & (sign - 1)) : pattern - 2 * sign;
}

void hd_encode_words(const int8_t *words, size_t count, int bits, hd_representation representation,
                     uint8_t *patterns) {
    int mask = (1 << bits) - 1, sign = 1 << (bits - 1);
    if (representation == HD_SIGN_MAGNITUDE)
        for (size_t i = 0; i < count; i++) {
            patterns[i] = (uint8_t)(words[i] < 0 ? sign | -words[i] : words[i]);
        }
    else
        for (size_t i = 0; i < count; i++) patterns[i] = (uint8_t)(words[i] & mask);
}
