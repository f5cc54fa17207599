"""The figures of docs/energy.md, drawn from a calibration's samples with matplotlib."""
import os

import numpy as np

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import fit  # noqa: E402
from netlist import PARTS  # noqa: E402

NAMES = {"input_stationary": "input stationary", "output_stationary": "output stationary",
         "weight_stationary": "weight stationary", "twos_complement": "two's complement",
         "sign_magnitude": "sign-magnitude"}
COLOURS = {"twos_complement": "#1f5fa8", "sign_magnitude": "#c25a1b"}
PART_GROUPS = (("multiplier", ("multiplier",), "#1f5fa8"), ("accumulator", ("accumulator", "psum_link"), "#6aa5dd"),
               ("wires inside", ("wires",), "#b9b9b9"), ("operand registers", ("weight_register", "activation_register"), "#c25a1b"),
               ("links between elements", ("weight_link", "activation_link"), "#edb184"), ("control", ("control",), "#444444"))


def save(figure, directory, name):
    figure.tight_layout()
    figure.savefig(os.path.join(directory, name), dpi=110, metadata={"Software": None})
    plt.close(figure)


def hamming(made, kinds, directory):
    """Energy against Hamming distance: flip-rate streams, their straight line, and other statistics beside it."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=False)
    for axis, dataflow in zip(axes, NAMES):
        for k in (k for k in kinds if k["dataflow"] == dataflow):
            operand = "activation" if dataflow == "weight_stationary" else "weight"
            colour = COLOURS[k["representation"]]
            line = made["models"][dataflow][k["representation"]]["measured"]["line"]
            groups = {}
            for s in k["training"]:
                if s.kind in ("flip rate", "statistics"):
                    groups.setdefault((s.kind, s.name), []).append((s.features[operand].mean(), s.datapath.mean()))
            for kind, marker, label in (("flip rate", "o", "random flips"), ("statistics", "x", "network-like")):
                points = np.array([np.mean(v, axis=0) for (what, _), v in groups.items() if what == kind])
                axis.plot(points[:, 0], points[:, 1], marker, color=colour, markersize=5, alpha=0.8,
                          label=f"{NAMES[k['representation']]}, {label}")
            x = np.array([0, 4.2])
            axis.plot(x, line["intercept_pj"] + line["pj_per_flip"] * x, "--", color=colour, linewidth=1)
        axis.set_title(NAMES[dataflow])
        axis.set_xlabel(f"{operand} flips a cycle")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("datapath energy, pJ a cycle")
    axes[0].legend(fontsize=7)
    save(figure, directory, "energy-hamming.png")


def concavity(kinds, directory):
    """Mean energy of cycles by the number of weight bits that flip: what a further flip adds."""
    figure, axis = plt.subplots(figsize=(5.5, 4))
    for k in kinds:
        if k["dataflow"] == "weight_stationary":
            continue
        some = [s for s in k["training"] if s.kind == "flip rate" and "relu" in s.name]
        flips = np.concatenate([s.features["weight"] for s in some])
        energy = np.concatenate([s.datapath for s in some])
        means = [energy[flips == n].mean() for n in range(9) if (flips == n).sum() >= 20]
        axis.plot(range(len(means)), means, "o-" if k["dataflow"] == "input_stationary" else "s--",
                  color=COLOURS[k["representation"]], markersize=4,
                  label=f"{NAMES[k['dataflow']]}, {NAMES[k['representation']]}")
    axis.set_xlabel("weight bits that flip in the cycle")
    axis.set_ylabel("mean datapath energy of the cycle, pJ")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save(figure, directory, "energy-flips-in-cycle.png")


def bits(made, directory):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, dataflow in zip(axes, ("input_stationary", "output_stationary")):
        for i, (representation, colour) in enumerate(COLOURS.items()):
            costs = made["models"][dataflow][representation]["bit_costs_pj"]
            axis.bar(np.arange(8) + 0.38 * i - 0.19, costs, 0.36, color=colour, label=NAMES[representation])
        if dataflow == "input_stationary" and made.get("comparison_multiplier"):
            axis.plot(range(8), made["comparison_multiplier"]["bit_costs_pj"], "k_", markersize=14,
                      label="two's complement, sign-extending multiplier")
        axis.set_title(NAMES[dataflow])
        axis.set_xlabel("weight bit (7: sign)")
        axis.grid(alpha=0.3, axis="y")
    axes[0].set_ylabel("pJ a flip")
    axes[0].legend(fontsize=7)
    save(figure, directory, "energy-bit-costs.png")


def predictions(made, kinds, directory):
    """Held-out streams: predicted against simulated, both models."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharex=True, sharey=True)
    markers = {"input_stationary": "o", "output_stationary": "s", "weight_stationary": "^"}
    for axis, (refined, title) in zip(axes, ((False, "transferable model"), (True, "refined model"))):
        for k in kinds:
            m = made["models"][k["dataflow"]][k["representation"]]
            terms = fit.TERMS + (fit.MORE_TERMS if refined else ())
            source = m["measured"]["refined"] if refined else m["transferable"]
            c = np.array([source[name] for name, _ in terms])
            points = np.array([(s.datapath.mean(), (s.matrix(refined) @ c).mean()) for s in k["held_out"]])
            axis.loglog(points[:, 0], points[:, 1], markers[k["dataflow"]], color=COLOURS[k["representation"]],
                        markersize=3.5, alpha=0.6, label=f"{NAMES[k['dataflow']]}, {NAMES[k['representation']]}")
        x = np.array([1.5, 120])
        axis.plot(x, x, "k-", linewidth=0.8)
        axis.fill_between(x, 0.9 * x, 1.1 * x, color="k", alpha=0.08)
        axis.set_title(title + " (band: 10 %)")
        axis.set_xlabel("simulated, pJ a cycle")
        axis.set_xlim(*x)
        axis.set_ylim(*x)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("predicted, pJ a cycle")
    axes[0].legend(fontsize=7)
    save(figure, directory, "energy-predictions.png")


def shares(kinds, directory):
    figure, axis = plt.subplots(figsize=(8, 3.8))
    for i, k in enumerate(kinds):
        chosen = [s for s in k["training"] if s.kind == "statistics"]
        mean = np.mean([s.energies[:, :len(PARTS)].mean(axis=0) for s in chosen], axis=0)
        bottom = 0.0
        for name, members, colour in PART_GROUPS:
            height = sum(mean[PARTS.index(p)] for p in members)
            axis.bar(i, height, 0.6, bottom=bottom, color=colour, label=name if i == 0 else None)
            bottom += height
        axis.bar(i, mean[fit.CLOCK], 0.6, bottom=bottom, fill=False, edgecolor="#888888", hatch="//",
                 label="clock (beside the datapath)" if i == 0 else None)
    axis.set_xticks(range(len(kinds)), [f"{NAMES[k['dataflow']]}\n{NAMES[k['representation']]}" for k in kinds], fontsize=7)
    axis.set_ylabel("pJ a cycle, network-like streams")
    axis.legend(fontsize=7)
    save(figure, directory, "energy-parts.png")


def write(made, kinds, directory):
    os.makedirs(directory, exist_ok=True)
    plt.rcParams.update({"font.size": 9})
    hamming(made, kinds, directory)
    concavity(kinds, directory)
    bits(made, directory)
    predictions(made, kinds, directory)
    shares(kinds, directory)
    print(f"wrote five figures to {directory}")
