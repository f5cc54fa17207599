#!/usr/bin/env python3
"""Python interface of libdarknet: load a network, classify images, train on arrays. Wants nothing but Python.

    import darknet
    net = darknet.Network("cfg/x.cfg", "backup/x.weights")
    names = darknet.Metadata("cfg/x.data").names
    for probability, name in net.classify("dog.jpg", names, top=5):
        print("%5.2f%%: %s" % (100 * probability, name))

    scripts/darknet.py DATA CFG WEIGHTS IMAGE...    prints the same

Below the classes are the library's own functions with their types (load_net, load_meta, load_image, predict_image, ...), so
that code written for Darknet's Python module finds its names. The library is $DARKNET_LIBRARY, or build/libdarknet.so
beside this script's directory, or an installed one.
"""
import ctypes
import ctypes.util
import os
import sys
from ctypes import POINTER, c_char_p, c_float, c_int, c_void_p


class IMAGE(ctypes.Structure):
    """Floats in [0,1], [c][h][w]."""
    _fields_ = [("w", c_int), ("h", c_int), ("c", c_int), ("data", POINTER(c_float))]


class METADATA(ctypes.Structure):
    _fields_ = [("classes", c_int), ("names", POINTER(c_char_p))]


class MATRIX(ctypes.Structure):
    _fields_ = [("rows", c_int), ("cols", c_int), ("vals", POINTER(POINTER(c_float)))]


class DATA(ctypes.Structure):
    _fields_ = [("w", c_int), ("h", c_int), ("X", MATRIX), ("y", MATRIX), ("shallow", c_int),
                ("num_boxes", POINTER(c_int)), ("boxes", c_void_p)]


class Error(Exception):
    """A failure, with the library's sentence."""


def _find_library():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = [os.environ.get("DARKNET_LIBRARY"), os.path.join(here, "build", "libdarknet.so"),
              os.path.join(here, "..", "lib", "libdarknet.so"), ctypes.util.find_library("darknet")]
    for place in places:
        if place and (os.path.exists(place) or os.sep not in place):
            return place
    raise Error("libdarknet.so was not found: run make, or set DARKNET_LIBRARY")


lib = ctypes.CDLL(_find_library())


def _function(name, result, *arguments):
    function = getattr(lib, name)
    function.restype = result
    function.argtypes = arguments
    return function


last_error = _function("darknet_last_error", c_char_p)
last_notes = _function("darknet_last_notes", c_char_p)
load_net = _function("load_network", c_void_p, c_char_p, c_char_p, c_int)
free_network = _function("free_network", None, c_void_p)
set_batch_network = _function("set_batch_network", None, c_void_p, c_int)
network_batch = _function("network_batch", c_int, c_void_p)
network_width = _function("network_width", c_int, c_void_p)
network_height = _function("network_height", c_int, c_void_p)
network_channels = _function("network_channels", c_int, c_void_p)
network_outputs = _function("network_outputs", c_int, c_void_p)
predict = _function("network_predict", POINTER(c_float), c_void_p, POINTER(c_float))
predict_image = _function("network_predict_image", POINTER(c_float), c_void_p, IMAGE)
top_predictions = _function("top_predictions", None, c_void_p, c_int, POINTER(c_int))
train_network = _function("train_network", c_float, c_void_p, DATA)
load_weights = _function("load_weights", None, c_void_p, c_char_p)
save_weights = _function("save_weights", None, c_void_p, c_char_p)
save_weights_upto = _function("save_weights_upto", None, c_void_p, c_char_p, c_int)
load_meta = _function("get_metadata", METADATA, c_char_p)
free_ptrs = _function("free_ptrs", None, POINTER(c_char_p), c_int)
make_image = _function("make_image", IMAGE, c_int, c_int, c_int)
free_image = _function("free_image", None, IMAGE)
load_image = _function("load_image_color", IMAGE, c_char_p, c_int, c_int)
resize_image = _function("resize_image", IMAGE, IMAGE, c_int, c_int)
letterbox_image = _function("letterbox_image", IMAGE, IMAGE, c_int, c_int)
center_crop_image = _function("center_crop_image", IMAGE, IMAGE, c_int, c_int)


def classify(net, meta, im):
    """[(name, probability)] of an IMAGE, best first; net and meta are load_net's and load_meta's."""
    out = predict_image(net, im)
    if not out:
        raise Error(last_error().decode())
    return sorted(((meta.names[i], out[i]) for i in range(meta.classes)), key=lambda answer: -answer[1])


def _path(path):
    return os.fsencode(path)


def _check():
    sentence = last_error()
    if sentence:
        raise Error(sentence.decode())


def _row(values, length):
    """`length` floats of a list, or of anything with the buffer protocol of float32, as a ctypes array."""
    try:
        view = memoryview(values).cast("B")
        count = view.nbytes // ctypes.sizeof(c_float)
    except TypeError:
        view, count = None, len(values)
    if count != length:
        raise Error("a row of %d values where the network takes %d" % (count, length))
    return (c_float * length).from_buffer_copy(view) if view else (c_float * length)(*values)


def _rows(rows, length):
    """Rows of floats as a MATRIX, and what keeps them alive."""
    kept = [_row(row, length) for row in rows]
    pointers = (POINTER(c_float) * len(kept))(*[ctypes.cast(row, POINTER(c_float)) for row in kept])
    return MATRIX(len(kept), length, pointers), (kept, pointers)


class Metadata:
    """The classes of a .data file."""

    def __init__(self, path):
        meta = load_meta(_path(path))
        _check()
        self.classes = meta.classes
        count = 0
        while meta.names[count] is not None:  # a NULL stands behind the last
            count += 1
        self.names = [meta.names[i].decode() for i in range(meta.classes)]
        free_ptrs(meta.names, count)


class Network:
    """A network of a cfg file, with the weights of a file unless there is none. Failures raise Error."""

    def __init__(self, cfg, weights=None, clear=False):
        self._net = load_net(_path(cfg), _path(weights) if weights else None, clear)
        if not self._net:
            raise Error(last_error().decode())
        self.notes = last_notes().decode()
        self.width, self.height = network_width(self._net), network_height(self._net)
        self.channels, self.outputs = network_channels(self._net), network_outputs(self._net)

    def close(self):
        free_network(self._net)
        self._net = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def batch(self):
        return network_batch(self._net)

    @batch.setter
    def batch(self, images):
        set_batch_network(self._net, images)
        _check()

    def predict(self, pixels):
        """The answers, a list of floats an image, to `batch` images of [channels][height][width] floats in [0,1]."""
        count = self.batch
        matrix, kept = _rows([pixels], count * self.channels * self.height * self.width)
        out = predict(self._net, matrix.vals[0])
        del kept
        if not out:
            raise Error(last_error().decode())
        return [out[i * self.outputs:(i + 1) * self.outputs] for i in range(count)]

    def predict_file(self, path):
        """The answer to an image file, letterboxed to the network's size."""
        im = load_image(_path(path), 0, 0)
        _check()
        try:
            out = predict_image(self._net, im)
            if not out:
                raise Error(last_error().decode())
            return out[:self.outputs]
        finally:
            free_image(im)

    def classify(self, path, names=None, top=5):
        """[(probability, name)] of the likeliest classes of an image file, best first; without names their numbers."""
        answer = self.predict_file(path)
        index = (c_int * min(top, len(answer)))()
        top_predictions(self._net, len(index), index)
        return [(answer[i], names[i] if names and i < len(names) else i) for i in index]

    def train(self, images, truths):
        """One pass over rows of [channels][height][width] floats and their truths; the loss of an image."""
        x, kept_x = _rows(images, self.channels * self.height * self.width)
        y, kept_y = _rows(truths, self.outputs)
        loss = train_network(self._net, DATA(w=self.width, h=self.height, X=x, y=y))
        del kept_x, kept_y
        _check()
        return loss

    def load_weights(self, path):
        load_weights(self._net, _path(path))
        _check()

    def save_weights(self, path, upto=None):
        if upto is None:
            save_weights(self._net, _path(path))
        else:
            save_weights_upto(self._net, _path(path), upto)
        _check()


def main(arguments):
    if len(arguments) < 4 or arguments[0] in ("-h", "--help"):
        print("usage: darknet.py DATA CFG WEIGHTS IMAGE...", file=sys.stderr)
        return 2
    data, cfg, weights, *images = arguments
    try:
        names = Metadata(data).names
        with Network(cfg, weights) as net:
            for image in images:
                for probability, name in net.classify(image, names):
                    print("%5.2f%%: %s" % (100 * probability, name))
    except Error as error:
        print("darknet.py: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
