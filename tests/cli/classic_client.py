"""A ctypes client as users of Darknet write them: it binds the library by itself, every name at its start, and knows
nothing of this project. Prints "NN.NN%: name" lines for each image, as `darknet classifier predict` does.
    classic_client.py LIBRARY DATA CFG WEIGHTS IMAGE...
The environment variable WAY chooses how an image goes in: image (network_predict_image), predict (letterbox_image and
network_predict), top (top_predictions afterwards)."""
import os
import sys
from ctypes import CDLL, POINTER, RTLD_GLOBAL, Structure, c_char_p, c_float, c_int, c_void_p, pointer


class IMAGE(Structure):
    _fields_ = [("w", c_int), ("h", c_int), ("c", c_int), ("data", POINTER(c_float))]


class METADATA(Structure):
    _fields_ = [("classes", c_int), ("names", POINTER(c_char_p))]


class DETECTION(Structure):
    _fields_ = [("classes", c_int)]


lib = CDLL(sys.argv[1], RTLD_GLOBAL)
lib.network_width.argtypes = [c_void_p]
lib.network_width.restype = c_int
lib.network_height.argtypes = [c_void_p]
lib.network_height.restype = c_int

predict = lib.network_predict
predict.argtypes = [c_void_p, POINTER(c_float)]
predict.restype = POINTER(c_float)
set_gpu = lib.cuda_set_device
set_gpu.argtypes = [c_int]
make_image = lib.make_image
make_image.argtypes = [c_int, c_int, c_int]
make_image.restype = IMAGE
get_network_boxes = lib.get_network_boxes
get_network_boxes.argtypes = [c_void_p, c_int, c_int, c_float, c_float, POINTER(c_int), c_int, POINTER(c_int)]
get_network_boxes.restype = POINTER(DETECTION)
make_network_boxes = lib.make_network_boxes
free_detections = lib.free_detections
free_detections.argtypes = [POINTER(DETECTION), c_int]
free_ptrs = lib.free_ptrs
reset_rnn = lib.reset_rnn
load_net = lib.load_network
load_net.argtypes = [c_char_p, c_char_p, c_int]
load_net.restype = c_void_p
load_net_custom = lib.load_network_custom
load_net_custom.argtypes = [c_char_p, c_char_p, c_int, c_int]
load_net_custom.restype = c_void_p
do_nms_obj = lib.do_nms_obj
do_nms_obj.argtypes = [POINTER(DETECTION), c_int, c_int, c_float]
do_nms_sort = lib.do_nms_sort
free_image = lib.free_image
free_image.argtypes = [IMAGE]
letterbox_image = lib.letterbox_image
letterbox_image.argtypes = [IMAGE, c_int, c_int]
letterbox_image.restype = IMAGE
load_meta = lib.get_metadata
lib.get_metadata.argtypes = [c_char_p]
lib.get_metadata.restype = METADATA
load_image = lib.load_image_color
load_image.argtypes = [c_char_p, c_int, c_int]
load_image.restype = IMAGE
rgbgr_image = lib.rgbgr_image
rgbgr_image.argtypes = [IMAGE]
predict_image = lib.network_predict_image
predict_image.argtypes = [c_void_p, IMAGE]
predict_image.restype = POINTER(c_float)
lib.top_predictions.argtypes = [c_void_p, c_int, POINTER(c_int)]
lib.set_batch_network.argtypes = [c_void_p, c_int]
lib.free_network.argtypes = [c_void_p]


def answer(net, im):
    if os.environ.get("WAY") == "image":
        return predict_image(net, im)
    boxed = letterbox_image(im, lib.network_width(net), lib.network_height(net))
    lib.set_batch_network(net, 1)
    out = predict(net, boxed.data)
    free_image(boxed)
    return out


def order(net, meta, out):
    if os.environ.get("WAY") == "top":
        index = (c_int * meta.classes)()
        lib.top_predictions(net, meta.classes, index)
        return list(index)
    return sorted(range(meta.classes), key=lambda i: -out[i])


def boxes(net, im):
    number = c_int(-1)
    found = get_network_boxes(net, im.w, im.h, .5, .5, None, 0, pointer(number))
    do_nms_obj(found, number.value, 1, .45)
    free_detections(found, number.value)
    return number.value


set_gpu(0)
network = load_net(sys.argv[3].encode(), sys.argv[4].encode(), 0)
metadata = load_meta(sys.argv[2].encode())
for path in sys.argv[5:]:
    picture = load_image(path.encode(), 0, 0)
    result = answer(network, picture)
    for k in order(network, metadata, result):
        print("%5.2f%%: %s" % (result[k] * 100, metadata.names[k].decode()))
    assert boxes(network, picture) == 0
    free_image(picture)
lib.free_network(network)
