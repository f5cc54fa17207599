"""Places and routes a mapped processing element with Debian's qflow (graywolf, qrouter) and reads wire lengths back.

Optional: calibration uses WIRE_MODEL below, which `run -route` measures again. Traps: qflow wants -T on every action, a
BLIF without .names lines, and a log of a synthesis that it did not do; DEF wires name their layer once a segment.
"""
import os
import re
import shutil
import subprocess

import numpy as np

# pF of wire for a net of that fanout, factor x fanout ^ exponent: routed elements of all six kinds, `run -route`.
WIRE_MODEL = {"factor_pf": 0.00105, "exponent": 1.3}


def wire_model(fanout):
    return WIRE_MODEL["factor_pf"] * max(fanout, 1) ** WIRE_MODEL["exponent"]


def available():
    return all(shutil.which(tool) for tool in ("qflow", "graywolf", "qrouter"))


def route(netlist, liberty_path, directory):
    """Wire capacitance by net name, pF, of the placed and routed element; metal layers are those of the LEF."""
    from liberty import metal_capacitance
    name, where = "pe_gates", os.path.join(directory, netlist.name + ".route")
    shutil.rmtree(where, ignore_errors=True)
    for folder in ("source", "synthesis", "layout", "log"):
        os.makedirs(os.path.join(where, folder))
    verilog = os.path.join(where, "source", name + ".v")
    netlist.write_verilog(verilog)
    blif = os.path.join(where, "synthesis", name + ".blif")
    subprocess.run(["yosys", "-q", "-p", f"read_liberty -lib -ignore_miss_func {liberty_path}; read_verilog {verilog}; "
                    f"hierarchy -top {name}; write_blif -gates {blif}"], check=True, capture_output=True)
    with open(blif) as f:
        lines = f.read().splitlines()
    keep, kept = True, []
    for line in lines:
        if line.startswith("."):
            keep = not line.startswith(".names")
        if keep:
            kept.append(line)
    with open(blif, "w") as f:
        f.write("\n".join(kept) + "\n")

    def qflow(action):
        run = subprocess.run(["qflow", action, "-T", "osu018", name], cwd=where, capture_output=True, text=True)
        with open(os.path.join(where, "log", f"{action}.out"), "w") as f:
            f.write(run.stdout + run.stderr)
    qflow("setup")
    for net in ("vdd", "gnd"):
        with open(os.path.join(where, "synthesis", name + "_powerground"), "a") as f:
            f.write(f'set {net}net="{net}"\n')
    with open(os.path.join(where, "log", "synth.log"), "w") as f:
        f.write("ok\n")
    qflow("place")
    qflow("route")
    layout = os.path.join(where, "layout", name + ".def")
    if not os.path.exists(layout):
        raise RuntimeError(f"qflow did not route {netlist.name}: see {where}/log")
    lef = os.path.join(os.path.dirname(liberty_path), "osu018_stdcells.lef")
    return wire_capacitances(layout, metal_capacitance(lef))


def wire_capacitances(def_path, pf_per_um):
    with open(def_path) as f:
        text = f.read()
    units = float(re.search(r"UNITS DISTANCE MICRONS (\d+)", text).group(1))
    nets = text[text.index("\nNETS"):text.index("\nEND NETS")]
    out = {}
    for block in re.split(r"\n- ", nets)[1:]:
        pf, routed = 0.0, block.find("+ ROUTED")
        for segment in re.split(r"\bNEW\b|\+ ROUTED", block[routed:]) if routed >= 0 else []:
            layer = segment.split()[:1]
            x = y = None
            for a, b in re.findall(r"\(\s*(\S+)\s+(\S+)\s*\)", segment):
                to_x, to_y = (x if a == "*" else float(a)), (y if b == "*" else float(b))
                if x is not None:
                    pf += (abs(to_x - x) + abs(to_y - y)) / units * pf_per_um[layer[0]]
                x, y = to_x, to_y
        out[block.split()[0]] = pf
    return out


def fit_wire_model(samples):
    """samples: (fanout, pF) of routed nets -> factor and exponent with the least squared error of the capacitance."""
    fanout, pf = (np.array(v, float) for v in zip(*[s for s in samples if s[0] > 0]))
    best = None
    for exponent in np.arange(0.8, 1.61, 0.05):
        basis = fanout ** exponent
        factor = (basis @ pf) / (basis @ basis)
        error = float(((pf - factor * basis) ** 2).sum())
        if best is None or error < best[0]:
            best = (error, float(factor), float(exponent))
    return {"factor_pf": best[1], "exponent": round(best[2], 2)}
