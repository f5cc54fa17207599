"""Sets `darknet hd flips -json` beside brute_flips.c.

    brute_flips.py weights CFG OUT                     random Darknet weights for the cfg
    brute_flips.py compare CFG WEIGHTS JSON PROGRAM    lets PROGRAM count the words of the .stream beside WEIGHTS (in its orders),
                                                       else those of the weights quantised anew; exit 1 on a difference
"""
import json
import os
import struct
import subprocess
import sys

import numpy


def layers_with_weights(path):
    """(index, kind, filters, channels, groups, size, output pixels, batch_normalize) of each layer with weights."""
    sections = []
    for line in open(path):
        line = "".join(line.split())
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line and line[0] not in "#;":
            key, _, value = line.partition("=")
            sections[-1][1][key] = value
    net = sections[0][1]
    height, width, channels = (int(net[key]) for key in ("height", "width", "channels"))
    found, depths = [], []
    for index, (kind, keys) in enumerate(sections[1:]):
        normalized = int(keys.get("batch_normalize", 0))
        if kind == "convolutional":
            filters, size, stride, groups = (int(keys.get(key, 1)) for key in ("filters", "size", "stride", "groups"))
            padding = size // 2 if int(keys.get("pad", 0)) else int(keys.get("padding", 0))
            height = (height + 2 * padding - size) // stride + 1
            width = (width + 2 * padding - size) // stride + 1
            found.append((index, kind, filters, channels, groups, size, height * width, normalized))
            channels = filters
        elif kind == "connected":
            outputs = int(keys["output"])
            found.append((index, kind, outputs, channels * height * width, 1, 1, 1, normalized))
            height, width, channels = 1, 1, outputs
        elif kind == "avgpool":
            height = width = 1
        elif kind == "maxpool":
            height, width = height // int(keys["stride"]), width // int(keys["stride"])
        elif kind == "route":
            channels = sum(depths[int(layer)] for layer in keys["layers"].split(","))
        depths.append(channels)
    return found


def write_weights(cfg, out):
    rng = numpy.random.default_rng()
    with open(out, "wb") as file:
        file.write(struct.pack("<iiiQ", 0, 2, 0, 0))
        for _, kind, filters, channels, groups, size, _, normalized in layers_with_weights(cfg):
            weights = rng.laplace(0, .1, filters * (channels // groups) * size * size)
            weights[rng.random(weights.size) < .1] = 0
            statistics = [rng.normal(1, .1, filters), rng.normal(0, .1, filters), rng.uniform(.5, 2, filters)] if normalized else []
            parts = [rng.normal(0, .1, filters)]
            parts += statistics + [weights] if kind == "convolutional" else [weights] + statistics
            for part in parts:
                file.write(part.astype("<f4").tobytes())


def read_words(cfg, weights_path, bits):
    """Yields each layer with its words: symmetric, a scale for each filter, half to even, all in float32."""
    data = open(weights_path, "rb").read()
    at = 20
    largest = numpy.float32(2 ** (bits - 1) - 1)
    for layer in layers_with_weights(cfg):
        _, kind, filters, channels, groups, size, _, normalized = layer
        count = filters * (channels // groups) * size * size
        skipped = filters * (4 if normalized else 1) if kind == "convolutional" else filters
        at += 4 * skipped
        weights = numpy.frombuffer(data, "<f4", count, at).reshape(filters, -1)
        at += 4 * count + (4 * 3 * filters if normalized and kind == "connected" else 0)
        scales = numpy.abs(weights).max(axis=1, keepdims=True) / largest
        scales[scales == 0] = 1
        words = numpy.clip(numpy.rint(weights / scales), -largest, largest).astype(int)
        yield layer, words
    assert at == len(data), "%s: %d bytes were expected" % (weights_path, at)


class Bytes:
    """A .stream file read from its start, as docs/stream-format.md has it."""

    def __init__(self, path):
        self.data, self.at = open(path, "rb").read(), 24

    def array(self, kind, count):
        values = numpy.frombuffer(self.data, kind, count, self.at)
        self.at += values.nbytes
        return values

    def number(self, kind):
        return int(self.array(kind, 1)[0])

    def skip_text(self):
        self.at += 1 + self.data[self.at]


def read_permutations(stream, count, length):
    """Each row holds each of 0 .. length - 1 once."""
    kind = "<u1" if length <= 256 else "<u2" if length <= 65536 else "<u4"
    rows = stream.array(kind, count * length).reshape(count, length).astype(int)
    assert (numpy.sort(rows, axis=1) == numpy.arange(length)).all(), "no permutation"
    return rows


def read_stream(path):
    """{layer: (words [filters][], what the counting program reads of orders and lane channels)}."""
    stream, layers = Bytes(path), {}
    stream.skip_text(), stream.skip_text(), stream.number("<u4"), stream.skip_text()
    rows, _ = stream.number("<u4"), stream.number("<u4")
    dataflow, _, _, _, _, shared = stream.array("<u1", 6).tolist()
    count, nodes, with_scales = stream.number("<u4"), stream.number("<u4"), stream.number("<u1")
    for _ in range(count):
        index = stream.number("<u4")
        filters, channels, groups, size, _ = stream.array("<u8", 5).astype(int).tolist()
        _, _, present, sign_sets = stream.number("<u1"), stream.number("<u1"), stream.number("<u2"), stream.number("<u4")
        scales = stream.array("<f4", filters)
        assert (scales > 0).all()
        words = stream.array("<i1", filters * (channels // groups) * size * size).reshape(filters, -1).astype(int)
        by_output = dataflow == 1 or channels == groups
        plan_groups = 1 if channels == groups else groups
        axis = filters // plan_groups if by_output else channels // groups
        length = channels // groups * size * size if by_output else filters // groups
        orders = plan_groups * -(-axis // rows) * (size * size if not by_output and not shared else 1)
        extra, lanes = "", numpy.arange(axis)
        for flag, name, number, width in ((1, "orders", orders, length), (2, "lanes", plan_groups, axis)):
            if present & flag:
                table = read_permutations(stream, number, width)
                lanes = table[0] if flag == 2 else lanes
                extra += "%s %d %d\n%s\n" % (name, number, width, " ".join(map(str, table.ravel())))
        if sign_sets:  # of ungrouped layers here: a filter's sign, in the segment of the input channel
            bits = numpy.unpackbits(stream.array("<u1", (sign_sets * filters + 7) // 8), bitorder="little")
            signs = 1 - 2 * bits[:sign_sets * filters].astype(int).reshape(sign_sets, filters)
            segment = numpy.empty(axis, int)
            segment[lanes] = numpy.arange(axis) // rows if sign_sets > 1 else 0
            words = (words.reshape(filters, axis, -1) * signs[segment].T[:, :, None]).reshape(filters, -1)
        layers[index] = words, extra
    assert stream.at + (5 * nodes if with_scales else 0) == len(stream.data), "%s: another length was expected" % path
    return layers


def compare(cfg, weights, json_path, program):
    sidecar = os.path.splitext(weights)[0] + ".stream"
    streams = read_stream(sidecar) if os.path.exists(sidecar) else {}
    document = json.load(open(json_path))
    accelerator = document["accelerator"]
    told = {layer["index"]: layer for layer in document["layers"]}
    equal, sums = 0, {"flips": 0, "flips_inside_tiles": 0, "transitions": 0}
    for layer, words in read_words(cfg, weights, accelerator.get("weight_bits", 8)):
        index, _, filters, channels, groups, size, pixels, _ = layer
        words, extra = streams.get(index, (words, ""))
        text = "%s %d %d %d %s %s %s\n%d %d %d %d %d\n%s\n%s" % (
            accelerator["dataflow"], accelerator["rows"], accelerator["cols"], accelerator.get("weight_bits", 8),
            accelerator["representation"], accelerator.get("encoding", "none"), accelerator.get("kernel_orders", "each"),
            filters, channels, groups, size, pixels, " ".join(map(str, words.ravel())), extra)
        out = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.split()
        counted = dict(zip(out[::2], map(int, out[1::2])))
        for key, value in counted.items():
            if told[index][key] != value:
                print("layer %d: %s: the program says %s, the lanes say %d" % (index, key, told[index][key], value))
                return 1
        for key in sums:
            sums[key] += counted[key]
        equal += 1
    for key, value in sums.items():
        if document["total"][key] != value:
            print("total: %s: the program says %s, the layers sum up to %d" % (key, document["total"][key], value))
            return 1
    if len(told) != equal:
        print("%d layers told, %d have weights" % (len(told), equal))
        return 1
    print("%d layers equal" % equal)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "weights":
        write_weights(*sys.argv[2:])
    else:
        sys.exit(compare(*sys.argv[2:]))
