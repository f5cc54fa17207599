"""The library's resize, letterbox and centre crop against definitions in numpy, on images of many sizes.
    image_reference.py        (finds the library as scripts/darknet.py does)"""
import os
import sys

import numpy

sys.path.insert(0, os.path.join(os.environ["ROOT"], "scripts"))
import darknet  # noqa: E402


def resize(pixels, width, height):
    """Bilinear on [c][h][w], source positions i * (old - 1) / (new - 1) in float32; the last column and row are copies."""
    for axis, new in ((2, width), (1, height)):
        old = pixels.shape[axis]
        step = numpy.float32(old - 1) / numpy.float32(new - 1) if new > 1 else numpy.float32(0)
        position = numpy.arange(new, dtype=numpy.float32) * step
        position[-1] = old - 1
        low = numpy.minimum(position.astype(int), max(old - 2, 0))
        high = numpy.minimum(low + 1, old - 1)
        part = (position - low).reshape([-1 if a == axis else 1 for a in range(3)])
        pixels = pixels.take(low, axis) * (1 - part) + pixels.take(high, axis) * part
    return pixels


def letterbox(pixels, width, height):
    _, h, w = pixels.shape
    if width / w < height / h:
        new_w, new_h = width, h * width // w
    else:
        new_w, new_h = w * height // h, height
    canvas = numpy.full((pixels.shape[0], height, width), .5)
    left, top = (width - new_w) // 2, (height - new_h) // 2
    canvas[:, top:top + new_h, left:left + new_w] = resize(pixels, new_w, new_h)
    return canvas


def center_crop(pixels, width, height):
    _, h, w = pixels.shape
    side = min(w, h)
    left, top = (w - side) // 2, (h - side) // 2
    return resize(pixels[:, top:top + side, left:left + side], width, height)


def array_of(im):
    return numpy.ctypeslib.as_array(im.data, (im.c, im.h, im.w)).astype(float)


def main():
    rng = numpy.random.default_rng(1)
    compared = 0
    for w, h, to_w, to_h in ((7, 5, 14, 11), (64, 48, 20, 20), (48, 64, 20, 20), (33, 33, 33, 33), (1, 9, 5, 4), (9, 1, 4, 5),
                             (100, 3, 10, 10), (640, 480, 224, 224), (31, 29, 1, 7), (256, 255, 28, 28), (5, 5, 64, 32)):
        im = darknet.make_image(w, h, 3)
        pixels = numpy.ctypeslib.as_array(im.data, (3, h, w))
        pixels[:] = rng.random((3, h, w), dtype=numpy.float32)
        for ours, reference in ((darknet.resize_image, resize), (darknet.letterbox_image, letterbox),
                                (darknet.center_crop_image, center_crop)):
            if reference is letterbox and (w * to_h // h == 0 or h * to_w // w == 0):
                continue
            out = ours(im, to_w, to_h)
            error = numpy.abs(array_of(out) - reference(pixels.astype(float), to_w, to_h)).max()
            assert (out.w, out.h, out.c) == (to_w, to_h, 3), (out.w, out.h, out.c)
            assert error < 1e-6, "%s of %dx%d to %dx%d: off by %g" % (reference.__name__, w, h, to_w, to_h, error)
            darknet.free_image(out)
            compared += 1
        darknet.free_image(im)
    print("%d images compared" % compared)


main()
