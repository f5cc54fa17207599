"""Cycle model of the processing-element array in hdloss/rtl, and the feeder that drives the RTL.

The schedule is defined in hdloss/rtl/README.md. Everything here is in *local time*: element (r, c) does in
cycle t + r + c what this model does at t, so that one array of shape (time, rows, columns) holds a signal.
"""
from dataclasses import dataclass

import numpy as np

DATAFLOWS = ("input_stationary", "output_stationary", "weight_stationary")
REPRESENTATIONS = ("twos_complement", "sign_magnitude")


@dataclass
class Array:
    rows: int
    columns: int
    dataflow: str = "input_stationary"
    representation: str = "twos_complement"
    accumulator_bits: int = 24


@dataclass
class Layer:
    """A convolution. weights [filters][channels/groups][size][size], activations [channels][height][width]."""
    weights: np.ndarray
    activations: np.ndarray
    stride: int = 1
    padding: int = 0
    groups: int = 1
    activation_signed: bool = False

    @property
    def size(self):
        return self.weights.shape[2]

    @property
    def output_shape(self):
        _, height, width = self.activations.shape
        return tuple((n + 2 * self.padding - self.size) // self.stride + 1 for n in (height, width))

    @property
    def depthwise(self):
        return self.weights.shape[1] == 1  # one input channel a group

    def patches(self):
        """Activations seen by every kernel position and output pixel: [channels][size*size][pixels]."""
        channels = self.activations.shape[0]
        height, width = self.output_shape
        padded = np.pad(self.activations, ((0, 0), (self.padding,) * 2, (self.padding,) * 2))
        out = np.empty((channels, self.size * self.size, height * width), np.int64)
        for i in range(self.size):
            for j in range(self.size):
                window = padded[:, i:i + self.stride * height:self.stride, j:j + self.stride * width:self.stride]
                out[:, i * self.size + j] = window[:, :height, :width].reshape(channels, -1)
        return out

    def reference_output(self):
        """The integer convolution itself: [filters][pixels]."""
        patches, filters = self.patches(), self.weights.shape[0]
        per_group_in, per_group_out = self.weights.shape[1], filters // self.groups
        out = np.zeros((filters, patches.shape[2]), np.int64)
        for k in range(filters):
            first = (k // per_group_out) * per_group_in
            out[k] = np.einsum("cs,csp->p", self.weights[k].reshape(per_group_in, -1).astype(np.int64),
                               patches[first:first + per_group_in])
        return out


@dataclass
class Tile:
    """One tile. left [steps][rows]; top [rows][columns] when held, [steps][columns] or, depthwise,
    [steps][rows][columns] when streaming. outputs: where each result belongs, filter and pixel or -1."""
    left: np.ndarray
    top: np.ndarray
    rows_used: int
    columns_used: int
    outputs: np.ndarray  # [steps][columns][2] for flowing sums, [rows][columns][2] for local ones

    @property
    def steps(self):
        return self.left.shape[0]


def _blocks(count, size):
    return [range(i, min(i + size, count)) for i in range(0, count, size)]


def tiles(layer, array, order=None):
    """All tiles of a layer in schedule order. order: None (natural), one permutation for every tile, or [orders][length]
    with a row for each group, segment and kernel position (output stationary: group and segment), the last fastest.
    It permutes the group's output channels; output stationary: the reduction (c, r, s)."""
    dataflow = "output_stationary" if layer.depthwise else array.dataflow
    make = {"input_stationary": _input_stationary, "output_stationary": _output_stationary,
            "weight_stationary": _weight_stationary}[dataflow]
    return list(make(layer, array, order))


def _order_of(order, index, length):
    if order is None:
        return np.arange(length)
    order = np.asarray(order)
    return order if order.ndim == 1 else order[index]


def _group_sizes(layer):
    return layer.weights.shape[1], layer.weights.shape[0] // layer.groups


def _input_stationary(layer, array, order):
    per_in, per_out = _group_sizes(layer)
    patches, weights = layer.patches(), layer.weights.reshape(layer.weights.shape[0], per_in, -1)
    for pixels in _blocks(patches.shape[2], array.columns):
        index = -1
        for group in range(layer.groups):
            for segment in _blocks(per_in, array.rows):
                for position in range(weights.shape[2]):
                    index += 1
                    filters = group * per_out + _order_of(order, index, per_out)
                    left = weights[filters][:, list(segment), position]
                    top = np.zeros((array.rows, array.columns), np.int64)
                    top[:len(segment), :len(pixels)] = \
                        patches[[group * per_in + c for c in segment], position][:, list(pixels)]
                    outputs = np.full((per_out, array.columns, 2), -1)
                    outputs[:, :len(pixels), 0] = filters[:, None]
                    outputs[:, :len(pixels), 1] = list(pixels)
                    yield Tile(left, top, len(segment), len(pixels), outputs)


def _output_stationary(layer, array, order):
    per_in, per_out = _group_sizes(layer)
    filters = layer.weights.shape[0]
    patches, weights = layer.patches(), layer.weights.reshape(filters, per_in, -1)
    steps = per_in * weights.shape[2]
    # Depthwise: every row is a group of its own, so a segment may hold `rows` channels.
    groups = [range(filters)] if layer.depthwise else \
        [range(g * per_out, (g + 1) * per_out) for g in range(layer.groups)]
    for pixels in _blocks(patches.shape[2], array.columns):
        index = -1
        for g, group in enumerate(groups):
            for segment in _blocks(len(group), array.rows):
                index += 1
                reduction = _order_of(order, index, steps)
                rows = [group[i] for i in segment]
                left = weights[rows].reshape(len(rows), steps).T[reduction]
                if layer.depthwise:
                    multiplier = filters // layer.groups
                    top = np.zeros((steps, array.rows, array.columns), np.int64)
                    for r, k in enumerate(rows):
                        top[:, r, :len(pixels)] = patches[k // multiplier][reduction][:, list(pixels)]
                else:
                    top = np.zeros((steps, array.columns), np.int64)
                    top[:, :len(pixels)] = \
                        patches[g * per_in:(g + 1) * per_in].reshape(steps, -1)[reduction][:, list(pixels)]
                outputs = np.full((array.rows, array.columns, 2), -1)
                outputs[:len(rows), :len(pixels), 0] = np.array(rows)[:, None]
                outputs[:len(rows), :len(pixels), 1] = list(pixels)
                yield Tile(left, top, len(rows), len(pixels), outputs)


def _weight_stationary(layer, array, order):
    per_in, per_out = _group_sizes(layer)
    patches, weights = layer.patches(), layer.weights.reshape(layer.weights.shape[0], per_in, -1)
    pixels, index = patches.shape[2], -1
    for group in range(layer.groups):
        for segment in _blocks(per_in, array.rows):
            for position in range(weights.shape[2]):
                index += 1
                sequence = group * per_out + _order_of(order, index, per_out)
                for columns in _blocks(per_out, array.columns):
                    filters = sequence[list(columns)]
                    left = patches[[group * per_in + c for c in segment], position].T
                    top = np.zeros((array.rows, array.columns), np.int64)
                    top[:len(segment), :len(columns)] = weights[filters][:, list(segment), position].T
                    outputs = np.full((pixels, array.columns, 2), -1)
                    outputs[:, :len(columns), 0] = filters
                    outputs[:, :len(columns), 1] = np.arange(pixels)[:, None]
                    yield Tile(left, top, len(segment), len(columns), outputs)


# ---------------------------------------------------------------------------------------------- words

def encode_weight(values, representation):
    """Integers -> the eight bits on the wire."""
    values = np.asarray(values, np.int64)
    if representation == "sign_magnitude":
        return np.where(values < 0, 128 - values, values) & 255
    return values & 255


def decode_weight(words, representation):
    words = np.asarray(words, np.int64)
    if representation == "sign_magnitude":
        return np.where(words & 128, -(words & 127), words & 127)
    return words - ((words & 128) << 1)


def decode_activation(words, signed):
    words = np.asarray(words, np.int64)
    return words - ((words & 128) << 1) if signed else words


_POPCOUNT16 = np.array([bin(i).count("1") for i in range(1 << 16)], np.uint8)


def popcount(values):
    values = np.asarray(values, np.int64)
    return (_POPCOUNT16[values & 0xffff].astype(np.int64) + _POPCOUNT16[(values >> 16) & 0xffff]
            + _POPCOUNT16[(values >> 32) & 0xffff])


# ------------------------------------------------------------------------------------------- schedule

@dataclass
class Schedule:
    """What the feeder offers in local time. valid [time][rows], first [time], active [time][columns],
    left [time][rows] words, top [time][rows][columns] words (held operand: meaningful where first)."""
    valid: np.ndarray
    first: np.ndarray
    active: np.ndarray
    left: np.ndarray
    top: np.ndarray
    starts: list
    held: bool
    local: bool
    depthwise: bool


def schedule(layer, array, order=None):
    """Lays the tiles out in time, back to back: a tile takes max(steps, rows) cycles."""
    return schedule_tiles(tiles(layer, array, order), layer, array)


def schedule_tiles(all_tiles, layer, array):
    dataflow = "output_stationary" if layer.depthwise else array.dataflow

    def as_weight(v): return encode_weight(v, array.representation)
    def as_activation(v): return np.asarray(v, np.int64) & 255
    left_word, top_word = (as_activation, as_weight) if dataflow == "weight_stationary" else (as_weight, as_activation)
    words = [(left_word(t.left), top_word(t.top), t.rows_used, t.columns_used) for t in all_tiles]
    return schedule_words(words, array, dataflow, layer.depthwise)


def schedule_words(words, array, dataflow, depthwise=False):
    """words: a list of tiles (left [steps][rows used], top, rows used, columns used); top as in Tile. Bit patterns."""
    held, local = dataflow != "output_stationary", dataflow == "output_stationary"
    pitch = [max(len(left), array.rows) for left, _, _, _ in words]
    time = sum(pitch) + (1 if local else 0)  # one more first flag drains the last local sums
    s = Schedule(np.zeros((time, array.rows), bool), np.zeros(time, bool), np.zeros((time, array.columns), bool),
                 np.zeros((time, array.rows), np.int64), np.zeros((time, array.rows, array.columns), np.int64),
                 [], held, local, depthwise)
    last, t0 = np.zeros(array.rows, np.int64), 0
    for (left, top, rows_used, columns_used), length in zip(words, pitch):
        s.starts.append(t0)
        steps = slice(t0, t0 + len(left))
        s.valid[steps, :(rows_used if local else array.rows)] = True
        s.first[t0] = True
        s.active[t0:t0 + length, :columns_used] = True
        s.left[t0:t0 + length] = last
        s.left[steps, :rows_used] = left
        s.left[t0 + len(left):t0 + length, :rows_used] = left[-1]
        last = s.left[t0 + length - 1]
        if held:
            s.top[t0:t0 + length] = top
        else:
            s.top[steps] = top if depthwise else top[:, None, :]
            s.top[t0 + len(left):t0 + length] = s.top[t0 + len(left) - 1]
        t0 += length
    if local:
        s.first[t0] = True
        s.left[t0], s.top[t0] = last, s.top[t0 - 1]
    return s


# ----------------------------------------------------------------------------------------- the registers

def simulate(s, layer, array):
    """Every register and the settled internal signals, [time][rows][columns], all registers starting at zero.
    psum_in, sum and psum are masked to the accumulator's width; product is the signed value, 16 bits."""
    time, rows, columns = s.top.shape
    mask = (1 << array.accumulator_bits) - 1
    enable = s.valid[:, :, None] & s.active[:, None, :]
    enable_held = enable & s.first[:, None, None]
    left = np.broadcast_to(s.left[:, :, None], s.top.shape)
    stream, other = _hold(left, enable), _hold(s.top, enable_held if s.held else enable)
    weight, activation = (other, stream) if array.dataflow == "weight_stationary" and s.held else (stream, other)
    product = decode_weight(weight, array.representation) * decode_activation(activation, layer.activation_signed)
    psum_in, total, psum = (np.zeros((time, rows, columns), np.int64) for _ in range(3))
    if s.local:
        register = np.zeros((rows, columns), np.int64)
        for t in range(time):
            psum_in[t] = np.where(enable[t] & s.first[t], 0, register)
            total[t] = (psum_in[t] + product[t]) & mask
            register = np.where(enable[t], total[t], register)
            psum[t] = register
    else:
        for r in range(rows):
            psum_in[:, r] = psum[:, r - 1] if r else 0
            total[:, r] = (psum_in[:, r] + product[:, r]) & mask
            psum[:, r] = _hold(total[:, r], enable[:, r])
    return dict(weight=weight, activation=activation, product=product & 0xffff, psum_in=psum_in & mask,
                sum=total, psum=psum)


def _hold(values, enable):
    """A register: takes values[t] where enable[t], else keeps what it held; zero at first."""
    index = np.where(enable, np.arange(1, len(values) + 1).reshape((-1,) + (1,) * (values.ndim - 1)), 0)
    index = np.maximum.accumulate(index, axis=0)
    padded = np.concatenate([np.zeros((1,) + values.shape[1:], np.int64), values])
    return np.take_along_axis(padded, index, axis=0)


def flips(signal):
    """Hamming distance of every value to the one before, the first to zero: same shape."""
    signal = np.asarray(signal, np.int64)
    return popcount(signal ^ np.concatenate([np.zeros_like(signal[:1]), signal[:-1]]))


def partial_product_flips(weight, activation, representation):
    """Flips among the and gates w_k x_j; only magnitude bits for sign and magnitude."""
    out = np.zeros(weight.shape, np.int64)
    for bit in range(7 if representation == "sign_magnitude" else 8):
        out += flips(np.where((weight >> bit) & 1, activation, 0))
    return out


def carries(signals, array):
    """The carry into every bit of the accumulator's adder: base xor extended product xor sum."""
    mask = (1 << array.accumulator_bits) - 1
    product = signals["product"]
    extended = np.where(product & 0x8000, product | (mask & ~0xffff), product)
    return signals["psum_in"] ^ extended ^ signals["sum"]


def features(signals, array, activation_signed):
    """The energy models' features of every element and cycle, [time][rows][columns] each."""
    sign = flips(signals["activation"] & 128)
    return dict(carry=flips(carries(signals, array)), activation_sign=sign * int(activation_signed),
                weight=flips(signals["weight"]), activation=flips(signals["activation"]),
                sign=flips(signals["weight"] & 128),
                partial_products=partial_product_flips(signals["weight"], signals["activation"], array.representation),
                product=flips(signals["product"]), psum_in=flips(signals["psum_in"]), psum_out=flips(signals["sum"]))


# ------------------------------------------------------------------------------------------- the feeder

def skewed_inputs(s):
    """The array's ports in real cycles: dict of valid, first [cycles][rows], active [cycles][columns],
    row_operand [cycles][rows], column_operand [cycles][columns], local_activation [cycles][rows][columns]."""
    time, rows, columns = s.top.shape
    cycles = time + rows + columns
    out = dict(valid=np.zeros((cycles, rows), bool), first=np.zeros((cycles, rows), bool),
               active=np.zeros((cycles, columns), bool), row_operand=np.zeros((cycles, rows), np.int64),
               column_operand=np.zeros((cycles, columns), np.int64),
               local_activation=np.zeros((cycles, rows, columns), np.int64))
    for r in range(rows):
        out["valid"][r:r + time, r] = s.valid[:, r]
        out["first"][r:r + time, r] = s.first
        out["row_operand"][r:r + time, r] = s.left[:, r]
    for c in range(columns):
        out["active"][c:c + time, c] = s.active[:, c]
        if s.depthwise:
            for r in range(rows):
                out["local_activation"][r + c:r + c + time, r, c] = s.top[:, r, c]
        elif s.local:
            out["column_operand"][c:c + time, c] = s.top[:, 0, c]
        else:
            given = np.zeros(cycles, bool)
            for start in s.starts:
                for r in range(rows):
                    out["column_operand"][start + r + c, c] = s.top[start, r, c]
                    given[start + r + c] = True
            out["column_operand"][:, c] = _hold(out["column_operand"][:, c], given)
    return out


def collect_results(results, s, all_tiles, array, shape):
    """Adds the RTL's results, rows of (cycle, column, value), into the layer's output [filters][pixels].
    Returns it with the number of results that belong to an output."""
    out, used = np.zeros(shape, np.int64), 0
    half, full = 1 << (array.accumulator_bits - 1), 1 << array.accumulator_bits
    starts = np.array(s.starts)
    for cycle, column, value in results:
        value = value - full if value >= half else value
        if s.local:  # drained one row a cycle, from the cycle after the next tile's first flag entered row 0
            local = cycle - column - 1
            tile = np.searchsorted(starts, local, side="right") - 2
            if local >= len(s.first) - 1:
                tile, row = len(all_tiles) - 1, local - (len(s.first) - 1)  # the drain after the last tile
            else:
                row = local - starts[tile + 1]
            if tile < 0 or row >= array.rows:
                continue
            where = all_tiles[tile].outputs[row, column]
        else:
            local = cycle - column - array.rows - 1
            tile = np.searchsorted(starts, local, side="right") - 1
            if tile < 0:
                continue
            where = all_tiles[tile].outputs[local - starts[tile], column]
        if where[0] >= 0:
            out[where[0], where[1]] += value
            used += 1
    return out, used
