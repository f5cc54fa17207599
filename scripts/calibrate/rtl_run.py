"""Compiles the RTL array for one layer with iverilog, runs it, and reads back results and toggles."""
import glob
import os
import subprocess
from dataclasses import dataclass

import numpy as np

import array_model as model

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOGGLE_NAMES = ("weight", "activation", "psum", "product", "psum_in", "psum_out")


def rtl_sources():
    return sorted(glob.glob(os.path.join(ROOT, "hdloss", "rtl", "*.v")))


@dataclass
class Run:
    schedule: model.Schedule
    tiles: list
    results: list    # (cycle, column, value as unsigned)
    toggles: dict    # name -> [rows][columns]
    cycles: int


def flush_cycles(array):
    """Cycles of zeros that bring every register to zero before the layer begins."""
    return array.rows + array.columns + 2


def pack(ports, array):
    """One hexadecimal number a cycle, the flush in front; the layout is the bench's `assign`."""
    flush = flush_cycles(array)
    cycles = len(ports["valid"])
    columns = [np.ones((flush, array.rows), bool), np.ones((flush, array.rows), bool),
               np.ones((flush, array.columns), bool)]
    bits = [np.concatenate([f, ports[n]]) for f, n in zip(columns, ("valid", "first", "active"))]
    for name in ("row_operand", "column_operand", "local_activation"):
        words = ports[name].reshape(cycles, -1)
        as_bits = ((words[:, :, None] >> np.arange(8)) & 1).reshape(cycles, -1).astype(bool)
        bits.append(np.concatenate([np.zeros((flush, as_bits.shape[1]), bool), as_bits]))
    line = np.concatenate(bits, axis=1)
    digits = (line.shape[1] + 3) // 4
    packed = np.packbits(line, axis=1, bitorder="little")
    return "\n".join(row[::-1].tobytes().hex()[-digits:] for row in packed) + "\n", flush + cycles


def run_array(layer, array, order=None, directory="."):
    """Runs the layer on the RTL. The registers are flushed to zero first and toggles counted after that."""
    all_tiles = model.tiles(layer, array, order)
    schedule = model.schedule_tiles(all_tiles, layer, array)
    stimulus, cycles = pack(model.skewed_inputs(schedule), array)
    flush = flush_cycles(array)
    stimulus_file, program = os.path.join(directory, "stimulus.hex"), os.path.join(directory, "array.vvp")
    with open(stimulus_file, "w") as f:
        f.write(stimulus)
    dataflow = 1 if schedule.local else model.DATAFLOWS.index(array.dataflow)
    parameters = dict(ROWS=array.rows, COLUMNS=array.columns, DATAFLOW=dataflow,
                      SIGN_MAGNITUDE=model.REPRESENTATIONS.index(array.representation),
                      ACCUMULATOR_BITS=array.accumulator_bits, CYCLES=cycles,
                      ACTIVATION_SIGNED=int(layer.activation_signed), DEPTHWISE=int(layer.depthwise),
                      COUNT_FROM=flush)
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-s", "array_bench", "-o", program]
    command += [f"-Parray_bench.{k}={v}" for k, v in parameters.items()]
    command += rtl_sources() + [os.path.join(ROOT, "tests", "rtl", "array_bench.v")]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode or compiled.stderr:
        raise RuntimeError("iverilog: " + compiled.stderr.strip())
    ran = subprocess.run(["vvp", "-n", program, f"+stimulus={stimulus_file}"], capture_output=True, text=True)
    if ran.returncode or ran.stderr:
        raise RuntimeError("vvp: " + ran.stderr.strip())
    results, toggles = [], {n: np.zeros((array.rows, array.columns), np.int64) for n in TOGGLE_NAMES}
    for line in ran.stdout.splitlines():
        word = line.split()
        if word[:1] == ["result"]:
            cycle = int(word[1]) - flush
            if cycle >= 0 and word[3].isdigit():
                results.append((cycle, int(word[2]), int(word[3])))
        elif word[:1] == ["toggles"]:
            for name, value in zip(TOGGLE_NAMES, word[3:]):
                toggles[name][int(word[1]), int(word[2])] = int(value)
        else:
            raise RuntimeError("vvp: " + line)
    return Run(schedule, all_tiles, results, toggles, cycles - flush)


def model_toggles(schedule, layer, array):
    """What the cycle model says that the bench counts: name -> [rows][columns]."""
    signals = model.simulate(schedule, layer, array)
    names = dict(weight="weight", activation="activation", psum="psum", product="product", psum_in="psum_in",
                 psum_out="sum")
    return {name: model.flips(signals[signal]).sum(axis=0) for name, signal in names.items()}
