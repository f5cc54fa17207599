#!/usr/bin/python3
"""docs/energy-table.md: the calibrated table's figures as a page. Usage: page.py [TABLE [OUT]]"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHORT = {"input_stationary": "IS", "output_stationary": "OS", "weight_stationary": "WS", "twos_complement": "TC",
         "sign_magnitude": "SM"}
TERMS = ("a0", "aw", "ax", "as", "app", "ap", "ab", "an")
REFINED = TERMS + ("aroot", "acarry", "axs")
FAMILIES = ("flip rate", "natural", "ordered", "rounded", "layer")


def grid(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def kinds(made):
    for dataflow, of in made["models"].items():
        for representation, m in of.items():
            yield f"{SHORT[dataflow]} {SHORT[representation]}", m, m["measured"]


def both(r):
    return f"{r['median_percent']:.1f} / {r['worst_percent']:.0f}" if r else ""


def elements(made):
    return grid(["", "cells", "flip-flops", "area, um^2", "longest path, ns", "glitches", "clock, pJ a cycle", "clock, nothing written",
                 "weight moves, pJ a flip", "activation moves, pJ a flip"],
                [[name, e["element"]["cells"], e["element"]["flip_flops"], f"{e['element']['area_um2']:.0f}",
                  f"{e['element']['longest_path_ns']:.2f}", f"x {e['glitch_ratio']:.2f}", f"{m['clock_pj_per_cycle']:.2f}",
                  f"{e['clock_idle_pj_per_cycle']:.2f}", f"{e['propagation']['weight_pj_per_flip']:.3f}",
                  f"{e['propagation']['activation_pj_per_flip']:.3f}"] for name, m, e in kinds(made)])


def bits(made):
    rows = [[name] + [f"{c:.2f}" for c in m["bit_costs_pj"]] + [f"{m['idle_pj_per_cycle']:.2f}"] for name, m, _ in kinds(made)]
    other = made.get("comparison_multiplier")
    if other:
        rows.append(["IS TC, sign-extending multiplier"] + [f"{c:.2f}" for c in other["bit_costs_pj"]] + [""])
    return grid(["pJ a flip of bit"] + [str(b) for b in range(8)] + ["cycle without weight flips"], rows)


def coefficients(made, names, source):
    return grid(["pJ"] + list(names), [[name] + [f"{source(m)[n]:.3g}" for n in names] for name, m, _ in kinds(made)])


def parts(made):
    names = list(next(kinds(made))[2]["part_shares"])
    return grid(["% of the datapath"] + [n.replace("_", " ") for n in names],
                [[name] + [f"{e['part_shares'][n]:.1f}" for n in names] for name, _, e in kinds(made)])


def residuals(made):
    names = ("line", "plan", "parts", "transferable", "refined")
    out = grid(["median / worst, %"] + ["straight line", "plan level", "sum of parts", "transferable", "refined"],
               [[name] + [both(e["residuals"][n]) for n in names] for name, _, e in kinds(made)])
    out += ["The refined model by family of streams (median / worst, %):", ""]
    out += grid([""] + list(FAMILIES), [[name] + [both(e["residuals_by_family"]["refined"].get(f)) for f in FAMILIES]
                                        for name, _, e in kinds(made)])
    layers = list(next(kinds(made))[2]["array_errors_percent"])
    out += ["Layers of the trained network on 8 x 8 gate-level arrays, error in % of the datapath energy, transferable / refined / plan level:", ""]
    out += grid([""] + layers, [[name] + [f"{e['array_errors_percent'][x]:+.1f} / {e['array_errors_refined_percent'][x]:+.1f} / "
                                          f"{e['array_errors_plan_percent'][x]:+.1f}"
                                          for x in layers] for name, _, e in kinds(made)])
    return out


def line(made):
    return grid(["", "operand", "pJ without flips", "pJ a flip", "R^2", "worst in its family, %"],
                [[name, e["line"]["operand"], f"{e['line']['intercept_pj']:.2f}", f"{e['line']['pj_per_flip']:.2f}",
                  f"{e['line']['r2']:.3f}", f"{e['line']['worst_error_in_family_percent']:.0f}"] for name, _, e in kinds(made)])


def page(made):
    lines = ["# The calibrated table, figure by figure", "",
             "Written by `scripts/calibrate/page.py` from `cfg/accelerators/tables/osu018.json`; [energy.md](energy.md) says what each "
             "figure means. IS, OS, WS: input, output, weight stationary; TC, SM: two's complement, sign-magnitude. Energies are pJ of one "
             "element.", "", f"Process: {made['process']}, {made['voltage_v']} V, {made['clock_mhz']:.0f} MHz. Tools: "
             + "; ".join(made["tools"]) + ".", ""]
    plan_names = list(next(kinds(made))[2]["plan"])
    for title, text in (("The elements", elements(made)), ("Costs of bits", bits(made)), ("Held-out errors", residuals(made)),
                        ("Transferable model", coefficients(made, TERMS, lambda m: m["transferable"])),
                        ("Refined model", coefficients(made, REFINED, lambda m: m["measured"]["refined"])),
                        ("Plan level", coefficients(made, plan_names, lambda m: m["measured"]["plan"])),
                        ("Shares of the parts, network-like streams", parts(made)),
                        ("The straight line in the Hamming distance", line(made))):
        lines += ["## " + title, ""] + text
    return "\n".join(lines).rstrip() + "\n"


def write(source=os.path.join(ROOT, "cfg", "accelerators", "tables", "osu018.json"),
          out=os.path.join(ROOT, "docs", "energy-table.md")):
    with open(source) as f:
        text = page(json.load(f))
    with open(out, "w") as f:
        f.write(text)


if __name__ == "__main__":
    write(*sys.argv[1:3])
