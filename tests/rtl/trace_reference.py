#!/usr/bin/python3
"""Register-level trace references: small layers run on the RTL, with every toggle count it made.

tests/golden/trace/*.json hold layer, array and counts; the format is described in tests/golden/trace/README.md.
  trace_reference.py -write            runs the RTL and writes the files
  trace_reference.py -check            runs the RTL again and compares with the files
  trace_reference.py -write -into DIR  writes elsewhere
  ... -random N [-seed S]              other layers than the committed ones: N random ones (see test_array.py)
"""
import argparse
import glob
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "scripts", "calibrate"))

import numpy as np  # noqa: E402
import array_model as model  # noqa: E402
import rtl_run  # noqa: E402
import test_array  # noqa: E402

FORMAT = "register trace 1"


def cases():
    """(name, layer, array, order): each dataflow and representation, kernels, strides, groups, depthwise, connected,
    partial tiles, both activation signs, tiles shorter than the array has rows."""
    rng = np.random.default_rng(20020529)

    def layer(filters, channels, size, height, width, **options):
        groups = options.get("groups", 1)
        weights = np.clip(np.rint(rng.laplace(0, 28, (filters, channels // groups, size, size))), -127, 127)
        if options.get("activation_signed"):
            activations = np.clip(np.rint(rng.normal(0, 45, (channels, height, width))), -127, 127)
        else:
            activations = np.clip(np.rint(rng.normal(0, 60, (channels, height, width))), 0, 255)
        return model.Layer(weights.astype(int), activations.astype(int), **options)

    tc, sm = model.REPRESENTATIONS
    input_stationary, output_stationary, weight_stationary = model.DATAFLOWS
    pointwise = layer(20, 11, 1, 5, 5)
    signed = layer(12, 10, 1, 4, 4, activation_signed=True)
    spatial = layer(9, 6, 3, 7, 6, stride=2, padding=1)
    grouped = layer(8, 6, 3, 4, 4, groups=2, padding=1, activation_signed=True)
    depthwise = layer(13, 13, 3, 6, 6, groups=13, padding=1)
    connected = layer(10, 24, 1, 1, 1)
    narrow = layer(3, 2, 1, 3, 3)
    yield "pointwise-is-tc", pointwise, model.Array(8, 8, input_stationary, tc, 24), None
    yield "pointwise-is-tc-ordered", pointwise, model.Array(4, 8, input_stationary, tc, 24), rng.permutation(20)
    yield ("pointwise-is-tc-segment-orders", pointwise, model.Array(4, 8, input_stationary, tc, 24),
           np.array([rng.permutation(20) for _ in range(3)]))
    yield "pointwise-is-sm", signed, model.Array(8, 8, input_stationary, sm, 24), None
    yield "spatial-is-tc", spatial, model.Array(4, 5, input_stationary, tc, 24), None
    yield "grouped-is-sm", grouped, model.Array(4, 4, input_stationary, sm, 24), None
    yield "depthwise-is-tc", depthwise, model.Array(8, 4, input_stationary, tc, 32), None
    yield "connected-is-tc", connected, model.Array(8, 8, input_stationary, tc, 24), None
    yield "narrow-is-tc", narrow, model.Array(6, 4, input_stationary, tc, 24), None
    yield "pointwise-os-tc", pointwise, model.Array(8, 8, output_stationary, tc, 32), None
    yield "pointwise-os-sm", signed, model.Array(8, 8, output_stationary, sm, 32), None
    yield "spatial-os-tc-ordered", spatial, model.Array(4, 5, output_stationary, tc, 32), rng.permutation(54)
    yield "grouped-os-tc", grouped, model.Array(4, 4, output_stationary, tc, 32), None
    yield "narrow-os-sm", narrow, model.Array(6, 4, output_stationary, sm, 32), None
    yield "depthwise-os-sm", depthwise, model.Array(12, 4, output_stationary, sm, 32), None
    yield "connected-os-tc", connected, model.Array(8, 8, output_stationary, tc, 32), None
    yield "pointwise-ws-tc", pointwise, model.Array(8, 8, weight_stationary, tc, 24), None
    yield "pointwise-ws-sm-ordered", signed, model.Array(4, 8, weight_stationary, sm, 24), rng.permutation(12)
    yield "spatial-ws-tc", spatial, model.Array(4, 5, weight_stationary, tc, 24), None
    yield "connected-ws-tc", connected, model.Array(8, 8, weight_stationary, tc, 24), None


def random_cases(count, seed):
    rng = np.random.default_rng(seed)
    for index in range(count):
        yield f"random-{index:03d}", *test_array.random_case(rng, index)


def reference(name, layer, array, order, directory):
    """Runs the RTL; returns the reference as a dictionary. Raises when the RTL's outputs are not the convolution."""
    run = rtl_run.run_array(layer, array, order, directory)
    convolution = layer.reference_output()
    output, _ = model.collect_results(run.results, run.schedule, run.tiles, array, convolution.shape)
    if not np.array_equal(output, convolution):
        raise RuntimeError(f"{name}: the RTL's outputs are not the convolution")
    filters, per_in, size, _ = layer.weights.shape
    channels, height, width = layer.activations.shape
    signals = model.simulate(run.schedule, layer, array)
    features = model.features(signals, array, layer.activation_signed)
    return dict(
        format=FORMAT, name=name, dataflow=array.dataflow, representation=array.representation, rows=array.rows,
        cols=array.columns, accumulator_bits=array.accumulator_bits,
        layer=dict(filters=filters, channels=channels, groups=layer.groups, size=size, stride=layer.stride,
                   padding=layer.padding, height=height, width=width, activation_signed=layer.activation_signed),
        weights=layer.weights.ravel().tolist(), activations=layer.activations.ravel().tolist(),
        order=None if order is None else np.asarray(order).tolist(),
        tiles=len(run.tiles), cycles=len(run.schedule.first) - int(run.schedule.local) + array.rows + array.columns,
        toggles={n: int(v.sum()) for n, v in run.toggles.items()},
        partial_product_flips=int(features["partial_products"].sum()), sign_flips=int(features["sign"].sum()),
        carry_flips=int(features["carry"].sum()), activation_sign_flips=int(features["activation_sign"].sum()),
        toggles_by_element={n: run.toggles[n].tolist() for n in ("weight", "activation", "psum")})


def dump(value):
    """JSON with one line for each top-level key."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_file(path):
    """(name, layer, array, order) of a committed reference."""
    with open(path) as f:
        ref = json.load(f)
    shape = ref["layer"]
    weights = np.array(ref["weights"]).reshape(shape["filters"], shape["channels"] // shape["groups"],
                                               shape["size"], shape["size"])
    activations = np.array(ref["activations"]).reshape(shape["channels"], shape["height"], shape["width"])
    layer = model.Layer(weights, activations, shape["stride"], shape["padding"], shape["groups"],
                        shape["activation_signed"])
    array = model.Array(ref["rows"], ref["cols"], ref["dataflow"], ref["representation"], ref["accumulator_bits"])
    return ref["name"], layer, array, None if ref["order"] is None else np.array(ref["order"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-write", action="store_true")
    parser.add_argument("-check", action="store_true")
    parser.add_argument("-into", default=os.path.join(ROOT, "tests", "golden", "trace"))
    parser.add_argument("-random", type=int, default=0)
    parser.add_argument("-seed", type=int, default=1)
    args = parser.parse_args()
    if args.write == args.check:
        parser.error("one of -write and -check")
    failures = count = 0
    with tempfile.TemporaryDirectory() as scratch:
        if args.write:
            os.makedirs(args.into, exist_ok=True)
            for case in random_cases(args.random, args.seed) if args.random else cases():
                count += 1
                with open(os.path.join(args.into, case[0] + ".json"), "w") as f:
                    f.write(dump(reference(*case, scratch)))
        else:
            for path in sorted(glob.glob(os.path.join(args.into, "*.json"))):
                count += 1
                if open(path).read() != dump(reference(*from_file(path), scratch)):
                    failures += 1
                    print(f"FAILED {path}: the RTL's trace is not the one in the file")
            failures += count == 0
    print(f"{count} trace references {'written' if args.write else 'checked'}, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
