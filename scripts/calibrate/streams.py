"""Operand streams for calibration: controlled flip rates, operand statistics as networks have them, reordered and
trellis-rounded weights, and layers of a trained network. A stream is a schedule on an array and some of its elements.
"""
import json
import os
from dataclasses import dataclass, field

import numpy as np

import array_model as model

ROWS = 8
FLIP_RATES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass
class Stream:
    name: str
    kind: str           # "flip rate" | "per bit" | "statistics" | "layer"
    schedule: model.Schedule
    array: model.Array
    signed: bool
    elements: list = field(default_factory=list)


# ------------------------------------------------------------------------------------------ word sources

def markov_words(rng, shape, flip_rates):
    """Words [..., steps, lanes] whose bits flip from step to step with the given probability (scalar or one a bit)."""
    flips = rng.random(shape + (8,)) < np.broadcast_to(flip_rates, (8,))
    start = rng.integers(0, 2, shape[:-2] + (1,) + shape[-1:] + (8,))
    bits = (np.cumsum(flips, axis=-3) + start) & 1
    return (bits << np.arange(8)).sum(axis=-1)


def laplace_weights(rng, shape, scale):
    return np.clip(np.rint(rng.laplace(0, scale, shape)), -127, 127).astype(np.int64)


def greedy_order(words):
    """A short Hamming path through the steps of words [steps][lanes], from the first, always to the nearest."""
    left, order = list(range(1, len(words))), [0]
    while left:
        distances = model.popcount(words[left] ^ words[order[-1]]).sum(axis=1)
        order.append(left.pop(int(np.argmin(distances))))
    return order


def trellis_round(values, mu, representation):
    """Words [steps][lanes] that minimise flips + mu x squared rounding error along each lane, by dynamic programming
    over the hypercube of words. values: real numbers in words."""
    words = np.arange(256)
    decoded = model.decode_weight(words, representation)
    allowed = (np.abs(decoded) <= 127) & (model.encode_weight(decoded, representation) == words)  # no negative zero
    steps, lanes = values.shape
    cost, back = None, np.zeros((steps, lanes, 256), np.int64)
    for t in range(steps):
        error = np.where(allowed, mu * (values[t][:, None] - decoded) ** 2, np.inf)
        if cost is None:
            cost = error
            continue
        mask = np.zeros((lanes, 256), np.int64)
        for bit in range(8):
            other = cost[:, words ^ (1 << bit)] + 1
            better = other < cost
            mask = np.where(better, mask[:, words ^ (1 << bit)] ^ (1 << bit), mask)
            cost = np.where(better, other, cost)
        back[t], cost = mask, cost + error
    out = np.zeros((steps, lanes), np.int64)
    state, lane = cost.argmin(axis=1), np.arange(lanes)
    for t in range(steps - 1, -1, -1):
        out[t] = state
        state = state ^ back[t, lane, state]
    return out


def activation_words(rng, shape, family, scale, zero_fraction=0.45, correlation=0.0):
    """family: "relu" (unsigned, zeros, half normal), "relu6" (saturating), "signed" (normal). Correlated along axis 0."""
    noise = rng.normal(0, 1, shape)
    for t in range(1, shape[0] if correlation else 0):
        noise[t] = correlation * noise[t - 1] + np.sqrt(1 - correlation ** 2) * noise[t]
    if family == "signed":
        return np.clip(np.rint(noise * scale), -127, 127).astype(np.int64) & 255
    from statistics import NormalDist
    threshold = NormalDist().inv_cdf(zero_fraction) if zero_fraction > 0 else -4.0
    value = np.where(noise > threshold, (noise - threshold) * scale + 1, 0)
    return np.clip(np.rint(value), 0, 255).astype(np.int64)


# ---------------------------------------------------------------------------------------------- streams

def _schedule(array, weights, activations):
    """Tiles of words [tiles][steps][rows]; the held operand [tiles][rows]. Column 0 only."""
    tiles = []
    for w, x in zip(weights, activations):
        if array.dataflow == "input_stationary":
            tiles.append((w, x[:, None], ROWS, 1))
        elif array.dataflow == "weight_stationary":
            tiles.append((x, w[:, None], ROWS, 1))
        else:
            tiles.append((w, x, ROWS, 1))
    return model.schedule_words(tiles, array, array.dataflow)


def _weights(rng, array, tiles, steps, source):
    """Weight words: [tiles][steps][rows], or [tiles][rows] when weights are held."""
    kind, value = source
    if array.dataflow == "weight_stationary":
        if kind == "per bit":
            return markov_words(rng, (1, tiles, ROWS), value)[0]
        if kind == "flips":
            return rng.integers(0, 256, (tiles, ROWS))
        return model.encode_weight(laplace_weights(rng, (tiles, ROWS), value), array.representation)
    if kind in ("flips", "per bit"):
        return markov_words(rng, (1, tiles * steps, ROWS), value).reshape(tiles, steps, ROWS)
    out = []
    for _ in range(tiles):
        real = rng.laplace(0, value, (steps, ROWS))
        words = model.encode_weight(np.clip(np.rint(real), -127, 127), array.representation)
        if kind in ("ordered", "rounded"):
            order = greedy_order(words)
            words, real = words[order], real[order]
        if kind == "rounded":
            words = trellis_round(np.clip(real, -127, 127), 0.01, array.representation)
        out.append(words)
    return np.array(out)


def _activations(rng, array, tiles, steps, source):
    """Activation words: [tiles][rows] when held, [tiles][steps][columns] when shared by rows, else [tiles][steps][rows]."""
    kind, value, options = source
    if array.dataflow == "input_stationary":
        shape = (tiles, ROWS)
        return rng.integers(0, 256, shape) if kind == "flips" else activation_words(rng, shape, kind, value, **options)
    shape = (tiles * steps, 1 if array.dataflow == "output_stationary" else ROWS)
    if kind == "flips":
        words = markov_words(rng, (1,) + shape, value)[0]
    else:
        words = activation_words(rng, shape, kind, value, **options)
    return words.reshape(tiles, steps, -1)


def _make(name, kind, array, seed, cycles, steps, weights, activations):
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    tiles = max(2, cycles // steps)
    signed = activations[0] in ("signed", "flips") and bool(rng.integers(2)) or activations[0] == "signed"
    w = _weights(rng, array, tiles, steps, weights)
    x = _activations(rng, array, tiles, steps, activations)
    # Sums grow down a column: two rows of it. Where sums stay, all rows are alike.
    picks = 1 if array.dataflow == "output_stationary" else 2
    rows = rng.permutation(ROWS)[:picks]
    return Stream(name, kind, _schedule(array, w, x), array, signed, [(int(r), 0) for r in rows])


def controlled(array, seed, cycles, rates=FLIP_RATES):
    """Uniform words with a controlled flip rate on the streaming weights (weight stationary: on the activations)."""
    out = []
    for rate in rates:
        weight_stationary = array.dataflow == "weight_stationary"
        x_rate = rate if weight_stationary else 0.25
        out.append(_make(f"flip rate {rate:.2f}", "flip rate", array, seed, cycles, 48, ("flips", rate),
                         ("flips", x_rate, {})))
        if array.dataflow == "output_stationary":
            out.append(_make(f"flip rate {rate:.2f}, relu", "flip rate", array, seed, cycles, 72, ("flips", rate),
                             ("relu", 60, {})))
            out.append(_make(f"flip rate {rate:.2f}, activations slow", "flip rate", array, seed, cycles, 48,
                             ("flips", rate), ("flips", 0.05, {})))
        else:
            out.append(_make(f"flip rate {rate:.2f}, relu", "flip rate", array, seed, cycles, 32, ("flips", rate),
                             ("flips", rate, {}) if weight_stationary else ("relu", 60, {})))
    return out


def per_bit(array, seed, cycles, quick):
    """Bits with flip rates of their own, so that bits can be told apart: one bit busy and the others nearly still, and
    random mixtures."""
    rng, out = np.random.default_rng([seed, 7]), []
    mixtures = [np.where(np.arange(8) == bit, 0.4, 0.04) for bit in range(8)]
    mixtures += [rng.choice([0.02, 0.1, 0.25, 0.5], 8) for _ in range(2 if quick else 8)]
    held_weights = array.dataflow == "weight_stationary"
    for i, rates in enumerate(mixtures):
        name = f"bit {i} busy" if i < 8 else f"mixture {i - 8}"
        still = ("flips", 0.02, {})
        activations = still if held_weights else ("relu", 60, {"zero_fraction": 0.45})
        # Short tiles: held weights change once a tile, and a held activation must not decide the figure.
        out.append(_make(name, "per bit", array, seed, 2 * cycles, 8 if held_weights else 16, ("per bit", rates),
                         activations))
    return out


def idle(array, seed):
    """Tiles shorter than the array has rows: most cycles write nothing."""
    return [_make("idle", "idle", array, seed, 16, 2, ("flips", 0.5), ("flips", 0.5, {}))]


TRAINING = [("natural", 18, "relu", 60, 0.45), ("natural", 32, "signed", 40, 0), ("natural", 10, "relu6", 110, 0.3),
            ("ordered", 18, "relu", 45, 0.5), ("ordered", 30, "relu", 90, 0.3), ("ordered", 24, "signed", 30, 0),
            ("rounded", 20, "relu", 60, 0.45), ("rounded", 30, "relu6", 100, 0.4)]
HELD_OUT = [("natural", 24, "relu", 50, 0.6), ("natural", 13, "signed", 30, 0), ("ordered", 14, "relu6", 90, 0.5),
            ("ordered", 27, "relu", 70, 0.4), ("rounded", 24, "signed", 35, 0), ("rounded", 14, "relu", 75, 0.5)]


def statistics(array, seed, cycles, families, steps):
    """Laplacian weights, natural, reordered or trellis-rounded, with activations as networks have them."""
    out = []
    for i, (kind, scale, family, activation_scale, zeros) in enumerate(families):
        options = {} if family == "signed" else {"zero_fraction": zeros}
        if array.dataflow != "input_stationary":
            options["correlation"] = (0.0, 0.7)[i % 2]
        name = f"{kind} weights {scale}, {family} {activation_scale}"
        out.append(_make(name, "statistics", array, seed, cycles, steps[i % len(steps)], (kind, scale),
                         (family, activation_scale, options)))
    return out


def training_set(array, seed, cycles, quick):
    rates = (0.0, 0.1, 0.3, 0.5) if quick else FLIP_RATES
    return (controlled(array, seed, cycles, rates) + per_bit(array, seed, cycles, quick)
            + statistics(array, seed, cycles, TRAINING[::2] if quick else TRAINING, (24, 64)))


def held_out_set(array, seed, cycles, quick):
    """Other seeds, other parameters, other tile lengths than the training set."""
    rates = (0.15,) if quick else (0.03, 0.15, 0.25, 0.45)
    return (controlled(array, seed, cycles, rates)
            + statistics(array, seed, cycles, HELD_OUT[::2] if quick else HELD_OUT, (40, 96)))


# ------------------------------------------------------------------------------------ trained layers

LAYERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.json")


def trained_layers():
    """{name: Layer} of the network that train_layers.py trained."""
    with open(LAYERS) as f:
        records = json.load(f)
    out = {}
    for r in records:
        weights = np.array(r["weights"]).reshape(r["filters"], r["channels"] // r["groups"], r["size"], r["size"])
        activations = np.array(r["activations"]).reshape(r["channels"], r["height"], r["width"])
        out[r["name"]] = model.Layer(weights, activations, r["stride"], r["padding"], r["groups"],
                                     r["activation_signed"])
    return out


def layer_excerpt(layer, array, cycles, where=0.5):
    """(schedule, tiles) of about `cycles` cycles of a layer's tiles, from the given fraction of all tiles on."""
    tiles = model.tiles(layer, array)
    start, chosen, length = int(where * len(tiles)), [], 0
    while start + len(chosen) < len(tiles) and (not chosen or length < cycles):
        tile = tiles[start + len(chosen)]
        if tile.steps > 1.5 * cycles:  # a whole image of pixels, or a long reduction: the middle of it
            cut = slice((tile.steps - cycles) // 2, (tile.steps - cycles) // 2 + cycles)
            streams_too = array.dataflow == "output_stationary"
            tile = model.Tile(tile.left[cut], tile.top[cut] if streams_too else tile.top, tile.rows_used,
                              tile.columns_used, tile.outputs if streams_too else tile.outputs[cut])
        chosen.append(tile)
        length += max(tile.steps, array.rows)
    return model.schedule_tiles(chosen, layer, array), chosen


def layer_streams(array, seed, cycles, names):
    """Single elements of trained layers on an 8 x 8 array."""
    rng, out = np.random.default_rng([seed, 11]), []
    layers = trained_layers()
    for name in names:
        layer = layers[name]
        if layer.depthwise != (array.dataflow == "output_stationary") and layer.depthwise:
            continue
        square = model.Array(ROWS, ROWS, array.dataflow, array.representation, array.accumulator_bits)
        schedule, tiles = layer_excerpt(layer, square, cycles, 0.3 + 0.3 * rng.random())
        rows, columns = min(t.rows_used for t in tiles), min(t.columns_used for t in tiles)
        picks = [(int(rng.integers(rows)), int(rng.integers(columns))) for _ in range(3)]
        out.append(Stream("layer " + name, "layer", schedule, square, layer.activation_signed, picks))
    return out


# --------------------------------------------------------------------------------- one element's ports

def element_ports(stream, signals, row, column):
    """What element (row, column) sees, in its local time, for GateSimulator.run_element."""
    s = stream.schedule
    time = len(s.first)
    inputs = model.skewed_inputs(s)
    if s.held:
        other = inputs["column_operand"][row + column:row + column + time, column]
    else:
        other = s.top[:, row, column]
    left = s.left[:, row]
    weight, activation = (other, left) if stream.array.dataflow == "weight_stationary" else (left, other)
    return dict(valid=s.valid[:, row].astype(np.int64), first=s.first.astype(np.int64),
                active=s.active[:, column].astype(np.int64), weight_in=weight, activation_in=activation,
                psum_in=signals["psum_in"][:, row, column] * (not s.local), psum=signals["psum"][:, row, column])
