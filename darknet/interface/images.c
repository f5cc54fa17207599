/* The C interface's images, over data/data.h. */
#include <stdlib.h>

#include "interface/interface.h"

static image to_public(const image_f32 *im) {
    return (image){.w = im->width, .h = im->height, .c = im->channels, .data = im->data};
}

static image_f32 from_public(image im) {
    return (image_f32){.width = im.w, .height = im.h, .channels = im.c, .data = im.data};
}

image make_image(int w, int h, int c) {
    image_f32 made;
    return image_make(w, h, c, &made, interface_begin()) ? to_public(&made) : (image){0};
}

void free_image(image m) {
    free(m.data);
}

typedef bool (*sizing)(const image_f32 *in, int width, int height, image_f32 *out, error *e);

static image resized(image im, int w, int h, sizing how, error *e) {
    image_f32 in = from_public(im), out;
    if (!im.data || im.w < 1 || im.h < 1 || im.c < 1) {
        error_set(e, "an image of %d x %d pixels and %d channels is none to resize", im.w, im.h, im.c);
        return (image){0};
    }
    return how(&in, w, h, &out, e) ? to_public(&out) : (image){0};
}

image load_image_color(const char *filename, int w, int h) {
    error *e = interface_begin();
    image_f32 loaded;
    if (!filename) {
        error_set(e, "load_image_color: no file name");
        return (image){0};
    }
    if (!image_load(filename, 3, &loaded, e)) return (image){0};
    image im = to_public(&loaded);
    if (w == 0 || h == 0 || (w == im.w && h == im.h)) return im;
    image sized = resized(im, w, h, image_resize, e);
    free_image(im);
    return sized;
}

image resize_image(image im, int w, int h) {
    return resized(im, w, h, image_resize, interface_begin());
}
image letterbox_image(image im, int w, int h) {
    return resized(im, w, h, image_letterbox, interface_begin());
}
image center_crop_image(image im, int w, int h) {
    return resized(im, w, h, image_center_crop, interface_begin());
}

void rgbgr_image(image im) {
    if (!im.data || im.c < 3) return;
    size_t plane = (size_t)im.w * (size_t)im.h;
    for (size_t i = 0; i < plane; i++) {
        float red = im.data[i];
        im.data[i] = im.data[2 * plane + i];
        im.data[2 * plane + i] = red;
    }
}
