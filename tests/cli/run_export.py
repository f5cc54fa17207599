"""Runs an export in numpy: docs/integer-network.md from the arrays that `darknet hd export` wrote.

    run_export.py READER DIR INPUTS.npy LOGITS.npy    READER: scripts/read_export; INPUTS: of `darknet hd run -inputs`
"""
import importlib.machinery
import importlib.util
import sys

import numpy as np

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("read_export", sys.argv[1])
reader = importlib.util.module_from_spec(importlib.util.spec_from_loader("read_export", loader))
loader.exec_module(reader)


def requantise(value, multiplier, shift):
    product = value.astype(np.int64) * multiplier
    return np.sign(product) * ((np.abs(product) + (np.int64(1) << shift.astype(np.int64) - 1)) >> shift.astype(np.int64))


def windows(x, layer, fill):
    """[n][y][x][channel][size][size] of an input [n][height][width][channel]."""
    size, stride, dilation, out = layer["size"], layer["stride"], layer["dilation"], layer["output"]
    pool = layer["operation"] == "maxpool"
    before, spread = (layer["padding"] // 2 if pool else layer["padding"]), 1 if pool else dilation
    after = [max(0, (out[key] - 1) * stride + spread * (size - 1) + 1 - x.shape[i] - before) for i, key in ((1, "height"), (2, "width"))]
    x = np.pad(x, ((0, 0), (before, after[0]), (before, after[1]), (0, 0)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, (spread * (size - 1) + 1,) * 2, (1, 2))
    return view[:, ::stride, ::stride, :, ::spread, ::spread][:, :out["height"], :out["width"]]


def accumulate(x, layer, words, bias):
    if layer["operation"] == "connected":
        return x.transpose(0, 3, 1, 2).reshape(len(x), 1, 1, -1) @ words.T + bias
    groups, cut = layer["groups"], windows(x, layer, 0)
    parts = [part.reshape(*part.shape[:3], -1) @ filters.T for part, filters in zip(np.split(cut, groups, 3), np.split(words, groups))]
    return np.concatenate(parts, 3) + bias


def overlap(x, shape):
    """A shortcut's second input in the shape of its first: every so many pixels, the first channels, 0 elsewhere."""
    out, (inner, outer) = np.zeros((len(x), *shape), int), (max(1, x.shape[2] // shape[1]), max(1, shape[1] // x.shape[2]))
    part, channels = x[:, ::inner, ::inner], min(x.shape[3], shape[2])
    out[:, ::outer, ::outer, :channels] = part[..., :channels]
    return out


def run(manifest, array, images):
    tensors = {-1: images.astype(int)}
    raw = None
    for i, layer in enumerate(manifest["layers"]):
        inputs, kind, out = [tensors[j] for j in layer["inputs"]], layer["operation"], layer["output"]
        x, logits = inputs[0], manifest["logits"] if manifest["logits"]["layer"] == i else {}
        ratios = [array(layer[key]) for key in ("multiplier", "shift")] if "multiplier" in layer else None
        if kind in ("convolution", "connected"):
            words = reader.tensor(layer["stream"], manifest["accelerator"], array) if "stream" in layer else array(layer["words"]).astype(int)
            words[layer.get("held", [])] = 0
            sums = accumulate(x, layer, words, array(layer["bias"]))
            y = requantise(sums, *ratios)
            if "multiplier" in logits:
                raw = np.clip(requantise(sums, array(logits["multiplier"]), array(logits["shift"])), 1 - 2**31, 2**31 - 1)
        elif kind == "maxpool":
            bits = manifest["accelerator"]["activation_bits"]
            y = windows(x, layer, 1 - 2**(bits - 1) if out["signed"] else 0).max((4, 5))
        elif kind == "average_pool":
            sums, n = x.sum((1, 2), keepdims=True), x.shape[1] * x.shape[2]
            y, raw = np.sign(sums) * ((2 * np.abs(sums) + n) // (2 * n)), sums if logits else raw
        elif kind in ("shortcut", "route"):
            terms = [requantise(term, m, s) for term, m, s in zip(inputs, *ratios)]
            y = terms[0] + overlap(terms[1], x.shape[1:]) if kind == "shortcut" else None
            y = np.concatenate([np.clip(t, layer["low"], layer["high"]) for t in terms], 3) if y is None else y
        else:
            y = x
        if kind in ("convolution", "connected", "shortcut"):
            y = np.clip(y, layer["low"], layer["high"])
        if "table" in layer:
            y = array(layer["table"])[y & 255]
            y = y.astype(np.int8 if out["signed"] else np.uint8).astype(int)
        tensors[i] = y
        if logits:
            raw = y if raw is None else raw
            return (raw.transpose(0, 3, 1, 2).reshape(len(x), -1) * float(np.float32(logits["scale"]))).astype(np.float32)


if __name__ == "__main__":
    manifest, array = reader.load(sys.argv[2])
    np.save(sys.argv[4], run(manifest, array, np.load(sys.argv[3])))
