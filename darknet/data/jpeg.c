/* The structure and the codes of a JPEG, by libjpeg-turbo: see jpeg.h. The library reports a fault through
 * functions of its caller's that must not return; ours leave its sentence and jump back to the step that was
 * begun. Its warnings of data that is missing or wrong are errors here, and it prints nothing. */
#include "data/jpeg.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it */
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "data/decode.h"
#include "data/jpeg_planes.h"

/* A progressive file comes in some ten scans, each of which visits every block: a small file of very many
 * would take hours. */
#define SCANS_LIMIT 500

typedef struct jpeg_reader {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char reason[JMSG_LENGTH_MAX];
    const uint8_t *bytes;
    size_t count;
    jvirt_barray_ptr *coefficients;
    jpeg_planes planes;
} jpeg_reader;

/* ---- what libjpeg calls ---- */

static _Noreturn void leave(j_common_ptr decoder) {
    jpeg_reader *r = decoder->client_data;
    decoder->err->format_message(decoder, r->reason);
    longjmp(r->escape, 1);
}

/* Level -1 is a warning, what is above is of no interest. */
static void judge_message(j_common_ptr decoder, int level) {
    if (level >= 0) return;
    switch (decoder->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
        return; /* what they warn of is beside the image */
    default:
        leave(decoder);
    }
}

static void print_nothing(j_common_ptr decoder) {
    (void)decoder;
}

static void count_scans(j_common_ptr decoder) {
    jpeg_reader *r = decoder->client_data;
    if (r->decoder.input_scan_number <= SCANS_LIMIT) return;
    (void)snprintf(r->reason, sizeof r->reason, "more than %d scans", SCANS_LIMIT);
    longjmp(r->escape, 1);
}

/* ---- steps, each run under a guard ---- */

/* False and the reason when libjpeg gave up. */
static bool guarded(jpeg_reader *r, void (*step)(jpeg_reader *)) {
    if (setjmp(r->escape)) return false;
    step(r);
    return true;
}

static void read_header(jpeg_reader *r) {
    jpeg_create_decompress(&r->decoder);
    r->decoder.progress = &r->progress;
    jpeg_mem_src(&r->decoder, r->bytes, (unsigned long)r->count);
    (void)jpeg_read_header(&r->decoder, TRUE);
}

static void read_coefficients(jpeg_reader *r) {
    r->coefficients = jpeg_read_coefficients(&r->decoder);
}

static void fill_planes(jpeg_reader *r) {
    struct jpeg_decompress_struct *d = &r->decoder;
    for (int c = 0; c < d->num_components; c++) {
        const jpeg_component_info *from = &d->comp_info[c];
        const jpeg_plane *to = &r->planes.plane[c];
        for (JDIMENSION y = 0; y < from->height_in_blocks; y++) {
            JBLOCKARRAY rows = d->mem->access_virt_barray((j_common_ptr)d, r->coefficients[c], y, 1, FALSE);
            for (JDIMENSION x = 0; x < from->width_in_blocks; x++)
                jpeg_block_samples(rows[0][x], from->quant_table->quantval,
                                   to->samples + y * DCTSIZE * to->stride + x * DCTSIZE, to->stride);
        }
    }
}

/* ---- between them ---- */

/* NULL when the file is of a kind that is read here. */
static const char *unread_kind(const struct jpeg_decompress_struct *d) {
    if (d->arith_code) return "arithmetic coding is not read here";
    for (int c = 0; c < d->num_components; c++)
        if (d->max_h_samp_factor % d->comp_info[c].h_samp_factor != 0 ||
            d->max_v_samp_factor % d->comp_info[c].v_samp_factor != 0)
            return "samples that stand for no whole number of pixels are not read here";
    switch (d->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr:
    case JCS_CMYK:
    case JCS_YCCK:
        return NULL;
    default:
        return "neither grey, RGB, YCbCr, CMYK nor YCCK";
    }
}

static jpeg_model model_of(J_COLOR_SPACE space) {
    return space == JCS_GRAYSCALE ? JPEG_GREY
           : space == JCS_RGB     ? JPEG_RGB
           : space == JCS_CMYK    ? JPEG_CMYK
           : space == JCS_YCCK    ? JPEG_YCCK
                                  : JPEG_YCC;
}

/* A component that no scan has sent has no quantisation table. */
static bool all_components_came(const struct jpeg_decompress_struct *d) {
    for (int c = 0; c < d->num_components; c++)
        if (!d->comp_info[c].quant_table) return false;
    return true;
}

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static bool make_planes(jpeg_reader *r) {
    const struct jpeg_decompress_struct *d = &r->decoder;
    jpeg_planes *p = &r->planes;
    p->width = d->image_width;
    p->height = d->image_height;
    p->model = model_of(d->jpeg_color_space);
    for (int c = 0; c < d->num_components; c++) {
        const jpeg_component_info *info = &d->comp_info[c];
        jpeg_plane *plane = &p->plane[c];
        plane->across = (size_t)(d->max_h_samp_factor / info->h_samp_factor);
        plane->down = (size_t)(d->max_v_samp_factor / info->v_samp_factor);
        plane->width = divide_up(p->width, plane->across);
        plane->height = divide_up(p->height, plane->down);
        plane->stride = (size_t)info->width_in_blocks * DCTSIZE;
        plane->samples = malloc(plane->stride * info->height_in_blocks * DCTSIZE);
        if (!plane->samples) return false;
    }
    return true;
}

static bool give_up(jpeg_reader *r, const char *name, const char *reason, error *e) {
    return error_set(e, "%s: JPEG of %zu bytes: %s", name, r->count, reason);
}

/* From the file to planes; libjpeg's part is over then. */
static bool read_planes(jpeg_reader *r, const char *name, error *e) {
    if (!guarded(r, read_header)) return give_up(r, name, r->reason, e);
    const char *unread = unread_kind(&r->decoder);
    if (unread) return give_up(r, name, unread, e);
    if (!decode_check_size(name, r->decoder.image_width, r->decoder.image_height, e)) return false;
    if (!guarded(r, read_coefficients)) return give_up(r, name, r->reason, e);
    if (!all_components_came(&r->decoder)) return give_up(r, name, "one of its components never comes", e);
    if (!make_planes(r)) return give_up(r, name, "out of memory", e);
    return guarded(r, fill_planes) || give_up(r, name, r->reason, e);
}

static uint8_t *make_pixels(jpeg_reader *r, const char *name, int channels, error *e) {
    uint8_t *pixels = malloc(r->planes.width * r->planes.height * (size_t)channels);
    if (pixels && jpeg_planes_pixels(&r->planes, channels, pixels)) return pixels;
    free(pixels);
    (void)give_up(r, name, "out of memory", e);
    return NULL;
}

uint8_t *jpeg_decode(const uint8_t *bytes, size_t count, const char *name, int channels, int *width,
                     int *height, error *e) {
    uint8_t *pixels = NULL;
    jpeg_reader *r = calloc(1, sizeof *r);
    if (!r) {
        error_set(e, "%s: out of memory", name);
        return NULL;
    }
    r->bytes = bytes;
    r->count = count;
    r->decoder.err = jpeg_std_error(&r->errors);
    r->decoder.client_data = r;
    r->errors.error_exit = leave;
    r->errors.emit_message = judge_message;
    r->errors.output_message = print_nothing;
    r->progress.progress_monitor = count_scans;
    bool whole = read_planes(r, name, e);
    jpeg_destroy_decompress(&r->decoder); /* before the pixels: its coefficients are larger than they */
    if (whole) pixels = make_pixels(r, name, channels, e);
    if (pixels) {
        *width = (int)r->planes.width;
        *height = (int)r->planes.height;
    }
    for (size_t c = 0; c < JPEG_PLANES_LIMIT; c++) free(r->planes.plane[c].samples);
    free(r);
    return pixels;
}
