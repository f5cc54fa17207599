#!/usr/bin/python3
"""Tests of the calibration's own arithmetic: tables, the reader of dumps, solvers, stream makers, features. Each against
a figure worked out by hand or a brute-force recount. Usage: test_calibration.py"""
import contextlib
import io
import itertools
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "scripts", "calibrate"))

import numpy as np  # noqa: E402
import array_model as model  # noqa: E402
import fit  # noqa: E402
import gates  # noqa: E402
import liberty  # noqa: E402
import netlist  # noqa: E402
import route  # noqa: E402
import scale  # noqa: E402
import streams  # noqa: E402
import table  # noqa: E402

LIBRARY = """library(toy) { nom_voltage : 2.0; nom_temperature : 25;
  cell (INV) { area : 16; /* a comment */
    pin(A) { direction : input; capacitance : 0.01;
      internal_power() { rise_power(t) { index_1 ("0.1, 0.3"); values ("1, 3"); } } }
    pin(Y) { direction : output; timing() { related_pin : "A"; timing_sense : negative_unate;
      cell_rise(t) { index_1 ("0.1, 0.2"); index_2 ("1, 2"); values ( \\
        "10, 20", \\
        "30, 40"); } } } } }
"""

DUMP = """$timescale 1ps $end
$scope module top $end
$var wire 1 ! a $end
$var wire 2 " b [1:0] $end
$var wire 1 ! alias $end
$var wire 1 # unknown $end
$upscope $end
$enddefinitions $end
#0
0!
b00 "
x#
#100
1!
#150
0!
#1000
1!
b11 "
1#
#1500
b1 "
#2100
bx1 "
0!
"""


class Liberty(unittest.TestCase):
    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lib", delete=False) as f:
            f.write(LIBRARY)
        self.library = liberty.Library(f.name)
        os.unlink(f.name)

    def test_reads_cells_and_interpolates(self):
        cell = self.library.cells["INV"]
        self.assertEqual((self.library.voltage, cell.area, cell.pins["A"].capacitance), (2.0, 16.0, 0.01))
        rise = cell.pins["Y"].timing[0][2]["cell_rise"]
        self.assertAlmostEqual(rise.at(0.15, 1.5), 25.0)
        self.assertAlmostEqual(rise.at(0.1, 2.0), 20.0)
        self.assertAlmostEqual(rise.at(0.3, 1.0), 50.0)  # beyond the table: the last slope
        self.assertAlmostEqual(cell.pins["A"].power[0][1]["rise_power"].at(0.2), 2.0)


class Dumps(unittest.TestCase):
    def test_energy_of_each_cycle(self):
        with tempfile.TemporaryDirectory() as scratch:
            program = gates.build_tools(scratch)
            energies, out, counts = (os.path.join(scratch, n) for n in ("energies", "out", "counts"))
            with open(energies, "w") as f:
                f.write("parts 2 x y\na 0 1 0 2 0\nb 0 0 10 0 20\nb 1 0 100 0 200\n")
            subprocess.run([program, energies, "1000", out, counts], input=DUMP, text=True, check=True)
            rows = np.fromfile(out).reshape(-1, 4)
            with open(counts) as f:
                transitions = f.read()
        # Cycle 0: a rises and falls, nothing is left of it settled; cycle 1: a rises, b 00 -> 11 -> 01; cycle 2: a falls.
        np.testing.assert_allclose(rows, [[3, 0, 0, 2], [1, 10 + 100 + 200, 1 + 10, 4], [2, 0, 2, 1]])
        self.assertEqual(transitions, "a 0 4\nb 0 1\nb 1 2\n")

    def test_refuses_nonsense(self):
        with tempfile.TemporaryDirectory() as scratch:
            program = gates.build_tools(scratch)
            bad = os.path.join(scratch, "bad")
            for text in ("", "parts 99 x\n", "parts 1 x\na 0 1\n"):
                with open(bad, "w") as f:
                    f.write(text)
                run = subprocess.run([program, bad, "1000", os.path.join(scratch, "out")], input=DUMP, text=True,
                                     capture_output=True)
                self.assertEqual(run.returncode, 1)
                self.assertIn("vcd_energy:", run.stderr)


class Solvers(unittest.TestCase):
    def test_non_negative_equals_best_subset(self):
        rng = np.random.default_rng(3)
        for _ in range(20):
            a, b = rng.normal(size=(12, 4)), rng.normal(size=12)
            best = np.inf
            for subset in itertools.chain.from_iterable(itertools.combinations(range(4), n) for n in range(5)):
                x = np.zeros(4)
                if subset:
                    x[list(subset)] = np.linalg.lstsq(a[:, subset], b, rcond=None)[0]
                if (x >= 0).all():
                    best = min(best, ((a @ x - b) ** 2).sum())
            found = fit.non_negative(a, b)
            self.assertTrue((found >= 0).all())
            self.assertAlmostEqual(((a @ found - b) ** 2).sum(), best, places=8)

    def test_transferable_model_recovers_known_coefficients(self):
        rng = np.random.default_rng(4)
        truth, samples = np.array([0.5, 1, 2, 3, 1.5, 0.7, 0.3, 0.1]), []
        for _ in range(6):
            features = {f: rng.integers(0, 9, 300) for _, f in fit.TERMS[1:] + fit.MORE_TERMS}
            energies = np.zeros((300, len(netlist.PARTS) + 2))
            energies[:, 0] = fit.matrix_of(features, False) @ truth
            energies[:, fit.CLOCK] = 10
            samples.append(fit.Sample("flip rate", "x", False, features, np.zeros((300, 8)), energies, np.zeros(300),
                                      np.zeros(300), np.ones(300, bool)))
        np.testing.assert_allclose(fit.transferable(samples), truth, atol=1e-9)
        refined = fit.transferable(samples, refined=True)
        np.testing.assert_allclose(refined, np.append(truth, [0, 0, 0]), atol=1e-8)
        self.assertAlmostEqual(fit.error_percent(1.1 * truth, samples[0]), 10.0, places=6)

    def test_bit_costs_recover_known_ones(self):
        rng, samples = np.random.default_rng(9), []
        costs, moving = np.array([1.0, 2, 3, 4, 5, 6, 7, 0.5]), 0.25
        for i in range(6):
            flips, ones = rng.integers(0, 2, (400, 8)), rng.integers(0, 9, 400)
            features = {f: np.zeros(400) for f in ("activation",)} | {"weight": flips.sum(axis=1)}
            energies = np.zeros((400, len(netlist.PARTS) + 2))
            samples.append(fit.Sample("layer" if i == 0 else "statistics", "x", False, features, flips, energies, ones,
                                      np.zeros(400), np.ones(400, bool)))
        mean_ones = np.mean([s.ones.mean() for s in samples[1:]])
        for s in samples:
            s.energies[:, 0] = 1.5 + (s.bit_flips @ costs) * s.ones / mean_ones + moving * s.features["weight"]
        samples[0].energies[:] = 99  # a layer tells no bits apart: not in the fit
        found, idle, popcount = fit.bit_costs(samples, "input_stationary", moving)
        np.testing.assert_allclose(found, costs + moving, atol=1e-6)
        self.assertAlmostEqual(idle, 1.5, places=6)
        self.assertAlmostEqual(popcount, mean_ones)

    def test_plan_of_an_array_is_the_mean_of_its_elements(self):
        rng = np.random.default_rng(10)
        layer, array = model.Layer(rng.integers(-127, 128, (6, 3, 1, 1)), rng.integers(0, 256, (3, 2, 2))), model.Array(3, 2)
        signals = model.simulate(model.schedule(layer, array), layer, array)
        features = model.features(signals, array, False)
        found = fit.plan_means(signals, features, array)
        ones, weight_ones = (np.mean([bin(int(x)).count("1") for x in signals[n].ravel()]) for n in ("activation", "weight"))
        moves, weight_flips = features["activation"].mean(), features["weight"].mean()
        np.testing.assert_allclose(found, [1, weight_flips, features["sign"].mean(), weight_flips * ones + moves * weight_ones,
                                           moves])

    def test_wire_model(self):
        samples = [(n, 0.002 * n ** 1.3) for n in (1, 2, 3, 5, 9)]
        found = route.fit_wire_model(samples)
        self.assertAlmostEqual(found["exponent"], 1.3)
        self.assertAlmostEqual(found["factor_pf"], 0.002, places=6)


class Streams(unittest.TestCase):
    def test_trellis_rounding_is_optimal(self):
        rng = np.random.default_rng(5)
        for representation in model.REPRESENTATIONS:
            near = 2  # brute force over words near the values is enough at this weight of the error
            values, mu = rng.normal(0, 2.0, (4, 3)), 0.9
            words = streams.trellis_round(values, mu, representation)
            for lane in range(3):
                def cost(path):
                    error = sum((values[t, lane] - v) ** 2 for t, v in enumerate(path))
                    bits = [int(model.encode_weight(v, representation)) for v in path]
                    return mu * error + sum(bin(a ^ b).count("1") for a, b in zip(bits, bits[1:]))
                choices = [range(int(np.floor(v)) - near, int(np.ceil(v)) + near + 1) for v in values[:, lane]]
                best = min(cost(p) for p in itertools.product(*choices))
                found = [int(v) for v in model.decode_weight(words[:, lane], representation)]
                self.assertLessEqual(cost(found), best + 1e-9)

    def test_markov_words_have_the_asked_rate(self):
        words = streams.markov_words(np.random.default_rng(6), (1, 4000, 2), 0.2)[0]
        self.assertAlmostEqual(model.popcount(words[1:] ^ words[:-1]).mean(), 1.6, delta=0.08)

    def test_greedy_order_is_a_permutation_and_shortens(self):
        words = np.random.default_rng(7).integers(0, 256, (40, 8))
        order = streams.greedy_order(words)
        self.assertEqual(sorted(order), list(range(40)))
        def length(w): return model.popcount(w[1:] ^ w[:-1]).sum()
        self.assertLess(length(words[order]), 0.9 * length(words))

    def test_trained_layers_fit_their_words(self):
        for layer in streams.trained_layers().values():
            low, high = (-127, 127) if layer.activation_signed else (0, 255)
            self.assertTrue(layer.activations.min() >= low and layer.activations.max() <= high)
            self.assertLessEqual(np.abs(layer.weights).max(), 127)


class Features(unittest.TestCase):
    def test_against_bit_by_bit_recount(self):
        rng = np.random.default_rng(8)
        for dataflow in model.DATAFLOWS:
            for representation in model.REPRESENTATIONS:
                layer = model.Layer(rng.integers(-127, 128, (5, 4, 1, 1)), rng.integers(-127, 128, (4, 2, 2)),
                                    activation_signed=True)
                array = model.Array(3, 2, dataflow, representation, 24)
                signals = model.simulate(model.schedule(layer, array), layer, array)
                found = model.features(signals, array, True)
                for r, c in ((0, 0), (2, 1)):
                    self.recount({k: [0] + [int(x) for x in v[:, r, c]] for k, v in signals.items()},
                                 {k: v[:, r, c] for k, v in found.items()}, representation)

    def recount(self, s, found, representation):
        def ones(x): return bin(x).count("1")
        magnitude = range(7) if representation == "sign_magnitude" else range(8)
        def gates_of(w, x): return [(w >> k) & (x >> j) & 1 for k in magnitude for j in range(8)]
        def carry(t):
            product = s["product"][t] - ((s["product"][t] & 0x8000) << 1)
            out, into = 0, 0
            for bit in range(24):
                a, b = (s["psum_in"][t] >> bit) & 1, (product >> bit) & 1
                out |= into << bit
                into = (a + b + into) >> 1
            return out
        for t in range(1, len(s["weight"])):
            expected = dict(
                weight=ones(s["weight"][t] ^ s["weight"][t - 1]), sign=ones((s["weight"][t] ^ s["weight"][t - 1]) & 128),
                activation=ones(s["activation"][t] ^ s["activation"][t - 1]),
                activation_sign=ones((s["activation"][t] ^ s["activation"][t - 1]) & 128),
                partial_products=sum(a != b for a, b in zip(gates_of(s["weight"][t], s["activation"][t]),
                                                            gates_of(s["weight"][t - 1], s["activation"][t - 1]))),
                product=ones(s["product"][t] ^ s["product"][t - 1]), psum_in=ones(s["psum_in"][t] ^ s["psum_in"][t - 1]),
                psum_out=ones(s["sum"][t] ^ s["sum"][t - 1]), carry=ones(carry(t) ^ carry(t - 1)))
            self.assertEqual({k: int(v[t - 1]) for k, v in found.items()}, expected)


class Cache(unittest.TestCase):
    def test_a_run_is_made_once(self):
        with tempfile.TemporaryDirectory() as scratch:
            runs = []
            simulator = gates.GateSimulator.__new__(gates.GateSimulator)
            simulator.cache, simulator.count_transitions, simulator._setting = scratch, None, gates.hashlib.sha256(b"netlist")
            simulator._compile = lambda array, signed: "program"
            simulator._run = lambda program, stimulus, cycles: (runs.append(stimulus) or np.full((cycles, 2), 1.5), ["a", "b c"])
            for _ in range(2):
                energies, lines = simulator._cached_run(None, False, "00\n", 3)
                np.testing.assert_array_equal(energies, np.full((3, 2), 1.5))
                self.assertEqual(lines, ["a", "b c"])
            self.assertEqual(runs, ["00\n"])
            simulator._cached_run(None, True, "00\n", 3)
            simulator._cached_run(None, False, "01\n", 3)
            simulator._setting = gates.hashlib.sha256(b"another netlist")
            simulator._cached_run(None, False, "00\n", 3)
            self.assertEqual(len(runs), 4)
            self.assertEqual(len(os.listdir(scratch)), 4)


class Tables(unittest.TestCase):
    def test_scaling_meets_its_anchor(self):
        mac = {"multiplier": 20.0, "accumulator": 30.0, "wires": 10.0, "clock": 9.0}
        element = {"bit_costs_pj": [1.0] * 8, "idle_pj_per_cycle": 2.0, "propagation_pj_per_flip": 0.5,
                   "clock_pj_per_cycle": 9.0, "transferable": {"a0": -1.0}, "held_out_errors_percent": [3.0],
                   "measured": dict.fromkeys(scale.MEASURED_KEYS, {"weight_r2": 0.9, "x": 4.0})
                   | {"natural_pj_per_cycle": mac, "bit_cost_activation_popcount": 2.0}}
        source = {"format": "f", "version": 1, "name": "s", "tools": ["t"], "temperature_c": 25.0, "units": {}, "residuals": {},
                  "assumed_activations": {}, "models": {"output_stationary": {"twos_complement": element}}}
        at45 = scale.scaled(source, 45, 0.9, 500, 2, "45")["models"]["output_stationary"]["twos_complement"]
        scaled_mac = at45["measured"]["natural_pj_per_cycle"]
        self.assertAlmostEqual(sum(scaled_mac[p] for p in scale.ANCHOR_PARTS), 0.3)
        self.assertAlmostEqual(at45["transferable"]["a0"], -0.005)
        self.assertEqual((at45["measured"]["plan"]["weight_r2"], at45["held_out_errors_percent"]), (0.9, [3.0]))
        at90 = scale.scaled(source, 90, 1.8, 500, 2, "90")["models"]["output_stationary"]["twos_complement"]
        self.assertAlmostEqual(at90["bit_costs_pj"][0] / at45["bit_costs_pj"][0], 8.0)

    def test_text_round_trip_and_comparison(self):
        quiet = contextlib.redirect_stdout(io.StringIO())
        made = {"a": {"b": 1.5, "c": [1, 2]}, "d": ["x"], "e": True, "f": None}
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as f:
            f.write(table.text(made))
        try:
            with quiet:
                self.assertEqual(table.compare(f.name, made, 2), 0)
                self.assertEqual(table.compare(f.name, {**made, "a": {"b": 1.52, "c": [1, 2]}}, 2), 0)
                self.assertEqual(table.compare(f.name, {**made, "a": {"b": 1.6, "c": [1, 2]}}, 2), 1)
                self.assertEqual(table.compare(f.name, {**made, "a": {"c": [1, 2]}}, 2), 1)
        finally:
            os.unlink(f.name)

    def test_parts_by_instance(self):
        for name, part in (("$flatten\\multiply.$abc$1", "multiplier"), ("accumulate.register.slice[8].held", "accumulator"),
                           ("\\accumulate.register.slice[8].gate.x", "clock"), ("weight_register.slice[0].q", "weight_register"),
                           ("$abc$77$u1", "control")):
            self.assertEqual(netlist.part_of(name), part)


if __name__ == "__main__":
    unittest.main(verbosity=1)
