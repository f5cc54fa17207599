#!/usr/bin/python3
"""Energy tables of other processes: the calibrated table times one factor a process, from published figures.

The factor has two parts. Anchor: M. Horowitz, Computing's Energy Problem (and what we can do about it), ISSCC 2014, gives
0.2 pJ for an 8-bit integer multiplication and 0.1 pJ for a 32-bit addition at 45 nm and 0.9 V; the calibrated energy of
multiplier, accumulator and the wires inside an output-stationary element (32-bit sums) under network-like weights in
natural order is set equal to their sum. From 45 nm to another process: constant-field scaling, energy ~ length x V^2
(R. Dennard et al., Design of Ion-Implanted MOSFETs with Very Small Physical Dimensions, JSSC 1974), which leaves out that
wires shrink less than gates and that leakage grows: A. Stillmaker and B. Baas, Scaling Equations for the Accurate
Prediction of CMOS Device Performance from 180 nm to 7 nm, Integration 2017, fit simulations instead. The anchor's operands
and circuits are not published either. So absolute energies are good to a factor of two at 45 nm and three elsewhere; all
ratios within a table are those that were measured at 0.18 um.

  scale.py            writes cfg/accelerators/tables/scaled-*.json from osu018.json
  scale.py -check     compares instead; exits 1 when one is not what would be written
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "cfg", "accelerators", "tables")
ANCHOR_NM, ANCHOR_VOLT, ANCHOR_PJ = 45, 0.9, 0.2 + 0.1
# name, length nm, volts, clock MHz, factor of uncertainty, whose process. 1.0 V and 0.9 V are the nodes' nominal supplies.
PROCESSES = ((65, 1.0, 200, 3, "65 nm, as of Eyeriss (JSSC 2017)"),
             (45, 0.9, 500, 2, "45 nm, as of the anchor (ISSCC 2014)"),
             (28, 0.9, 700, 3, "28 nm, as of the first TPU (ISCA 2017)"))
ANCHOR_PARTS = ("multiplier", "accumulator", "wires")
MODEL_KEYS = ("bit_costs_pj", "idle_pj_per_cycle", "propagation_pj_per_flip", "clock_pj_per_cycle", "transferable")
MEASURED_KEYS = ("clock_idle_pj_per_cycle", "propagation", "refined", "plan", "parts", "natural_pj_per_cycle")


def times(value, factor):
    """Every number of a tree of energies times factor, to five digits; R^2 and texts stay."""
    if isinstance(value, dict):
        return {k: v if k.endswith("r2") else times(v, factor) for k, v in value.items()}
    if isinstance(value, list):
        return [times(v, factor) for v in value]
    return float(f"{value * factor:.5g}") if isinstance(value, (int, float)) else value


def anchor_factor(source):
    """From the calibrated element to 45 nm at 0.9 V."""
    mac = source["models"]["output_stationary"]["twos_complement"]["measured"]["natural_pj_per_cycle"]
    return ANCHOR_PJ / sum(mac[part] for part in ANCHOR_PARTS)


def scaled(source, nm, volt, mhz, uncertainty, whose):
    factor = anchor_factor(source) * (nm / ANCHOR_NM) * (volt / ANCHOR_VOLT) ** 2
    models = {}
    for dataflow, of in source["models"].items():
        models[dataflow] = {}
        for representation, m in of.items():
            new = {"basis": f"estimated: measured at 0.18 um times {factor:.4g}, see origin"}
            new.update({k: times(m[k], factor) for k in MODEL_KEYS})
            new["held_out_errors_percent"] = m["held_out_errors_percent"]
            new["measured"] = {k: times(m["measured"][k], factor) for k in MEASURED_KEYS}
            new["measured"]["bit_cost_activation_popcount"] = m["measured"]["bit_cost_activation_popcount"]
            models[dataflow][representation] = new
    return {
        **{k: source[k] for k in ("format", "version")}, "name": f"scaled-{nm}nm", "provisional": False,
        "origin": f"The table {source['name']} times {factor:.4g} (scripts/calibrate/scale.py): multiplier, accumulator and inner "
                  f"wires of an output-stationary element set to 0.3 pJ at 45 nm and 0.9 V, the 8-bit multiplication and 32-bit "
                  f"addition of Horowitz, ISSCC 2014, then length x V^2 (Dennard et al., JSSC 1974) to {nm} nm and {volt} V. "
                  f"Absolute energies are good to a factor of {uncertainty}; ratios are those measured at 0.18 um.",
        "tools": ["scripts/calibrate/scale.py"] + source["tools"],
        "process": whose, "voltage_v": volt, "clock_mhz": float(mhz), "temperature_c": source["temperature_c"],
        "scale_factor": float(f"{factor:.5g}"), "uncertainty_factor": uncertainty, "scaled_from": source["name"],
        "units": source["units"],
        "residuals": {"scaling": f"a factor of {uncertainty} in absolute energy, none known in ratios",
                      **{f"{source['name']}_{k}": v for k, v in source["residuals"].items()}},
        "assumed_activations": source["assumed_activations"], "models": models,
    }


def write(source_path, check=False):
    """Writes the scaled tables beside the source; check: 1 when one of them is another than would be written."""
    import table
    with open(source_path) as f:
        source = json.load(f)
    wrong = 0
    for nm, volt, mhz, uncertainty, whose in PROCESSES:
        text = table.text(scaled(source, nm, volt, mhz, uncertainty, whose))
        path = os.path.join(os.path.dirname(source_path), f"scaled-{nm}nm.json")
        if not check:
            with open(path, "w") as f:
                f.write(text)
            print(f"wrote {path}")
            continue
        with open(path) as f:
            same = f.read() == text
        if not same:
            print(f"{path} is not osu018.json scaled: run scripts/calibrate/scale.py")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    sys.exit(write(os.path.join(TABLES, "osu018.json"), "-check" in sys.argv[1:]))
