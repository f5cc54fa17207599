#!/usr/bin/python3
"""Trains a small network of inverted bottlenecks on Fashion-MNIST in numpy and writes its layers as integer words with
the activations of one test image: the layer traces that calibration holds its models against (layers.json).

Run again only to change the network; the file is committed. Usage: train_layers.py [DATA_DIRECTORY [OUT]]
"""
import gzip
import json
import os
import sys

import numpy as np

DATA = "/usr/share/datasets/fashion-mnist"
# name, filters, size, stride, groups ("all" = depthwise), relu
NETWORK = [("first", 16, 3, 2, 1, True), ("depthwise 1", 16, 3, 1, "all", True), ("project 1", 8, 1, 1, 1, False),
           ("expand 1", 48, 1, 1, 1, True), ("depthwise 2", 48, 3, 2, "all", True), ("project 2", 16, 1, 1, 1, False),
           ("expand 2", 64, 1, 1, 1, True), ("spatial", 32, 3, 2, 1, True)]
CLASSES, BATCH, STEPS = 10, 64, 700


def read_idx(directory, name):
    path = os.path.join(directory, name)
    opened = gzip.open(path + ".gz") if os.path.exists(path + ".gz") else open(path, "rb")
    with opened as f:
        data = f.read()
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])


def columns(x, size, stride):
    """[n][channels][height][width] -> [n][channels][size*size][pixels], zero padding size // 2."""
    n, channels, height, width = x.shape
    pad = size // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out_h, out_w = (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
    parts = [x[:, :, i:i + stride * out_h:stride, j:j + stride * out_w:stride][:, :, :out_h, :out_w]
             for i in range(size) for j in range(size)]
    return np.stack(parts, 2).reshape(n, channels, size * size, out_h * out_w), (out_h, out_w)


def scatter(d, shape, size, stride, out_shape):
    """The transpose of columns()."""
    n, channels, height, width = shape
    pad = size // 2
    x = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), np.float32)
    d = d.reshape(n, channels, size * size, *out_shape)
    for i in range(size):
        for j in range(size):
            x[:, :, i:i + stride * out_shape[0]:stride, j:j + stride * out_shape[1]:stride] += d[:, :, i * size + j]
    return x[:, :, pad:pad + height, pad:pad + width]


class Convolution:
    def __init__(self, rng, channels, filters, size, stride, depthwise, relu):
        self.size, self.stride, self.depthwise, self.relu = size, stride, depthwise, relu
        fan_in = size * size * (1 if depthwise else channels)
        self.parameters = [rng.normal(0, np.sqrt(2 / fan_in), (filters, 1 if depthwise else channels, size * size))
                           .astype(np.float32), np.zeros(filters, np.float32)]

    def forward(self, x):
        self.shape, (w, b) = x.shape, self.parameters
        self.columns, self.out_shape = columns(x, self.size, self.stride)
        how = "kcs,nksp->nkp" if self.depthwise else "kcs,ncsp->nkp"
        y = np.einsum(how, w, self.columns, optimize=True) + b[:, None]
        self.mask = y > 0 if self.relu else np.ones_like(y, bool)
        return (y * self.mask).reshape(len(x), -1, *self.out_shape)

    def backward(self, d):
        d = d.reshape(len(d), d.shape[1], -1) * self.mask
        w = self.parameters[0]
        if self.depthwise:
            grad = np.einsum("nkp,nksp->ks", d, self.columns, optimize=True)[:, None]
            back = np.einsum("kcs,nkp->nksp", w, d, optimize=True)
        else:
            grad = np.einsum("nkp,ncsp->kcs", d, self.columns, optimize=True)
            back = np.einsum("kcs,nkp->ncsp", w, d, optimize=True)
        self.gradients = [grad, d.sum(axis=(0, 2))]
        return scatter(back, self.shape, self.size, self.stride, self.out_shape)


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else DATA
    here = os.path.dirname(os.path.abspath(__file__))
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(here, "layers.json")
    rng = np.random.default_rng(5)
    images = read_idx(directory, "train-images-idx3-ubyte").reshape(-1, 1, 28, 28)
    labels = read_idx(directory, "train-labels-idx1-ubyte")
    test_images = read_idx(directory, "t10k-images-idx3-ubyte").reshape(-1, 1, 28, 28)
    test_labels = read_idx(directory, "t10k-labels-idx1-ubyte")
    layers, channels = [], 1
    for _, filters, size, stride, groups, relu in NETWORK:
        layers.append(Convolution(rng, channels, filters, size, stride, groups == "all", relu))
        channels = filters
    head = [rng.normal(0, 0.1, (channels, CLASSES)).astype(np.float32), np.zeros(CLASSES, np.float32)]
    state = {}

    def run(x):
        x = x.astype(np.float32) / 255
        for layer in layers:
            x = layer.forward(x)
        return x

    def adam(key, value, gradient, step):
        m, v = state.setdefault(key, [np.zeros_like(value), np.zeros_like(value)])
        m += 0.1 * (gradient - m)
        v += 0.001 * (gradient ** 2 - v)
        rate = 2e-3 * (1 - step / STEPS)
        value -= rate * (m / (1 - 0.9 ** (step + 1))) / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)

    for step in range(STEPS):
        pick = rng.integers(0, len(images), BATCH)
        features = run(images[pick])
        pooled = features.mean(axis=(2, 3))
        logits = pooled @ head[0] + head[1]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(BATCH), labels[pick]] -= 1
        p /= BATCH
        pixels = features.shape[2] * features.shape[3]
        d = np.repeat((p @ head[0].T)[:, :, None] / pixels, pixels, axis=2).reshape(features.shape)
        for layer in reversed(layers):
            d = layer.backward(d)
        adam("head", head[0], pooled.T @ p, step)
        adam("bias", head[1], p.sum(axis=0), step)
        for i, layer in enumerate(layers):
            for j, (value, gradient) in enumerate(zip(layer.parameters, layer.gradients)):
                adam((i, j), value, gradient, step)
    right = sum(int(((run(test_images[i:i + 250]).mean(axis=(2, 3)) @ head[0] + head[1]).argmax(axis=1)
                     == test_labels[i:i + 250]).sum()) for i in range(0, 2000, 250))
    print(f"accuracy on 2000 test images: {right / 20:.1f} %")
    write(out, layers, images[:256], test_images[7:8])


def write(path, layers, calibration, image):
    """Words as docs of the method have them: weights symmetric per filter; activations unsigned after relu, else signed."""
    calibration, image = (x.astype(np.float32) / 255 for x in (calibration, image))
    out, signed = [], False
    for (name, filters, size, stride, groups, relu), layer in zip(NETWORK, layers):
        channels = image.shape[1]
        scale = np.abs(calibration).max() / (127 if signed else 255)
        words = np.clip(np.rint(image[0] / scale), -127 if signed else 0, 127 if signed else 255)
        w = layer.parameters[0].reshape(filters, -1, size, size)
        weight_scale = np.abs(w).reshape(filters, -1).max(axis=1) / 127
        weights = np.rint(w / weight_scale[:, None, None, None])
        out.append(dict(name=name, filters=filters, channels=channels, groups=channels if groups == "all" else 1,
                        size=size, stride=stride, padding=size // 2, height=image.shape[2], width=image.shape[3],
                        activation_signed=signed, weights=weights.astype(int).ravel().tolist(),
                        activations=words.astype(int).ravel().tolist()))
        calibration, image, signed = layer.forward(calibration), layer.forward(image), not relu
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "\n]\n")


if __name__ == "__main__":
    main()
