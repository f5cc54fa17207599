"""The energy models that calibration fits, and their residuals.

A Sample is one element under one stream: features and energies a cycle. Energies are pJ; `datapath` is all parts but the
clock. Every fit weighs streams alike: a cycle's error relative to its stream's mean energy, and, nine times as heavily,
the stream's mean itself, since totals are what the models are for.
"""
from dataclasses import dataclass

import numpy as np

import array_model as model
from netlist import PARTS

# The transferable model's terms and the names the table gives their coefficients.
TERMS = (("a0", None), ("aw", "weight"), ("ax", "activation"), ("as", "sign"), ("app", "partial_products"),
         ("ap", "product"), ("ab", "psum_in"), ("an", "psum_out"))
# The refined model has three more: the square root of the partial products' flips in the cycle, since glitches grow less
# than linearly; flips of the adder's carries; sign flips of signed activations.
MORE_TERMS = (("aroot", "partial_products"), ("acarry", "carry"), ("axs", "activation_sign"))
LEAST_MEAN_PJ = 2.0     # streams of less energy do not weigh more
MEAN_WEIGHT = 9.0
STATISTICS_WEIGHT = 2.0  # of streams as networks have them; made-up flip rates have 1
CLOCK = PARTS.index("clock")


@dataclass
class Sample:
    kind: str
    name: str
    signed: bool
    features: dict       # name -> [cycles]
    bit_flips: np.ndarray  # [cycles][8] flips of the element's weight register
    energies: np.ndarray  # [cycles][parts + 2]
    ones: np.ndarray     # [cycles] ones in the activation register
    weight_ones: np.ndarray  # [cycles] ones in the weight register, the sign of sign and magnitude left out
    enabled: np.ndarray  # [cycles] whether the step was valid

    @property
    def datapath(self):
        return self.energies[:, :len(PARTS)].sum(axis=1) - self.energies[:, CLOCK]

    def matrix(self, refined=False):
        """[cycles][terms], the first column ones."""
        return matrix_of(self.features, refined)


def matrix_of(features, refined):
    """Columns of the model's terms from flat features; the first column is ones."""
    columns = [np.ones(len(features["weight"]))] + [features[f] for _, f in TERMS[1:]]
    if refined:
        columns += [np.sqrt(features[f]) if name == "aroot" else features[f] for name, f in MORE_TERMS]
    return np.column_stack(columns).astype(float)


def sample(stream, signals, features, row, column, energies):
    """Drops the first cycle, which starts from the flush."""
    def at(a): return a[1:, row, column]
    weight = signals["weight"][:, row, column]
    magnitude = 127 if stream.array.representation == "sign_magnitude" else 255
    flips = weight[1:] ^ weight[:-1]
    return Sample(stream.kind, stream.name, stream.signed, {k: at(v) for k, v in features.items()},
                  (flips[:, None] >> np.arange(8)) & 1, energies[1:],
                  model.popcount(at(signals["activation"])), model.popcount(at(signals["weight"]) & magnitude),
                  stream.schedule.valid[1:, row] & stream.schedule.active[1:, column])


# ----------------------------------------------------------------------------------------------- solvers

def least_squares(matrix, target):
    return np.linalg.lstsq(matrix, target, rcond=None)[0]


def non_negative(matrix, target):
    """Least squares with coefficients >= 0, by coordinate descent on the normal equations."""
    gram, right = matrix.T @ matrix, matrix.T @ target
    x = np.zeros(len(right))
    for _ in range(20000):
        before = x.copy()
        for i in range(len(x)):
            if gram[i, i] > 0:
                x[i] = max(0.0, x[i] + (right[i] - gram[i] @ x) / gram[i, i])
        if np.abs(x - before).max() <= 1e-12 * max(1.0, np.abs(x).max()):
            break
    return x


def _weighted(samples, rows_of, target_of, mean_weight=MEAN_WEIGHT):
    """The weighted system over cycles and stream means."""
    matrix, target = [], []
    for s in samples:
        rows, energy = rows_of(s), target_of(s)
        scale = np.sqrt(STATISTICS_WEIGHT if s.kind in ("statistics", "layer") else 1.0) / max(s.datapath.mean(), LEAST_MEAN_PJ)
        matrix += [rows * scale / np.sqrt(len(rows)), rows.mean(axis=0, keepdims=True) * scale * np.sqrt(mean_weight)]
        target += [energy * scale / np.sqrt(len(rows)), [energy.mean() * scale * np.sqrt(mean_weight)]]
    return np.concatenate(matrix), np.concatenate(target)


# ------------------------------------------------------------------------------------------------ models

def transferable(samples, refined=False):
    return least_squares(*_weighted(samples, lambda s: s.matrix(refined), lambda s: s.datapath))


def parts(samples):
    """{part: non-negative coefficients of the same terms}: attribution by cell instance."""
    out = {}
    for k, name in enumerate(PARTS):
        if k != CLOCK:
            out[name] = non_negative(*_weighted(samples, lambda s: s.matrix(), lambda s, k=k: s.energies[:, k]))
    return out


def error_percent(coefficients, s, refined=False):
    return 100 * ((s.matrix(refined) @ coefficients).mean() / s.datapath.mean() - 1)


def bit_costs(samples, dataflow, moving_pj):
    """(cost of a flip of each bit, energy of a cycle without weight flips, mean ones of an activation): non-negative
    regression over the cycles of made-up streams; a layer's few words do not tell bits apart. moving_pj, of register and
    link, is part of every bit's cost.

    A flip's cost goes with the ones that it meets: unless weights are held, flips are scaled by the ones of their
    activation over the mean, so that costs are those of the mean activation. Where activations stream, their own flips
    and the partial products that these move are terms of their own, and the cycle's energy includes them at their means."""
    typical = [s for s in samples if s.kind == "statistics" and not s.signed]
    mean_ones = float(np.mean([s.ones.mean() for s in typical]))

    def moves(s):
        return [] if dataflow == "input_stationary" else [s.features["activation"] * s.weight_ones, s.features["activation"]]

    def rows_of(s):
        scale = 1.0 if dataflow == "weight_stationary" else s.ones / mean_ones
        return np.column_stack([np.ones(len(s.ones)), s.bit_flips * np.reshape(scale, (-1, 1))] + moves(s))
    made_up = [s for s in samples if s.kind != "layer"]
    x = non_negative(*_weighted(made_up, rows_of, lambda s: s.datapath - moving_pj * s.features["weight"], 1.0))
    idle = x[0] + sum(c * float(np.mean([moves(s)[i].mean() for s in typical])) for i, c in enumerate(x[9:]))
    return x[1:9] + moving_pj, idle, mean_ones


PLAN_TERMS = ("cycle", "flip", "sign_flip", "partial_product_flip", "activation_flip")


def plan_matrix(s):
    """What the plan level knows: flips by bit; partial products as weight flips x mean ones of the activations and, where
    activations stream, their flips x mean ones of the weights."""
    flips, sign, activation = (s.features[f].mean() for f in ("weight", "sign", "activation"))
    return np.array([1.0, flips, sign, flips * s.ones.mean() + activation * s.weight_ones.mean(), activation])


def plan_means(signals, features, array):
    """The same of a whole array, all elements and cycles: what the plan level is asked for."""
    magnitude = 127 if array.representation == "sign_magnitude" else 255
    flips, sign, activation = (features[f].mean() for f in ("weight", "sign", "activation"))
    ones, weight_ones = model.popcount(signals["activation"]).mean(), model.popcount(signals["weight"] & magnitude).mean()
    return np.array([1.0, flips, sign, flips * ones + activation * weight_ones, activation])


def plan(samples):
    matrix, target = [], []
    for s in samples:
        mean = s.datapath.mean()
        weight = np.sqrt(STATISTICS_WEIGHT if s.kind in ("statistics", "layer") else 1.0) / max(mean, LEAST_MEAN_PJ)
        matrix.append(plan_matrix(s) * weight)
        target.append(mean * weight)
    return non_negative(np.array(matrix), np.array(target))


def line(samples, feature="weight"):
    """Energy as a straight line in the Hamming distance, over flip-rate streams: intercept, slope, R^2, worst error %."""
    points = np.array([(s.features[feature].mean(), s.datapath.mean()) for s in samples if s.kind == "flip rate"])
    x = least_squares(np.column_stack([np.ones(len(points)), points[:, 0]]), points[:, 1])
    fitted = x[0] + x[1] * points[:, 0]
    r2 = 1 - ((points[:, 1] - fitted) ** 2).sum() / ((points[:, 1] - points[:, 1].mean()) ** 2).sum()
    busy = points[:, 1] > LEAST_MEAN_PJ
    worst = float(np.abs(fitted[busy] / points[busy, 1] - 1).max() * 100)
    return dict(intercept=float(x[0]), slope=float(x[1]), r2=float(r2), worst=worst)


def line_error_percent(fitted, s, feature="weight"):
    return 100 * ((fitted["intercept"] + fitted["slope"] * s.features[feature].mean()) / s.datapath.mean() - 1)


def slope_through_zero(x, y):
    return float((x @ y) / (x @ x)) if (x @ x) > 0 else 0.0


def propagation(samples, operand):
    """(pJ of a flip in register and link, R^2)."""
    x = np.concatenate([s.features[operand] for s in samples]).astype(float)
    y = np.concatenate([s.energies[:, [PARTS.index(operand + "_register"), PARTS.index(operand + "_link")]].sum(axis=1)
                        for s in samples])
    slope = slope_through_zero(x, y)
    spread = ((y - y.mean()) ** 2).sum()
    return slope, float(1 - ((y - slope * x) ** 2).sum() / spread) if spread > 0 else 1.0


def clock(samples):
    """(pJ of a cycle with a step, of a cycle without)."""
    on = np.concatenate([s.energies[s.enabled, CLOCK] for s in samples])
    off = np.concatenate([s.energies[~s.enabled, CLOCK] for s in samples])
    return float(np.median(on)), float(np.median(off)) if len(off) else 0.0


def glitch_ratio(samples):
    """Energy with delays / energy of the settled changes alone."""
    return float(sum(s.datapath.sum() for s in samples) / sum(s.energies[:, len(PARTS)].sum() for s in samples))


def summary(errors):
    """Median and worst of absolute errors."""
    e = np.abs(np.asarray(errors, float))
    return (float(np.median(e)), float(e.max())) if len(e) else (0.0, 0.0)
