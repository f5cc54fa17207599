#!/usr/bin/python3
"""Runs the RTL array on random layers and holds it against the integer convolution and the cycle model.

For every case: each output equals the convolution; the toggles of every operand register, accumulator and settled
internal signal of every element equal the cycle model's. Usage: test_array.py [-seed N] [-cases N] [-keep DIRECTORY]
"""
import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "scripts", "calibrate"))

import numpy as np  # noqa: E402
import array_model as model  # noqa: E402
import rtl_run  # noqa: E402


def random_case(rng, index):
    """A small layer and array; the first dozen cover every dataflow, representation and depthwise."""
    dataflow = model.DATAFLOWS[index % 3]
    representation = model.REPRESENTATIONS[(index // 3) % 2]
    depthwise = (index // 6) % 3 == 1
    signed = bool(rng.integers(2))
    size, stride = int(rng.choice([1, 1, 2, 3])), int(rng.integers(1, 3))
    if depthwise:
        groups, per_in, per_out = int(rng.integers(1, 9)), 1, int(rng.integers(1, 3))
    else:
        groups = int(rng.choice([1, 1, 2]))
        per_in, per_out = int(rng.integers(1, 8)), int(rng.integers(1, 10))
    height, width = (int(n) for n in rng.integers(size, size + 4, 2))
    weights = np.clip(np.rint(rng.laplace(0, 30, (groups * per_out, per_in, size, size))), -127, 127).astype(int)
    low, high = (-127, 128) if signed else (0, 256)
    activations = rng.integers(low, high, (groups * per_in, height, width))
    activations[rng.random(activations.shape) < 0.4] = 0
    layer = model.Layer(weights, activations, stride, int(rng.integers(0, size)), groups, signed)
    bits = int(rng.choice([24, 32]))
    array = model.Array(int(rng.integers(1, 6)), int(rng.integers(1, 6)), dataflow, representation, bits)
    order = None
    if rng.integers(2):
        length = per_in * size * size if dataflow == "output_stationary" or layer.depthwise else per_out
        order = rng.permutation(length)
    return layer, array, order


def check_case(layer, array, order, directory):
    """Problems found, as sentences."""
    problems = []
    run = rtl_run.run_array(layer, array, order, directory)
    reference = layer.reference_output()
    output, used = model.collect_results(run.results, run.schedule, run.tiles, array, reference.shape)
    wanted = sum(int((t.outputs[..., 0] >= 0).sum()) for t in run.tiles)
    if used != wanted:
        problems.append(f"{used} results came out, {wanted} is right")
    if not np.array_equal(output, reference):
        problems.append(f"{int((output != reference).sum())} of {output.size} outputs differ from the convolution")
    expected = rtl_run.model_toggles(run.schedule, layer, array)
    for name in rtl_run.TOGGLE_NAMES:
        if not np.array_equal(run.toggles[name], expected[name]):
            problems.append(f"{name} toggles: the RTL has {run.toggles[name].sum()}, the model {expected[name].sum()}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-seed", type=int, default=1)
    parser.add_argument("-cases", type=int, default=24)
    parser.add_argument("-keep", help="leave the files here")
    args = parser.parse_args()
    rng, failures = np.random.default_rng(args.seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(args.cases):
            layer, array, order = random_case(rng, index)
            problems = check_case(layer, array, order, args.keep or scratch)
            failures += bool(problems)
            shape = "x".join(str(n) for n in layer.weights.shape)
            print(f"{'FAILED' if problems else 'ok'} case {index}: {array.rows}x{array.columns} {array.dataflow} "
                  f"{array.representation}{' depthwise' if layer.depthwise else ''}, weights {shape}, "
                  f"activations {'signed' if layer.activation_signed else 'unsigned'}")
            for problem in problems:
                print("   ", problem)
    print(f"{args.cases} cases, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
