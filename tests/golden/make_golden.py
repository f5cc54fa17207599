#!/usr/bin/env python3
"""Writes the golden files of test_golden.c: a small network of every layer type, its weights, images, and the answers and SGD steps
that a plain NCHW reference in double precision gives. Written from the published formats alone; shares nothing with the C code.

    tests/golden/make_golden.py        writes golden.cfg, golden.weights, golden.bin beside itself
"""
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, CHANNELS, HEIGHT, WIDTH = 4, 3, 8, 8
RATE, MOMENTUM, DECAY, STEPS = .05, .9, .01, 2

LAYERS = [
    dict(t="convolutional", batch_normalize=1, filters=8, size=3, stride=1, pad=1, activation="relu6"),       # 0
    dict(t="convolutional", batch_normalize=1, filters=8, size=3, stride=2, pad=1, groups=8, activation="leaky"),  # 1
    dict(t="convolutional", batch_normalize=1, filters=6, size=1, stride=1, activation="linear"),               # 2
    dict(t="convolutional", filters=6, size=3, stride=1, pad=1, groups=2, activation="tanh"),                    # 3
    dict(t="shortcut", **{"from": "-2", "activation": "swish"}),                                                 # 4
    dict(t="route", layers="-1,-2"),                                                                             # 5
    dict(t="batchnorm"),                                                                                         # 6
    dict(t="activation", activation="mish"),                                                                     # 7
    dict(t="maxpool", size=2, stride=2),                                                                         # 8
    dict(t="connected", output=9, batch_normalize=1, activation="logistic"),                                     # 9
    dict(t="connected", output=5, activation="relu"),                                                            # 10
    dict(t="softmax", temperature=2),                                                                            # 11
]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.logaddexp(0, z)


def mish(z):
    return z * np.tanh(softplus(z))


def numeric(function):
    return lambda z: (function(z + 1e-6) - function(z - 1e-6)) / 2e-6


ACTIVATIONS = {  # value, derivative
    "linear": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.),
    "relu6": (lambda z: np.clip(z, 0, 6), lambda z: ((z > 0) & (z < 6)) * 1.),
    "leaky": (lambda z: np.where(z > 0, z, .1 * z), lambda z: np.where(z > 0, 1., .1)),
    "logistic": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "swish": (lambda z: z * sigmoid(z), numeric(lambda z: z * sigmoid(z))),
    "mish": (mish, numeric(mish)),
}


class Norm:
    """Darknet's batch norm: (n - 1) divisor and sqrt(v) + 1e-6 forward, v + 1e-5 and divisor n backward."""

    def __init__(self, channels, random):
        self.scales = random.uniform(.5, 1.5, channels)
        self.mean = random.normal(0, .2, channels)
        self.variance = random.uniform(.5, 1.5, channels)

    def forward(self, x, training):
        axes = tuple(i for i in range(x.ndim) if i != 1)
        shape = [1, -1] + [1] * (x.ndim - 2)
        self.axes, self.shape, self.n = axes, shape, x.size // x.shape[1]
        mean, variance = self.mean, self.variance
        if training:
            mean = x.mean(axes)
            variance = ((x - mean.reshape(shape)) ** 2).sum(axes) / (self.n - 1)
            self.mean = .99 * self.mean + .01 * mean
            self.variance = .99 * self.variance + .01 * variance
        self.batch_variance = variance
        self.centered = x - mean.reshape(shape)
        self.normal = self.centered / (np.sqrt(variance) + 1e-6).reshape(shape)
        return self.normal * self.scales.reshape(shape)

    def backward(self, delta):
        self.scale_gradient = (delta * self.normal).sum(self.axes)
        delta = delta * self.scales.reshape(self.shape)
        inverse = 1 / np.sqrt(self.batch_variance + 1e-5)
        mean_delta = -delta.sum(self.axes) * inverse
        variance_delta = (delta * self.centered).sum(self.axes) * -.5 * inverse ** 3
        return (delta * inverse.reshape(self.shape) + 2 / self.n * variance_delta.reshape(self.shape) * self.centered
                + mean_delta.reshape(self.shape) / self.n)


class Layer:
    def __init__(self, keys, shapes, index, random):
        self.k, self.index = keys, index
        self.inputs = [index - 1]
        c, h, w = shapes[index - 1] if index else (CHANNELS, HEIGHT, WIDTH)
        self.arrays, self.norm = {}, None
        t = keys["t"]
        self.shape = (c, h, w)
        if t == "convolutional":
            n, s = keys["filters"], keys["size"]
            pad = s // 2 if keys.get("pad") else 0
            self.pad, self.groups = pad, keys.get("groups", 1)
            self.arrays["weights"] = random.normal(0, .4, (n, c // self.groups, s, s))
            self.shape = (n, (h + 2 * pad - s) // keys["stride"] + 1, (w + 2 * pad - s) // keys["stride"] + 1)
        elif t == "connected":
            self.arrays["weights"] = random.normal(0, .3, (keys["output"], c * h * w))
            self.shape = (keys["output"], 1, 1)
        elif t == "shortcut":
            self.inputs.append(index + int(keys["from"]))
        elif t == "route":
            self.inputs = [index + int(i) for i in keys["layers"].split(",")]
            self.shape = (sum(shapes[i][0] for i in self.inputs), h, w)
        elif t == "maxpool":
            self.shape = (c, (h + keys["size"] - 1 - keys["size"]) // keys["stride"] + 1,
                          (w + keys["size"] - 1 - keys["size"]) // keys["stride"] + 1)
        if t in ("convolutional", "connected", "batchnorm"):
            self.arrays["biases"] = np.zeros(self.shape[0]) if t == "batchnorm" else random.normal(0, .3, self.shape[0])
        if keys.get("batch_normalize") or t == "batchnorm":
            self.norm = Norm(self.shape[0], random)

    def forward(self, xs, training):
        x, t = xs[0], self.k["t"]
        self.x = x
        if t == "convolutional":
            z = self.convolve(x)
        elif t == "connected":
            z = x.reshape(len(x), -1) @ self.arrays["weights"].T
        elif t == "shortcut":
            z = xs[0] + xs[1]
        elif t == "route":
            return np.concatenate(xs, 1)
        elif t == "maxpool":
            return self.pool(x)
        elif t == "softmax":
            e = np.exp((x - x.max(1, keepdims=True)) / self.k.get("temperature", 1))
            self.out = e / e.sum(1, keepdims=True)
            return self.out
        else:
            z = x
        if self.norm:
            z = self.norm.forward(z, training)
        if "biases" in self.arrays:
            z = z + self.arrays["biases"].reshape([1, -1] + [1] * (z.ndim - 2))
        self.z = z
        return ACTIVATIONS[self.k.get("activation", "linear")][0](z)

    def windows(self, x):
        """Patches [N][C][S][S][H'][W'] and where they come from."""
        s, stride, pad = self.k["size"], self.k["stride"], self.pad
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        c, h, w = self.shape
        return padded, [(r, q, padded[:, :, r:r + stride * h:stride, q:q + stride * w:stride]) for r in range(s) for q in range(s)]

    def convolve(self, x):
        out = np.zeros((len(x),) + self.shape)
        g, n, c = self.groups, self.shape[0] // self.groups, x.shape[1] // self.groups
        for r, q, patch in self.windows(x)[1]:
            for i in range(g):
                out[:, i * n:(i + 1) * n] += np.einsum("nchw,kc->nkhw", patch[:, i * c:(i + 1) * c],
                                                       self.arrays["weights"][i * n:(i + 1) * n, :, r, q])
        return out

    def pool(self, x):
        size, stride = self.k["size"], self.k["stride"]
        offset = -((size - 1) // 2)
        out = np.full((len(x),) + self.shape, -np.inf)
        self.winner = np.zeros(out.shape, int)
        for y in range(self.shape[1]):
            for z in range(self.shape[2]):
                for r in range(size):
                    for q in range(size):
                        a, b = y * stride + r + offset, z * stride + q + offset
                        if 0 <= a < x.shape[2] and 0 <= b < x.shape[3]:
                            better = x[:, :, a, b] > out[:, :, y, z]
                            out[:, :, y, z] = np.where(better, x[:, :, a, b], out[:, :, y, z])
                            self.winner[:, :, y, z] = np.where(better, a * x.shape[3] + b, self.winner[:, :, y, z])
        return out

    def backward(self, delta, xs):
        """The (negative) gradients of the inputs; own ones in self.gradients."""
        t = self.k["t"]
        self.gradients = {}
        if t == "softmax":
            return [delta]
        if t == "route":
            edges = np.cumsum([x.shape[1] for x in xs])[:-1]
            return np.split(delta, edges, 1)
        if t == "maxpool":
            out = np.zeros_like(xs[0]).reshape(xs[0].shape[0], xs[0].shape[1], -1)
            for n in range(out.shape[0]):
                for c in range(out.shape[1]):
                    np.add.at(out[n, c], self.winner[n, c].ravel(), delta[n, c].ravel())
            return [out.reshape(xs[0].shape)]
        delta = delta * ACTIVATIONS[self.k.get("activation", "linear")][1](self.z)
        if "biases" in self.arrays:
            self.gradients["biases"] = delta.sum(tuple(i for i in range(delta.ndim) if i != 1))
        if self.norm:
            delta = self.norm.backward(delta)
            self.gradients["scales"] = self.norm.scale_gradient
        if t == "shortcut":
            return [delta, delta]
        if t == "connected":
            flat = xs[0].reshape(len(xs[0]), -1)
            self.gradients["weights"] = delta.T @ flat
            return [(delta @ self.arrays["weights"]).reshape(xs[0].shape)]
        if t == "convolutional":
            return [self.convolve_back(xs[0], delta)]
        return [delta]

    def convolve_back(self, x, delta):
        weights = self.arrays["weights"]
        gradient = np.zeros_like(weights)
        padded, patches = self.windows(x)
        back = np.zeros_like(padded)
        g, n, c = self.groups, self.shape[0] // self.groups, x.shape[1] // self.groups
        stride, (_, h, w) = self.k["stride"], self.shape
        for r, q, patch in patches:
            for i in range(g):
                d = delta[:, i * n:(i + 1) * n]
                gradient[i * n:(i + 1) * n, :, r, q] += np.einsum("nkhw,nchw->kc", d, patch[:, i * c:(i + 1) * c])
                back[:, i * c:(i + 1) * c, r:r + stride * h:stride, q:q + stride * w:stride] += np.einsum(
                    "nkhw,kc->nchw", d, weights[i * n:(i + 1) * n, :, r, q])
        self.gradients["weights"] = gradient
        return back[:, :, self.pad:self.pad + x.shape[2], self.pad:self.pad + x.shape[3]]


def forward(layers, images, training):
    outs = []
    for l in layers:
        xs = [outs[i] if i >= 0 else images for i in l.inputs]
        l.xs = xs
        outs.append(l.forward(xs, training))
    return outs


def step(layers, images, truth, velocity):
    outs = forward(layers, images, True)
    deltas = [None] * len(layers)
    deltas[-1] = truth - outs[-1]
    loss = -(truth * np.log(outs[-1])).sum()
    for l in reversed(layers):
        for i, d in zip(l.inputs, l.backward(deltas[l.index], l.xs)):
            if i >= 0:
                deltas[i] = d if deltas[i] is None else deltas[i] + d
    for l in layers:
        for name, gradient in l.gradients.items():
            values = l.norm.scales if name == "scales" else l.arrays[name]
            u = velocity.setdefault((l.index, name), np.zeros_like(values))
            u *= MOMENTUM
            u += gradient - (DECAY * BATCH * values if name == "weights" else 0)
            values += RATE / BATCH * u
    return loss


def weight_file(layers, seen):
    parts = [struct.pack("<iiiQ", 0, 2, 0, seen)]
    for l in layers:
        a, n = l.arrays, l.norm
        norm = [n.scales, n.mean, n.variance] if n else []
        order = {"convolutional": lambda: [a["biases"]] + norm + [a["weights"]],
                 "connected": lambda: [a["biases"], a["weights"]] + norm,
                 "batchnorm": lambda: norm}.get(l.k["t"], lambda: [])()
        parts += [array.astype("<f4").tobytes() for array in order]
    return b"".join(parts)


def cfg_text():
    lines = ["# Every layer type once; written by make_golden.py", "[net]", "batch=%d" % BATCH, "height=%d" % HEIGHT,
             "width=%d" % WIDTH, "channels=%d" % CHANNELS, "learning_rate=%g" % RATE, "momentum=%g" % MOMENTUM, "decay=%g" % DECAY, ""]
    for keys in LAYERS:
        lines += ["[%s]" % keys["t"]] + ["%s=%s" % (k, v) for k, v in keys.items() if k != "t"] + [""]
    return "\n".join(lines)


def main():
    random = np.random.RandomState(20)
    shapes, layers = {}, []
    for index, keys in enumerate(LAYERS):
        layers.append(Layer(keys, shapes, index, random))
        shapes[index] = layers[-1].shape
    for l in layers:  # what a file can hold
        for a in list(l.arrays.values()) + ([l.norm.scales, l.norm.mean, l.norm.variance] if l.norm else []):
            a[...] = a.astype(np.float32)
    images = random.uniform(-1, 1, (BATCH, CHANNELS, HEIGHT, WIDTH)).astype(np.float32).astype(float)
    truth = np.eye(5)[random.randint(0, 5, BATCH)]
    start = weight_file(layers, 0)
    inference = forward(layers, images, False)[-1]
    velocity, losses = {}, []
    for _ in range(STEPS):
        losses.append(step(layers, images, truth, velocity))
    with open(os.path.join(HERE, "golden.cfg"), "w") as file:
        file.write(cfg_text())
    for name, data in (("golden.weights", start), ("golden_trained.weights", weight_file(layers, STEPS * BATCH))):
        with open(os.path.join(HERE, name), "wb") as file:
            file.write(data)
    with open(os.path.join(HERE, "golden.bin"), "wb") as file:  # float32: NCHW images, truth, probabilities, losses an image
        for array in (images, truth, inference, np.array(losses) / BATCH):
            file.write(array.astype("<f4").tobytes())


main()
