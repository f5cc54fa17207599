/* A walk over a JPEG's markers (ITU-T T.81, annex B), for three things that stb_image up to 2.27 leaves
 * unchecked: a Huffman table of more than 256 codes makes it write past an array, a scan by a table that no
 * segment has defined makes it read past one, and a file that ends early is filled with grey. */
#include "data/jpeg_check.h"

#include <stdbool.h>

enum {
    MARKER_SOF2 = 0xC2,
    MARKER_DHT = 0xC4,
    MARKER_RST0 = 0xD0,
    MARKER_RST7 = 0xD7,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA
};

typedef struct walk {
    const uint8_t *bytes;
    size_t count, at;
} walk;

/* Moves behind the next marker; false at the end. Inside a scan, stuffed zeros and restart marks are data. */
static bool next_marker(walk *w, bool in_scan, uint8_t *marker) {
    while (w->at + 1 < w->count) {
        if (w->bytes[w->at++] != 0xFF) continue;
        uint8_t code = w->bytes[w->at];
        if (code == 0xFF || (in_scan && (code == 0 || (code >= MARKER_RST0 && code <= MARKER_RST7))))
            continue;
        w->at++;
        *marker = code;
        return true;
    }
    return false;
}

/* The tables of one segment, each a class and number, 16 counts of codes by length, and that many symbols. */
static bool tables_are_sound(const uint8_t *segment, size_t bytes, bool *defined) {
    while (bytes > 0) {
        size_t codes = 0;
        if (bytes < 17) return false;
        for (size_t i = 1; i <= 16; i++) codes += segment[i];
        if (codes > 256 || bytes < 17 + codes || segment[0] >> 4 > 1 || (segment[0] & 15) > 3) return false;
        defined[(segment[0] >> 4) * 4 + (segment[0] & 3)] = true;
        segment += 17 + codes;
        bytes -= 17 + codes;
    }
    return true;
}

/* Whether the tables of a scan are defined: both of each component, in a progressive image those that its
 * coefficients need. defined[4 * class + number]. */
static bool scan_has_tables(const uint8_t *segment, size_t bytes, bool progressive, const bool *defined) {
    size_t components = bytes ? segment[0] : 0;
    if (components < 1 || components > 4 || bytes != 4 + 2 * components) return false;
    bool first_coefficient = segment[1 + 2 * components] == 0;
    for (size_t i = 0; i < components; i++) {
        unsigned tables = segment[2 + 2 * i], dc = tables >> 4, ac = tables & 15;
        if (dc > 3 || ac > 3) return false;
        if ((!progressive || first_coefficient) && !defined[dc]) return false;
        if ((!progressive || !first_coefficient) && !defined[4 + ac]) return false;
    }
    return true;
}

const char *jpeg_check(const uint8_t *bytes, size_t count) {
    static const char truncated[] = "truncated: it ends before its image does";
    walk w = {bytes, count, 0};
    uint8_t marker;
    bool in_scan = false, progressive = false, defined[8] = {false};
    if (!next_marker(&w, false, &marker) || marker != MARKER_SOI) return "not a JPEG";
    while (next_marker(&w, in_scan, &marker)) {
        if (marker == MARKER_EOI) return NULL;
        if (w.count - w.at < 2) return truncated;
        size_t length = (size_t)bytes[w.at] << 8 | bytes[w.at + 1];
        if (length < 2) return "damaged: a segment shorter than its own length";
        if (w.count - w.at < length) return truncated;
        if (marker == MARKER_DHT && !tables_are_sound(bytes + w.at + 2, length - 2, defined))
            return "damaged: a Huffman table that does not fit";
        progressive = progressive || marker == MARKER_SOF2;
        if (marker == MARKER_SOS && !scan_has_tables(bytes + w.at + 2, length - 2, progressive, defined))
            return "damaged: a scan without its Huffman tables";
        in_scan = marker == MARKER_SOS;
        w.at += length;
    }
    return truncated;
}
