"""The energy table: fits made of samples, as the JSON that the simulator loads, and comparisons of tables.

Keys up to `held_out_errors_percent` are those that hdloss/energy reads; `measured` holds what calibration knows beyond.
"""
import json

import numpy as np

import fit
from netlist import PARTS

# Energy of each kind is followed by groups of parts: what moves operands between elements, and what computes.
PROPAGATION_PARTS = ("weight_register", "activation_register", "weight_link", "activation_link")


def rounded(x, digits=5):
    """To significant digits, so that a table is the same whatever the last bit of a sum."""
    return float(f"{float(x):.{digits}g}")


def make(kinds, arrays, extended, tools, period_ns):
    models = {}
    for k in kinds:
        mine = [a for a in arrays if (a["dataflow"], a["representation"]) == (k["dataflow"], k["representation"])]
        models.setdefault(k["dataflow"], {})[k["representation"]] = one_model(k, mine)
    first = next(iter(models.values()))["twos_complement"]["measured"]
    return {
        "format": "hdloss-energy-table",
        "version": 1,
        "name": "osu018",
        "provisional": False,
        "origin": "Gate-level calibration with open tools (scripts/calibrate/run): the processing elements of hdloss/rtl, "
                  "synthesised to the cells below, simulated with the cells' delays under streams of controlled flip rate, "
                  "operand statistics as networks have them, reordered and trellis-rounded weights, and layers of a trained "
                  "network; every transition of every net turned into energy: internal energy of the cell by the liberty "
                  "tables and C V^2 / 2 of pins and of estimated wires. docs/energy.md says how to check each figure. Pin "
                  "capacitances of these cells are large: relative energy is what transfers to other processes.",
        "tools": tools,
        "process": "OSU 0.18 um standard cells (Debian qflow-tech-osu018), typical corner",
        "voltage_v": 1.8,
        "clock_mhz": 1000.0 / period_ns,
        "temperature_c": 25.0,
        "units": {
            "energy": "pJ of one processing element",
            "flip": "one bit of one word changing between consecutive words of a lane",
            "cycle": "one clock cycle of one processing element",
        },
        "residuals": residual_texts(models),
        "assumed_activations": {
            "description": "Those of the streams that the bit costs were fitted on: unsigned bytes as behind a rectifier, half "
                           "normal with 30 to 60 % zeros, held (input stationary) or streaming (output and weight stationary). "
                           "No activation of the network at hand enters.",
            "mean_popcount": first["bit_cost_activation_popcount"],
            "zero_fraction": 0.45,
        },
        "models": models,
        "comparison_multiplier": extended and {
            "description": "input stationary, two's complement, with the multiplier that synthesis makes of a signed "
                           "product by extending both signs, instead of the Baugh-Wooley one in the models above",
            **extended},
    }


def one_model(k, arrays):
    training = k["training"]
    stationary_weights = k["dataflow"] == "weight_stationary"
    streaming = "activation" if stationary_weights else "weight"
    coefficients, refined = fit.transferable(training), fit.transferable(training, refined=True)
    plan, line = fit.plan(training), fit.line(training, streaming)
    clock, clock_idle = fit.clock([s for s in training if s.kind == "statistics"])[0], fit.clock(k["idle"])[1]
    moved, moved_r2 = fit.propagation(training, "weight")
    moved_x, moved_x_r2 = fit.propagation(training, "activation")
    costs, idle, popcount = fit.bit_costs(training, k["dataflow"], moved)
    by_part = fit.parts(training)
    # Layers' excerpts of next to no energy say nothing in percent.
    held_out = [s for s in k["held_out"] if s.datapath.mean() >= fit.LEAST_MEAN_PJ]
    errors = {"line": [fit.line_error_percent(line, s, streaming) for s in held_out],
              "transferable": [fit.error_percent(coefficients, s) for s in held_out],
              "refined": [fit.error_percent(refined, s, True) for s in held_out],
              "plan": [100 * (fit.plan_matrix(s) @ plan / s.datapath.mean() - 1) for s in held_out],
              "parts": [100 * (sum(s.matrix() @ c for c in by_part.values()).mean() / s.datapath.mean() - 1)
                        for s in held_out]}
    array_errors = {a["layer"]: 100 * (a["features"][:len(coefficients)] @ coefficients / a["datapath"] - 1) for a in arrays}
    array_refined = {a["layer"]: 100 * (a["features"] @ refined / a["datapath"] - 1) for a in arrays}
    array_plan = {a["layer"]: 100 * (a["plan"] @ plan / a["datapath"] - 1) for a in arrays}
    layer_errors = [(s, e) for s, e in zip(held_out, errors["transferable"]) if s.kind == "layer"]
    chosen = list(array_errors.values()) + [e for s, e in layer_errors][:8 - len(array_errors)]
    return {
        "basis": "measured",
        "bit_costs_pj": [rounded(c) for c in costs],
        "idle_pj_per_cycle": rounded(idle),
        "propagation_pj_per_flip": rounded(moved),
        "clock_pj_per_cycle": rounded(clock),
        "transferable": {name: rounded(c) for (name, _), c in zip(fit.TERMS, coefficients)},
        "held_out_errors_percent": [rounded(e, 3) for e in chosen],
        "measured": {
            "element": {name: value if isinstance(value, dict) else rounded(value) if isinstance(value, float) else value
                        for name, value in k["facts"].items()},
            "bit_cost_activation_popcount": rounded(popcount),
            "clock_idle_pj_per_cycle": rounded(clock_idle),
            "propagation": {"weight_pj_per_flip": rounded(moved), "weight_r2": rounded(moved_r2),
                            "activation_pj_per_flip": rounded(moved_x), "activation_r2": rounded(moved_x_r2)},
            "refined": {name: rounded(c) for (name, _), c in zip(fit.TERMS + fit.MORE_TERMS, refined)},
            "plan": {f"{name}_pj": rounded(c) for name, c in zip(fit.PLAN_TERMS, plan)},
            "parts": {part: {name: rounded(c) for (name, _), c in zip(fit.TERMS, values)}
                      for part, values in by_part.items()},
            "line": {"operand": streaming, "intercept_pj": rounded(line["intercept"]), "pj_per_flip": rounded(line["slope"]),
                     "r2": rounded(line["r2"]), "worst_error_in_family_percent": rounded(line["worst"], 3)},
            "glitch_ratio": rounded(fit.glitch_ratio(training)),
            "part_shares": shares(training),
            "natural_pj_per_cycle": natural(training),
            "residuals": {name: dict(zip(("median_percent", "worst_percent"), (rounded(x, 3) for x in fit.summary(e))))
                          for name, e in errors.items()},
            "residuals_by_family": {name: families(held_out, errors[name]) for name in ("transferable", "refined")},
            "array_errors_percent": {n: rounded(e, 3) for n, e in array_errors.items()},
            "array_errors_refined_percent": {n: rounded(e, 3) for n, e in array_refined.items()},
            "array_errors_plan_percent": {n: rounded(e, 3) for n, e in array_plan.items()},
            "array_pj_per_element_cycle": {a["layer"]: rounded(a["datapath"] / (a["cycles"] * a["side"] ** 2))
                                           for a in arrays},
        },
    }


def shares(samples):
    """Percent of the datapath energy by part, over the streams with statistics as networks have them."""
    chosen = [s for s in samples if s.kind == "statistics"]
    sums = sum(s.energies[:, :len(PARTS)].sum(axis=0) for s in chosen)
    sums[fit.CLOCK] = 0
    return {p: rounded(100 * x / sums.sum(), 3) for p, x in zip(PARTS, sums) if p != "clock"}


def natural(samples):
    """pJ of a cycle by part, clock too, under network-like weights in natural order."""
    means = [s.energies[:, :len(PARTS)].mean(axis=0) for s in samples if s.name.startswith("natural")]
    return {p: rounded(x) for p, x in zip(PARTS, np.mean(means, axis=0))}


def families(samples, errors):
    out = {}
    for family in ("flip rate", "natural", "ordered", "rounded", "layer"):
        some = [e for s, e in zip(samples, errors) if s.name.startswith(family)]
        if some:
            median, worst = fit.summary(some)
            out[family] = {"median_percent": rounded(median, 3), "worst_percent": rounded(worst, 3), "runs": len(some)}
    return out


def every(models):
    return [m["measured"] for by_representation in models.values() for m in by_representation.values()]


def residual_texts(models):
    measured = every(models)

    def span(name):
        medians = [m["residuals"][name]["median_percent"] for m in measured]
        worst = max(m["residuals"][name]["worst_percent"] for m in measured)
        return f"held-out single elements: median error {min(medians):.1f} to {max(medians):.1f} % by kind, worst {worst:.0f} %"

    def on_arrays(key):
        errors = [abs(e) for m in measured for e in m[key].values()]
        return f"; layers on arrays: median {np.median(errors):.1f} %, worst {max(errors):.0f} %" if errors else ""
    r2 = [m["line"]["r2"] for m in measured]
    own = max(m["line"]["worst_error_in_family_percent"] for m in measured)
    return {"transferable_model": span("transferable") + on_arrays("array_errors_percent"),
            "refined_model": span("refined") + on_arrays("array_errors_refined_percent"),
            "plan_level": span("plan") + on_arrays("array_errors_plan_percent"),
            "straight_line_in_hamming_distance": f"R^2 {min(r2):.2f} to {max(r2):.2f} and wrong by up to {own:.0f} % in its "
                                                 "own family; " + span("line"),
            "weight_propagation": "linear in flips, R^2 at least "
                                  f"{min(m['propagation']['weight_r2'] for m in measured if m['line']['operand'] == 'weight'):.3f} "
                                  "where weights stream"}


# --------------------------------------------------------------------------------- writing and comparing

def text(made):
    """JSON with short lists and leaf objects on one line."""
    def write(value, indent):
        pad = "  " * indent
        if isinstance(value, dict) and any(isinstance(v, (dict, list)) for v in value.values()) or (
                isinstance(value, dict) and any(isinstance(v, str) and len(v) > 40 for v in value.values())):
            inner = ",\n".join(f"{pad}  {json.dumps(k)}: {write(v, indent + 1)}" for k, v in value.items())
            return "{\n" + inner + "\n" + pad + "}"
        if isinstance(value, list) and any(isinstance(v, (dict, list, str)) for v in value):
            return "[\n" + ",\n".join(f"{pad}  {write(v, indent + 1)}" for v in value) + "\n" + pad + "]"
        return json.dumps(value)
    return write({k: v for k, v in made.items() if v is not None}, 0) + "\n"


def leaves(value, path=""):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from leaves(v, f"{path}.{k}" if path else k)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from leaves(v, f"{path}[{i}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, float(value)


def compare(path, made, tolerance_percent, below=()):
    """0 when every number of the two tables agrees; coefficients near zero within a hundredth of a pJ. below: keys from the
    root to the part that is compared."""
    with open(path) as f:
        there, here = json.load(f), json.loads(text(made))
    for key in below:
        there, here = there[key], here[key]
    old, new = dict(leaves(there)), dict(leaves(here))
    wrong = [p for p in sorted(set(old) | set(new)) if p not in old or p not in new
             or abs(new[p] - old[p]) > max(tolerance_percent / 100 * abs(old[p]), 0.01)]
    for p in wrong[:20]:
        print(f"differs: {p}: {old.get(p)} in {path}, {new.get(p)} now")
    print(f"{len(new)} numbers compared with {path}, {len(wrong)} differ by more than {tolerance_percent} %")
    return 1 if wrong else 0


def check_predictions(path, kinds, arrays, median_percent=8.0):
    """Streams simulated now against the committed coefficients: 0 when the median error of every kind is small."""
    with open(path) as f:
        models = json.load(f)["models"]
    status = 0
    for k in kinds:
        m = models[k["dataflow"]][k["representation"]]
        coefficients = np.array([m["transferable"][name] for name, _ in fit.TERMS])
        median, worst = fit.summary([fit.error_percent(coefficients, s) for s in k["training"] + k["held_out"]
                                     if s.datapath.mean() > fit.LEAST_MEAN_PJ])
        clock = fit.clock(k["held_out"])[0]
        clock_error = 100 * (clock / m["clock_pj_per_cycle"] - 1)
        good = median <= median_percent and abs(clock_error) <= 2
        status |= not good
        print(f"{'ok' if good else 'FAILED'} {k['dataflow']} {k['representation']}: committed coefficients on these streams: "
              f"median error {median:.1f} %, worst {worst:.0f} %; clock {clock_error:+.1f} %")
    for a in arrays:
        m = models[a["dataflow"]][a["representation"]]["transferable"]
        coefficients = np.array([m[name] for name, _ in fit.TERMS])
        error = 100 * (a["features"][:len(coefficients)] @ coefficients / a["datapath"] - 1)
        good = abs(error) <= 25
        status |= not good
        print(f"{'ok' if good else 'FAILED'} {a['side']}x{a['side']} {a['dataflow']} {a['layer']}: {error:+.1f} %")
    return int(status)


def print_report(made):
    for dataflow, by_representation in made["models"].items():
        for representation, m in by_representation.items():
            e = m["measured"]
            print(f"{dataflow} {representation}: {e['element']['cells']} cells, glitches x{e['glitch_ratio']:.2f}, "
                  f"clock {m['clock_pj_per_cycle']:.2f} pJ ({e['clock_idle_pj_per_cycle']:.2f} idle), "
                  f"propagation {m['propagation_pj_per_flip']:.3f} pJ a flip")
            print("   bit costs", " ".join(f"{c:.2f}" for c in m["bit_costs_pj"]), f"idle {m['idle_pj_per_cycle']:.2f}")
            print("   transferable", " ".join(f"{n} {c:.3g}" for n, c in m["transferable"].items()))
            for name, r in e["residuals"].items():
                print(f"   {name}: median {r['median_percent']:.1f} %, worst {r['worst_percent']:.0f} %", end=";")
            print()
            for name, r in e["residuals_by_family"]["refined"].items():
                print(f"   refined, {name}: median {r['median_percent']:.1f} %, worst {r['worst_percent']:.0f} % ({r['runs']} runs)",
                      end=";")
            print("\n   arrays:", ", ".join(f"{n} {x:+.1f} %" for n, x in e["array_errors_percent"].items()),
                  "| refined:", ", ".join(f"{x:+.1f} %" for x in e["array_errors_refined_percent"].values()))
