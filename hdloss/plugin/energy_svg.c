/* The layers' energies as a figure: bars of parts stacked to the datapath, in SVG. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "energy_figures.h"

/* Okabe and Ito's palette, told apart with any colour vision. */
static const char *const colours[ENERGY_GROUPS] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#999999"};

typedef struct frame {
    double left, top, width, height; /* of the axes, in pixels */
    double most_uj;
} frame;

static size_t count_of(const energy_figures *f) {
    return f->loaded->streams.count;
}

/* 1, 2 or 5 times a power of ten, some five of which make up the value. */
static double step_for(double value) {
    double power = pow(10, floor(log10(value / 5))), part = value / 5 / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static void draw_axis(FILE *out, const frame *a) {
    double step = step_for(a->most_uj);
    for (int i = 0; i * step <= a->most_uj * 1.001; i++) {
        double y = a->top + a->height * (1 - i * step / a->most_uj);
        (void)fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
                      a->left, a->left + a->width, y, y);
        (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", a->left - 6, y + 4,
                      i * step);
    }
}

static void draw_bar(FILE *out, const frame *a, const energy_figures *f, size_t i) {
    double slot = a->width / (double)count_of(f), x = a->left + slot * (double)i, y = a->top + a->height;
    double groups[ENERGY_GROUPS];
    energy_groups(energy_of(f, i), groups);
    for (int g = 0; g < ENERGY_GROUPS; g++) {
        double height = a->height * groups[g] * 1e-6 / a->most_uj;
        y -= height;
        (void)fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
                      x + 0.1 * slot, y, 0.8 * slot, height, colours[g]);
    }
    (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"9\">%d</text>\n",
                  x + slot / 2, a->top + a->height + 12, f->loaded->streams.items[i].index);
}

static void draw(FILE *out, const energy_figures *f) {
    double slots = (double)(count_of(f) ? count_of(f) : 1), most = 0;
    frame a = {.left = 80, .top = 60, .width = fmax(420, 16 * slots), .height = 300};
    for (size_t i = 0; i < count_of(f); i++) most = fmax(most, energy_of(f, i)->datapath_pj * 1e-6);
    a.most_uj = most > 0 ? most * 1.02 : 1;
    const array_model *model = &f->loaded->streams.model;
    (void)fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\" "
        "font-size=\"11\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        a.left + a.width + 20, a.top + a.height + 62);
    (void)fprintf(
        out,
        "<text x=\"%.0f\" y=\"20\" font-size=\"14\">Datapath energy of an image by layer: %.4g uJ</text>\n",
        a.left, energy_of(f, count_of(f))->datapath_pj * 1e-6);
    for (int g = 0; g < ENERGY_GROUPS; g++)
        (void)fprintf(out,
                      "<rect x=\"%.0f\" y=\"32\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%.0f\" "
                      "y=\"41\">%s</text>\n",
                      a.left + 80 * g, colours[g], a.left + 80 * g + 14, energy_group_names[g]);
    draw_axis(out, &a);
    for (size_t i = 0; i < count_of(f); i++) draw_bar(out, &a, f, i);
    (void)fprintf(
        out, "<text transform=\"translate(20 %.0f) rotate(-90)\" text-anchor=\"middle\">microjoules</text>\n",
        a.top + a.height / 2);
    (void)fprintf(out, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">layer</text>\n",
                  a.left + a.width / 2, a.top + a.height + 28);
    (void)fprintf(out,
                  "<text x=\"%.0f\" y=\"%.0f\" font-size=\"9\" fill=\"#666\">%s, energy table %s, %s level, "
                  "darknet %s</text>\n</svg>\n",
                  a.left, a.top + a.height + 48, model->accelerator.name, model->table.name,
                  f->traced ? "trace" : "plan", darknet_version());
}

bool energy_write_svg(const energy_figures *f, const char *path, error *e) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return error_set(e, "%s: out of memory", path);
    draw(out, f);
    bool good =
        fclose(out) == 0 ? file_write_atomic(path, text, bytes, e) : error_set(e, "%s: out of memory", path);
    free(text);
    return good;
}
