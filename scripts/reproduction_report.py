"""The report of scripts/reproduce: measures the weights that are there, writes results.csv and layers.csv, the figures, and the page.

1x is always the network's baseline: its words in natural order, plain int8 two's complement, on the same array.
"""
import csv
import io
import json
import os
import shutil
import tempfile

import training_runs as runs

ARRAYS = ["is16x16", "is8x8", "is32x32"]
MAIN_ARRAY = ARRAYS[0]
COLUMNS = ["network", "step", "method", "array", "int8_top1", "points", "flips_per_image", "flips_ratio", "energy_uj",
           "energy_ratio", "clock_uj", "one_pass_flips_ratio", "kernel_layers_flips_ratio", "kernel_layers_energy_ratio",
           "best_layer_energy_ratio", "traced_energy_uj", "traced_energy_ratio", "traced_multiplier_uj",
           "traced_accumulator_uj", "energy_table"]
METHODS = ["baseline", "reordered", "post-training", "trained", "trained longer"]
STYLES = {"baseline": ("#222222", "D"), "reordered": ("#56B4E9", "v"), "post-training": ("#0072B2", "o"),
          "trained": ("#D55E00", "s"), "trained longer": ("#CC79A7", "^")}
INK, GREY = "#222222", "#6b6b6b"


# ---- measuring ----
def report_of(arguments, scratch):
    path = os.path.join(scratch, "report.json")
    runs.run_darknet(arguments + ["-json", path])
    return json.loads(runs.read_text(path))


def energy_on(array, cfg, weights, data, natural, scratch):
    """`hd energy` of the weights, on the main array cycle by cycle, too; on one that their sidecar was not made for, after
    reordering for it."""
    if array != MAIN_ARRAY and not natural:
        ordered = os.path.join(scratch, "ordered.weights")
        runs.run_darknet(["hd", "reorder", cfg, weights, ordered, "-method", "segment", "-accelerator", array])
        weights = ordered
    trace = ["-trace", "-data", data] if array == MAIN_ARRAY else []
    return report_of(["hd", "energy", cfg, weights, "-accelerator", array] + trace, scratch)


def layer_ratios(base, now):
    """{layer index: energy of base / energy of now}."""
    after = {layer["index"]: layer["energy_pj"]["datapath"] for layer in now["layers"]}
    return {layer["index"]: layer["energy_pj"]["datapath"] / after[layer["index"]] for layer in base["layers"]
            if after.get(layer["index"], 0) > 0}


def kernel_sum(report, indices, value):
    return sum(value(layer) for layer in report["layers"] if layer["index"] in indices)


def kernel_layers(cfg):
    """Indices of the layers that the paper's experiment is about: 3x3 of ResNet26, 1x1 of MobileNetV2."""
    size, index, found = ("3" if "resnet" in cfg else "1"), -2, []
    section, keys = None, {}
    for line in runs.read_text(cfg).splitlines() + ["[end]"]:
        bare = "".join(line.split())
        if bare.startswith("["):
            if section == "[convolutional]" and keys.get("size", "1") == size and keys.get("groups", "1") == "1":
                found.append(index)
            index, section, keys = index + 1, bare, {}
        elif "=" in bare and not bare.startswith(("#", ";")):
            key, _, value = bare.partition("=")
            keys[key] = value
    return found


def traced(report, part="datapath"):
    """pJ of a part, every register of the array in every cycle, of one image; 0 where it was not traced."""
    return report["total"].get("trace", {}).get("energy_pj", {}).get(part, 0)


def row_of(name, step, cfg, array, top1, base, now):
    chosen = kernel_layers(cfg)
    energy = lambda r: r["total"]["energy_pj"]["datapath"]
    flips = lambda r: r["total"]["flips_per_image"]
    layer_flips, layer_energy = (lambda l: l["flips_per_image"]), (lambda l: l["energy_pj"]["datapath"])
    ratio = lambda value: "%.3f" % (value(base) / value(now))
    traced_uj = lambda part: "%.3f" % (traced(now, part) * 1e-6) if traced(now) else ""
    return {"network": step["network"], "step": name, "method": step["method"], "array": array, "int8_top1": "%.4f" % top1,
            "flips_per_image": flips(now), "flips_ratio": ratio(flips), "energy_uj": "%.3f" % (energy(now) * 1e-6),
            "energy_ratio": ratio(energy), "clock_uj": "%.3f" % (now["total"]["energy_pj"]["clock"] * 1e-6),
            "one_pass_flips_ratio": ratio(lambda r: r["total"]["flips"]),
            "kernel_layers_flips_ratio": ratio(lambda r: kernel_sum(r, chosen, layer_flips)),
            "kernel_layers_energy_ratio": ratio(lambda r: kernel_sum(r, chosen, layer_energy)),
            "best_layer_energy_ratio": "%.2f" % max(layer_ratios(base, now).values()),
            "traced_energy_uj": traced_uj("datapath"), "traced_energy_ratio": ratio(traced) if traced(now) else "",
            "traced_multiplier_uj": traced_uj("multiplier"), "traced_accumulator_uj": traced_uj("accumulator"),
            "energy_table": now["accelerator"]["energy_table"] if "energy_table" in now["accelerator"] else ""}


def measure(steps, networks, data, places, scratch):
    """All rows, and the reports of the main array by step."""
    rows, reports, baselines = [], {}, {}
    for name, step in steps.items():
        weights, cfg = places.weights(name), networks[step["network"]]
        if not os.path.exists(weights):
            continue
        print("measuring %s" % weights, flush=True)
        top1 = report_of(["classifier", "valid", data, cfg, weights, "-int8"], scratch)["top1"]
        for array in ARRAYS:
            now = energy_on(array, cfg, weights, data, step["method"] == "baseline", scratch)
            if step["method"] == "baseline":
                baselines[step["network"], array] = (top1, now)
            if (step["network"], array) not in baselines:
                raise runs.RunError("%s: its baseline's weights are missing: %s" % (weights, step["network"]))
            base_top1, base = baselines[step["network"], array]
            row = row_of(name, step, cfg, array, top1, base, now)
            row["points"] = "%+.2f" % (100 * (top1 - base_top1))
            rows.append(row)
            if array == MAIN_ARRAY:
                reports[name] = now
    return rows, reports


def write_csv(path, columns, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    runs.write_whole(path, text.getvalue())


# ---- figures ----
def new_figure(title, note, size=(7.6, 4.6)):
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "text.color": INK})
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=size, constrained_layout=True)
    figure.suptitle(title, x=.012, ha="left", fontsize=12, fontweight="bold")
    figure.supxlabel(note, fontsize=8, color=GREY, x=.012, ha="left")
    axes.grid(True, color="#e4e4e4", linewidth=.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def save(figure, path):
    from matplotlib import pyplot
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path + ".partial.png", dpi=150, metadata={"Software": None})
    os.replace(path + ".partial.png", path)
    pyplot.close(figure)


def note_of(rows):
    return "array %s, input stationary; energy table %s; 1x: the baseline's int8 words in natural order" % (
        MAIN_ARRAY, rows[0]["energy_table"])


def draw_front(rows, network, path):
    figure, axes = new_figure("%s on CIFAR-100: energy against accuracy" % network, note_of(rows))
    for method in METHODS:
        points = sorted((float(r["traced_energy_ratio"]), 100 * float(r["int8_top1"]), float(r["flips_ratio"])) for r in rows
                        if r["network"] == network and r["array"] == MAIN_ARRAY and r["method"] == method)
        if not points:
            continue
        colour, marker = STYLES[method]
        axes.plot([p[0] for p in points], [p[1] for p in points], "-" + marker, color=colour, label=method, markersize=7)
        for energy, accuracy, flips in points if method != "baseline" else []:
            axes.annotate("%.2fx flips" % flips, (energy, accuracy), xytext=(6, 5), textcoords="offset points", fontsize=8,
                          color=colour)
    axes.margins(x=.2, y=.15)
    axes.set_xlabel("Times less datapath energy, traced  (more is better: →)")
    axes.set_ylabel("Top-1 accuracy of the int8 network, %")
    axes.legend(frameon=False, fontsize=9)
    save(figure, path)


def draw_layers(reports, baseline, step, title, rows, path):
    ratios = layer_ratios(reports[baseline], reports[step])
    figure, axes = new_figure(title, note_of(rows))
    axes.bar([str(i) for i in sorted(ratios)], [ratios[i] for i in sorted(ratios)], color="#0072B2")
    axes.axhline(1, color=GREY, linewidth=.8)
    axes.tick_params(axis="x", labelsize=6 if len(ratios) > 30 else 8, rotation=90)
    axes.set_xlabel("Layer, as in the cfg")
    axes.set_ylabel("Times less datapath energy, plan level")
    save(figure, path)


def draw_bits(reports, baseline, step, title, rows, path):
    figure, axes = new_figure(title, note_of(rows))
    for offset, name, label, colour in ((-.2, baseline, "baseline, natural order", "#999999"), (.2, step, step, "#D55E00")):
        total = [0.0] * 8
        for layer in reports[name]["layers"]:
            passes = layer["flips_per_image"] / layer["flips"] if layer["flips"] else 0
            for bit, count in enumerate(layer["flips_by_bit"]):
                total[bit] += count * passes
        axes.bar([bit + offset for bit in range(8)], [value / 1e6 for value in total], .4, label=label, color=colour)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.set_xlabel("Bit of the weight word (7: the sign)")
    axes.set_ylabel("Flips an image, millions")
    axes.legend(frameon=False, fontsize=9)
    save(figure, path)


def draw_curves(steps, places, path):
    figure, axes = new_figure("Training curves: accuracy of the int8 network on the test set", "one point an epoch")
    drawn = False
    for name, step in steps.items():
        log = runs.log_rows(places.log(name)) if step["kind"] == "train" else []
        points = [(int(r["epoch"]), 100 * float(r["int8_top1"])) for r in log if r.get("int8_top1")]
        if points:
            axes.plot([e for e, _ in points], [a for _, a in points], "-o", markersize=3, label=name)
            drawn = True
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Top-1, %")
    if drawn:
        axes.legend(frameon=False, fontsize=9)
        save(figure, path)


def draw_all(rows, reports, steps, places):
    figures = os.path.join(places.results, "figures")
    made = []
    for network in {s["network"]: None for s in steps.values()}:
        own = [n for n in reports if steps[n]["network"] == network]
        if not own:
            made += [n for n in (network + "-front.png", network + "-layers.png", network + "-bits.png")
                     if os.path.exists(os.path.join(figures, n))]
            continue
        draw_front(rows, network, os.path.join(figures, network + "-front.png"))
        made.append(network + "-front.png")
        best = [n for n in own if steps[n]["method"] in METHODS[2:]]
        if best:
            draw_layers(reports, network, best[-1], "%s: energy reduction by layer" % best[-1], rows,
                        os.path.join(figures, network + "-layers.png"))
            draw_bits(reports, network, best[-1], "%s: flips by bit position" % best[-1], rows,
                      os.path.join(figures, network + "-bits.png"))
            made += [network + "-layers.png", network + "-bits.png"]
    draw_curves(steps, places, os.path.join(figures, "curves.png"))
    return made + ["curves.png"]


# ---- the page ----
def markdown_table(rows, array):
    lines = ["| network | step | int8 top-1, % | points | flips an image | fewer flips | less energy, traced |"
             " energy, µJ, plan level | less energy, plan level | best layer | 1x1 (3x3) layers: flips, energy |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        if r["array"] == array:
            lines.append("| %s | `%s` (%s) | %.2f | %s | %.4g M | %sx | %s | %s | %sx | %sx | %sx, %sx |" % (
                r["network"], r["step"], r["method"], 100 * float(r["int8_top1"]), r["points"],
                int(r["flips_per_image"]) / 1e6, r["flips_ratio"],
                r["traced_energy_ratio"] + "x" if r["traced_energy_ratio"] else "", r["energy_uj"], r["energy_ratio"],
                r["best_layer_energy_ratio"], r["kernel_layers_flips_ratio"], r["kernel_layers_energy_ratio"]))
    return lines


def parts_table(rows):
    """Where the traced energy goes."""
    lines = ["## Where the traced energy goes", "",
             "µJ an image on %s. The multiplier follows its own weight's flips; the accumulator (adder and register) follows a partial"
             % MAIN_ARRAY,
             "sum, which can change whenever the word of its own or of any lane above it does: its share grows as flips grow few.", "",
             "| step | fewer flips | multiplier | accumulator | registers and wires | accumulator's share |",
             "| --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        if r.get("traced_accumulator_uj"):
            whole, multiplier, accumulator = (float(r["traced_%s_uj" % part]) for part in ("energy", "multiplier", "accumulator"))
            lines.append("| `%s` | %sx | %.1f | %.1f | %.1f | %.0f %% |" % (
                r["step"], r["flips_ratio"], multiplier, accumulator, whole - multiplier - accumulator, 100 * accumulator / whole))
    return lines + [""]


def training_of(step):
    after = ["fine-tuning `%s` at a rate of %s, half of the truth `%s`'s answers" % (
        step["after"], step["net"]["learning_rate"], step["after"])] if step["after"] else []
    return ", ".join(["%d epochs" % step["epochs"], "seed %d" % step["seed"]] + after
                     + ["%s=%s" % pair for pair in step["hdloss"].items()])


def made_by(steps, places):
    lines = ["| step | made by | from commit |", "| --- | --- | --- |"]
    for name, step in steps.items():
        if not os.path.exists(places.settings(name)):
            continue
        settings = json.loads(runs.read_text(places.settings(name)))
        what = "`darknet hd %s`" % " ".join(step["arguments"]) if step["kind"] == "post" else training_of(step)
        what = settings.get("made_by", what)
        lines.append("| `%s` | %s | %s |" % (name, what, (settings.get("commit") or "")[:10]))
    return lines


def page(rows, steps, places, figures, study):
    text = ["# Results on CIFAR-100", "",
            "Written by `scripts/reproduce` from the weights in `results/weights`; nothing here is typed by hand. Accuracy is that",
            "of the very integer network whose energy stands beside it, on all 10,000 test images. 1x is the baseline's words in",
            "natural order, plain int8 two's complement, on the same array. Datapath energy is compute + propagation; energies are",
            "of the table `%s`. \"Points\" are against the network's own baseline. Words" % rows[0]["energy_table"],
            "are those made for %s: on the other arrays only their orders were solved anew." % MAIN_ARRAY, "",
            "Energy is told twice. *Traced*: every register of the array, every cycle, for the first training image, by the model that",
            "layers simulated at gate level agree with best. *Plan level*: weight streams exact, activations by statistics (measured on",
            "training images on %s, the table's assumed ones elsewhere); what training and rounding look at. Where flips" % MAIN_ARRAY,
            "are few the plan level is too hopeful (energy is concave in flips), so the",
            "traced ratio is the one to quote.", ""]
    for array in ARRAYS:
        text += ["## %s" % array, ""] + markdown_table(rows, array) + [""]
    text += parts_table(rows) + study
    text += ["## How each was made", "", "`scripts/reproduce STEP` makes one; settings and logs are in `results/logs`.", ""]
    text += made_by(steps, places) + ["", "## Figures", ""]
    text += ["![%s](../results/figures/%s)" % (name[:-4], name) for name in figures]
    return "\n".join(text) + "\n"


def kept_rows(path, steps, only):
    """Rows of results that are not measured this time."""
    return [r for r in (runs.log_rows(path) if only else []) if r["step"] in steps and steps[r["step"]]["network"] != only]


def write(steps, networks, data, places, study=(), only=None):
    """study: lines of the page on the ways of training. only: the network that is measured, None: all."""
    scratch = tempfile.mkdtemp()
    try:
        rows, reports = measure({n: s for n, s in steps.items() if only in (None, s["network"])}, networks, data, places, scratch)
    finally:
        shutil.rmtree(scratch)
    if not rows:
        raise runs.RunError("there are no weights in %s: name a step" % os.path.join(places.results, "weights"))
    kept = kept_rows(os.path.join(places.results, "results.csv"), steps, only)
    rows = sorted(rows + kept, key=lambda r: (list(steps).index(r["step"]), ARRAYS.index(r["array"])))
    write_csv(os.path.join(places.results, "results.csv"), COLUMNS, rows)
    layers = [{"step": name, "layer": layer["index"], "flips_per_image": layer["flips_per_image"],
               "energy_pj": layer["energy_pj"]["datapath"]} for name, r in reports.items() for layer in r["layers"]]
    layers = kept_rows(os.path.join(places.results, "layers.csv"), steps, only) + layers
    write_csv(os.path.join(places.results, "layers.csv"), ["step", "layer", "flips_per_image", "energy_pj"], layers)
    figures = draw_all(rows, reports, steps, places)
    target = os.path.join("docs", "results.md") if places.results == "results" else os.path.join(places.results, "results.md")
    runs.write_whole(target, page(rows, steps, places, figures, list(study)))
    print("%s, %s" % (os.path.join(places.results, "results.csv"), target))
