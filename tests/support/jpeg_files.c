/* JPEGs of every kind: see jpeg_files.h. */
#include "jpeg_files.h"

#include <math.h>
#include <stdio.h> /* jpeglib.h wants it */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "core/random.h"

typedef struct color_space {
    J_COLOR_SPACE in, file;
    int components;
} color_space;

static const color_space spaces[] = {[COLORS_GREY] = {JCS_GRAYSCALE, JCS_GRAYSCALE, 1},
                                     [COLORS_RGB] = {JCS_RGB, JCS_RGB, 3},
                                     [COLORS_YCC] = {JCS_RGB, JCS_YCbCr, 3},
                                     [COLORS_CMYK] = {JCS_CMYK, JCS_CMYK, 4},
                                     [COLORS_YCCK] = {JCS_CMYK, JCS_YCCK, 4}};

/* A third of the picture is noise, which reaches the ends of every range. */
static void draw_row(uint8_t *row, int y, int width, int components, random_state *r) {
    for (int x = 0; x < width; x++) {
        for (int c = 0; c < components; c++) {
            double value = 128 + 100 * sin(.07 * x * (c + 1) + .05 * y) + ((x / 9 + y / 7) % 3 == c ? 60 : 0);
            if ((x / 16 + y / 16) % 3 == 0) value = (double)random_below(r, 300);
            *row++ = (uint8_t)fmin(fmax(value, 0), 255);
        }
    }
}

static void set_options(struct jpeg_compress_struct *c, const jpeg_kind *kind, jpeg_scan_info *scans) {
    jpeg_set_defaults(c);
    jpeg_set_colorspace(c, spaces[kind->colors].file);
    jpeg_set_quality(c, kind->quality, TRUE);
    for (int i = 0; i < c->num_components; i++) {
        const int *factors = i == 0 ? kind->luma : kind->chroma;
        c->comp_info[i].h_samp_factor = factors[0] ? factors[0] : 1;
        c->comp_info[i].v_samp_factor = factors[1] ? factors[1] : 1;
    }
    c->restart_interval = kind->restart;
    c->arith_code = kind->arithmetic ? TRUE : FALSE;
    if (kind->progressive) jpeg_simple_progression(c);
    if (kind->scans_of_one) {
        for (int i = 0; i < c->num_components; i++)
            scans[i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i}, .Se = 63};
        c->scan_info = scans;
        c->num_scans = c->num_components;
    }
}

uint8_t *jpeg_file(const jpeg_kind *kind, unsigned seed, size_t *count) {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    jpeg_scan_info scans[MAX_COMPS_IN_SCAN];
    unsigned char *bytes = NULL;
    unsigned long length = 0;
    random_state r = random_seeded(seed, 1);
    memset(scans, 0, sizeof scans);
    c.err = jpeg_std_error(&errors); /* prints and exits: right for a test */
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &length);
    c.image_width = (JDIMENSION)kind->width;
    c.image_height = (JDIMENSION)kind->height;
    c.input_components = spaces[kind->colors].components;
    c.in_color_space = spaces[kind->colors].in;
    set_options(&c, kind, scans);
    jpeg_start_compress(&c, TRUE);
    uint8_t *row = malloc((size_t)kind->width * 4);
    if (!row) abort();
    for (int y = 0; y < kind->height; y++) {
        draw_row(row, y, kind->width, c.input_components, &r);
        (void)jpeg_write_scanlines(&c, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *count = length;
    return bytes;
}
